-- One row per day and route: how many flights, how late, in what weather (SCD1).
--
-- An aggregate needs every row of its group, not only the new ones. With `increment: groups` a run finds the days and
-- airports that new flights or new weather touch, and computes those again from all their rows: a flight that is
-- reported late mends its own day and leaves every other alone.
with weather_of_day as (
    select
        w.weather_date,
        w.origin,
        cast(min(w.temp) as decimal(5, 1)) as min_temperature_fahrenheit,
        cast(max(w.temp) as decimal(5, 1)) as max_temperature_fahrenheit,
        cast(max(w.wind_speed) as decimal(5, 1)) as max_wind_mph,
        -- decimals add up to the same sum in any order, floating point numbers do not
        cast(sum(cast(w.precip as decimal(6, 2))) as decimal(8, 2)) as precipitation_inches
    from lake.weather as w
    group by w.weather_date, w.origin
)

select
    f.flight_date,
    f.origin,
    f.destination,
    count(*) as flight_count,
    count(case when f.is_cancelled then 1 end) as cancelled_count,
    cast(avg(f.departure_delay_minutes) as decimal(8, 2)) as mean_departure_delay_minutes,
    cast(avg(f.arrival_delay_minutes) as decimal(8, 2)) as mean_arrival_delay_minutes,
    w.min_temperature_fahrenheit,
    w.max_temperature_fahrenheit,
    w.max_wind_mph,
    w.precipitation_inches
from dwh.fact_flight as f
left join weather_of_day as w on w.weather_date = f.flight_date and w.origin = f.origin
group by
    f.flight_date,
    f.origin,
    f.destination,
    w.min_temperature_fahrenheit,
    w.max_temperature_fahrenheit,
    w.max_wind_mph,
    w.precipitation_inches
