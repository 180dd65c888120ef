{% snapshot scd2_timestamp %}
    {{ config(unique_key='id', strategy='timestamp', updated_at='changed_at') }}
    -- depends_on: {{ ref('scd2_timestamp_few') }}

    select id, name, city, segment, amount, score, is_open, changed_at
    from {{ source('raw', 'feed') }}
{% endsnapshot %}
