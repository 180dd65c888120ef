{% snapshot scd2_check_few %}
    {{ config(unique_key='id', strategy='check', check_cols=['name', 'city', 'segment', 'amount', 'score', 'is_open']) }}

    select id, name, city, segment, amount, score, is_open, changed_at
    from {{ source('raw', 'feed_few') }}
{% endsnapshot %}
