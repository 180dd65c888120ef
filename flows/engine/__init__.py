"""The engine: prepares a run, executes it, recovers from what ended badly."""
