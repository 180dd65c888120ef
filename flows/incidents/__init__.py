"""Incidents and alerts."""
