"""Sizing of clusters."""
