{{ config(materialized='append', incremental_key='landed_at') }}

select
    c.customer_id,
    c.landed_at
from {{ sluice.increment(source('shop', 'customer_events')) }} as c
