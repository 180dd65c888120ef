"""Heavy SELECTs as people write them: dedupe, sessions, running totals, gaps, cohorts, joins of several tables."""

from __future__ import annotations

from typing import Final

from tests.equality.generated import CARRIERS, FLIGHTS

FLIGHT_TABLES: Final = {"flights": FLIGHTS, "carriers": CARRIERS}

HEAVY: Final = (
    # the last state of each plane
    "select * from lake.flights qualify row_number() over (partition by tailnum order by dep_at desc, id desc) = 1",
    "select tailnum, dep_at, dest from (select f.*, row_number() over (partition by tailnum order by dep_at, id) as rn"
    " from lake.flights as f) as v where rn = 1",
    # sessions: a gap of more than two hours begins a new one
    "with gaps as (select id, tailnum, dep_at, dep_at - lag(dep_at) over (partition by tailnum order by dep_at, id)"
    " > interval '2 hours' as is_gap from lake.flights),"
    " numbered as (select id, tailnum, dep_at, sum(case when is_gap then 1 else 0 end)"
    " over (partition by tailnum order by dep_at, id) as session from gaps)"
    " select tailnum, session, min(dep_at) as began, max(dep_at) as ended, count(*) as flights,"
    " date_diff('minute', min(dep_at), max(dep_at)) as minutes from numbered group by tailnum, session",
    # running totals and moving averages of decimals
    "select id, sum(fare) over (partition by carrier order by dep_at, id) as running from lake.flights",
    "select id, avg(fare) over (partition by carrier order by dep_at, id rows between 2 preceding and current row) as x"
    " from lake.flights",
    "select carrier, cast(dep_at as date) as day, sum(fare) as fare, sum(sum(fare)) over (partition by carrier"
    " order by cast(dep_at as date)) as running from lake.flights group by carrier, cast(dep_at as date)",
    # shares
    "select carrier, count(*) as n, count(*) / sum(count(*)) over () as share from lake.flights group by carrier",
    "select carrier, round(cast(100.0 * count(*) / (select count(*) from lake.flights) as decimal(9, 4)), 2) as pct"
    " from lake.flights group by carrier",
    "select carrier, sum(fare) / nullif(sum(distance), 0) as per_mile from lake.flights group by carrier",
    # joins with lookups
    "select f.id, coalesce(c.name, 'unknown ' || f.carrier) as name from lake.flights as f"
    " left join lake.carriers as c on c.carrier = f.carrier",
    "select c.name, count(f.id) as n, max(f.delay) as worst from lake.carriers as c left join lake.flights as f"
    " on f.carrier = c.carrier and f.delay > 15 group by c.name",
    "select c.carrier, c.name from lake.carriers as c where not exists (select 1 from lake.flights as f"
    " where f.carrier = c.carrier)",
    "select f.id from lake.flights as f where f.carrier not in (select carrier from lake.carriers"
    " where carrier is not null)",
    "select coalesce(f.carrier, c.carrier) as carrier, count(f.id) as n from lake.flights as f full join lake.carriers"
    " as c on c.carrier = f.carrier group by 1",
    "select f.id, g.id as following from lake.flights as f join lake.flights as g on g.tailnum = f.tailnum"
    " and g.dep_at > f.dep_at and g.dep_at <= f.dep_at + interval '3 hours'",
    # dates
    "select date_trunc('month', dep_at) as month, count(*) as n, count(distinct tailnum) as planes from lake.flights"
    " group by 1",
    "select extract(year from dep_at) * 100 + extract(month from dep_at) as period, sum(distance) as miles"
    " from lake.flights group by period",
    "select strftime(dep_at, '%Y-%m-%d') as day, max(dep_at) as latest from lake.flights group by 1",
    "select id, dep_at + delay * interval '1 minute' as left_at from lake.flights",
    "select id, cast(extract(epoch from dep_at) as bigint) as seconds from lake.flights",
    "select id, date_diff('day', cast(first_seen as date), cast(dep_at as date)) as age from (select f.*,"
    " min(dep_at) over (partition by tailnum) as first_seen from lake.flights as f) as v",
    "select id, seen_at at time zone 'America/New_York' as local, cast(seen_at as date) as day from lake.flights",
    "select cast(seen_at at time zone 'Europe/Berlin' as date) as day, count(*) as n from lake.flights group by 1",
    "select id, case extract(isodow from dep_at) when 6 then 'weekend' when 7 then 'weekend' else 'week' end as part"
    " from lake.flights",
    "select last_day(dep_at) as closing, sum(fare) as fare from lake.flights group by 1",
    # cohorts
    "with firsts as (select tailnum, date_trunc('month', min(dep_at)) as cohort from lake.flights group by tailnum)"
    " select x.cohort, date_diff('month', x.cohort, f.dep_at) as age, count(distinct f.tailnum) as planes"
    " from lake.flights as f join firsts as x on x.tailnum = f.tailnum group by 1, 2",
    # pivots
    "select carrier, count(*) filter (where delay > 0) as late, count(*) filter (where delay <= 0) as on_time,"
    " sum(fare) filter (where dest = 'JFK') as jfk from lake.flights group by carrier",
    "select dest, sum(case when carrier = 'AA' then 1 else 0 end) as aa, max(case when carrier = 'UA' then delay end)"
    " as ua from lake.flights group by dest",
    # cleaning
    "select id, upper(trim(dest)) as dest, lower(tailnum) as tail, nullif(trim(note), '') as note from lake.flights",
    "select id, substring(tailnum, 2) as serial, left(tailnum, 1) as country, right(tailnum, 2) as suffix"
    " from lake.flights",
    "select id, split_part(note, ',', 1) as first, split_part(note, ',', 2) as second from lake.flights",
    "select id, replace(replace(note, '\\', '/'), ',', ';') as note from lake.flights where note like '%\\%'",
    "select id, cast(code as integer) as code from lake.flights where code <> ''",
    "select id, lpad(cast(id as varchar), 8, '0') as key, md5(carrier || '|' || coalesce(tailnum, '')) as hash"
    " from lake.flights",
    "select id, concat(carrier, '-', dest, '-', cast(delay as varchar)) as label from lake.flights",
    # ranks, gaps and islands
    "select carrier, dest, rank() over (partition by carrier order by count(*) desc, dest) as r from lake.flights"
    " group by carrier, dest qualify r <= 2",
    "select tailnum, min(day) as began, max(day) as ended, count(*) as days from (select tailnum, day, day -"
    " cast(row_number() over (partition by tailnum order by day) as integer) as island from (select distinct tailnum,"
    " cast(dep_at as date) as day from lake.flights) as d) as v group by tailnum, island",
    "select id, delay, lag(delay) over (partition by tailnum order by dep_at, id) as before, delay - lag(delay, 1, 0)"
    " over (partition by tailnum order by dep_at, id) as change from lake.flights",
    "select id, first_value(dest) over (partition by tailnum order by dep_at, id) as first, last_value(dest) over"
    " (partition by tailnum order by dep_at, id rows between unbounded preceding and unbounded following) as last"
    " from lake.flights",
    "select id, ntile(4) over (order by distance, id) as quarter, percent_rank() over (order by distance) as place"
    " from lake.flights",
    # exact and approximate numbers
    "select carrier, avg(delay) as mean, min(delay) as low, max(delay) as high from lake.flights group by carrier",
    "select id, round(speed, 1) as speed, floor(speed) as low, ceil(speed) as high, cast(speed as integer) as whole"
    " from lake.flights",
    "select id, cast(speed as decimal(10, 2)) as speed, distance / nullif(delay, 0) as x from lake.flights",
    "select carrier, sum(cast(speed as decimal(18, 6))) as total from lake.flights group by carrier",
    "select id, fare * distance as product, fare * 1.19 as gross, fare - fare * 0.1 as net from lake.flights",
    # sets
    "select dest as place from lake.flights union select carrier from lake.carriers",
    "select tailnum from lake.flights where delay > 30 intersect select tailnum from lake.flights where delay < 0",
    "select carrier from lake.carriers except select carrier from lake.flights",
    # several steps at once
    "with ranked as (select carrier, dest, count(*) as n, row_number() over (partition by carrier order by count(*)"
    " desc, dest) as place from lake.flights group by carrier, dest) select c.name, r.dest, r.n from ranked as r"
    " join lake.carriers as c on c.carrier = r.carrier where r.place = 1",
    "select carrier, date_trunc('month', dep_at) as month, count(*) as n, count(*) - lag(count(*)) over (partition by"
    " carrier order by date_trunc('month', dep_at)) as change from lake.flights group by 1, 2",
    "with days as (select cast(dep_at as date) as day, count(*) as n from lake.flights group by 1) select a.day, a.n,"
    " b.n as week_before from days as a left join days as b on b.day = cast(a.day - interval '7 days' as date)",
    "select id, sum(distance) over w as recent, max(delay) over w as worst, count(*) over w as n from lake.flights"
    " window w as (partition by tailnum order by dep_at, id rows between 3 preceding and current row)",
    "select id, sum(distance) over (partition by tailnum order by dep_at, id rows between 3 preceding and current row)"
    " as recent from lake.flights",
    # JSON in a column of text, some of it broken
    "select id, json_extract_string(payload, '$.seat') as seat from lake.flights where json_valid(payload)",
    "select id, payload ->> '$.seat' as seat, cast(payload ->> '$.rows' as integer) as n,"
    " cast(payload ->> '$.price' as decimal(12, 2)) as price, payload ->> '$.tags[0]' as tag"
    " from lake.flights where json_valid(payload)",
    "select payload -> '$.who' ->> '$.name' as name, count(*) as n, sum(cast(payload ->> '$.price' as decimal(12, 2)))"
    " as total from lake.flights where json_valid(payload) group by 1",
    "select id, case when json_valid(payload) then coalesce(payload ->> '$.who.vip', 'unknown') else 'broken' end"
    " as vip from lake.flights",
    "select id, payload from lake.flights where json_valid(payload)"
    " qualify row_number() over (partition by payload ->> '$.who.name' order by cast(payload ->> '$.at' as timestamp)"
    " desc, id) = 1",
    "with events as (select id, tailnum, cast(payload ->> '$.at' as timestamp) as stamp,"
    " payload ->> '$.tags[-1]' as tag from lake.flights where json_valid(payload)),"
    " gaps as (select *, stamp - lag(stamp) over (partition by tailnum order by stamp, id) > interval '1 day' as is_gap"
    " from events) select id, tag,"
    " sum(case when is_gap then 1 else 0 end) over (partition by tailnum order by stamp, id) as session from gaps",
    "select c.name, e.vip, count(*) as n from (select carrier, payload ->> '$.who.vip' as vip from lake.flights"
    " where json_valid(payload) and payload ->> '$.who.vip' is not null) as e left join lake.carriers as c"
    " on c.carrier = e.carrier group by all",
    # refused by name
    "select id, cast(json_extract(payload, '$.rows') as integer) as n from lake.flights where json_valid(payload)",
)  # fmt: skip
