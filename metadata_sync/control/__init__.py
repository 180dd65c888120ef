"""Changing control rows."""
