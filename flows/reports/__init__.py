"""Reports: status, freshness, savings."""
