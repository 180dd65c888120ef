"""The demo: flights out of New York arrive day by day, and Sluice keeps four tables in step with them."""
