"""EMR on EC2."""
