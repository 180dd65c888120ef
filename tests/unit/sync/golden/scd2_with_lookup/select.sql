-- One event per departure.
select
    f.tailnum,
    f.carrier,          -- two letters
    f.operation,
    f.departed_at,
    p.model
from lake.flights as f
left join lake.planes as p on p.tailnum = f.tailnum
