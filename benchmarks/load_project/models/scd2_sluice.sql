{{ config(materialized='scd2', business_key=['id'], incremental_key='landed_at', sequence_by=['changed_at']) }}
-- depends_on: {{ ref('scd2_sluice_few') }}

select id, name, city, segment, amount, score, is_open, changed_at
from {{ sluice.increment(source('raw', 'events')) }} as events
