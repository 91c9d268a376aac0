"""Prompts: masks, points and boxes by which a user shows objects, and the masks that they become."""
