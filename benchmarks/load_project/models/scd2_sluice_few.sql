{{ config(materialized='scd2', business_key=['id'], incremental_key='landed_at', sequence_by=['changed_at']) }}

select id, name, city, segment, amount, score, is_open, changed_at
from {{ sluice.increment(source('raw', 'events_few')) }} as events
