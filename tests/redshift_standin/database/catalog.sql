-- What a database of the stand-in knows beyond PostgreSQL: Redshift's functions, catalog views and table attributes.
set allow_system_table_mods = on;
create schema rs_catalog;
create table rs_catalog.attribute (reloid oid, name text, value text, primary key (reloid, name));
create table rs_catalog.late_binding_view (viewoid oid primary key, definition text);

create function rs_catalog.set_attribute(relation regclass, name text, value text) returns void language sql
    security definer as $$
    insert into rs_catalog.attribute values (relation, name, value)
    on conflict (reloid, name) do update set value = excluded.value $$;

-- Every type of a result has its sizes. PostgreSQL does not compute those of text and of decimals, so text is as wide as
-- Redshift allows, and a decimal keeps ten digits after the point.
create function rs_catalog.type_of(type oid, size integer) returns text language sql immutable as $$
    select case when type = 'text'::regtype or (type = 'varchar'::regtype and size < 0) then 'character varying(65535)'
        when type = 'numeric'::regtype and size < 0 then 'numeric(38,10)' else format_type(type, size) end $$;

-- varchar(n) counts bytes.
create function rs_catalog.guard_types(relation text) returns void language plpgsql as $$
declare r record;
begin
    for r in select attname, atttypid, atttypmod, attnum from pg_attribute
        where attrelid = relation::regclass and attnum > 0 and not attisdropped
    loop
        if rs_catalog.type_of(r.atttypid, r.atttypmod) <> format_type(r.atttypid, r.atttypmod) then
            execute format('alter table %s alter column %I type %s', relation, r.attname,
                rs_catalog.type_of(r.atttypid, r.atttypmod));
            continue when r.atttypid = 'numeric'::regtype;
            r.atttypmod := 65539;
        elsif r.atttypid <> 'varchar'::regtype then
            continue;
        end if;
        execute format('alter table %s drop constraint if exists rs_bytes_%s', relation, r.attnum);
        execute format('alter table %s add constraint rs_bytes_%s check (octet_length(%I) <= %s)',
            relation, r.attnum, r.attname, r.atttypmod - 4);
    end loop;
end $$;

create function rs_catalog.create_late_binding_view(name text, query text) returns void language plpgsql as $$
declare columns text;
begin
    begin
        execute 'create temporary view rs_probe as ' || query;
        select string_agg(format('null::%s as %I', rs_catalog.type_of(atttypid, atttypmod), attname), ', ' order by attnum)
            into columns from pg_attribute where attrelid = 'pg_temp.rs_probe'::regclass and attnum > 0;
        execute 'drop view pg_temp.rs_probe';
    exception when undefined_table or undefined_column or invalid_schema_name then columns := 'null::text as "?"';
    end;
    execute 'drop view if exists ' || name || ' cascade';
    execute 'create view ' || name || ' as select ' || columns || ' where false';
    insert into rs_catalog.late_binding_view values (name::regclass, query);
end $$;

-- An explicit cast to varchar(n) cuts at bytes, never inside a character.
create function rs_catalog.cut_bytes(value text, size integer) returns text language plpgsql immutable as $$
begin
    while octet_length(value) > size loop value := left(value, length(value) - 1); end loop;
    return value;
end $$;

-- A quotient with so many digits after the point, the rest cut off.
create function rs_catalog.quotient(a numeric, b numeric, scale integer) returns numeric language sql immutable strict as $$
    select div(a * ('1e' || scale)::numeric, b) * ('1e-' || scale)::numeric $$;
-- AVG of integers is a bigint, cut off towards zero.
-- TRY_CAST: NULL for a value that does not cast, an error for a pair of types that is not permitted or for blank text
-- (r_TRY_CAST.html; pairs that no load needs are left out).
create function rs_catalog.try_cast(value anyelement, type_name text, typed anycompatible) returns anycompatible
    language plpgsql as $$
declare
    whole text[] := array['smallint', 'integer', 'bigint'];
    numbers text[] := whole || array['numeric', 'real', 'double precision'];
    texts text[] := array['text', 'character varying', 'character'];
    given text := pg_typeof(value)::text;
    wanted text := pg_typeof(typed)::text;
begin
    if not (
        (given = any(whole) and wanted = any(numbers || texts || array['boolean']))
        or (given = any(numbers) and wanted = any(numbers || texts))
        or (given = any(texts) and wanted = any(numbers || texts || array[
            'date', 'timestamp without time zone', 'timestamp with time zone']))
    ) then
        raise exception 'TRY_CAST from % to % is not supported', given, wanted using errcode = '0A000';
    elsif trim(value::text) = '' then
        raise exception 'TRY_CAST of blank text' using errcode = '0A000';
    end if;
    execute 'select cast($1 as ' || type_name || ')' into typed using value;
    return typed;
exception when data_exception then
    return null;
end $$;

create function rs_catalog.add_to_average(state numeric[], value bigint) returns numeric[] language sql immutable as $$
    select case when value is null then state else array[state[1] + value, state[2] + 1] end $$;
create function rs_catalog.add_to_average(state numeric[], value integer) returns numeric[] language sql immutable as $$
    select rs_catalog.add_to_average(state, value::bigint) $$;
create function rs_catalog.add_to_average(state numeric[], value smallint) returns numeric[] language sql immutable as $$
    select rs_catalog.add_to_average(state, value::bigint) $$;
create function rs_catalog.integer_average(state numeric[]) returns bigint language sql immutable as $$
    select case when state[2] > 0 then trunc(state[1] / state[2])::bigint end $$;
create function rs_catalog.numeric_average(state numeric[]) returns numeric language sql immutable as $$
    select case when state[2] > 0 then state[1] / state[2] end $$;
create function rs_catalog.add_to_average(state numeric[], value numeric) returns numeric[] language sql immutable as $$
    select case when value is null then state else array[state[1] + value, state[2] + 1] end $$;
create function rs_catalog.add_to_average(state double precision[], value double precision) returns double precision[]
    language sql immutable as $$
    select case when value is null then state else array[state[1] + value, state[2] + 1] end $$;
create function rs_catalog.float_average(state double precision[]) returns double precision language sql immutable as $$
    select case when state[2] > 0 then state[1] / state[2] end $$;
create aggregate rs_catalog.avg(bigint)
    (sfunc = rs_catalog.add_to_average, stype = numeric[], initcond = '{0,0}', finalfunc = rs_catalog.integer_average);
create aggregate rs_catalog.avg(integer)
    (sfunc = rs_catalog.add_to_average, stype = numeric[], initcond = '{0,0}', finalfunc = rs_catalog.integer_average);
create aggregate rs_catalog.avg(smallint)
    (sfunc = rs_catalog.add_to_average, stype = numeric[], initcond = '{0,0}', finalfunc = rs_catalog.integer_average);
create aggregate rs_catalog.avg(numeric)
    (sfunc = rs_catalog.add_to_average, stype = numeric[], initcond = '{0,0}', finalfunc = rs_catalog.numeric_average);
create aggregate rs_catalog.avg(double precision)
    (sfunc = rs_catalog.add_to_average, stype = double precision[], initcond = '{0,0}',
     finalfunc = rs_catalog.float_average);

-- functions
create function pg_catalog.getdate() returns timestamp language sql stable as $$
    select date_trunc('second', clock_timestamp() at time zone 'utc')::timestamp $$;
create function pg_catalog.dateadd(part text, n bigint, t timestamp) returns timestamp language sql immutable as $$
    select case when part = 'quarter' then t + n * interval '3 month'
        else t + n * ('1 ' || part)::interval end $$;
create function pg_catalog.datediff(part text, a timestamp, b timestamp) returns bigint language sql immutable as $$
    select case part
        when 'year' then (extract(year from b) - extract(year from a))::bigint
        when 'month' then ((extract(year from b) - extract(year from a)) * 12
            + extract(month from b) - extract(month from a))::bigint
        when 'quarter' then ((extract(year from b) - extract(year from a)) * 4
            + extract(quarter from b) - extract(quarter from a))::bigint
        when 'day' then (b::date - a::date)::bigint
        when 'week' then ((date_trunc('week', b + interval '1 day')::date - date_trunc('week', a + interval '1 day')::date) / 7)::bigint
        else (extract(epoch from date_trunc(part, b) - date_trunc(part, a))
            / extract(epoch from ('1 ' || part)::interval))::bigint end $$;
create function pg_catalog.convert_timezone(zone text, t timestamp) returns timestamp language sql immutable as $$
    select (t at time zone 'UTC') at time zone zone $$;
create function pg_catalog.len(value text) returns int language sql immutable as $$ select length(value) $$;

-- catalog
create function pg_catalog.pg_get_late_binding_view_cols() returns setof record language sql as $$
    select n.nspname::name, c.relname::name, a.attname::name, format_type(a.atttypid, a.atttypmod)::varchar, a.attnum::int
    from rs_catalog.late_binding_view l join pg_class c on c.oid = l.viewoid
        join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 $$;
-- External tables are in no catalog of the database itself; their types are written as Glue writes them
-- (r_SVV_EXTERNAL_COLUMNS.html).
create table rs_catalog.external_table (
    reloid oid primary key, location text not null, is_parquet boolean not null, part_keys text[] not null default '{}');
create function rs_catalog.make_external(relation regclass, place text, parquet boolean, variadic part_keys text[] default '{}')
    returns void language sql as $$ insert into rs_catalog.external_table values (relation, place, parquet, part_keys) $$;
-- Partitions of external tables, and the files below their locations: each is a child table, which names its rows' "$path".
create table rs_catalog.external_partition (reloid oid not null, values json not null, location text not null);
create table rs_catalog.external_file (
    childoid oid primary key, reloid oid not null, path text not null, etag text not null, size bigint not null);
create sequence rs_catalog.file_number;
create function rs_catalog.external_path(file oid) returns text language sql stable as $$
    select path from rs_catalog.external_file where childoid = file $$;
create function rs_catalog.external_size(file oid) returns bigint language sql stable as $$
    select size from rs_catalog.external_file where childoid = file $$;
-- r_SVV_EXTERNAL_TABLES.html, r_SVV_EXTERNAL_PARTITIONS.html: the values of a partition as a JSON list
create view pg_catalog.svv_external_tables as
    select n.nspname::text as schemaname, c.relname::text as tablename, 'TABLE'::text as tabletype, e.location
    from rs_catalog.external_table as e join pg_class as c on c.oid = e.reloid
        join pg_namespace as n on n.oid = c.relnamespace;
create view pg_catalog.svv_external_partitions as
    select n.nspname::text as schemaname, c.relname::text as tablename,
        (select json_agg(v.value)::text from json_each_text(p.values) as v) as values, p.location
    from rs_catalog.external_partition as p join pg_class as c on c.oid = p.reloid
        join pg_namespace as n on n.oid = c.relnamespace;
grant select on pg_catalog.svv_external_tables, pg_catalog.svv_external_partitions, rs_catalog.external_file to public;
create function rs_catalog.glue_type(written text) returns text language sql immutable as $$
    select case written when 'integer' then 'int' when 'double precision' then 'double' when 'real' then 'float'
        when 'timestamp without time zone' then 'timestamp'
        else replace(replace(replace(written, 'character varying', 'varchar'), 'character(', 'char('), 'numeric', 'decimal')
    end $$;
create view pg_catalog.svv_external_columns as
    select n.nspname::text as schemaname, c.relname::text as tablename, a.attname::text as columnname,
        rs_catalog.glue_type(format_type(a.atttypid, a.atttypmod)) as external_type, a.attnum::int as columnnum,
        coalesce(array_position(e.part_keys, a.attname::text), 0) as part_key
    from rs_catalog.external_table as e join pg_class as c on c.oid = e.reloid join pg_namespace as n
        on n.oid = c.relnamespace join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped;
create view pg_catalog.svv_table_info as
    select current_database()::text as "database", n.nspname::text as "schema", c.oid as table_id,
        c.relname::text as "table",
        case when d.value is not null then 'KEY(' || d.value || ')' else upper(coalesce(s.value, 'AUTO(ALL)')) end
            as diststyle,
        coalesce(split_part(k.value, ',', 1), 'AUTO(SORTKEY)') as sortkey1,
        coalesce(array_length(string_to_array(k.value, ','), 1), 0) as sortkey_num,
        case when exists (select 1 from rs_catalog.attribute e where e.reloid = c.oid and e.name like 'encode %' and e.value <> 'raw')
            then 'Y' else 'N' end as encoded,
        (select max(a.atttypmod - 4) from pg_attribute a where a.attrelid = c.oid and a.atttypid = 'varchar'::regtype)::int
            as max_varchar,
        'none'::char(32) as sortkey1_enc, ceil(pg_total_relation_size(c.oid) / 1048576.0)::bigint as size,
        0::numeric(10, 4) as pct_used, 0::bigint as empty, null::numeric(5, 2) as unsorted, 0::numeric(5, 2) as stats_off,
        greatest(c.reltuples, 0)::numeric(38, 0) as tbl_rows, null::numeric(19, 2) as skew_sortkey1,
        null::numeric(19, 2) as skew_rows, greatest(c.reltuples, 0)::numeric(38, 0) as estimated_visible_rows
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join rs_catalog.attribute d on d.reloid = c.oid and d.name = 'distkey'
        left join rs_catalog.attribute s on s.reloid = c.oid and s.name = 'diststyle'
        left join rs_catalog.attribute k on k.reloid = c.oid and k.name = 'sortkey'
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'rs_catalog')
        and (n.nspname not like 'pg\_%' or n.nspname like 'pg\_temp\_%');
-- A materialized view looks like a view whose definition says so.
create view rs_catalog.pg_views as
    select schemaname, viewname, viewowner, definition from pg_catalog.pg_views
    union all
    select n.nspname, c.relname, pg_get_userbyid(c.relowner), q.value
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join rs_catalog.attribute q on q.reloid = c.oid and q.name = 'query'
    where c.relkind = 'm';
create view rs_catalog.views as
    select current_database()::text as table_catalog, schemaname::text as table_schema, viewname::text as table_name,
        definition::text as view_definition
    from rs_catalog.pg_views
    where schemaname <> 'rs_catalog';
create view pg_catalog.svv_mv_info as
    select current_database()::text as database_name, n.nspname::text as schema_name, c.relname::text as name,
        case a.value when 'yes' then 't' else 'f' end as autorefresh, 1 as state
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join rs_catalog.attribute a on a.reloid = c.oid and a.name = 'auto refresh'
    where c.relkind = 'm';

-- The columns that information_schema shows: those of late-binding views are not among them.
create view rs_catalog.all_columns as
    select table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
        case when data_type = 'json' then 'super' when udt_name = 'varbyte' then 'binary varying'
            when udt_name in ('hllsketch', 'geometry', 'geography') then udt_name::text
            when interval_type = 'YEAR TO MONTH' then 'intervaly2m' when interval_type = 'DAY TO SECOND' then 'intervald2s'
            else data_type end::text as data_type,
        character_maximum_length, character_octet_length, numeric_precision, numeric_precision_radix, numeric_scale,
        datetime_precision, udt_name
    from information_schema.columns;
create view rs_catalog.columns as
    select c.* from rs_catalog.all_columns c
    where not exists (select from rs_catalog.late_binding_view l
        where l.viewoid = to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name)))
    and not exists (select from rs_catalog.external_table e
        where e.reloid = to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name)));
-- All columns, with those of late-binding views and external tables (r_SVV_COLUMNS.html).
create view pg_catalog.svv_columns as
    select table_catalog::text, table_schema::text, table_name::text, column_name::text, ordinal_position::int,
        data_type::text, character_maximum_length::int, numeric_precision::int, numeric_scale::int
    from rs_catalog.all_columns as c where table_schema not in ('rs_catalog')
        and not exists (select from rs_catalog.external_table e
            where e.reloid = to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name)))
    union all
    select current_database()::text, schemaname, tablename, columnname, columnnum, external_type, null, null, null
    from pg_catalog.svv_external_columns;
grant select on pg_catalog.svv_columns, rs_catalog.external_table to public;

-- SHOW
create function rs_catalog.show_schemas(asked text, pattern text) returns table
    (database_name text, schema_name text, schema_owner int, schema_type text) language sql as $$
    select asked, nspname::text, 100, 'local'::text from pg_namespace
    where nspname not like 'pg\_%' and nspname not in ('information_schema', 'rs_catalog')
        and nspname like coalesce(pattern, '%') $$;
create function rs_catalog.show_tables(asked text, in_schema text, pattern text) returns table
    (database_name text, schema_name text, table_name text, table_type text, table_subtype text, remarks text,
    owner text)
    language sql as $$
    select asked, n.nspname::text, c.relname::text,
        case when c.relkind in ('r', 'p') then 'TABLE' else 'VIEW' end,
        case when c.relkind = 'm' then 'MATERIALIZED VIEW' when l.viewoid is not null then 'LATE BINDING VIEW'
            when c.relkind = 'v' then 'REGULAR VIEW' else 'REGULAR TABLE' end,
        obj_description(c.oid), pg_get_userbyid(c.relowner)::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join rs_catalog.late_binding_view l on l.viewoid = c.oid
    where c.relkind in ('r', 'v', 'm') and n.nspname = in_schema and c.relname like coalesce(pattern, '%') $$;
create function rs_catalog.show_columns(asked text, in_schema text, of_table text) returns table
    (database_name text, schema_name text, table_name text, column_name text, ordinal_position int, data_type text,
    character_maximum_length int, numeric_precision int, numeric_scale int) language sql as $$
    select asked, in_schema, of_table, a.attname::text, a.attnum::int,
        case when a.atttypid = 'varchar'::regtype then 'character varying'
            when a.atttypid = 'numeric'::regtype then 'numeric' when a.atttypid = 'bpchar'::regtype then 'character'
            when a.atttypid = 'json'::regtype then 'super' when format_type(a.atttypid, null) = 'varbyte' then 'binary varying'
            else format_type(a.atttypid, a.atttypmod) end,
        case when a.atttypid = 'varchar'::regtype and a.atttypmod > 0 then a.atttypmod - 4 end,
        case when a.atttypid = 'numeric'::regtype and a.atttypmod > 0 then ((a.atttypmod - 4) >> 16) & 65535 end,
        case when a.atttypid = 'numeric'::regtype and a.atttypmod > 0 then (a.atttypmod - 4) & 65535 end
    from pg_attribute a
    where a.attrelid = (quote_ident(in_schema) || '.' || quote_ident(of_table))::regclass and a.attnum > 0
        and not a.attisdropped
    order by a.attnum $$;
create function rs_catalog.show_grants(asked text, in_schema text, of_table text) returns table
    (database_name text, schema_name text, object_name text, privilege_type text, identity_name text, identity_type text)
    language sql as $$
    select asked, in_schema, of_table, privilege_type::text, grantee::text, 'user'::text
    from information_schema.role_table_grants
    where table_schema = in_schema and table_name = of_table and grantee <> current_user $$;
grant usage on schema rs_catalog to public;
grant select on all tables in schema rs_catalog to public;
grant select on pg_catalog.svv_external_columns, pg_catalog.svv_mv_info to public;
