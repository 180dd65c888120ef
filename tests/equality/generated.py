"""Generated flights, with the holes and odd values that real ones have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Table = tuple[str, Mapping[str, str]]

FLIGHTS: Final[Table] = (
    """
    select
        cast(i as integer) as id,
        case when i % 19 = 0 then null else ['AA', 'UA', 'DL', 'ZZ'][1 + i % 4] end as carrier,
        case when i % 23 = 0 then null else 'N' || (100 + i * 7 % 29) || 'ab' end as tailnum,
        case when i % 5 = 0 then ' jfk' when i % 7 = 0 then 'żrh ' else 'LGA' end as dest,
        timestamp '2013-01-01 00:00:00' + to_microseconds((i * 7919 % 9000) * 1000000 * 977 + i % 3 * 500000) as dep_at,
        cast(timestamp '2013-03-30 20:00:00' + to_minutes(i * 17) as timestamp) at time zone 'UTC' as seen_at,
        cast(i * 31 % 90 - 20 as integer) as delay,
        cast(i * 101 % 2500 as integer) as distance,
        cast(i * 37.13 as decimal(10, 2)) as fare,
        case when i % 29 = 0 then null else i * 1.005 - 100 end as speed,
        case when i % 4 = 0 then 'a,b' when i % 4 = 1 then 'x\\y' when i % 4 = 2 then '' else '  ' end as note,
        case when i % 6 = 0 then '' when i % 6 = 1 then ' 7 ' when i % 6 = 2 then '1.5' else '00' || i end as code,
        case when i % 31 = 0 then null when i % 37 = 0 then '{"seat": ' when i % 41 = 0 then '' else
            '{"seat": "' || i || 'A", "rows": ' || i || ', "price": ' || (i * 3.25) || ', "tags": ["a", "ż' || i % 3
            || '"], "who": {"name": "O''Hara \\u00e9 \\"' || i % 5 || '\\"", "vip": '
            || case when i % 3 = 0 then 'true' when i % 3 = 1 then 'null' else 'false' end
            || '}, "at": "2013-01-0' || (1 + i % 9) || 'T10:00:00"}' end as payload
    from range(600) as r (i)
    """,
    {
        "id": "integer", "carrier": "varchar", "tailnum": "varchar", "dest": "varchar", "dep_at": "timestamp",
        "seen_at": "timestamptz", "delay": "integer", "distance": "integer", "fare": "decimal(10,2)",
        "speed": "double", "note": "varchar", "code": "varchar", "payload": "varchar",
    },
)  # fmt: skip
CARRIERS: Final[Table] = (
    "select * from (values ('AA', 'American'), ('UA', 'United'), ('DL', null), ('XX', 'Nobody'), (null, 'None'))"
    " as c (carrier, name)",
    {"carrier": "varchar", "name": "varchar"},
)
