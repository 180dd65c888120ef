{{ config(materialized='incremental', unique_key='id', incremental_strategy='delete+insert') }}
-- depends_on: {{ ref('scd1_delete_insert_few') }}

select id, name, city, segment, amount, score, is_open, changed_at
from {{ source('raw', 'feed') }}
