"""The warehouse, read only."""
