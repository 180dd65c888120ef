"""Heal and monitor."""
