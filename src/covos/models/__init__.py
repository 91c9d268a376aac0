"""Networks, their weights and their registry."""
