"""Control rows as typed objects."""
