{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }}
-- depends_on: {{ ref('scd1_merge_few') }}

select id, name, city, segment, amount, score, is_open, changed_at
from {{ source('raw', 'feed') }}
