{% snapshot scd2_timestamp_few %}
    {{ config(unique_key='id', strategy='timestamp', updated_at='changed_at') }}

    select id, name, city, segment, amount, score, is_open, changed_at
    from {{ source('raw', 'feed_few') }}
{% endsnapshot %}
