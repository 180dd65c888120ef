-- One row per scheduled flight out of New York, cancelled ones included.
--
-- The file has no flight id, but no carrier flies one flight number twice from the same airport on one day: the business
-- key (flight_date, carrier, flight_number, origin) is unique in all 336,776 rows of the year. A file that arrives twice
-- therefore adds nothing.
--
-- Times are New York's local time, as in the source, without a zone; recorded_at, when the row landed, is UTC.
select
    cast(f.year || '-' || f.month || '-' || f.day as date) as flight_date,
    f.carrier,
    f.flight as flight_number,
    f.origin,
    f.dest as destination,
    f.tailnum,
    cast(f.year || '-' || f.month || '-' || f.day as timestamp)
    + (f.hour * 60 + f.minute) * interval '1 minute' as scheduled_at,
    -- schedule + delay, and not dep_time: that is a number like 2400 and does not tell which day it was by then
    cast(f.year || '-' || f.month || '-' || f.day as timestamp)
    + (f.hour * 60 + f.minute + f.dep_delay) * interval '1 minute' as departed_at,
    f.dep_delay as departure_delay_minutes,
    f.arr_delay as arrival_delay_minutes,
    f.distance as distance_miles,
    f.dep_time is null as is_cancelled,
    f.recorded_at
from lake.flights as f
