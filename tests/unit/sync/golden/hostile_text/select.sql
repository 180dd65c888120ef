/* lake.flights {{ this }} */
with lake as (select 1 as flights), other as (select 2 as b)
select
    flights . tailnum, -- lake.flights {% endraw %}
    'lake.flights {{ ref("x") }} {# über' as note
from
    "lake" /* the lake */ . flights,
    lake, other
