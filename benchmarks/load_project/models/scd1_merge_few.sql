{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }}

select id, name, city, segment, amount, score, is_open, changed_at
from {{ source('raw', 'feed_few') }}
