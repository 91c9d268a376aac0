"""Sessions: a video whose objects the user points at, looks at where they went, and corrects."""
