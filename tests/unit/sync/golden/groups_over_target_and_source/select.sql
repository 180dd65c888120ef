with fact_flight as (
    select origin, count(*) as flight_count
    from dwh.fact_flight
    group by origin
),

paid as (select origin, sum(amount) as amount from LAKE.payments group by origin)

select fact_flight.origin, fact_flight.flight_count, paid.amount
from fact_flight
left join paid using (origin)
