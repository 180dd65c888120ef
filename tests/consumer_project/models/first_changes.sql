{{ config(
    materialized='append',
    business_key=['customer_id', 'changed_at'],
    incremental_key='landed_at',
    sequence_by=['changed_at']
) }}

select
    c.customer_id,
    c.changed_at,
    c.city
from {{ sluice.increment(source('shop', 'customer_events')) }} as c
