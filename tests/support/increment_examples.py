"""SELECTs over `lake.a` and `lake.b`, sorted by what is true of them: they load right, or they load wrong.

The sources have the columns id, k, d, v, s and seq; seq is the incremental key. By rows, `lake.a` drives and `lake.b`
is a lookup. By groups, both drive, and k is the group; the output column k carries it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.support.increment_trials import A, B, Mode

ROWS: Final = Mode(by_groups=False, driving={A: ()})
RANGE: Final = Mode(by_groups=False, driving={A: ()}, range_key="seq")
GROUPS: Final = Mode(by_groups=True, driving={A: ("k",), B: ("k",)}, group_key=("k",))
DAYS: Final = Mode(by_groups=True, driving={A: ("date_trunc('month', d)",)}, group_key=("m",))
PAIRS: Final = Mode(by_groups=True, driving={A: ("k", "d"), B: ("k", "d")}, group_key=("k", "d"))

WRONG_BY_ROWS: Final = (
    # aggregates in all their clothes
    "select count(*) as n from lake.a",
    "select k, sum(v) as v from lake.a group by k",
    "select k from lake.a group by k having count(*) > 1",
    "select 1 as one from lake.a having count(*) > 5",
    "select mean(v) as m from lake.a",
    "select kurtosis_pop(v) as m from lake.a",
    "select arg_min_null(v, id) as m from lake.a",
    "select histogram_exact(v, [1, 2, 5]) as m from lake.a",
    "select bitstring_agg(id, 1, 200) as m from lake.a",
    "select sem(v) as m from lake.a",
    "select (select sum(a.v)) as n from lake.a as a",
    "select (select sum(a.v) from lake.b as b order by 1 limit 1) as n from lake.a as a",
    "select k, d, count(*) as n from lake.a group by rollup (k, d)",
    "select k, d, count(*) as n from lake.a group by cube (k, d)",
    "with sales as (select * from lake.a), totals as (select k, sum(v) as v from sales group by k) select * from "
    "totals",
    # PIVOT aggregates as well
    "with p as (select k, s, v from lake.a) from p pivot (sum(v) for s in ('x', 'y'))",
    "select * from (select k, s, v from lake.a) pivot (max(v) for s in ('x', 'y') group by k)",
    # windows
    "select id, row_number() over (partition by k order by id) as n from lake.a",
    "select id, count(*) over () as n from lake.a",
    "select id, lag(v) over (order by id) as n from lake.a",
    "select id, sum(v) over w as n from lake.a window w as (partition by k order by id)",
    "select id from lake.a qualify row_number() over (partition by k order by id desc) = 1",
    "with ranked as (select *, rank() over (partition by k order by id desc) as n from lake.a) "
    "select id from ranked where n = 1",
    # one row of several
    "select distinct on (k) k, id from lake.a order by k, id desc",
    "select id from lake.a order by id desc limit 1",
    "select id from lake.a order by id offset 2",
    "select id from lake.a order by id desc fetch first 1 rows only",
    # sets
    "select b.k from lake.b as b except select a.k from lake.a as a",
    "select k from lake.a where v > 1 except select k from lake.a where v < 2",
    # the driving source with itself
    "select x.id, y.id as other from lake.a as x join lake.a as y on x.k = y.k",
    "with x as (select * from lake.a) select m.id, n.v from x as m left join x as n on n.id = m.v",
    "select x.id from lake.a as x, lake.a as y where x.id = y.v",
    "select x.id from lake.a as x where exists (select 1 from lake.a as y where y.v = x.id)",
    "select x.id from lake.a as x where x.id not in (select y.v from lake.a as y where y.v is not null)",
    "select id, (select max(y.id) from lake.a as y where y.k = x.k) as top from lake.a as x",
    "select x.id, z.top from lake.a as x, lateral (select max(y.id) as top from lake.a as y where y.k = x.k) as z",
    # the driving source on the nullable side
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k",
    "select b.id, a.id as aid from lake.a as a right join lake.b as b on a.k = b.k",
    "select b.id, a.id as aid from lake.a as a full join lake.b as b on a.k = b.k",
    "select b.id from lake.b as b anti join lake.a as a on a.k = b.k",
    "select b.id, a.id as aid from lake.b as b asof left join lake.a as a on b.id >= a.id",
    "select b.id, z.aid from lake.b as b left join lateral (select a.id as aid from lake.a as a where a.k = b.k) as z "
    "on true",
    "select b.id, a.id as aid from lake.b as b left join (lake.b as c join lake.a as a on a.k = c.k) on c.id = b.id",
    "select b.id, a.id as aid from lake.b as b left join ((select * from lake.b) as c join (select * from lake.a) as a "
    "on a.k = c.k) on c.id = b.id",
    "select b.id, (select count(*) from lake.a as a where a.k = b.k) as n from lake.b as b",
    "select b.id from lake.b as b where b.k not in (select a.k from lake.a as a where a.k is not null)",
    "select b.id from lake.b as b where not exists (select 1 from lake.a as a where a.k = b.k)",
    # recursion
    "with recursive r as (select id, v from lake.a where v is null union "
    "select a.id, a.v from r join lake.a as a on a.v = r.id) select id from r",
    "select x.k, x.id from lake.a as x where exists (select 1 from lake.a as y where x.k < y.k)",
    "select x.k, x.id from lake.a as x where exists (select 1 from lake.a as y where x.k = y.k and y.v = 1)",
    "select x.k, x.v in (select y.v from lake.a as y where y.v is not null) as f from lake.a as x",
    "with a as (select * from lake.a where v > 1) select x.k, x.id from lake.a as x where exists (select 1 from a as "
    "y where x.k = y.k)",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where coalesce(a.v, 2) > 1",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where a.v <> all (select 1 where "
    "false)",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where a.v > 1 or b.v > 0",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where exists (select max(c.v) from "
    "lake.b as c where c.k = a.k)",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where exists (select 1 from lake.b "
    "as c where c.k = a.k group by rollup (c.k))",
)
"""By rows, some sources show a difference."""

WRONG_IN_A_RANGE: Final = (
    "select id, v as seq from lake.a where v is not null",
    "select id, seq + 100 as seq from lake.a",
    "select a.id, b.seq from lake.a as a join lake.b as b on a.k = b.k",
    "select id, seq from lake.a union all select id, seq from lake.b",
    "select id, seq from lake.a union all select 0, 5",
)
"""For an append without a business key, which replaces a range of seq."""

RIGHT_BY_ROWS: Final = (
    "select * from lake.a",
    "from lake.a",
    "with a as (select * from lake.a), x as (select * from a), y as (select id, k, v + 1 as w from x) select * from y",
    "select * exclude (v) replace (upper(s) as s) from lake.a",
    "select id, v from lake.a where k = 1 union all select id, v from lake.a where k = 2",
    "select id, v from lake.a union all select 0, 0",
    "select id, v from lake.a union all select id, v from lake.b",
    "select distinct k, d from lake.a",
    "select k, d from lake.a union select k, d from lake.b",
    "select k from lake.a except select k from lake.b",
    "select k from lake.b intersect select k from lake.a",
    "select a.id, b.v from lake.a as a left join lake.b as b on b.k = a.k",
    "select a.id, b.v from lake.b as b right join lake.a as a on b.k = a.k",
    "select a.id, b.n from lake.a as a left join (select k, count(*) as n from lake.b group by k) as b using (k)",
    "select a.id, n.m from lake.a as a join (select *, row_number() over (partition by k order by id) as m from "
    "lake.b) "
    "as n on n.k = a.k and n.m = 1",
    "with l as (select distinct on (k) k, v from lake.b order by k, id) select a.id, l.v from lake.a as a join l "
    "using (k)",
    "select a.id from lake.a as a where a.k in (select k from lake.b order by id limit 2)",
    "select a.id, (select max(b.v) from lake.b as b where b.k = a.k) as m from lake.a as a",
    "select b.id from lake.b as b semi join lake.a as a on b.k = a.k",
    "select b.id from lake.b as b where b.k in (select a.k from lake.a as a)",
    "select b.id from lake.b as b where exists (select 1 from lake.a as a where b.k = a.k and a.v > b.v)",
    "select a.id from lake.a as a semi join lake.b as b on b.k = a.k",
    "select a.id from lake.a as a anti join lake.b as b on b.k = a.k",
    "select a.id, b.id as bid from lake.a as a asof left join lake.b as b on a.id >= b.id",
    "select a.id, z.v from lake.a as a, lateral (select b.v from lake.b as b where b.k = a.k order by b.id, b.v "
    "limit 1) as z",
    "select a.id, z.v from lake.a as a left join lateral (select max(b.v) as v from lake.b as b where b.k = a.k) as z "
    "on true",
    "select a.id, u.x from lake.a as a, unnest([a.k, a.v]) as u(x)",
    "select id, unnest([k, v]) as x from lake.a",
    "select * from (select id, k, v from lake.a) unpivot (x for name in (k, v))",
    "with recursive r as (select id, v, 0 as n from lake.a union all select r.id, r.v, n + 1 from r where n < 3) "
    "select * from r",
    "with recursive r as (select id, v from lake.a union all select r.id, b.v from r join lake.b as b on b.id = r.v "
    "where b.v > b.id) select id from r",
    "select id, case when v > 1 then 'a' else coalesce(s, '-') end as c, list_transform([v, k], lambda x: x + 1) as "
    "l from lake.a",
    "select a.id, x.v from lake.a as a cross join (values (1), (2)) as x(v)",
    "select id from lake.a order by v",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where a.v > 1",
    "select b.id, a.id as aid from lake.b as b full join lake.a as a using (k) where a.s like 'x%'",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k join lake.b as c on c.id = a.v",
    "select b.id, a.id as aid from lake.b as b left join lake.a as a on a.k = b.k where exists (select 1 from lake.b "
    "as c where c.k = a.k)",
    "select x.k, x.id from lake.a as x where x.k in (select y.k from lake.a as y where y.k is not null)",
    "with a as (select * from lake.a where v > 1) select x.k, x.id from a as x where not exists (select 1 from a as "
    "y where y.k >= x.k and x.v = 2)",
    "select x.k, x.id from lake.a as x anti join lake.a as y on y.v <= x.v",
)
"""By rows, no source shows a difference."""

WRONG_BY_GROUPS: Final = (
    # grouping behind an import CTE, or behind a projection
    "with a as (select * from lake.a), t as (select s, sum(v) as v, min(k) as k from a group by s) select * from t",
    "with a as (select s as x, k, v from lake.a) select x, min(k) as k, sum(v) as v from a group by x",
    "with t as (select k % 2 as k, v from lake.a) select k, sum(v) as v from t group by k",
    "select k % 2 as k, sum(v) as v from lake.a group by 1",
    "select coalesce(k, 1) as k, count(*) as n from lake.a group by coalesce(k, 1)",
    "with t as (select k, d, sum(v) as v from lake.a group by k, d) select d, sum(v) as v, max(k) as k from t group "
    "by d",
    "select d, min(k) as k, count(*) as n from lake.a group by all",
    "select k, d, count(*) as n from lake.a group by rollup (k, d)",
    "select k, d, count(*) as n from lake.a group by cube (k, d)",
    "select k, d, count(*) as n from lake.a group by grouping sets ((k, d), (d))",
    "select count(*) as n, max(k) as k from lake.a",
    "select 1 as k from lake.a having count(*) > 5",
    # windows and QUALIFY
    "select id, k, row_number() over (partition by d order by id) as n from lake.a",
    "select id, k from lake.a qualify row_number() over (partition by s order by id desc) = 1",
    "with a as (select * from lake.a), r as (select id, k, count(*) over (partition by s) as n from a) select * from r",
    "select id, k, sum(v) over w as n from lake.a window w as (order by id)",
    "select k, sum(v) as v, rank() over (order by sum(v)) as r from lake.a group by k",
    "select k, id, avg(v) over (partition by k % 2) as n from lake.a",
    # one of several
    "select distinct on (s) s, k, id from lake.a order by s, id desc",
    "with top as (select * from lake.a order by id desc limit 2) select k, count(*) as n from top group by k",
    "select k, id from lake.a order by id desc limit 2",
    # a lookup, or the other source, decides which groups there are
    "select b.k, count(a.id) as n from (select distinct k from (values (1), (2), (3)) as v(k)) as b "
    "left join lake.a as a on a.k = b.k group by b.k",
    "select a.k, count(*) as n from lake.a as a join lake.b as b on b.d = a.d group by a.k",
    "select a.k, count(*) as n from lake.a as a, lake.b as b group by a.k",
    "select b.k, count(*) as n from lake.a as a join lake.b as b on b.d = a.d group by b.k",
    "select a.k, max(b.v) as v from lake.a as a left join lake.b as b on b.id = a.id group by a.k",
    "select a.k, a.id, b.v from lake.a as a left join lake.b as b on b.k = a.k + 1",
    "select a.k, b.k as bk, count(*) over (partition by b.k) as n from lake.a as a left join lake.b as b on b.k = a.k",
    "select a.k, c.id from lake.a as a left join lake.b as b on b.k = a.k and b.v = 1 "
    "left join lake.b as c on c.k is not distinct from b.k",
    "select x.k, x.id, y.id as other from lake.a as x join lake.a as y on y.d = x.d",
    "select a.k, a.id from lake.a as a anti join lake.b as b on b.d = a.d",
    "select a.k, a.id, b.id as bid from lake.a as a asof join lake.b as b on a.id >= b.id",
    # sets
    "select k, v from lake.a except select id as k, v from lake.b",
    "select d, k from lake.a except select d, id from lake.b",
    "select a.k, sum(a.v) as v from (select k, v from lake.a union all select v as k, k as v from lake.b) as a "
    "group by a.k",
    # subqueries
    "select a.k, a.id from lake.a as a where a.d in (select d from lake.b)",
    "select a.k, a.id from lake.a as a where a.k not in (select k from lake.b)",
    "select a.k, a.id from lake.a as a where exists (select 1 from lake.b as b where b.d = a.d)",
    "select a.k, a.id, (select max(v) from lake.b) as m from lake.a as a",
    "select a.k, a.id, (select max(b.v) from lake.b as b where b.d = a.d) as m from lake.a as a",
    "select a.k, z.v from lake.a as a, lateral (select max(b.v) as v from lake.b as b where b.s = a.s) as z",
    "with p as (select k, s, v, d from lake.a) select d, x, y, 1 as k from p pivot (sum(v) for s in ('x', 'y') "
    "group by d)",
    # the output column is not the group
    "select -a.k as k, count(*) as n from lake.a as a group by a.k",
    "select v as k, k as v from lake.a",
    "select b.k, a.id from lake.a as a left join lake.b as b on b.k = a.k",
    "select b.k, a.id, b.id as bid from lake.a as a full join lake.b as b on b.k = a.k",
    "select v.k from (values (1), (2)) as v(k) where not exists (select 1 from lake.a as a where a.k = v.k)",
    "select coalesce(b.v, a.k) as k, a.id, b.id as bid from lake.a as a left join lake.b as b on a.k = b.k",
    "select b.k, a.id from lake.a as a left join lake.b as b on b.k = a.k where a.v > 0",
    "select x.k, x.id from lake.a as x semi join (select * from lake.a where v > 1) as y on x.id >= y.id",
)
"""By groups of k, some sources show a difference."""

RIGHT_BY_GROUPS: Final = (
    "select k, count(*) as n, sum(v) as v from lake.a group by k",
    "with a as (select * from lake.a), t as (select k, sum(v) as v from a group by k) select * from t",
    "with a as (select *, k as kk from lake.a), t as (select kk, d, sum(v) as v from a group by 1, 2), "
    "u as (select kk as k, sum(v) as v, count(*) as n from t group by kk) select * from u",
    "select k, d, count(*) as n from lake.a group by k, rollup (d)",
    "select k, d, s, count(*) as n from lake.a group by grouping sets ((k, d), (k, s), (k))",
    "select k, id, row_number() over (partition by k order by id) as n from lake.a",
    "select k, id from lake.a qualify row_number() over (partition by k, s order by id desc) = 1",
    "select k, id, sum(v) over w as n from lake.a window w as (partition by k order by id)",
    "select distinct k, d from lake.a",
    "select distinct on (k, s) k, s, id from lake.a order by k, s, id desc",
    "select a.k, count(*) as n, max(b.v) as v from lake.a as a left join lake.b as b on b.k = a.k group by a.k",
    "select a.k, a.id, b.id as bid from lake.a as a join lake.b as b using (k)",
    "select k, a.id, c.id as cid from lake.a as a join lake.b as b using (k) left join lake.b as c on c.k = a.k",
    "select k, a.id, b.id as bid from lake.a as a full join lake.b as b using (k)",
    "select coalesce(a.k, b.k) as k, a.id, b.id as bid from lake.a as a full join lake.b as b on a.k = b.k",
    "select a.k, a.id, c.id as cid from lake.a as a left join lake.b as b on b.k = a.k and b.v = 1 "
    "left join lake.b as c on c.k = b.k",
    "select b.k, a.id from lake.a as a left join lake.b as b on b.k = a.k where b.k is not null",
    "select x.k, y.id from lake.a as x join lake.a as y using (k) where k in (select k from lake.b)",
    "select v.k from (values (1), (2), (3)) as v(k) where v.k in (select a.k from lake.a as a)",
    "select b.k, a.id, b.id as bid from lake.a as a right join lake.b as b on a.k = b.k",
    "select a.k, a.id, b.id as bid from lake.a as a, lake.b as b where a.k = b.k",
    "select a.k, a.id from lake.a as a semi join lake.b as b on b.k = a.k",
    "select a.k, a.id from lake.a as a anti join lake.b as b on b.k = a.k",
    "select a.k, a.id, b.id as bid from lake.a as a asof left join lake.b as b on b.k = a.k and a.id >= b.id",
    "select x.k, x.id, y.id as other from lake.a as x left join lake.a as y on y.k = x.k and y.id > x.id",
    "select k, v from lake.a union all select k, v from lake.b",
    "select u.k, sum(u.v) as v from (select k, v from lake.a union all select k, v from lake.b) as u group by u.k",
    "select k, v from lake.a except select k, v from lake.b",
    "select k, v from lake.a intersect all select k, v from lake.b",
    "select a.k, a.id from lake.a as a where a.k in (select k from lake.b)",
    "select a.k, a.id from lake.a as a where exists (select 1 from lake.b as b where b.k = a.k and b.v > 1)",
    "select a.k, a.id, (select max(b.v) from lake.b as b where b.k = a.k) as m from lake.a as a",
    "select a.k, a.id, z.v from lake.a as a, lateral (select b.v from lake.b as b where b.k = a.k order by b.id, "
    "b.v limit 1) as z",
    "with p as (select k, s, v from lake.a) from p pivot (sum(v) for s in ('x', 'y'))",
    "with p as (select k, d, s, v from lake.a) from p pivot (sum(v) for s in ('x', 'y') group by k)",
    "select k, name, sum(x) as x from (select k, id, v from lake.a) unpivot (x for name in (id, v)) group by k, name",
    "select max(k) as k, count(*) as n from lake.a group by k",
    "select k, max(n) as n from (select k, d, count(*) as n from lake.a group by k, d) as t group by k having "
    "count(*) > 0",
    "select v.k, count(*) as n from (values (1), (1), (2)) as v(k) where exists (select 1 from lake.a as a where a.k "
    "= v.k and a.v > 1) group by 1",
    "select b.k, a.id from lake.a as a left join lake.b as b on b.k = a.k where b.v > 0",
    "select distinct on (a.k) a.k, a.id, b.v from lake.a as a full join lake.b as b on a.k = b.k where exists "
    "(select 1 from lake.a as c where c.k = a.k) order by a.k, a.id, b.v",
    "select b.k, a.id, c.id as cid from lake.a as a full join lake.b as b on b.k = a.k join lake.b as c on c.k = b.k",
    "select coalesce(b.k, c.k, a.k) as k, count(*) as n from lake.a as a left join lake.b as b on a.k = b.k and b.v "
    "= 1 left join lake.b as c on c.k = a.k group by 1",
    "select x.k, x.id, x.v in (select y.v from lake.a as y) as f from lake.a as x",
    "select t.k, t.n from (select k, count(*) from lake.a group by k) as t(k, n)",
    "select k, count(*) as n from lake.a group by k union all select k, count(*) from lake.b group by k",
)
"""By groups of k, no source shows a difference."""

RIGHT_BY_EXPRESSIONS: Final = (
    "select date_trunc('month', d) as m, count(*) as n from lake.a group by date_trunc('month', d)",
    "select date_trunc('month', d) as m, count(*) as n from lake.a group by 1",
    "with a as (select *, date_trunc('MONTH', d) as m from lake.a) select m, sum(v) as v from a group by m",
    "with a as (select d as day, v from lake.a) select date_trunc('month', day) as m, sum(v) as v from a group by m",
    "with days as (select d, sum(v) as v from lake.a group by d) "
    "select date_trunc('month', d) as m, sum(v) as v from days group by 1",
    "select date_trunc('month', d) as m, id, rank() over (partition by date_trunc('month', d) order by id) as r "
    "from lake.a",
)
"""By groups of `date_trunc('month', d)`, which m carries."""

WRONG_BY_EXPRESSIONS: Final = (
    "select date_trunc('year', d) as m, count(*) as n from lake.a group by 1",
    "select date_trunc('month', d) as m, k, count(*) over (partition by k) as n from lake.a",
    "select date_trunc('month', max(d)) as m, k from lake.a group by k",
)
"""By groups of `date_trunc('month', d)`, some sources show a difference."""

RIGHT_IN_A_RANGE: Final = (
    "select * from lake.a",
    "with a as (select * from lake.a) select id, seq, v * 2 as w from a where v > 1",
    "select a.id, a.seq, b.v from lake.a as a left join lake.b as b on a.k = b.k",
    "select id, seq from lake.a where v = 1 union all select id, seq from lake.a where v = 2",
)

RIGHT_BY_PAIRS: Final = (
    "select k, d, sum(v) as v from lake.a group by all",
    "select a.k, a.d, b.id from lake.a as a join lake.b as b using (k, d)",
    "select a.k, a.d, b.id from lake.a as a left join lake.b as b on b.d = a.d and a.k = b.k",
    "select k, d from lake.a union select k, d from lake.b",
    "select a.k, a.d, a.id from lake.a as a where (a.k, a.d) in (select k, d from lake.b)",
    "select a.k, a.d, (select count(*) from lake.b as b where b.k = a.k and b.d = a.d) as n from lake.a as a",
)
"""By groups of k and d."""

WRONG_BY_PAIRS: Final = (
    "select k, max(d) as d, sum(v) as v from lake.a group by k",
    "select a.k, a.d, b.id from lake.a as a join lake.b as b on a.k = b.k",
    "select a.k, a.d, b.id from lake.a as a join lake.b as b using (d)",
    "select a.k, a.d, (select count(*) from lake.b as b where b.k = a.k) as n from lake.a as a",
    "select a.k, a.d, a.id from lake.a as a where a.k in (select k from lake.b)",
    "select a.k, b.d, a.id from lake.a as a left join lake.b as b on b.d = a.d and a.k = b.k",
)


def read_by(mode: Mode, text: str) -> Mode:
    """Return the mode of a SELECT: only sources that it reads may drive it."""
    driving = {name: group for name, group in mode.driving.items() if str(name) in text}
    return replace(mode, driving=driving)
