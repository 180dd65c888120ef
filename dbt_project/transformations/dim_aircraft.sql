-- Which carrier flew a plane, and from which New York airport, over time (SCD2).
--
-- Every departure is an event. Sluice opens a version when carrier or base_airport differs from the plane's departure
-- before, and adds valid_from, valid_to and is_current; the other columns show the version's last departure.
select
    f.tailnum,
    f.carrier,
    f.origin as base_airport,
    -- New York's local time; orders a plane's history and becomes valid_from
    cast(f.year || '-' || f.month || '-' || f.day as timestamp)
    + (f.hour * 60 + f.minute + f.dep_delay) * interval '1 minute' as departed_at,
    f.flight as flight_number,
    c.name as carrier_name,
    p.manufacturer,
    p.model,
    p.year as built_year,
    p.seats
from lake.flights as f
-- lookups: read whole, never waited for. A left join, because not every plane is in the register
left join lake.planes as p on p.tailnum = f.tailnum
left join lake.airlines as c on c.carrier = f.carrier
where
    -- Some flights are recorded without a tail number. Without its key an event belongs to no plane: it would go to the
    -- rejects, and be counted there. We know that it happens and do not want to be told every day.
    f.tailnum is not null
    -- a cancelled flight does not move a plane
    and f.dep_time is not null
