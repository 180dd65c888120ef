-- What AWS documents as unsupported or different, by page of https://docs.aws.amazon.com/redshift/latest/dg/. One statement a line; our own.
-- c_SQL_commands.html
listen x
notify x
unlisten x
cluster t
reindex table t
checkpoint
discard all
do $$ begin end $$
savepoint s
release savepoint s
rollback to savepoint s
security label on table t is 'x'
values (1), (2)
table t
prepare transaction 'x'
commit prepared 'x'
set constraints all deferred
set transaction isolation level serializable
reassign owned by a to b
import foreign schema s from server x into y
load 'x'
move forward 5 in c
-- c_SQL_functions_leader_node_only.html
select now() as x from flights as f
select current_timestamp as x from flights as f
select current_time as x from flights as f
select localtime as x from flights as f
select localtimestamp as x from flights as f
select age(f.dep) as x from flights as f
select isfinite(f.dep) as x from flights as f
select current_schema() as x from flights as f
select current_schemas(true) as x from flights as f
select has_table_privilege('t', 'select') as x from flights as f
select has_schema_privilege('s', 'usage') as x from flights as f
select version() as x from flights as f
select get_bit(f.raw, 1) as x from flights as f
select get_byte(f.raw, 1) as x from flights as f
select set_bit(f.raw, 1, 1) as x from flights as f
select set_byte(f.raw, 1, 1) as x from flights as f
select to_ascii(f.tail) as x from flights as f
select has_database_privilege('d', 'create') as x from flights as f
-- c_unsupported-postgresql-datatypes.html
select f.raw::json as x from flights as f
select f.raw::jsonb as x from flights as f
select f.raw::uuid as x from flights as f
select f.raw::bytea as x from flights as f
select f.raw::xml as x from flights as f
select f.raw::money as x from flights as f
select f.raw::inet as x from flights as f
select f.raw::cidr as x from flights as f
select f.raw::macaddr as x from flights as f
select f.raw::hstore as x from flights as f
select f.raw::tsvector as x from flights as f
select f.raw::tsquery as x from flights as f
select f.raw::int4range as x from flights as f
select f.raw::tsrange as x from flights as f
select f.raw::bit as x from flights as f
select f.raw::bit varying as x from flights as f
select f.raw::int[] as x from flights as f
select f.raw::varchar(5)[] as x from flights as f
select f.raw::point as x from flights as f
select f.raw::polygon as x from flights as f
select f.raw::box as x from flights as f
select f.raw::circle as x from flights as f
select f.raw::line as x from flights as f
select f.raw::path as x from flights as f
select f.raw::regclass as x from flights as f
select f.raw::name as x from flights as f
select cast(f.raw as json) as x from flights as f
select cast(f.raw as uuid) as x from flights as f
select cast(f.raw as bytea) as x from flights as f
select cast(f.raw as int[]) as x from flights as f
select cast(f.raw as inet) as x from flights as f
select cast(f.raw as xml) as x from flights as f
select cast(f.raw as money) as x from flights as f
-- c_unsupported-postgresql-features.html
select array[1, 2] as x from flights as f
select row(f.id, f.tail) as x from flights as f
select f.delay = any (array[1, 2]) as x from flights as f
select f.delay <> all ('{1,2}'::int[]) as x from flights as f
select f.tail collate "C" as x from flights as f
select f.ctid as x from flights as f
select f.xmin as x from flights as f
select f.tableoid as x from flights as f
select current_catalog as x from flights as f
create index i on t (a)
create unique index i on t (a)
create index concurrently i on t (a)
drop index i
create sequence s
alter sequence s restart
drop sequence s
create trigger x before insert on t for each row execute procedure f()
drop trigger x on t
create rule r as on insert to t do nothing
create type e as enum ('a')
create type c as (a int)
drop type e
create domain d as int check (value > 1)
create extension hstore
create aggregate s (int) (sfunc = f, stype = int)
create operator === (leftarg = int, rightarg = int, procedure = f)
create cast (int as text) with function f(int)
create collation c from "C"
create tablespace x location 'x'
create language plperl
create server s foreign data wrapper w
create foreign data wrapper w
create publication p for all tables
create subscription s connection 'x' publication p
create statistics s on a, b from t
create text search configuration c (parser = p)
create event trigger e on ddl_command_start execute function f()
create policy p on t using (true)
create recursive view v (n) as select 1
create access method m type table handler h
create transform for int language sql (from sql with function f(int))
-- c_unsupported-postgresql-functions.html
select string_agg(f.tail, ',') as x from flights as f
select array_agg(f.tail) as x from flights as f
select every(f.late) as x from flights as f
select xmlagg(f.raw) as x from flights as f
select corr(f.ratio, f.fare) as x from flights as f
select covar_pop(f.ratio, f.fare) as x from flights as f
select covar_samp(f.ratio, f.fare) as x from flights as f
select regr_avgx(f.ratio, f.fare) as x from flights as f
select regr_avgy(f.ratio, f.fare) as x from flights as f
select regr_count(f.ratio, f.fare) as x from flights as f
select regr_intercept(f.ratio, f.fare) as x from flights as f
select regr_r2(f.ratio, f.fare) as x from flights as f
select regr_slope(f.ratio, f.fare) as x from flights as f
select regr_sxx(f.ratio, f.fare) as x from flights as f
select regr_sxy(f.ratio, f.fare) as x from flights as f
select regr_syy(f.ratio, f.fare) as x from flights as f
select json_agg(f.tail) as x from flights as f
select jsonb_agg(f.tail) as x from flights as f
select json_object_agg(f.tail, f.dest) as x from flights as f
select mode() within group (order by f.dest) as x from flights as f
select array_append(f.a, 1) as x from flights as f
select array_cat(f.a, f.b) as x from flights as f
select array_dims(f.a) as x from flights as f
select array_fill(1, f.a) as x from flights as f
select array_length(f.a, 1) as x from flights as f
select array_lower(f.a, 1) as x from flights as f
select array_ndims(f.a) as x from flights as f
select array_prepend(1, f.a) as x from flights as f
select array_remove(f.a, 1) as x from flights as f
select array_replace(f.a, 1, 2) as x from flights as f
select array_upper(f.a, 1) as x from flights as f
select cardinality(f.a) as x from flights as f
select string_to_array(f.raw, ',') as x from flights as f
select unnest(f.a) as x from flights as f
select pg_start_backup('x') as x from flights as f
select pg_switch_wal() as x from flights as f
select col_description(1, 2) as x from flights as f
select pg_relation_filepath('t') as x from flights as f
select pg_column_size(f.raw) as x from flights as f
select pg_database_size('d') as x from flights as f
select pg_relation_size('t') as x from flights as f
select pg_size_pretty(f.id) as x from flights as f
select pg_table_size('t') as x from flights as f
select pg_total_relation_size('t') as x from flights as f
select clock_timestamp() as x from flights as f
select transaction_timestamp() as x from flights as f
select justify_days(f.i) as x from flights as f
select justify_hours(f.i) as x from flights as f
select justify_interval(f.i) as x from flights as f
select pg_sleep(1) as x from flights as f
select make_date(2013, 1, 1) as x from flights as f
select make_time(1, 2, 3) as x from flights as f
select make_timestamp(2013, 1, 1, 1, 1, 1) as x from flights as f
select make_interval(days => 1) as x from flights as f
select date_bin('1 day', f.dep, f.dep) as x from flights as f
select enum_first(f.e) as x from flights as f
select enum_range(f.e) as x from flights as f
select pg_ls_dir('x') as x from flights as f
select pg_read_file('x') as x from flights as f
select pg_stat_file('x') as x from flights as f
select masklen(f.a) as x from flights as f
select netmask(f.a) as x from flights as f
select hostmask(f.a) as x from flights as f
select broadcast(f.a) as x from flights as f
select div(f.delay, 2) as x from flights as f
select setseed(0.5) as x from flights as f
select width_bucket(f.delay, 1, 9, 3) as x from flights as f
select gcd(f.id, 2) as x from flights as f
select lcm(f.id, 2) as x from flights as f
select generate_series(1, 3) as x from flights as f
select generate_subscripts(f.a, 1) as x from flights as f
select lower_inc(f.r) as x from flights as f
select upper_inf(f.r) as x from flights as f
select isempty(f.r) as x from flights as f
select int4range(1, 2) as x from flights as f
select tsrange(f.dep, f.dep) as x from flights as f
select daterange(f.day, f.day) as x from flights as f
select pg_is_in_recovery() as x from flights as f
select pg_last_wal_replay_lsn() as x from flights as f
select pg_conversion_is_visible(1) as x from flights as f
select pg_function_is_visible(1) as x from flights as f
select pg_type_is_visible(1) as x from flights as f
select pg_reload_conf() as x from flights as f
select pg_rotate_logfile() as x from flights as f
select pg_export_snapshot() as x from flights as f
select nextval('s') as x from flights as f
select currval('s') as x from flights as f
select setval('s', 1) as x from flights as f
select lastval() as x from flights as f
select bit_length(f.tail) as x from flights as f
select overlay(f.tail placing 'x' from 1) as x from flights as f
select convert_from(f.raw, 'utf8') as x from flights as f
select convert_to(f.raw, 'utf8') as x from flights as f
select encode(f.raw, 'hex') as x from flights as f
select format('%s', f.tail) as x from flights as f
select quote_nullable(f.tail) as x from flights as f
select regexp_matches(f.tail, 'N') as x from flights as f
select regexp_match(f.tail, 'N') as x from flights as f
select regexp_split_to_array(f.raw, ',') as x from flights as f
select regexp_split_to_table(f.raw, ',') as x from flights as f
select concat_ws('-', f.tail, f.dest) as x from flights as f
select concat(f.tail, '-', f.dest) as x from flights as f
select to_json(f.raw) as x from flights as f
select to_jsonb(f.raw) as x from flights as f
select row_to_json(f) as x from flights as f
select json_build_object('a', f.id) as x from flights as f
select json_build_array(f.id) as x from flights as f
select json_each(f.raw) as x from flights as f
select json_array_elements(f.raw) as x from flights as f
select json_populate_record(null, f.raw) as x from flights as f
select jsonb_set(f.raw, 'a', 'b') as x from flights as f
select jsonb_array_elements_text(f.raw) as x from flights as f
select jsonb_path_query(f.raw, '$.a') as x from flights as f
select jsonb_pretty(f.raw) as x from flights as f
select jsonb_build_object('a', 1) as x from flights as f
select jsonb_each(f.raw) as x from flights as f
select current_query() as x from flights as f
select inet_client_addr() as x from flights as f
select inet_server_port() as x from flights as f
select pg_conf_load_time() as x from flights as f
select pg_is_other_temp_schema(1) as x from flights as f
select pg_listening_channels() as x from flights as f
select pg_my_temp_schema() as x from flights as f
select pg_postmaster_start_time() as x from flights as f
select pg_trigger_depth() as x from flights as f
select pg_get_indexdef(1) as x from flights as f
select pg_typeof(f.id) as x from flights as f
select to_tsvector(f.raw) as x from flights as f
select to_tsquery('a') as x from flights as f
select plainto_tsquery('a') as x from flights as f
select ts_rank(f.v, f.q) as x from flights as f
select ts_headline(f.raw, f.q) as x from flights as f
select setweight(f.v, 'A') as x from flights as f
select txid_current() as x from flights as f
select txid_current_snapshot() as x from flights as f
select pg_current_xact_id() as x from flights as f
select xmlelement(name a) as x from flights as f
select xmlforest(f.id) as x from flights as f
select xpath('/a', f.raw) as x from flights as f
select xml_is_well_formed(f.raw) as x from flights as f
select query_to_xml('select 1', true, true, '') as x from flights as f
select gen_random_uuid() as x from flights as f
select uuid_generate_v4() as x from flights as f
select num_nulls(f.a, f.b) as x from flights as f
select pg_advisory_lock(1) as x from flights as f
select pg_try_advisory_lock(1) as x from flights as f
select pg_advisory_unlock(1) as x from flights as f
select has_column_privilege('t', 'a', 'select') as x from flights as f
select has_function_privilege('f()', 'execute') as x from flights as f
select has_sequence_privilege('s', 'usage') as x from flights as f
select pg_has_role('r', 'usage') as x from flights as f
select lag(f.dep, 1, f.dep) over (order by f.dep) as x from flights as f
select lead(f.dep, 1, f.dep) over (order by f.dep) as x from flights as f
select log(2, f.ratio) as x from flights as f
select ifnull(f.tail, 'x') as x from flights as f
select regexp_like(f.tail, 'N') as x from flights as f
select starts_with(f.tail, 'N') as x from flights as f
-- declare.html
declare c scroll cursor for select 1
declare c cursor with hold for select 1
declare c binary cursor for select 1
fetch prior from c
fetch last from c
fetch absolute 3 from c
-- r_ALTER_TABLE.html
alter table t add column a int, add column b int
alter table t add column a int, drop column b
alter table t alter column a type bigint
alter table t alter column a type numeric(9, 2)
alter table t alter column a set not null
alter table t alter column a drop not null
alter table t alter column a set default 1
alter table t alter column a drop default
alter table t add constraint c check (a > 1)
alter table t inherit u
alter table t attach partition u for values from (1) to (2)
alter table t set schema s
alter table t set tablespace x
alter table t enable trigger x
alter table t cluster on i
alter table if exists t rename to u
alter table t set (fillfactor = 70)
alter table t replica identity full
alter table t validate constraint c
begin; alter table t alter column v type varchar(300); commit
begin; alter table t append from u; commit
begin; vacuum t; commit
-- r_COPY.html
copy t from stdin
copy t to stdout
copy t to '/tmp/x'
copy t from program 'cat x'
copy (select 1) to 's3://b/k'
-- r_CREATE_FUNCTION.html
create function f() returns int as $$ begin return 1; end $$ language plpgsql
create function f(int) returns int as 'x' language c
-- r_CREATE_TABLE_AS.html
create table if not exists t as select 1 as a
create or replace table t as select 1 as a
create unlogged table t as select 1 as a
-- r_CREATE_TABLE_NEW.html
create or replace table t (a int)
create unlogged table t (a int)
create table t (a int check (a > 1))
create table t (a int, check (a > 1))
create table t (a int) partition by range (a)
create table t (a int) partition by list (a)
create table t (a int) partition by hash (a)
create table t partition of u for values from (1) to (2)
create table t (a int) inherits (u)
create table t (a int) tablespace x
create table t (a int) with (fillfactor = 70)
create temp table t (a int) on commit drop
create table t (a int generated always as (b + 1) stored)
create table t (a int, exclude using gist (a with =))
create table t (a serial)
create table t (a bigserial primary key)
create table t (a uuid)
create table t (a jsonb)
create table t (a json)
create table t (a bytea)
create table t (a int[])
create table t (a text[])
create table t (a money)
create table t (a inet)
create table t (a xml)
create table t (a bit(3))
create table t (a tsvector)
create table t (a point)
create table t (a hstore)
create table t (a int4range)
create table t (a name)
create foreign table t (a int) server s
-- r_DELETE.html
delete from flights as f where f.id = 1
delete from flights f using planes p where p.tail = f.tail
delete from flights where id = 1 returning *
delete from flights where current of c
delete from only flights
-- r_EXPLAIN.html
explain analyze select 1
explain (format json) select 1
-- r_FROM_clause30.html
select 1 from flights, lateral (select 1) as l
select 1 from flights cross join lateral (select 1) as l
select id from flights tablesample system (10)
select id from only flights
select * from (values (1), (2)) as v (a)
select * from generate_series(1, 5) as g
select * from unnest(array[1, 2]) as u
select * from rows from (f(1), g(2)) as r
select * from json_table('{}', '$' columns (a int path '$.a')) as j
select * from xmltable('/a' passing x columns a int) as x
select * from f(1) with ordinality
select * from json_to_recordset('[]') as x (a int)
-- r_GRANT.html
grant usage on sequence s to u
grant all on all sequences in schema s to u
grant usage on type e to u
grant usage on foreign server s to u
-- r_INSERT_30.html
insert into flights values (1) on conflict do nothing
insert into flights (id) values (1) on conflict (id) do update set id = 2
insert into flights values (1) returning id
insert into flights overriding system value values (1)
insert ignore into flights values (1)
replace into flights values (1)
insert into flights values (1) on duplicate key update id = 2
insert or replace into flights values (1)
-- r_LOCK.html
lock table t in exclusive mode
lock t in share mode
-- r_MERGE.html
merge into flights f using staged s on f.id = s.id when matched then delete when not matched then insert values (s.id)
merge into flights using staged s on flights.id = s.id when matched and s.late then delete when not matched then insert values (s.id)
merge into flights using staged s on flights.id = s.id when matched then delete
merge into flights using staged s on flights.id = s.id when not matched then insert values (s.id)
merge into flights using (select 1 as id) s on flights.id = s.id when matched then delete when not matched then insert values (s.id)
merge into flights using staged s on flights.id = s.id when not matched by source then delete when matched then delete
with w as (select 1) merge into flights using staged s on flights.id = s.id when matched then delete when not matched then insert values (1)
-- r_SELECT_synopsis.html
select distinct on (tail) tail, dep from flights
select tail from flights except all select tail from planes
select tail from flights intersect all select tail from planes
select sum(fare) over w from flights window w as (partition by tail)
select id from flights fetch first 5 rows only
select id from flights offset 5 rows fetch next 5 rows only
select id from flights for update
select id from flights for share
select id from flights for no key update
select id from flights order by id using >
select dest from flights group by distinct rollup (dest, day)
-- r_TRUNCATE.html
truncate flights, planes
truncate flights cascade
truncate flights restart identity
truncate only flights
-- r_UPDATE.html
update flights f set fare = 1
update flights as f set f.fare = 1 where f.id = 2
update flights set flights.fare = 1
update flights set fare = 1 returning id
update flights set fare = 1 where current of c
update only flights set fare = 1
-- r_VACUUM_command.html
vacuum freeze t
vacuum analyze t
vacuum (full, analyze) t
vacuum verbose t
-- r_WITH_clause.html
with d as (delete from flights where late returning id) select * from d
with i as (insert into flights values (1)) select 1
with u as (update flights set late = true) select 1
with a as materialized (select 1 as x) select x from a
with a as not materialized (select 1 as x) select x from a
with recursive n as (select 1 as i union all select i + 1 from n) search depth first by i set o select * from n
-- r_Window_function_synopsis.html
select sum(f.fare) over (order by f.dep) as x from flights as f
select avg(f.fare) over (partition by f.tail order by f.dep) as x from flights as f
select count(*) over (order by f.dep) as x from flights as f
select max(f.fare) over (order by f.dep) as x from flights as f
select first_value(f.fare) over (order by f.dep) as x from flights as f
select sum(f.fare) over (order by f.dep range between unbounded preceding and current row) as x from flights as f
select sum(f.fare) over (order by f.dep groups 1 preceding) as x from flights as f
select sum(f.fare) over (order by f.dep rows between 1 preceding and current row exclude current row) as x from flights as f
select stddev(f.fare) over (order by f.dep) as x from flights as f
-- r_correlated_subqueries.html
select f.id from flights f where not exists (select 1 from planes p where not exists (select 1 from seats s where s.tail = f.tail))
select f.id from flights f where f.tail in (select p.tail from planes p where p.id in (select s.id from seats s where s.dest = f.dest))
select 1 from flights f left join planes p on p.tail = f.tail and p.seats = (select max(s.n) from seats s where s.tail = f.tail)
select 1 from flights f right join planes p on p.id = (select max(s.id) from seats s where s.tail = p.tail)
select f.id from flights f where f.fare not in (select sum(g.fare) over () from flights g where g.tail = f.tail)
select f.id, (select count(s.id) from seats s where s.tail = f.tail) as n from flights f group by n, f.id
select 1 from flights where id in (select sum(n) from seats group by tail)
select 1 from flights f where f.id in (select count(s.id) from seats s group by s.tail)
select f.id from flights f where f.id > (select row_number() over (order by g.dep) from flights g where g.id = f.id)
select f.id, (select avg(s.n) from seats s where s.tail = f.tail) as m from flights f group by m, f.id
-- r_names.html
select 1 as aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
create table tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt (a int)
select id as oid from flights
select id as xmin from flights
-- r_pattern-matching-conditions.html
select f.tail ~* 'n' as x from flights as f
select f.tail !~* 'n' as x from flights as f
select f.raw -> 'a' as x from flights as f
select f.raw ->> 'a' as x from flights as f
select f.raw #> '{a}' as x from flights as f
select f.raw #>> '{a}' as x from flights as f
select f.raw @> '{}' as x from flights as f
select f.raw <@ '{}' as x from flights as f
select f.a && f.b as x from flights as f
select f.raw @@ f.q as x from flights as f
select f.id is distinct from 1 as x from flights as f
select f.id is not distinct from 1 as x from flights as f
select f.delay between symmetric 9 and 1 as x from flights as f
select (f.dep, f.dep) overlaps (f.dep, f.dep) as x from flights as f
select count(*) filter (where f.late) as x from flights as f
-- r_SELECT_synopsis.html
select f.tail from flights as f tablesample bernoulli (10)
select sum(f.fare) over w as x from flights as f window w as (partition by f.dest)
select f.id from flights as f order by f.dep using >
select f.id from flights as f fetch first 5 rows with ties
select f.id from flights as f for share
values (1, 2)
select f.tail from flights as f limit 5 by f.dest
-- r_Window_function_synopsis.html
select count(*) over (order by f.dep groups between 1 preceding and current row) as x from flights as f
select first_value(f.dep) over (order by f.dep) as x from flights as f
select rank() over (order by f.dep rows between 1 preceding and current row) as x from flights as f
select ratio_to_report(f.fare) over (order by f.dep) as x from flights as f
select median(f.fare) over (order by f.dep) as x from flights as f
select sum(distinct f.fare) over (partition by f.dest) as x from flights as f
select count(distinct f.tail) over (partition by f.dest) as x from flights as f
-- c_unsupported-postgresql-functions.html
select string_agg(f.tail, ',' order by f.tail) as x from flights as f
select overlay(f.tail placing 'x' from 2 for 1) as x from flights as f
select width_bucket(f.fare, 0, 10, 5) as x from flights as f
select date_bin('15 minutes', f.dep, f.dep) as x from flights as f
select make_date(2020, 1, 1) as x
select array_to_json(array[1]) as x
-- c_unsupported-postgresql-features.html
select row(1, 2) as x
select (f).id as x from flights as f
select f.tail like any (array['a', 'b']) as x from flights as f
create table t (a int references u (id) on delete cascade)
create policy p on t using (a > 1)
create temp view v as select 1 as a
create view v as select a from t with check option
alter table t disable trigger all
alter table t rename constraint a to b
rollback to savepoint a
-- r_FROM_clause-pivot-unpivot-examples.html
select * from (select dest, fare from flights) pivot (stddev(fare) for dest in ('JFK'))
select * from (select dest, fare from flights) pivot (avg(fare) for dest in (select dest from planes))
-- r_QUALIFY_clause.html
select f.id from flights as f qualify f.id > 1
-- r_WITH_clause.html
with recursive n (i) as (select 1 union select i + 1 from n where i < 5) select i from n
with recursive n (i) as (select 1 union all select max(i) + 1 from n where i < 5) select i from n
with recursive n (i) as (select 1 union all select distinct i + 1 from n where i < 5) select i from n
-- materialized-view-create-sql-command.html
create materialized view m as select a from t order by a
create materialized view m as select a from t limit 5
refresh materialized view concurrently m
-- r_CREATE_TABLE_NEW.html
create table t (a varchar(65536))
create table t (a char(4097))
create table t (a decimal(39, 2))
create table t (a int distkey, b int distkey)
create table t (a int) diststyle even distkey (a)
create table t (a super sortkey)
-- r_TRUNCATE.html
truncate t, u
-- r_EXPLAIN.html
-- r_CREATE_FUNCTION.html
create function f(int) returns setof int as $$ select $1 $$ language sql
-- r_UPDATE.html
update t set (a, b) = (1, 2)
update t set a = 1 where current of c
-- r_COMMENT.html
comment on function f(int) is 'x'
-- c_SQL_commands.html
describe t
-- materialized-view-create-sql-command.html
create materialized view m as select a from t offset 5
create materialized view if not exists m as select a from t
create or replace materialized view m as select a from t
create materialized view m as select a from t with no data
-- materialized-view-refresh-sql-command.html
refresh materialized view m with no data
-- r_ALTER_MATERIALIZED_VIEW.html
alter materialized view m rename to n
-- r_ALTER_TABLE.html
alter table t modify column a varchar(10)
alter table t drop primary key
alter table t add index i (a)
alter table t rename a to b
alter table t add column if not exists a int
alter table t drop column a, drop column b
-- r_ANALYZE.html
analyze table t compute statistics
-- r_BEGIN.html
begin transaction deferrable
-- r_COMMENT.html
comment on schema s is 'x'
comment on role r is 'x'
-- r_COMMIT.html
commit and chain
-- r_COPY.html
copy t from 's3://b/k' with (format csv)
-- r_CREATE_EXTERNAL_TABLE.html
create external table lake.t (id int primary key) stored as parquet location 's3://b/t/'
-- r_CREATE_FUNCTION.html
create function f(a int) returns table (b int) as $$ select 1 $$ language sql
create function f(int) returns int as $$ select $1 $$ language sql immutable parallel safe
-- r_CREATE_PROCEDURE.html
create procedure p() as $$ select 1 $$ language sql
create procedure p() language plpython3u as $$ pass $$
-- r_CREATE_TABLE_NEW.html
create table t (a nvarchar(70000))
create table t (a bpchar(5000))
create table t (a int distkey) diststyle all
create table t (a int, b int) distkey (a, b)
create table t (a super distkey, b int)
create table t (a geometry sortkey)
create table t (a int, b int, c int, d int, e int, f int, g int, h int, i int) interleaved sortkey (a, b, c, d, e, f, g, h, i)
create table t (a int references u match full)
create table t (a int unique deferrable)
create table t (a int primary key initially deferred)
create table t (a int) default character set utf8
create table t as execute p
create table t (a int) as select 1
-- r_DELETE.html
delete from flights order by id limit 5
delete from flights where id = 1 limit 5
-- r_DROP_TABLE.html
drop table t purge
-- r_DROP_VIEW.html
drop view if exists v cascade constraints
-- r_EXPLAIN.html
explain format = json select 1
-- r_GRANT.html
grant select on t to u with admin option
grant all on function f to public granted by u
-- r_INSERT_30.html
insert into flights (id) select 1 returning id
insert into flights set id = 1
insert into flights as f values (1)
with x as (select 1) insert into flights select * from x on conflict do nothing
-- r_LOCK.html
lock table t nowait
-- r_MERGE.html
merge into flights using staged s on flights.id = s.id when matched then do nothing when not matched then insert values (1)
-- r_ROLLBACK.html
rollback and no chain
-- r_SELECT_synopsis.html
select a.id from flights as a order by a.dep nulls last limit 5 percent
select f.dest, f.day, count(*) from flights as f group by cube (f.dest), rollup (f.day) with totals
select top 5 percent f.id from flights as f
select lag(f.dep) over (partition by f.tail order by f.dep rows unbounded preceding) as x from flights as f
select ntile(4) over (order by f.delay rows between unbounded preceding and current row) as x from flights as f
select percentile_cont(0.5) within group (order by f.delay) over (partition by f.dest order by f.dep) as x from flights as f
select avg(distinct f.fare) over (order by f.dep rows unbounded preceding) as x from flights as f
select * from (select dest, fare from flights) pivot (count(*) for dest in ('JFK'))
select * from (select dest, fare from flights) pivot (median(fare) as m for dest in ('JFK'))
select * from flights as f pivot (avg(fare) + 1 for dest in ('JFK'))
select f.tail from flights as f qualify f.tail = 'N1' and f.late
select cast(f.fare as decimal(40, 2)) as x from flights as f
select f.fare::numeric(38, 38) as x from flights as f
select f.id from flights as f where (f.day, f.day) overlaps (f.day, f.day)
select f.tail similar to 'a' escape 'b' collate "C" as x from flights as f
select extract(julian from f.dep) as x from flights as f
select f.raw is json as x from flights as f
select f.dep at local as x from flights as f
select json_value(f.raw, '$.a') as x from flights as f
select f.tail from flights as f natural full outer join planes for system_time as of '2020-01-01'
select if(f.late, 1, 0) as x from flights as f
select group_concat(f.tail) as x from flights as f
select iff(f.late, 1, 0) as x from flights as f
select safe_cast(f.raw as int) as x from flights as f
select date_format(f.dep, '%Y') as x from flights as f
select to_json(f.info) as x from flights as f
select explode(f.info) as x from flights as f
select f.tail rlike 'N' as x from flights as f
select f.raw regexp 'N' as x from flights as f
-- r_SET.html
set @a = 1
-- r_SHOW.html
show create table t
-- r_TRUNCATE.html
truncate table t restart identity
-- r_UNLOAD.html
unload t to 's3://b/p'
-- r_UPDATE.html
update t set (a, b) = (select 1, 2)
update flights set fare = 1 order by id limit 5
-- r_USE_command.html
use database d
-- r_VACUUM_command.html
vacuum parallel 4 t
-- r_WITH_clause.html
with recursive n (i) as (select 1 union all select i + 1 from n where i < 5 limit 3) select i from n
with recursive n (i) as (select 1 union all select i + 1 from n group by i) select i from n
with recursive n (i) as (select 1 except select i + 1 from n) select i from n
