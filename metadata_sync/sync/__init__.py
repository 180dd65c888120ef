"""Sync: rows become dbt models."""
