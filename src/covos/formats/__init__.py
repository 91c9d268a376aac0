"""Formats: one file a format or family, with its writer, its reader where there is one, and its traits."""
