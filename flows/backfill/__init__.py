"""Backfills: any window of the past, loaded again chunk by chunk."""
