-- One row per airport, as it is now (SCD1).
--
-- The file has no timestamp, so nothing can be cut into windows: `increment: full` reads it whole, but only when the
-- file itself has changed. An airport that is no longer in the file leaves the table.
select
    a.faa as airport_code,
    a.name as airport_name,
    a.lat as latitude,
    a.lon as longitude,
    a.alt as altitude_feet,
    a.tzone as time_zone
from lake.airports as a
