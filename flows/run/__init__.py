"""A run: request, plan, outcomes, retries, leases."""
