set check_function_bodies = off;
-- SUPER: PostgreSQL's json, which keeps the order and the digits that were written, with Redshift's navigation, comparison and casts.
-- https://docs.aws.amazon.com/redshift/latest/dg/query-super.html
-- JSON as it is written: ::text takes the quotes off a string
create function rs_catalog.raw(j json) returns text language sql immutable strict as $$ select format('%s', j) $$;
create function rs_catalog.compact(j json) returns json language sql immutable strict as $$
    select case json_typeof(j)
        when 'object' then ('{' || coalesce((select string_agg(format('%s:%s', to_json(o.key), rs_catalog.compact(o.value)), ',' order by o.n)
            from json_each(j) with ordinality as o(key, value, n)), '') || '}')::json
        when 'array' then ('[' || coalesce((select string_agg(rs_catalog.raw(rs_catalog.compact(a.value)), ',' order by a.n)
            from json_array_elements(j) with ordinality as a(value, n)), '') || ']')::json
        else btrim(rs_catalog.raw(j), E' \t\n\r')::json end $$;
create function pg_catalog.json_parse(t text) returns json language plpgsql immutable strict as $$
begin
    return rs_catalog.compact(t::json);
exception when invalid_text_representation then
    raise exception using errcode = 'XX000', message = 'Error when parsing JSON', detail = t;
end $$;
create function pg_catalog.json_serialize(j json) returns varchar language sql immutable strict as $$ select rs_catalog.raw(j) $$;

-- a value of any other type becomes a scalar; dates and times do not (limitations-super.html)
create function rs_catalog.to_super(value json) returns json language sql immutable strict as $$ select value $$;
create function rs_catalog.to_super(value text) returns json language sql immutable strict as $$ select to_json(value) $$;
create function rs_catalog.to_super(value integer) returns json language sql immutable strict as $$ select to_json(value) $$;
create function rs_catalog.to_super(value bigint) returns json language sql immutable strict as $$ select to_json(value) $$;
create function rs_catalog.to_super(value numeric) returns json language sql immutable strict as $$ select to_json(value) $$;
create function rs_catalog.to_super(value double precision) returns json language sql immutable strict as $$ select to_json(value) $$;
create function rs_catalog.to_super(value boolean) returns json language sql immutable strict as $$ select to_json(value) $$;

-- navigation is lax: what is not there is NULL, and so is JSON's null
create function rs_catalog.super_attr(j json, name text) returns json language sql immutable strict as $$
    select case when json_typeof(j) = 'object' and json_typeof(j -> name) <> 'null' then j -> name end $$;
create function rs_catalog.super_item(j json, n bigint) returns json language sql immutable strict as $$
    select case when json_typeof(j) = 'array' and n >= 0 and json_typeof(j -> n::int) <> 'null' then j -> n::int end $$;
create function rs_catalog.super_item(j json, name text) returns json language sql immutable strict as $$
    select rs_catalog.super_attr(j, name) $$;
create function rs_catalog.super_elements(j json) returns table (value json, n bigint) language plpgsql immutable strict as $$
begin
    if json_typeof(j) <> 'array' then
        raise exception using errcode = '0A000',
            message = 'the Redshift stand-in does not know the elements of a SUPER value that is no array';
    end if;
    return query select e.value, e.n - 1 from json_array_elements(j) with ordinality as e(value, n);
end $$;
create function rs_catalog.super_pairs(j json) returns table (value json, name varchar) language sql immutable strict as $$
    select p.value, p.key::varchar from json_each(case when json_typeof(j) = 'object' then j end) as p $$;

-- casts: an error of a SUPER value is NULL (limitations-super.html)
create function rs_catalog.super_text(j json) returns text language sql immutable strict as $$
    select case when json_typeof(j) in ('string', 'number', 'boolean') then j #>> '{}' end $$;
create function rs_catalog.super_varchar(j json) returns varchar language sql immutable strict as $$
    select rs_catalog.super_text(j)::varchar $$;
create cast (json as text) with function rs_catalog.super_text(json) as assignment;
create cast (json as varchar) with function rs_catalog.super_varchar(json) as assignment;
do $$
declare kind text; called text;
begin
    foreach kind in array array['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision', 'boolean', 'date',
        'timestamp', 'timestamptz', 'time'] loop
        called := 'rs_catalog.super_' || replace(kind, ' ', '_');
        execute format('create function %s(j json) returns %s language plpgsql immutable strict as $f$
            begin
                return case when json_typeof(j) = ''number'' and %L = ''boolean''
                    and rs_catalog.super_number(j) = trunc(rs_catalog.super_number(j)) and j::text !~ ''[.]''
                    then (rs_catalog.super_number(j) <> 0)::text
                    when json_typeof(j) = ''boolean'' and %L in (''smallint'', ''integer'', ''bigint'')
                    then (j::text::boolean::int)::text
                    when json_typeof(j) = ''number'' and %L in (''smallint'', ''integer'', ''bigint'')
                    then round(j::text::numeric)::text
                    else rs_catalog.super_text(j) end::%s;
            exception when data_exception then return null;
            end $f$', called, kind, kind, kind, kind, kind);
        execute format('create cast (json as %s) with function %s(json) as assignment', kind, called);
    end loop;
end $$;

-- comparison: of the same kind of value, else NULL
do $$
declare compared record; kind text;
begin
    for compared in select * from (values ('=', 'eq'), ('<>', 'ne'), ('<', 'lt'), ('<=', 'le'), ('>', 'gt'), ('>=', 'ge'))
        as v (sign, name)
    loop
        execute format('create function rs_catalog.super_%s(a json, b json) returns boolean language sql immutable strict as $f$
            select case when json_typeof(a) = json_typeof(b) then case when json_typeof(a) = ''string''
                then (a #>> ''{}'')::varchar operator(pg_catalog.%s) (b #>> ''{}'')::varchar
                else a::jsonb operator(pg_catalog.%s) b::jsonb end end $f$', compared.name, compared.sign, compared.sign);
        execute format('create operator pg_catalog.%s (leftarg = json, rightarg = json, function = rs_catalog.super_%s%s)',
            compared.sign, compared.name, case when compared.sign = '=' then ', hashes, merges, commutator = operator(pg_catalog.=)' else '' end);
        foreach kind in array array['bigint', 'integer', 'numeric', 'double precision', 'text', 'varchar', 'boolean'] loop
            execute format('create function rs_catalog.super_%s(a json, b %s) returns boolean language sql immutable strict as
                $f$ select rs_catalog.super_%s(a, to_json(b)) $f$', compared.name, kind, compared.name);
            execute format('create function rs_catalog.super_%s(a %s, b json) returns boolean language sql immutable strict as
                $f$ select rs_catalog.super_%s(to_json(a), b) $f$', compared.name, kind, compared.name);
            execute format('create operator pg_catalog.%s (leftarg = json, rightarg = %s, function = rs_catalog.super_%s)',
                compared.sign, kind, compared.name);
            execute format('create operator pg_catalog.%s (leftarg = %s, rightarg = json, function = rs_catalog.super_%s)',
                compared.sign, kind, compared.name);
        end loop;
    end loop;
end $$;
create function rs_catalog.super_compare(a json, b json) returns integer language sql immutable strict as $$
    select case when a::jsonb < b::jsonb then -1 when a::jsonb > b::jsonb then 1 else 0 end $$;
create function rs_catalog.super_hash(a json) returns integer language sql immutable strict as $$ select hashtext(a::jsonb::text) $$;
create operator class rs_catalog.super_order default for type json using btree as
    operator 1 pg_catalog.< (json, json), operator 2 pg_catalog.<= (json, json), operator 3 pg_catalog.= (json, json),
    operator 4 pg_catalog.>= (json, json), operator 5 pg_catalog.> (json, json), function 1 rs_catalog.super_compare(json, json);
create operator class rs_catalog.super_hashed default for type json using hash as
    operator 1 pg_catalog.= (json, json), function 1 rs_catalog.super_hash(json);

-- arithmetic of numbers, NULL for anything else
create function rs_catalog.super_number(j json) returns numeric language sql immutable strict as $$
    select case when json_typeof(j) = 'number' then (j #>> '{}')::numeric end $$;
do $$
declare computed record; kind text; theirs text;
begin
    for computed in select * from (values ('+', 'add'), ('-', 'sub'), ('*', 'mul'), ('/', 'div')) as v (sign, name) loop
        foreach kind in array array['json', 'bigint', 'integer', 'numeric'] loop
            theirs := case when kind = 'json' then 'rs_catalog.super_number(%s)' else '%s::numeric' end;
            execute format('create function rs_catalog.super_%s(a json, b %s) returns json language sql immutable strict as $f$
                select to_json(rs_catalog.super_number(a) %s %s) $f$', computed.name, kind, computed.sign, format(theirs, 'b'));
            execute format('create operator pg_catalog.%s (leftarg = json, rightarg = %s, function = rs_catalog.super_%s)',
                computed.sign, kind, computed.name);
            continue when kind = 'json';
            execute format('create function rs_catalog.super_%s(a %s, b json) returns json language sql immutable strict as $f$
                select to_json(a::numeric %s rs_catalog.super_number(b)) $f$', computed.name, kind, computed.sign);
            execute format('create operator pg_catalog.%s (leftarg = %s, rightarg = json, function = rs_catalog.super_%s)',
                computed.sign, kind, computed.name);
        end loop;
    end loop;
end $$;
create function rs_catalog.add_number(state numeric, j json) returns numeric language sql immutable as $$
    select coalesce(state + rs_catalog.super_number(j), state, rs_catalog.super_number(j)) $$;
create aggregate pg_catalog.sum(json) (sfunc = rs_catalog.add_number, stype = numeric);

-- arrays and objects
create function pg_catalog.rs_array(variadic parts json[]) returns json language sql immutable as $$
    select ('[' || coalesce((select string_agg(coalesce(rs_catalog.raw(p), 'null'), ',' order by n)
        from unnest(parts) with ordinality as u(p, n)), '') || ']')::json $$;
create function pg_catalog.rs_object(variadic parts json[]) returns json language sql immutable as $$
    select ('{' || coalesce((select string_agg(format('%s:%s', parts[i], coalesce(parts[i + 1], 'null')), ',' order by i)
        from generate_series(1, coalesce(array_length(parts, 1), 0), 2) as i), '') || '}')::json $$;
create function pg_catalog.rs_array() returns json language sql immutable as $$ select '[]'::json $$;
create function pg_catalog.rs_object() returns json language sql immutable as $$ select '{}'::json $$;
create function rs_catalog.items(j json) returns table (value json, n bigint) language plpgsql immutable as $$
begin
    if json_typeof(j) is distinct from 'array' then
        if j is null then return; end if;
        raise exception using errcode = 'XX000', message = 'Invalid input', detail = 'an array is expected';
    end if;
    return query select e.value, e.n from json_array_elements(j) with ordinality as e(value, n);
end $$;
create function rs_catalog.collect(parts json[]) returns json language sql immutable as $$
    select pg_catalog.rs_array(variadic coalesce(parts, '{}')) $$;
create function pg_catalog.array_concat(a json, b json) returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(value order by part, n) from
        (select 1 as part, * from rs_catalog.items(a) union all select 2, * from rs_catalog.items(b)) as u)) $$;
create function pg_catalog.array_flatten(a json) returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(coalesce(i.value, o.value) order by o.n, i.n) from rs_catalog.items(a) as o
        left join lateral json_array_elements(case when json_typeof(o.value) = 'array' then o.value end)
            with ordinality as i(value, n) on true
        where json_typeof(o.value) <> 'array' or i.value is not null)) $$;
create function pg_catalog.get_array_length(a json) returns bigint language sql immutable strict as $$
    select case when json_typeof(a) = 'array' then json_array_length(a)::bigint end $$;
create function pg_catalog.split_to_array(t text, separator text default ',') returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(to_json(p) order by n) from
        unnest(string_to_array(t, separator)) with ordinality as u(p, n))) $$;
create function pg_catalog.subarray(a json, start bigint, size bigint default null) returns json language sql immutable as $$
    select rs_catalog.collect((select array_agg(value order by n) from rs_catalog.items(a)
        where n > start and (size is null or n <= start + size))) $$;
create function pg_catalog.array_contains(a json, x json) returns boolean language sql immutable strict as $$
    select exists (select from rs_catalog.items(a) where value::jsonb = x::jsonb) $$;
create function pg_catalog.array_position(a json, x json) returns integer language sql immutable strict as $$
    select coalesce((select min(n)::int - 1 from rs_catalog.items(a) where value::jsonb = x::jsonb), -1) $$;
create function pg_catalog.array_positions(a json, x json) returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(to_json(n - 1) order by n) from rs_catalog.items(a) where value::jsonb = x::jsonb)) $$;
create function pg_catalog.array_distinct(a json) returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(value order by n) from
        (select distinct on (value::jsonb) value, n from rs_catalog.items(a) order by value::jsonb, n) as u)) $$;
-- multi-sets unless distinct is asked for (array_except.html, array_intersection.html)
create function rs_catalog.array_shared(a json, b json, shared boolean) returns json language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(m.value order by m.n) from
        (select value, n, row_number() over (partition by value::jsonb order by n) as k from rs_catalog.items(a)) as m
        where shared = (m.k <= (select count(*) from rs_catalog.items(b) as t where t.value::jsonb = m.value::jsonb)))) $$;
create function pg_catalog.array_intersection(a json, b json, is_distinct boolean default false) returns json
    language sql immutable strict as $$
    select case when is_distinct then rs_catalog.array_shared(array_distinct(a), array_distinct(b), true)
        else rs_catalog.array_shared(a, b, true) end $$;
create function pg_catalog.array_except(a json, b json, is_distinct boolean default false) returns json
    language sql immutable strict as $$
    select case when is_distinct then rs_catalog.array_shared(array_distinct(a), array_distinct(b), false)
        else rs_catalog.array_shared(a, b, false) end $$;
create function pg_catalog.arrays_overlap(a json, b json) returns boolean language sql immutable strict as $$
    select exists (select from rs_catalog.items(a) where array_contains(b, value)) $$;
create function pg_catalog.array_sort(a json, ascending boolean default true, nulls_first boolean default false) returns json
    language sql immutable strict as $$
    select rs_catalog.collect((select array_agg(value order by (json_typeof(value) = 'null') = not nulls_first,
        case when ascending then value::jsonb end, case when not ascending then value::jsonb end desc) from rs_catalog.items(a))) $$;
create function rs_catalog.renamed(j json, upper_case boolean) returns json language sql immutable strict as $$
    select case json_typeof(j)
        when 'object' then ('{' || coalesce((select string_agg(format('%s:%s',
            to_json(case when upper_case then upper(o.key) else lower(o.key) end), rs_catalog.renamed(o.value, upper_case)), ',' order by o.n)
            from json_each(j) with ordinality as o(key, value, n)), '') || '}')::json
        when 'array' then ('[' || coalesce((select string_agg(rs_catalog.raw(rs_catalog.renamed(a.value, upper_case)), ',' order by a.n)
            from json_array_elements(j) with ordinality as a(value, n)), '') || ']')::json
        else j end $$;
create function pg_catalog.upper_attribute_names(j json) returns json language sql immutable strict as $$
    select rs_catalog.renamed(j, true) $$;
create function pg_catalog.lower_attribute_names(j json) returns json language sql immutable strict as $$
    select rs_catalog.renamed(j, false) $$;

-- information about a value (SUPER_functions.html)
create function pg_catalog.is_array(j json) returns boolean language sql immutable strict as $$ select json_typeof(j) = 'array' $$;
create function pg_catalog.is_object(j json) returns boolean language sql immutable strict as $$ select json_typeof(j) = 'object' $$;
create function pg_catalog.is_scalar(j json) returns boolean language sql immutable strict as $$
    select json_typeof(j) not in ('array', 'object') $$;
create function pg_catalog.is_varchar(j json) returns boolean language sql immutable strict as $$ select json_typeof(j) = 'string' $$;
create function pg_catalog.is_char(j json) returns boolean language sql immutable strict as $$
    select json_typeof(j) = 'string' and octet_length(j #>> '{}') = length(j #>> '{}') $$;
create function pg_catalog.is_boolean(j json) returns boolean language sql immutable strict as $$ select json_typeof(j) = 'boolean' $$;
create function rs_catalog.whole(j json, low numeric, high numeric) returns boolean language sql immutable strict as $$
    select coalesce(rs_catalog.super_number(j) between low and high and j::text !~ '[.eE]', false) $$;
create function pg_catalog.is_smallint(j json) returns boolean language sql immutable strict as $$
    select rs_catalog.whole(j, -32768, 32767) $$;
create function pg_catalog.is_integer(j json) returns boolean language sql immutable strict as $$
    select rs_catalog.whole(j, -2147483648, 2147483647) $$;
create function pg_catalog.is_bigint(j json) returns boolean language sql immutable strict as $$
    select rs_catalog.whole(j, -9223372036854775808, 9223372036854775807) $$;
create function pg_catalog.is_decimal(j json) returns boolean language sql immutable strict as $$
    select json_typeof(j) = 'number' and j::text !~ '[eE]' $$;
create function pg_catalog.is_float(j json) returns boolean language sql immutable strict as $$
    select json_typeof(j) = 'number' and j::text ~ '[eE]' $$;
create function pg_catalog.decimal_precision(j json) returns integer language sql immutable strict as $$
    select case when is_decimal(j) then length(regexp_replace(j::text, '[-.]', '', 'g')) end $$;
create function pg_catalog.decimal_scale(j json) returns integer language sql immutable strict as $$
    select case when is_decimal(j) then length(split_part(j::text, '.', 2)) end $$;
create function pg_catalog.json_size(j json) returns bigint language sql immutable strict as $$ select octet_length(rs_catalog.raw(j))::bigint $$;
