"""Heavy work on Spark: when, how large, where, at what cost, and how its result reaches the warehouse."""
