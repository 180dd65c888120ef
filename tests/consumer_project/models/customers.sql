{{ config(
    materialized='scd2',
    business_key=['customer_id'],
    incremental_key='landed_at',
    sequence_by=['changed_at'],
    scd_columns=['city'],
    delete_when='is_deleted'
) }}

select
    c.customer_id,
    c.city,
    c.phone,
    c.is_deleted,
    c.changed_at
from {{ sluice.increment(source('shop', 'customer_events')) }} as c
