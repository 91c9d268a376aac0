"""Results: masks in memory, to be looked at, sliced, saved, loaded and converted."""
