{% snapshot scd2_check %}
    {{ config(unique_key='id', strategy='check', check_cols=['name', 'city', 'segment', 'amount', 'score', 'is_open']) }}
    -- depends_on: {{ ref('scd2_check_few') }}

    select id, name, city, segment, amount, score, is_open, changed_at
    from {{ source('raw', 'feed') }}
{% endsnapshot %}
