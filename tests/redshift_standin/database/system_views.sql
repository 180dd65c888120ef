-- System views and columns of Redshift's own catalogs, each as far as its page describes what PostgreSQL knows.
-- A materialized view keeps its rows in a table mv_tbl__NAME__0; attisdistkey and attsortkeyord say how tables are laid out.
create view rs_catalog.pg_class as
    select oid, relname, relnamespace, case relkind when 'm' then 'v'::"char" else relkind end as relkind, relowner,
        reltuples
    from pg_catalog.pg_class
    union all
    select oid, ('mv_tbl__' || relname || '__0')::name, relnamespace, 'r'::"char", relowner, reltuples
    from pg_catalog.pg_class where relkind = 'm';
create view rs_catalog.pg_attribute as
    select a.attrelid, a.attname, a.atttypid, a.attnum, a.attnotnull, a.attisdropped, a.atttypmod,
        coalesce(d.value = a.attname, false) as attisdistkey,
        coalesce(array_position(string_to_array(k.value, ','), a.attname::text), 0) as attsortkeyord
    from pg_catalog.pg_attribute a
        left join rs_catalog.attribute d on d.reloid = a.attrelid and d.name = 'distkey'
        left join rs_catalog.attribute k on k.reloid = a.attrelid and k.name = 'sortkey'
    where a.attnum > 0 and not exists (select from rs_catalog.late_binding_view l where l.viewoid = a.attrelid);

create view pg_catalog.pg_table_def as
    select n.nspname::text as schemaname, c.relname::text as tablename, a.attname::text as "column",
        case a.atttypid when 'json'::regtype then 'super' else format_type(a.atttypid, a.atttypmod) end as type,
        coalesce(e.value, 'none') as encoding, coalesce(d.value = a.attname, false) as distkey,
        coalesce(array_position(string_to_array(k.value, ','), a.attname::text), 0) as sortkey, a.attnotnull as "notnull"
    from pg_catalog.pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join rs_catalog.attribute d on d.reloid = c.oid and d.name = 'distkey'
        left join rs_catalog.attribute k on k.reloid = c.oid and k.name = 'sortkey'
        left join rs_catalog.attribute e on e.reloid = c.oid and e.name = 'encode ' || a.attname
    where c.relkind = 'r' and n.nspname <> 'rs_catalog' and n.nspname = any(current_schemas(true));
create view pg_catalog.stv_mv_info as
    select database_name as db_name, schema_name as schema, name, autorefresh, state, 'f'::text as is_stale
    from pg_catalog.svv_mv_info;
create view pg_catalog.svv_tables as
    select t.table_catalog::text as table_catalog, t.table_schema::text as table_schema, t.table_name::text as table_name,
        t.table_type::text as table_type, null::text as remarks
    from information_schema.tables t where t.table_schema <> 'rs_catalog';

-- SYS_QUERY_DETAIL: the inserts, which dbt asks for the freshness of a source
create table rs_catalog.written (table_id oid, start_time timestamp);
create function rs_catalog.note_insert(relation text) returns void language sql security definer as $$
    insert into rs_catalog.written select c.oid, clock_timestamp() at time zone 'utc' from pg_catalog.pg_class c
    where c.oid = to_regclass(relation) and c.relpersistence <> 't' $$;
create view pg_catalog.sys_query_detail as
    select table_id::int as table_id, start_time, 'insert'::text as step_name from rs_catalog.written;

-- The history of statements and of a serverless workgroup's usage. The stand-in records neither: tests fill the tables.
create table rs_catalog.query_history (user_id int, query_id bigint, query_label text, start_time timestamp, end_time timestamp,
    queue_time bigint, execution_time bigint);
create table rs_catalog.serverless_usage (start_time timestamp, end_time timestamp, compute_seconds double precision,
    charged_seconds int);
create view pg_catalog.sys_query_history as
    select user_id, query_id, query_label::character(320) as query_label, start_time, end_time, queue_time, execution_time
    from rs_catalog.query_history
    where user_id = (select usesysid from pg_user where usename = session_user)
        or (select usesuper from pg_user where usename = session_user);
create view pg_catalog.sys_serverless_usage as select * from rs_catalog.serverless_usage;

create view pg_catalog.svv_redshift_columns as
    select c.table_catalog::text as database_name, c.table_schema::text as schema_name, c.table_name::text as table_name,
        c.column_name::text as column_name, c.ordinal_position::int as ordinal_position, c.data_type::text as data_type,
        c.column_default::text as column_default, c.is_nullable::text as is_nullable, null::text as encoding,
        coalesce(d.value = c.column_name, false) as distkey,
        coalesce(array_position(string_to_array(k.value, ','), c.column_name::text), 0) as sortkey,
        col_description(to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name)), c.ordinal_position::int)
            as remarks
    from (
        select table_catalog, table_schema, table_name, column_name, ordinal_position, data_type, column_default, is_nullable
        from rs_catalog.all_columns
        union all  -- PostgreSQL's information schema leaves materialized views out
        select current_database(), n.nspname, c.relname, a.attname, a.attnum, format_type(a.atttypid, null), null, 'YES'
        from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
        where c.relkind = 'm' and a.attnum > 0 and not a.attisdropped
    ) c
        left join rs_catalog.attribute d on d.name = 'distkey'
            and d.reloid = to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name))
        left join rs_catalog.attribute k on k.name = 'sortkey'
            and k.reloid = to_regclass(quote_ident(c.table_schema) || '.' || quote_ident(c.table_name));

-- A role that cannot log in is a group, unless CREATE ROLE made it.
create table rs_catalog.redshift_role (name text primary key);
create view pg_catalog.svv_relation_privileges as
    select n.nspname::text as namespace_name, c.relname::text as relation_name, lower(a.privilege_type) as privilege_type,
        a.grantee::int as identity_id, coalesce(r.rolname::text, 'public') as identity_name,
        case when r.oid is null then 'public' when r.rolcanlogin then 'user' when k.name is not null then 'role' else 'group' end
            as identity_type, a.is_grantable as admin_option
    from pg_catalog.pg_class c join pg_namespace n on n.oid = c.relnamespace cross join lateral aclexplode(c.relacl) as a
        left join pg_roles r on r.oid = a.grantee left join rs_catalog.redshift_role k on k.name = r.rolname
    where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REFERENCES', 'TRUNCATE');
grant select on all tables in schema rs_catalog to public;
grant select on pg_catalog.stv_mv_info, pg_catalog.pg_table_def, pg_catalog.svv_tables, pg_catalog.sys_query_detail, pg_catalog.svv_redshift_columns, pg_catalog.svv_relation_privileges, pg_catalog.sys_query_history to public;
