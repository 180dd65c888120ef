select flights.carrier, flights.updated_at from lake.flights;
