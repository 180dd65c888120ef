-- Valid on Redshift, by page of https://docs.aws.amazon.com/redshift/latest/dg/. One statement a line; our own, not AWS's examples.
-- CAN_JSON_PARSE.html
select can_json_parse(f.raw) as x from flights as f
-- CONVERT_TIMEZONE.html
select convert_timezone('UTC', 'America/New_York', f.dep) as x from flights as f
select convert_timezone('CET', f.dep) as x from flights as f
-- DIFFERENCE.html
select difference(f.tail, f.dest) as x from flights as f
-- IS_VALID_JSON.html
select is_valid_json(f.raw) as x from flights as f
-- IS_VALID_JSON_ARRAY.html
select is_valid_json_array(f.raw) as x from flights as f
-- JSON_ARRAY_LENGTH.html
select json_array_length(f.raw) as x from flights as f
-- JSON_EXTRACT_ARRAY_ELEMENT_TEXT.html
select json_extract_array_element_text(f.raw, 0) as x from flights as f
-- JSON_EXTRACT_PATH_TEXT.html
select json_extract_path_text(f.raw, 'a', 'b') as x from flights as f
select json_extract_path_text(f.raw, 'a', true) as x from flights as f
-- JSON_PARSE.html
select json_parse(f.raw) as x from flights as f
-- JSON_SERIALIZE.html
select json_serialize(f.info) as x from flights as f
-- OCTETINDEX.html
select octetindex('N', f.tail) as x from flights as f
-- REGEXP_COUNT.html
select regexp_count(f.tail, '[0-9]') as x from flights as f
-- REGEXP_INSTR.html
select regexp_instr(f.tail, '[0-9]') as x from flights as f
-- REGEXP_REPLACE.html
select regexp_replace(f.tail, 'N', 'M') as x from flights as f
-- REGEXP_SUBSTR.html
select regexp_substr(f.tail, '[0-9]+', 1, 1, 'e') as x from flights as f
-- SHA2.html
select sha2(f.tail, 256) as x from flights as f
select sha1(f.tail) as x from flights as f
select func_sha1(f.tail) as x from flights as f
select fnv_hash(f.tail) as x from flights as f
select farmfingerprint64(f.tail) as x from flights as f
select murmur3_32_hash(f.tail) as x from flights as f
-- SOUNDEX.html
select soundex(f.dest) as x from flights as f
-- SPLIT_PART.html
select split_part(f.raw, '|', 2) as x from flights as f
-- ST_Point-function.html
select st_point(1, 2) as x from flights as f
select st_distance(st_point(1, 2), st_point(3, 4)) as x from flights as f
select st_astext(st_geomfromtext('POINT(1 2)')) as x from flights as f
-- close.html
close c
-- declare.html
declare c cursor for select 1
-- fetch.html
fetch forward 10 from c
fetch next from c
-- materialized-view-alter-sql-command.html
alter materialized view m auto refresh yes
-- materialized-view-create-sql-command.html
create materialized view m as select dest, count(*) from flights group by dest
create materialized view m backup no diststyle even auto refresh yes as select 1 as a
-- materialized-view-drop-sql-command.html
drop materialized view if exists m cascade
-- materialized-view-refresh-sql-command.html
refresh materialized view m
-- query-super.html
select f.info.a.b as x from flights as f
select f.info.list[0].name as x from flights as f
select f.info['a'] as x from flights as f
-- r_ABORT.html
abort
-- r_ABS.html
select abs(f.delay) as x from flights as f
-- r_ACOS.html
select acos(f.ratio) as x from flights as f
select asin(f.ratio) as x from flights as f
select atan(f.ratio) as x from flights as f
select atan2(f.ratio, 2) as x from flights as f
select cos(f.ratio) as x from flights as f
select cot(f.ratio) as x from flights as f
select sin(f.ratio) as x from flights as f
select tan(f.ratio) as x from flights as f
-- r_ADD_MONTHS.html
select add_months(f.day, 1) as x from flights as f
-- r_ALTER_DATASHARE.html
alter datashare d add table t
-- r_ALTER_TABLE_external-table.html
alter table lake.t add partition (day='2013-01-01') location 's3://lake/t/day=2013-01-01/'
alter table lake.t add if not exists partition (day='2013-01-01') location 's3://lake/t/day=2013-01-01/'
alter table lake.t drop partition (day='2013-01-01')
-- r_ALTER_TABLE.html
alter table t rename to u
alter table t rename column a to b
alter table t add column a int default 5
alter table t drop column a cascade
alter table t alter column v type varchar(300)
alter table t alter diststyle even
alter table t alter distkey id
alter table t alter sortkey (day, id)
alter table t alter sortkey none
alter table t alter column v encode zstd
alter table t add primary key (id)
alter table t drop constraint c
alter table t owner to etl
alter table t row level security on
alter table t alter encode auto
-- r_ALTER_TABLE_APPEND.html
alter table t append from u
alter table t append from u fillextra
-- r_ALTER_TABLE_external-table.html
alter table spectrum.t add partition (day = '2013-01-01') location 's3://b/day=1/'
alter table spectrum.t drop partition (day = '2013-01-01')
alter table spectrum.t set location 's3://b/x/'
-- r_ANALYZE.html
analyze
analyze verbose
analyze t (a, b)
analyze t predicate columns
-- r_ANALYZE_COMPRESSION.html
analyze compression t
-- r_ANY_VALUE.html
select any_value(f.tail) as x from flights as f
-- r_APPROXIMATE_PERCENTILE_DISC.html
select approximate percentile_disc(0.5) within group (order by f.delay) as x from flights as f
-- r_ASCII.html
select ascii(f.tail) as x from flights as f
-- r_ATTACH_RLS_POLICY.html
attach rls policy p on t to role r
-- r_AVG.html
select avg(f.delay) as x from flights as f
select avg(distinct f.fare) as x from flights as f
-- r_BEGIN.html
begin
begin transaction isolation level serializable
start transaction read only
begin read only
begin work read write
-- r_BIT_AND.html
select bit_and(f.delay) as x from flights as f
-- r_BIT_OR.html
select bit_or(f.delay) as x from flights as f
-- r_BOOL_AND.html
select bool_and(f.late) as x from flights as f
-- r_BOOL_OR.html
select bool_or(f.late) as x from flights as f
-- r_BPCHARCMP.html
select bpcharcmp(f.tail, f.dest) as x from flights as f
select bttext_pattern_cmp(f.tail, f.dest) as x from flights as f
-- r_BTRIM.html
select btrim(f.tail, 'N') as x from flights as f
-- r_CALL_procedure.html
call p(1)
-- r_CANCEL.html
cancel 1234 'x'
-- r_CASE_function.html
select case f.dest when 'JFK' then 1 else 0 end as x from flights as f
select case when f.delay > 5 then 'late' end as x from flights as f
-- r_CAST_function.html
select cast(f.delay as varchar(9)) as x from flights as f
select f.delay::bigint as x from flights as f
select convert(integer, f.fare) as x from flights as f
-- r_CBRT.html
select cbrt(f.ratio) as x from flights as f
-- r_CEILING_FLOOR.html
select ceiling(f.fare) as x from flights as f
select ceil(f.fare) as x from flights as f
select floor(f.fare) as x from flights as f
-- r_CHARINDEX.html
select charindex('N', f.tail) as x from flights as f
-- r_CHECKSUM.html
select checksum(f.delay) as x from flights as f
-- r_CHR.html
select chr(65) as x from flights as f
-- r_COLLATE.html
select collate(f.tail, 'case_insensitive') as x from flights as f
-- r_COMMENT.html
comment on table t is 'x'
comment on column t.a is 'x'
-- r_COMMIT.html
commit
commit work
-- r_CONCAT.html
select concat(f.tail, f.dest) as x from flights as f
select f.tail || '-' || f.dest as x from flights as f
-- r_CONNECT_BY_clause.html
select id, level from people start with boss is null connect by prior id = boss
-- r_COPY.html
copy t from 's3://b/k' iam_role default format as parquet
copy t (a, b) from 's3://b/k' iam_role 'arn:aws:iam::1:role/r' csv ignoreheader 1 gzip
copy t from 's3://b/k' credentials 'aws_iam_role=x' json 'auto'
copy t from 's3://b/m' iam_role default manifest delimiter '|' maxerror 5
-- r_COUNT.html
select count(*) as x from flights as f
select count(distinct f.tail) as x from flights as f
select approximate count(distinct f.tail) as x from flights as f
-- r_CRC32.html
select crc32(f.tail) as x from flights as f
-- r_CREATE_DATABASE.html
create database d with owner etl isolation level snapshot
-- r_CREATE_DATASHARE.html
create datashare d set publicaccessible false
-- r_CREATE_EXTERNAL_FUNCTION.html
create external function h(varchar) returns varchar volatile lambda 'x' iam_role default
-- r_CREATE_EXTERNAL_SCHEMA.html
create external schema lake from data catalog database 'd' iam_role default
-- r_CREATE_EXTERNAL_TABLE.html
create external table lake.t (id int, v varchar(10)) partitioned by (day date) stored as parquet location 's3://b/t/'
create external table lake.t (id int, a struct<b:int>, c array<varchar(5)>) row format delimited fields terminated by '|' stored as textfile location 's3://b/t/'
-- r_CREATE_FUNCTION.html
select dwh.format(f.tail), dwh.encode(f.raw, 'hex') from flights as f
create function f(a float) returns float stable as $$ select $1 $$ language sql
create or replace function g(a int) returns int immutable as $$ return a $$ language plpythonu
-- r_CREATE_GROUP.html
create group g with user u
-- r_CREATE_MASKING_POLICY.html
create masking policy p with (v varchar(9)) using ('x'::text)
-- r_CREATE_MODEL.html
create model m from t target late function predict_late iam_role default settings (s3_bucket 'b')
-- r_CREATE_PROCEDURE.html
create or replace procedure p(a int) as $$ begin insert into t values (a); end; $$ language plpgsql
-- r_CREATE_RLS_POLICY.html
create rls policy p with (a int) using (a > 1)
-- r_CREATE_ROLE.html
create role r
-- r_CREATE_SCHEMA.html
create schema if not exists dwh authorization etl quota 50 gb
-- r_CREATE_TABLE_AS.html
create temporary table t as with s as (select 1 as a, true as stored) select case when stored then 1 end as b, a name from s
create table t as select id, tail path, dest json from flights
create table t as (select 1 as a, current_date line)
create table t as select * from flights
create table t diststyle all as select 1 as a
create temporary table t (a, b) as select 1, 2
create table t distkey (a) sortkey (b) as (select 1 as a, 2 as b)
-- r_CREATE_TABLE_NEW.html
create table t (id integer not null, v varchar(10))
create table if not exists t (id bigint identity(1, 1))
create table t (id bigint generated by default as identity(1, 1), v super)
create temp table t (id int) diststyle even
create table #t (id int)
create table t (id int distkey sortkey, v varchar(10) encode zstd)
create table t (id int, day date) diststyle key distkey (id) compound sortkey (day, id)
create table t (id int, day date) interleaved sortkey (day, id)
create table t (like flights including defaults)
create table t (id int primary key, v int references u (id), unique (v))
create table t (id int) backup no
create table t (id int) sortkey auto encode auto
create local temporary table t (id int default 5)
create table t (v varchar(10) collate case_insensitive)
create table t (g geometry, h hllsketch, b varbyte(10), i interval day to second)
-- r_CREATE_USER.html
create user u password disable
-- r_CREATE_VIEW.html
create view v as select 1 as a
create or replace view v (a) as select 1
create view v as select a from dwh.t with no schema binding
-- r_CURRENT_DATE_function.html
select current_date as x from flights as f
-- r_DATEADD_function.html
select dateadd(day, 7, f.day) as x from flights as f
select dateadd(hours, -3, f.dep) as x from flights as f
-- r_DATEDIFF_function.html
select datediff(week, f.day, getdate()) as x from flights as f
select datediff(min, f.dep, sysdate) as x from flights as f
-- r_DATE_CMP.html
select date_cmp(f.day, '2013-01-01') as x from flights as f
-- r_DATE_PART_function.html
select date_part(dow, f.dep) as x from flights as f
select date_part('week', f.dep) as x from flights as f
select extract(epoch from f.dep) as x from flights as f
select extract(day from f.day) as x from flights as f
-- r_DATE_TRUNC.html
select date_trunc('month', f.dep) as x from flights as f
-- r_DEALLOCATE.html
deallocate p
-- r_DECODE_expression.html
select decode(f.dest, 'JFK', 1, 'LGA', 2, 0) as x from flights as f
select decode(f.dest, null, 'none', f.dest) as x from flights as f
-- r_DEGREES.html
select degrees(f.ratio) as x from flights as f
select radians(f.ratio) as x from flights as f
-- r_DELETE.html
delete from flights where id = 1
delete flights where late
delete from flights using staged s where s.id = flights.id
with s as (select id from staged) delete from flights where id in (select id from s)
-- r_DEXP.html
select dexp(f.ratio) as x from flights as f
select exp(f.ratio) as x from flights as f
select dlog1(f.ratio) as x from flights as f
select dlog10(f.ratio) as x from flights as f
select ln(f.ratio) as x from flights as f
select log(f.ratio) as x from flights as f
-- r_DROP_SCHEMA.html
drop schema if exists s cascade
-- r_DROP_TABLE.html
drop table if exists t, u cascade
-- r_DROP_VIEW.html
drop view v restrict
-- r_END.html
end
-- r_EXECUTE.html
execute p (1)
-- r_EXPLAIN.html
explain select 1
explain verbose select 1
-- r_FROM_clause-pivot-unpivot-examples.html
select * from (select dest, fare from flights) pivot (avg(fare) for dest in ('JFK', 'LGA'))
select * from totals unpivot (n for dest in (jfk, lga))
-- r_FROM_clause30.html
select 1 from flights natural join planes
select 1 from flights f left outer join planes p using (tail)
select 1 from flights f full join planes p on f.tail = p.tail
select 1 from flights f cross join planes p
select 1 from flights f, planes p where f.tail = p.tail(+)
select 1 from (select tail from flights) as x
select i.name from flights f, f.info.list as i
select i, n from flights f, f.info.list as i at n
select k, v from flights f, unpivot f.info as v at k
-- r_GETDATE.html
select getdate() as x from flights as f
-- r_GRANT.html
grant select on all tables in schema dwh to etl
grant usage on schema dwh to group g
grant role r to u
grant create, temp on database d to etl
grant assumerole on 'arn:aws:iam::1:role/r' to etl for copy
-- r_GREATEST_LEAST.html
select greatest(f.delay, 0) as x from flights as f
select least(f.delay, 5, 9) as x from flights as f
-- r_GROUP_BY_clause.html
select dest, count(*) from flights group by 1
select dest, day, count(*) from flights group by grouping sets ((dest), (day), ())
select dest, count(*) from flights group by rollup (dest, day)
select dest, count(*), grouping(dest) from flights group by cube (dest, day)
select dest, count(*) from flights group by all
select dest from flights group by dest having count(*) > 5
-- r_HEX_functions.html
select to_varbyte('ff', 'hex') as x from flights as f
select from_hex('ff') as x from flights as f
select from_varbyte(to_varbyte('a', 'utf8'), 'utf8') as x from flights as f
-- r_HLL_function.html
select hll(f.tail) as x from flights as f
select hll_cardinality(hll_create_sketch(f.tail)) as x from flights as f
-- r_INITCAP.html
select initcap(f.dest) as x from flights as f
-- r_INSERT_30.html
insert into flights values (1, 'N1'), (2, 'N2')
insert into flights (id, tail) select id, tail from staged
insert into flights default values
insert into flights (id) values (default)
-- r_INTERVAL_CMP.html
select interval_cmp('1 day', '2 days') as x from flights as f
-- r_LAST_DAY.html
select last_day(f.day) as x from flights as f
-- r_LEFT.html
select left(f.tail, 2) as x from flights as f
select right(f.tail, 2) as x from flights as f
-- r_LEN.html
select len(f.tail) as x from flights as f
select length(f.tail) as x from flights as f
select char_length(f.tail) as x from flights as f
select character_length(f.tail) as x from flights as f
select textlen(f.tail) as x from flights as f
select octet_length(f.tail) as x from flights as f
-- r_LISTAGG.html
select listagg(f.tail, ',') within group (order by f.tail) as x from flights as f
select listagg(distinct f.tail) as x from flights as f
select listagg(f.tail) as x from flights as f
-- r_LOCK.html
lock t, u
lock table t
-- r_LOWER.html
select lower(f.tail) as x from flights as f
select upper(f.tail) as x from flights as f
-- r_LPAD.html
select lpad(f.tail, 9, '0') as x from flights as f
select rpad(f.tail, 9) as x from flights as f
-- r_LTRIM.html
select ltrim(f.tail) as x from flights as f
select rtrim(f.tail, 'x') as x from flights as f
-- r_MAX.html
select max(f.fare) as x from flights as f
-- r_MD5.html
select md5(f.tail) as x from flights as f
-- r_MEDIAN.html
select median(f.delay) as x from flights as f
-- r_MERGE.html
merge into flights using staged s on flights.id = s.id when matched then update set fare = s.fare when not matched then insert values (s.id, s.fare)
merge into flights using staged on flights.id = staged.id when matched then delete when not matched then insert (id) values (staged.id)
merge into flights using staged on flights.id = staged.id remove duplicates
-- r_MIN.html
select min(f.dep) as x from flights as f
-- r_MOD.html
select mod(f.delay, 3) as x from flights as f
-- r_MONTHS_BETWEEN_function.html
select months_between(f.day, f.dep) as x from flights as f
-- r_NEXT_DAY.html
select next_day(f.day, 'Tue') as x from flights as f
-- r_NULLIF_function.html
select nullif(f.delay, 0) as x from flights as f
-- r_NVL2.html
select nvl2(f.tail, 'yes', 'no') as x from flights as f
-- r_NVL_function.html
select nvl(f.tail, 'none') as x from flights as f
select coalesce(f.tail, f.dest, 'x') as x from flights as f
-- r_ORDER_BY_clause.html
select id from flights order by dep desc nulls last limit 10 offset 5
select id from flights order by 1
select id from flights limit all
-- r_PERCENTILE_CONT.html
select percentile_cont(0.5) within group (order by f.delay) as x from flights as f
-- r_PI.html
select pi() as x from flights as f
-- r_POSITION.html
select position('N' in f.tail) as x from flights as f
-- r_POWER.html
select power(f.delay, 2) as x from flights as f
select pow(f.delay, 2) as x from flights as f
select dpow(f.ratio, 2) as x from flights as f
-- r_PREPARE.html
prepare p (int) as select 1
-- r_QUALIFY_clause.html
select f.id from flights f qualify row_number() over (partition by f.tail order by f.dep) = 1
select f.id, rank() over (order by f.dep) as r from flights f where f.late qualify r < 3
-- r_QUOTE_IDENT.html
select quote_ident(f.tail) as x from flights as f
select quote_literal(f.tail) as x from flights as f
-- r_RANDOM.html
select random() as x from flights as f
-- r_REPEAT.html
select repeat(f.dest, 2) as x from flights as f
select replicate(f.dest, 2) as x from flights as f
-- r_REPLACE.html
select replace(f.tail, 'N', '') as x from flights as f
-- r_RESET.html
reset query_group
reset all
-- r_REVERSE.html
select reverse(f.tail) as x from flights as f
-- r_REVOKE.html
revoke select on t from etl
revoke all on schema dwh from group g
-- r_ROLLBACK.html
rollback
rollback work
-- r_ROUND.html
select round(f.fare, 1) as x from flights as f
select round(f.fare) as x from flights as f
-- r_SELECT_list.html
select distinct f.tail from flights f
select top 5 f.id from flights f
select f.* from flights as f
select * exclude (raw, info) from flights
select f.id as a, a + 1 as b from flights f
select all f.id from flights f
select id into #late from flights
select id into temp late from flights
-- r_SET.html
set query_group to 'x'
set search_path to dwh, public
set enable_result_cache_for_session to off
-- r_SET_SESSION_AUTHORIZATION.html
set session authorization 'u'
-- r_SHOW.html
show search_path
-- r_SHOW_COLUMNS.html
show columns from table d.s.t
-- r_SHOW_TABLES.html
show tables from schema d.s
-- r_SIGN.html
select sign(f.delay) as x from flights as f
-- r_SQRT.html
select sqrt(f.fare) as x from flights as f
-- r_STDDEV_functions.html
select stddev_samp(f.fare) as x from flights as f
select stddev_pop(f.fare) as x from flights as f
select stddev(f.fare) as x from flights as f
-- r_STRPOS.html
select strpos(f.tail, 'N') as x from flights as f
-- r_STRTOL.html
select strtol(f.raw, 16) as x from flights as f
-- r_SUBSTRING.html
select substring(f.tail, 1, 2) as x from flights as f
select substr(f.tail, 2) as x from flights as f
select substring(f.tail from 2 for 1) as x from flights as f
-- r_SUM.html
select sum(f.fare) as x from flights as f
select sum(case when f.late then 1 else 0 end) as x from flights as f
-- r_SYSDATE.html
select sysdate as x from flights as f
-- r_TIMEOFDAY.html
select timeofday() as x from flights as f
-- r_TIMESTAMP_CMP.html
select timestamp_cmp(f.dep, f.dep) as x from flights as f
-- r_TO_CHAR.html
select to_char(f.dep, 'YYYY-MM') as x from flights as f
select to_char(f.fare, '999D99') as x from flights as f
-- r_TO_DATE_function.html
select to_date(f.raw, 'YYYYMMDD') as x from flights as f
-- r_TO_HEX.html
select to_hex(f.delay) as x from flights as f
-- r_TO_NUMBER.html
select to_number(f.raw, '999') as x from flights as f
-- r_TO_TIMESTAMP.html
select to_timestamp(f.raw, 'YYYY-MM-DD HH24:MI:SS') as x from flights as f
-- r_TRANSLATE.html
select translate(f.tail, 'N', 'n') as x from flights as f
-- r_TRIM.html
select trim(both 'N' from f.tail) as x from flights as f
select trim(f.tail) as x from flights as f
-- r_TRUNC.html
select trunc(f.fare, 1) as x from flights as f
-- r_TRUNCATE.html
truncate flights
truncate table dwh.flights
-- r_TRUNC_date.html
select trunc(f.dep) as x from flights as f
-- r_TRY_CAST.html
select try_cast(f.raw as integer) as x from flights as f
-- r_UNION.html
select tail from flights union select tail from planes
select tail from flights union all select tail from planes
select tail from flights intersect select tail from planes
select tail from flights except select tail from planes
select tail from flights minus select tail from planes
-- r_UNLOAD.html
unload ('select * from t') to 's3://b/p' iam_role default parquet partition by (day)
unload ('select 1') to 's3://b/p' iam_role default csv header allowoverwrite
-- r_UPDATE.html
update flights set late = true where delay > 15
update flights set fare = s.fare from staged s where s.id = flights.id
with s as (select id from staged) update flights set late = false where id in (select id from s)
-- r_USE_command.html
use d
-- r_VACUUM_command.html
vacuum
vacuum full t to 75 percent
vacuum sort only t
vacuum delete only t
vacuum reindex t
vacuum recluster t
-- r_VARIANCE_functions.html
select var_samp(f.fare) as x from flights as f
select var_pop(f.fare) as x from flights as f
select variance(f.fare) as x from flights as f
-- r_WF_AVG.html
select avg(f.fare) over (partition by f.tail order by f.dep rows between 2 preceding and 2 following) as x from flights as f
-- r_WF_LAG.html
select lag(f.dep) over (partition by f.tail order by f.dep) as x from flights as f
select lag(f.dep, 2) over (order by f.dep) as x from flights as f
select lag(f.dep) ignore nulls over (order by f.dep) as x from flights as f
-- r_WF_LEAD.html
select lead(f.dep, 1) over (order by f.dep) as x from flights as f
-- r_WF_LISTAGG.html
select listagg(f.tail, ',') within group (order by f.dep) over (partition by f.dest) as x from flights as f
-- r_WF_MEDIAN.html
select median(f.delay) over (partition by f.dest) as x from flights as f
-- r_WF_NTH.html
select nth_value(f.dep, 2) over (order by f.dep rows between unbounded preceding and current row) as x from flights as f
-- r_WF_NTILE.html
select ntile(4) over (order by f.delay) as x from flights as f
-- r_WF_PERCENTILE_DISC.html
select percentile_disc(0.5) within group (order by f.delay) over (partition by f.dest) as x from flights as f
-- r_WF_RANK.html
select rank() over (order by f.delay desc) as x from flights as f
select dense_rank() over (order by f.delay) as x from flights as f
select percent_rank() over (order by f.delay) as x from flights as f
select cume_dist() over (order by f.delay) as x from flights as f
-- r_WF_RATIO_TO_REPORT.html
select ratio_to_report(f.fare) over (partition by f.dest) as x from flights as f
-- r_WF_SUM.html
select sum(f.fare) over (order by f.dep rows unbounded preceding) as x from flights as f
select sum(f.fare) over (partition by f.tail) as x from flights as f
-- r_WF_first_value.html
select first_value(f.dep) over (partition by f.tail order by f.dep rows between unbounded preceding and unbounded following) as x from flights as f
select last_value(f.dep ignore nulls) over (order by f.dep rows between 1 preceding and current row) as x from flights as f
-- r_WF_row_number.html
select row_number() over (partition by f.tail order by f.dep) as x from flights as f
-- r_WHERE_clause.html
select 1 from flights where day between '2013-01-01' and current_date
select 1 from flights where tail like 'N%' escape '^'
select 1 from flights where tail ilike 'n%'
select 1 from flights where tail similar to 'N[0-9]+'
select 1 from flights where tail ~ '^N'
select 1 from flights where tail !~ '^N'
select 1 from flights where dest in ('JFK', 'LGA')
select 1 from flights where tail is not null and not late
select 1 from flights where (tail, dest) in (select tail, dest from planes)
select 1 from flights where exists (select 1 from planes p where p.tail = flights.tail)
select 1 from flights where late is true
select 1 from flights where delay > all (select n from limits)
select 1 from flights where delay = any (select n from limits)
-- r_WITH_clause.html
with late as (select * from flights where late) select count(*) from late
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select i from n
with a as (select 1 as x), b as (select x from a) select * from b
-- r_array.html
select array(1, 'a') as x from flights as f
select array_concat(array(1), array(2)) as x from flights as f
select array_flatten(array(array(1))) as x from flights as f
select get_array_length(f.info) as x from flights as f
select split_to_array(f.raw, ',') as x from flights as f
select subarray(array(1, 2), 0, 1) as x from flights as f
-- r_correlated_subqueries.html
select f.id from flights f where f.delay > (select avg(g.delay) from flights g where g.dest = f.dest)
select (select max(p.seats) from planes p where p.tail = f.tail) from flights f
select f.id from flights f where f.tail in (select p.tail from planes p where p.tail = f.tail)
-- r_is_array.html
select is_array(f.info) as x from flights as f
select is_object(f.info) as x from flights as f
select is_scalar(f.info) as x from flights as f
select is_varchar(f.info) as x from flights as f
-- r_object_function.html
select object('a', 1) as x from flights as f
-- r_interval_literals.html
select f.dep + interval '3 hours 5 minutes' as x from flights as f
select interval '1-2' year to month as x
select f.dep - interval '5' minute as x from flights as f
-- r_Dateparts_for_datetime_functions.html
select dateadd(qtr, 1, f.day) as x, datediff(qtr, f.day, f.dep) as y from flights as f
select date_part(century, f.dep) as x, extract(microsecond from f.dep) as y from flights as f
-- r_AT_TIME_ZONE.html
select f.dep at time zone 'UTC' at time zone 'PST' as x from flights as f
-- r_TIMEZONE.html
select timezone('America/New_York', f.dep) as x from flights as f
-- r_Datetime_types.html
select time '13:24:55' as a, timetz '13:24:55+01' as b, timestamptz '2008-06-01 09:59:59 PST' as c
select cast(f.dep as time) as x from flights as f
-- r_DATE_CMP_TIMESTAMP.html
select date_cmp_timestamp(f.day, f.dep) as x, timestamp_cmp_date(f.dep, f.day) as y from flights as f
select date_cmp_timestamptz(f.day, f.dep at time zone 'UTC') as x from flights as f
-- r_TO_TIMESTAMP.html
select to_timestamp('2011-12-18 24:38:15', 'YYYY-MM-DD HH24:MI:SS', false) as x
-- REGEXP_REPLACE.html
select regexp_replace(f.tail, '[a-z]+', 'x', 1, 'i') as x, regexp_substr(f.tail, '[0-9]+', 1, 2) as y from flights as f
select regexp_instr(f.tail, '[0-9]', 1, 1, 0, 'c') as x, regexp_count(f.tail, 'n', 1, 'i') as y from flights as f
-- SPLIT_PART.html
select split_part(f.raw, ',', 2) as x from flights as f
-- FUNC_SHA1.html
select func_sha1(f.tail) as a, sha(f.tail) as b, fnv_hash(f.tail, fnv_hash(f.id)) as c from flights as f
-- r_Numeric_formating.html
select to_char(f.fare, 'FM999,999.00') as x, to_char(-125.8, '999D99S') as y from flights as f
-- r_OPERATOR_SYMBOLS.html
select f.id & 3 as a, f.id | 1 as b, f.id # 2 as c, ~ f.id as d, f.id << 2 as e, f.id >> 1 as g from flights as f
select |/ 25.0 as a, ||/ 27.0 as b, @ -5 as c, 2 ^ 3 as d
-- r_comparison_condition.html
select f.id from flights as f where f.late is not unknown and f.dest <> all (select p.dest from planes as p)
select f.id from flights as f where f.delay > some (select n from limits)
-- query-super.html
select f.info.a[0].b::int as x, f.info."Name" as y from flights as f where f.info.a is not null
select f.id from flights as f where f.info.kind = 'x' order by f.info.rank
select json_typeof(f.info.a) as a, json_size(f.info) as b, is_integer(f.info.n) as c from flights as f
select lower_attribute_names(f.info) as a, upper_attribute_names(f.info) as b from flights as f
select get_array_length(split_to_array('a,b', ',')) as n
-- r_WITH_clause.html
with v (a, b) as (select 1, 2) select a + b as c from v
select v.c from (select 1 union all select 2) as v (c)
-- r_UNION.html
select 1 as x union (select 2 intersect select 3) order by 1
(select 1 as x) union all (select 2) order by 1 limit 1
-- r_FROM_clause30.html
select f.id from flights as f join planes as p using (tail, dest)
select f.id, p.seats from flights as f right join planes as p on f.tail = p.tail and f.delay > 3
-- r_Datetime_operators.html
select date '2008-01-05' + 30 as a, f.day - date '2008-01-01' as b, f.day + 1 as c from flights as f
-- r_Examples_with_character_types.html
select f.tail::nvarchar(10) as a, f.tail::bpchar as b, f.dest::nchar(3) as c, f.id::int2 as d, f.fare::float4 as e from flights as f
select convert(varchar(10), f.day) as x, convert(decimal(10, 2), f.delay) as y from flights as f
-- r_WF_SUM.html
select sum(f.fare) over (partition by f.dest order by f.dep rows between current row and unbounded following) as x from flights as f
select lag(f.fare, 1) respect nulls over (order by f.dep) as x from flights as f
select count(*) over () as n, count(f.tail) over (partition by f.dest) as m from flights as f
-- r_GROUP_BY_clause.html
select date_trunc('week', f.day) as w, count(1) as n from flights as f group by 1, f.dest having max(f.fare) > 10 order by count(1) desc
-- r_SELECT_list.html
select 5 as "Total Price", f.fare * 2 "twice" from flights f
select 1 where 1 = 1
-- r_CURRENT_USER.html
select current_user as a, session_user as b
-- r_CASE_function.html
select case when f.delay between 0 and 5 then 'soon' when f.delay is null then null else 'late' end as x from flights as f
-- r_ALTER_TABLE.html
alter table t add column c varchar(10) default 'x' encode lzo
-- r_ALTER_USER.html
alter user u set search_path to a, b
alter user u valid until '2030-01-01'
-- r_CREATE_USER.html
create user u with password 'Abc12345' createdb in group g connection limit 5
-- r_CREATE_TABLE_NEW.html
create table t (id bigint generated by default as identity(0, 1), d date default current_date, s timestamp default sysdate)
-- materialized-view-create-sql-command.html
create materialized view m backup no diststyle key distkey (a) sortkey (a) auto refresh yes as select a, count(*) as n from t group by a
-- materialized-view-refresh-sql-command.html
refresh materialized view m cascade
-- r_ALTER_DEFAULT_PRIVILEGES.html
alter default privileges in schema s grant select on tables to group g
-- r_GRANT.html
grant select (a, b), update (a) on t to u
grant execute on function f(int) to u with grant option
-- r_REVOKE.html
revoke grant option for select on t from u
-- r_FETCH.html
-- r_COPY.html
copy t from 's3://b/k' iam_role default dateformat 'auto' timeformat 'epochsecs' blanksasnull emptyasnull acceptinvchars compupdate off statupdate on
-- r_UNLOAD.html
unload ('select * from t') to 's3://b/p' iam_role default maxfilesize 100 mb parallel off gzip extension 'csv.gz'
-- r_SHOW_VIEW.html
show view s.v
-- r_CREATE_EXTERNAL_TABLE.html
create external table lake.t partitioned by (day) stored as parquet location 's3://b/t/' as select id, day from flights
-- r_DROP_PROCEDURE.html
drop procedure p(int)
-- r_ANALYZE_COMPRESSION.html
analyze compression t (a) comprows 1000000
-- materialized-view-create-sql-command.html
create materialized view m as select a, row_number() over (partition by b order by c) as n from t
create materialized view m auto refresh no as (select a from (select a from t order by a limit 5) as x)
-- materialized-view-refresh-sql-command.html
refresh materialized view dwh.m
-- r_ALTER_MATERIALIZED_VIEW.html
alter materialized view dwh.m alter sortkey (a)
alter materialized view dwh.m row level security on
-- r_ALTER_TABLE.html
alter table t add column "index" int default 0
alter table t rename column "change" to modify
alter table dwh.t drop column a cascade
-- r_ANALYZE.html
analyze dwh.t
analyze dwh.t (a, b) predicate columns
analyze all columns
-- r_BEGIN.html
begin isolation level serializable read write
start transaction isolation level snapshot
-- r_COMMENT.html
comment on constraint c on t is 'x'
-- r_COMMIT.html
commit transaction
-- r_COPY.html
copy dwh.t (a, b) from 's3://b/m' iam_role 'arn:aws:iam::1:role/r' manifest format as json 's3://b/paths' gzip
-- r_CREATE_EXTERNAL_TABLE.html
create external table lake.t (id int, v varchar(10)) partitioned by (day date) row format serde 'x' with serdeproperties ('a' = 'b') stored as inputformat 'x' outputformat 'y' location 's3://b/t/' table properties ('numRows' = '5')
-- r_CREATE_FUNCTION.html
create function f(int, float) returns float stable as $$ select $1 + $2 $$ language sql
-- r_CREATE_PROCEDURE.html
create or replace procedure p(a in int, b out int) as $$ begin b := a; end; $$ language plpgsql security definer
-- r_CREATE_TABLE_NEW.html
create table t (a varchar(65535), b char(4096), c decimal(38, 37), d varchar(max))
create table t (a int distkey, b date sortkey)
create table t (a int, b date) diststyle key distkey (a) interleaved sortkey (a, b)
create table t (a int references u (id), foreign key (a) references u (id))
create table t (like u)
create table t (a int default 1 not null encode az64, "comment" varchar(10), rows int, cost int)
create temp table t (a, b) as select 1, 2
create table t (unsigned int, engine varchar(5))
-- r_CREATE_VIEW.html
create view v as select a from t order by a limit 5
-- r_DELETE.html
delete from flights using (select id from staged order by id limit 3) as s where s.id = flights.id
-- r_DROP_TABLE.html
drop table "My Table", dwh."Other One" cascade
-- r_DROP_VIEW.html
drop view if exists dwh.v
-- r_END.html
end transaction
-- r_EXPLAIN.html
explain with a as (select 1 as x) select x from a
explain create table t as select 1 as a
-- r_GRANT.html
grant role r to user u with admin option
grant select on t to u with grant option
-- r_INSERT_30.html
insert into flights (id, tail) (select id, tail from staged)
-- r_LOCK.html
lock dwh.t, dwh.u
-- r_MERGE.html
merge into dwh.flights using staged as s on dwh.flights.id = s.id when matched then update set fare = s.fare, late = default when not matched then insert (id) values (s.id)
-- r_SELECT_synopsis.html
select rank() over (partition by f.dest order by f.dep) as r, dense_rank() over (order by f.dep) as d from flights as f
select listagg(distinct f.tail, ',') within group (order by f.tail) as x from flights as f
select count(distinct f.tail) as x, f.dest from flights as f group by f.dest
select * from (select dest, fare from flights) pivot (sum(fare) as s, count(fare) as c for dest in ('JFK' as j, 'LGA'))
select f.id from flights as f qualify rank() over (order by f.dep) < 3
select f.id, row_number() over (order by f.dep) as r from flights as f qualify r = 1
select f.dest as limit_by, f.tail as "rank", f.id as "if" from flights as f
select f.info.percent as p, f.info.strict as s from flights as f
select position('x' in f.raw) as "position", f.tail as at from flights as f
select (f.info).a as x from flights as f
select f.id # 3 as x, (select max(n) from limits) as m from flights as f
select 1 as a, 'top 5 percent rlike x' as b, 'limit 5 by c' as c -- for system_time as of
-- r_SET.html
set query_group to 'a b'
-- r_TRUNCATE.html
truncate table "dwh"."T"
-- r_UNLOAD.html
unload ('select * from t where d = \'x\'') to 's3://b/p' iam_role default
-- r_UPDATE.html
update flights set fare = (select max(p.seats) from planes p where p.tail = flights.tail) where id in (select id from staged order by id limit 5)
update flights set fare = s.fare from (select id, fare from staged order by id limit 9) as s where s.id = flights.id
-- r_USE_command.html
use "my_db"
-- r_VACUUM_command.html
vacuum dwh.t boost
vacuum full "dwh"."My Table" to 99 percent
-- r_WITH_clause.html
with recursive n (i) as (select 1 union all select n.i + 1 from n join limits l on l.n > n.i where n.i < 5) select sum(i) from n
with recursive n (i, m) as (select 1, 0 union all select i + 1, row_number() over (order by i) from n where i < 5) select * from n
