{{ config(materialized='scd1', schema='marts', business_key=['city'], increment='full', max_vanish_percent=100) }}

select
    c.city,
    count(*) as customer_count
from {{ sluice.increment(ref('customers')) }} as c
where c.is_current
group by c.city
