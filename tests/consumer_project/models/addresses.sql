{{ config(materialized='scd1', business_key=['customer_id'], incremental_key='landed_at', sequence_by=['changed_at']) }}

select
    c.customer_id,
    c.city,
    c.changed_at
from {{ sluice.increment(source('shop', 'customer_events')) }} as c
where not c.is_deleted
