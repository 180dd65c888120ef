"""The check-up of a set-up."""
