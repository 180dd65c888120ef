-- Aggregates and windows that PostgreSQL lacks: values without their NULLs, percentiles with OVER, sketches.
create function rs_catalog.keep_last(state anyelement, value anyelement) returns anyelement language sql immutable strict as $$
    select value $$;
create aggregate rs_catalog.first_not_null(anyelement) (sfunc = rs_catalog.first, stype = anyelement);
create aggregate rs_catalog.last_not_null(anyelement) (sfunc = rs_catalog.keep_last, stype = anyelement);
create function rs_catalog.gather(state anyarray, value anyelement) returns anyarray language sql immutable as $$
    select case when value is null then state else array_append(state, value) end $$;
create function rs_catalog.gather_reversed(state anyarray, value anyelement) returns anyarray language sql immutable as $$
    select case when value is null then state else array_prepend(value, state) end $$;
create aggregate rs_catalog.not_nulls(anyelement) (sfunc = rs_catalog.gather, stype = anyarray, initcond = '{}');
create aggregate rs_catalog.not_nulls_reversed(anyelement) (sfunc = rs_catalog.gather_reversed, stype = anyarray, initcond = '{}');
create function rs_catalog.item(items anyarray, n bigint) returns anyelement language sql immutable strict as $$
    select items[n] $$;

-- PERCENTILE_CONT and PERCENTILE_DISC of the values of a window (r_WF_PERCENTILE_CONT.html)
create function rs_catalog.share_between(items numeric[], share numeric) returns numeric language sql immutable strict as $$
    select (select percentile_cont(share::double precision) within group (order by v::double precision)
        from unnest(items) as u(v))::numeric $$;
create function rs_catalog.share_at(items anyarray, share numeric) returns anyelement language sql immutable strict as $$
    select v from (select v, cume_dist() over (order by v) as d from unnest(items) as u(v)) as t where d >= share order by v limit 1 $$;

-- HLLSKETCH: the values themselves instead of a sketch; how a sketch is shown is refused (r_HLLSKTECH_type.html)
create type pg_catalog.hllsketch;
create function rs_catalog.hllsketch_in(cstring) returns hllsketch language internal immutable strict as 'textin';
create function rs_catalog.hllsketch_out(hllsketch) returns cstring language internal immutable strict as 'textout';
create type pg_catalog.hllsketch (input = rs_catalog.hllsketch_in, output = rs_catalog.hllsketch_out, like = text);
create cast (hllsketch as text) without function;
create cast (text as hllsketch) without function;
create function rs_catalog.add_to_sketch(state text[], value text) returns text[] language sql immutable as $$
    select case when value is null or md5(value) = any(state) then state else array_append(state, md5(value)) end $$;
create function rs_catalog.sketched(state text[]) returns hllsketch language sql immutable as $$
    select array_to_string(state, ',')::hllsketch $$;
create aggregate pg_catalog.hll_create_sketch(text)
    (sfunc = rs_catalog.add_to_sketch, stype = text[], finalfunc = rs_catalog.sketched, initcond = '{}');
create function rs_catalog.add_sketch(state text[], sketch hllsketch) returns text[] language sql immutable as $$
    select array(select v from unnest(state) as u(v) union select v from unnest(string_to_array(sketch::text, ',')) as w(v)) $$;
create aggregate pg_catalog.hll_combine(hllsketch)
    (sfunc = rs_catalog.add_sketch, stype = text[], finalfunc = rs_catalog.sketched, initcond = '{}');
create function pg_catalog.hll_combine_sketches(a hllsketch, b hllsketch) returns hllsketch language sql immutable strict as $$
    select rs_catalog.sketched(rs_catalog.add_sketch(string_to_array(a::text, ','), b)) $$;
create function pg_catalog.hll_cardinality(sketch hllsketch) returns bigint language sql immutable strict as $$
    select coalesce(array_length(string_to_array(nullif(sketch::text, ''), ','), 1), 0)::bigint $$;
