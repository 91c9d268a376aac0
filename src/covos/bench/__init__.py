"""Measures on the user's own machine: ``covos bench``."""
