"""Training: recipes, data on the fly, the loop, checkpoints, export."""
