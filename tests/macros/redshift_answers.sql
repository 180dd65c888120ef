-- What SELECTs answer on Redshift, by page of https://docs.aws.amazon.com/redshift/latest/dg/. One a line, our own, the answer after -->.
-- CAN_JSON_PARSE.html
select can_json_parse('[1') --> False
-- CONVERT_TIMEZONE.html
select convert_timezone('EST', '2008-03-05 09:25:29')::varchar --> 2008-03-05 04:25:29
select convert_timezone('America/New_York', 'UTC', '2013-02-01 08:00:00'::timestamp)::varchar --> 2013-02-01 13:00:00
-- DIFFERENCE.html
select difference('Amazon', 'Ammzon') --> 4
-- IS_VALID_JSON.html
select is_valid_json('{"a":1}') --> True
-- IS_VALID_JSON_ARRAY.html
select is_valid_json_array('[1]') --> True
-- JSON_ARRAY_LENGTH.html
select json_array_length('[11,12,13,{"f1":21}]') --> 4
select json_array_length('[11,12', true) --> None
-- JSON_EXTRACT_ARRAY_ELEMENT_TEXT.html
select json_extract_array_element_text('[111,112,113]', 2) --> 113
-- JSON_EXTRACT_PATH_TEXT.html
select json_extract_path_text('{"f4":{"f5":99,"f6":"star"}}', 'f4', 'f6') --> star
select json_extract_path_text('{"a":', 'a', true) --> None
-- JSON_PARSE.html
select json_parse('{"b": 1, "a": [1, 2.50]}') --> {"b":1,"a":[1,2.50]}
-- MURMUR3_32_HASH.html
select murmur3_32_hash(1) --> 1392991556
select murmur3_32_hash('Amazon Redshift') --> -1563580564
select murmur3_32_hash('cd', murmur3_32_hash('ab')) --> 1711522338
-- OCTETINDEX.html
select octetindex('q', 'ÁÉq') --> 5
-- PG_BACKEND_PID.html
select pg_backend_pid() > 0 --> True
-- REGEXP_COUNT.html
select regexp_count('abcdefghijklmnopqrstuvwxyz', '[a-z]{3}') --> 8
-- REGEXP_INSTR.html
select regexp_instr('The home has a roof', '[a-z]{4}') --> 5
-- REGEXP_REPLACE.html
select regexp_replace('the fox', 'FOX', 'quick brown fox', 1, 'i') --> the quick brown fox
-- REGEXP_SUBSTR.html
select regexp_substr('the fox jumps', 'f[a-z]+') --> fox
select regexp_substr('ab cd', '[a-z]+', 1, 2) --> cd
-- SHA1.html
select sha1('a') --> 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8
-- SHA2.html
select sha2('a', 0) --> ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
-- SOUNDEX.html
select soundex('Amazon') --> A525
-- SPLIT_PART.html
select split_part('a$b$c', '$', 2) --> b
-- array_contains.html
select array_contains(array('red', 'green'), 'red') --> True
-- array_distinct.html
select array_distinct(array(1, 1, 'a', 'a', null, null)) --> [1,"a",null]
select array_distinct(array(1,2,1)) --> [1,2]
-- array_flatten.html
select array_flatten(array(array(1,2), array(3), 4)) --> [1,2,3,4]
-- array_except.html
select array_except(array('a','b','c'), array('b','c','d')) --> ["a"]
select array_except(array(1,1,2), array(1)) --> [1,2]
select array_except(array(1,1,2), array(1), true) --> [2]
-- array_intersection.html
select array_intersection(array(1,1,2), array(1,1,3)) --> [1,1]
-- array_position.html
select array_position(array('red', 'green'), 'green') --> 1
select array_position(array('red'), 'blue') --> -1
select array_positions(array(1,2,1), 1) --> [0,2]
-- r_CRC32.html
select crc32('Amazon Redshift') --> 32def43d
-- get_array_length.html
select get_array_length(array(1,2,3)) --> 3
-- limitations-super.html
select 5::super::bool --> True
select 5.0::super::bool --> None
-- pattern-matching-conditions-posix.html
select 'abc' ~ '^a' --> True
-- pattern-matching-conditions-similar-to.html
select 'abc' similar to '%(b|d)%' --> True
-- query-super.html
select json_serialize(json_parse('{"b": 1}')) --> {"b":1}
select json_typeof(json_parse('"x"')) --> string
select is_object(json_parse('{"a":1}')) --> True
select is_varchar(json_parse('"a"')) --> True
select is_integer(json_parse('5')) --> True
select is_bigint(json_parse('5')) --> True
select is_decimal(json_parse('1.5')) --> True
select decimal_precision(json_parse('123.45')) --> 5
select decimal_scale(json_parse('123.45')) --> 2
select json_size(json_parse('[1]')) > 0 --> True
select (json_parse('{"a": {"b": 3}}')).a.b --> 3
select t.j.a.b from (select json_parse('{"a": {"b": 3}}') as j) as t --> 3
select j.a.b from (select json_parse('{"a": {"b": 3}}') as j) as t --> 3
select t.j.a[1].c from (select json_parse('{"a": [1, {"c": "x"}]}') as j) as t --> "x"
select t.j.a[1].c::varchar from (select json_parse('{"a": [1, {"c": "x"}]}') as j) as t --> x
select t.j['a']['b'] from (select json_parse('{"a": {"b": 3}}') as j) as t --> 3
select t.j.nothing.b from (select json_parse('{"a": {"b": 3}}') as j) as t --> None
select t.j.a is null from (select json_parse('{"a": null}') as j) as t --> True
select t.j.a + 1 from (select json_parse('{"a": 3}') as j) as t --> 4
select t.j.a::int + 1 from (select json_parse('{"a": 3}') as j) as t --> 4
select count(*) from (select json_parse('{"a": "x"}') as j) as t where t.j.a = 'x' --> 1
select count(*) from (select json_parse('{"a": 5}') as j) as t where t.j.a > 3 --> 1
select count(*) from (select json_parse('{"a": "5"}') as j) as t where t.j.a > 3 --> 0
select count(*) from (select json_parse('{"a": "xyz"}') as j) as t where t.j.a like 'xy%' --> 1
select sum(e::int) from (select json_parse('[1,2,3]') as j) as t, t.j as e --> 6
select listagg(i) within group (order by i) from (select json_parse('[7,8]') as j) as t, t.j as e at i --> 01
select sum(e.x::int) from (select json_parse('{"l":[{"x":1},{"x":2}]}') as j) as t, t.j.l as e --> 3
select sum(e.y::int) from (select json_parse('[{"l":[{"y":1},{"y":2}]}]') as j) as t, t.j[0].l as e --> 3
select sum(element::decimal(5,1)) from (select json_parse('[[1.1, 1.2], [2.1]]') as m) as f, f.m as array, array as element --> 4.4
select t.j.d::date::varchar from (select json_parse('{"d": "2001-09-08"}') as j) as t --> 2001-09-08
select distinct j from (select json_parse('[1]') as j union all select json_parse('[1]')) as t --> [1]
-- r_ADD_MONTHS.html
select add_months('2008-03-31', 1)::varchar --> 2008-04-30 00:00:00
-- r_ANY_VALUE.html
select any_value(n) from (select 1 as n) as t --> 1
-- r_ASCII.html
select ascii('a') --> 97
-- r_AVG.html
select avg(n) from (select 1 as n union all select 2) as t --> 1
-- r_BIT_AND.html
select bit_and(n) from (select 7 as n union all select 3) as t --> 3
-- r_BOOL_AND.html
select bool_and(n) from (select true as n union all select false) as t --> False
-- r_BPCHARCMP.html
select bpcharcmp('b', 'a') --> 1
-- r_BTRIM.html
select btrim('xyzaxyzbxyzcxyz', 'xyz') --> axyzbxyzc
-- r_Boolean_type.html
select 1::boolean --> True
select 'yes'::boolean --> True
select true::int --> 1
-- r_CAST_function.html
select convert(integer, '5') --> 5
select '5'::int --> 5
select cast(123.456 as decimal(5,2)) --> 123.46
-- r_CBRT.html
select cbrt(8) --> 2
-- r_CHARINDEX.html
select charindex('fish', 'dogfish') --> 4
-- r_CHR.html
select chr(97) --> a
-- r_COLLATE.html
select collate('Dog', 'case_insensitive') = 'dog' --> True
-- r_CONCAT.html
select concat('a', 'b') --> ab
-- r_CONNECT_BY_clause.html
select sum(level) from (select 1 as id, null::int as boss union all select 2, 1 union all select 3, 2) as t start with boss is null connect by prior id = boss --> 6
-- r_COT.html
select cot(1) > 0.6 --> True
-- r_COUNT.html
select approximate count(distinct n) from (select 1 as n union all select 2 union all select 2) as t --> 2
-- r_CURRENT_DATABASE.html
select current_database() is not null --> True
-- r_CURRENT_USER.html
select current_user = user --> True
-- r_CURRENT_USER_ID.html
select case when current_user_id > 0 then 1 else 1 end --> 1
-- r_Character_types.html
select 'a' = 'a  '::varchar --> True
-- r_DATEADD_function.html
select dateadd(month, 18, '2008-02-28')::varchar --> 2009-08-28 00:00:00
select dateadd(month, 1, '2014-11-30'::date)::varchar --> 2014-12-30 00:00:00
select dateadd(w, 1, '2014-11-30'::date)::date::varchar --> 2014-12-07
-- r_DATEDIFF_function.html
select datediff(qtr, '1998-07-01', '2008-12-31') --> 41
select datediff(week, '2009-01-01', '2009-12-31') --> 52
select datediff(hour, '2022-01-01 00:59', '2022-01-01 01:00') --> 1
select datediff(seconds, '2022-01-01 00:00:00', '2022-01-01 00:01:00') --> 60
select date_diff('day', '2020-01-01'::date, '2020-01-03'::date) --> 2
-- r_DATE_CMP.html
select date_cmp('2008-01-02', '2008-01-04') --> -1
-- r_DATE_CMP_TIMESTAMP.html
select date_cmp_timestamp('2008-06-18', '2008-06-18') --> 0
-- r_DATE_PART_YEAR.html
select date_part_year('2022-06-01'::date) --> 2022
-- r_DATE_PART_function.html
select date_part(quarter, '2013-05-01'::date) --> 2
select date_part('millisecond', '2008-06-17 09:44:54.123'::timestamp) --> 123
-- r_DATE_TRUNC.html
select date_trunc('week', '2020-04-30'::date)::date::varchar --> 2020-04-27
-- r_DECODE_expression.html
select decode(null, null, 'none', 'some') --> none
-- r_DEXP.html
select dexp(0) --> 1
-- r_DLOG1.html
select dlog1(1) --> 0
-- r_EXCLUDE_list.html
select count(*) from (select * exclude (a) from (select 1 as a, 2 as b) as t) as u where u.b = 2 --> 1
-- r_EXTRACT_function.html
select extract(dayofweek from '2013-01-01'::date) --> 2
select extract(dow from '2013-01-01'::date) --> 2
select extract(day from interval '3 days') --> 3
-- r_FNV_HASH.html
select fnv_hash(1) --> -5968735742475085980
select fnv_hash(1::smallint) --> 589727492704079044
select fnv_hash(1::bigint) --> -8517097267634966620
select fnv_hash('Amazon Redshift') --> 7783490368944507294
select fnv_hash('Amazon Redshift', fnv_hash(1)) --> -2202602717770968555
select fnv_hash('cd', fnv_hash('ab')) --> -281581062704388899
-- r_FROM_VARBYTE.html
select from_varbyte(to_varbyte('616263', 'hex'), 'utf8') --> abc
-- r_FROM_clause-pivot-unpivot-examples.html
select listagg(k::varchar, ',') within group (order by k) from (select json_parse('{"a":1,"b":2}') as j) as t, unpivot t.j as v at k --> a,b
select jfk from (select 'JFK' as dest, 10 as fare union all select 'JFK', 20 union all select 'LGA', 5) pivot (sum(fare) for dest in ('JFK', 'LGA')) --> 30
select j_total from (select 'JFK' as dest, 10 as fare) pivot (sum(fare) as total for dest in ('JFK' as j)) --> 10
select count(*) from (select 1 as red, 2 as green, null::int as blue) unpivot (cnt for color in (red, green, blue)) --> 2
select count(*) from (select 1 as red, null::int as blue) unpivot include nulls (cnt for color in (red, blue)) --> 2
select color from (select 1 as red) as t unpivot (cnt for color in (red as 'r')) --> r
-- r_GREATEST_LEAST.html
select greatest(1, null, 3) --> 3
select least(2, 1) --> 1
-- r_GROUP_BY_clause.html
select dest, count(*) from (select 'a' as dest) as t group by all --> a
select grouping(d), sum(n) from (select 1 as d, 2 as n) as t group by rollup (d) order by 1 desc limit 1 --> 1
-- r_HLL_CARDINALITY.html
select hll_cardinality(hll_create_sketch(n)) from (select 1 as n union all select 2 union all select 2) as t --> 2
-- r_HLL_function.html
select hll(n) from (select 1 as n union all select 2 union all select 2) as t --> 2
-- r_INITCAP.html
select initcap('nibh.enim@egestas.ca') --> Nibh.Enim@Egestas.Ca
-- r_INTERVAL_CMP.html
select interval_cmp('1 year', '3 days') --> 1
-- r_LAST_DAY.html
select last_day('2024-02-03'::date)::varchar --> 2024-02-29
-- r_LEFT.html
select left('Chicago', 3) --> Chi
select right('Chicago', 3) --> ago
-- r_LEN.html
select char_length('abc') --> 3
select textlen('ab') --> 2
select len('ab') --> 2
-- r_LISTAGG.html
select listagg(distinct n, ',') within group (order by n) from (select 2 as n union all select 1 union all select 2) as t --> 1,2
-- r_LOG.html
select dlog10(100) --> 2
select log(100) --> 2
-- r_LPAD.html
select lpad('a', 3, '-') --> --a
select rpad('abc', 2) --> ab
-- r_MEDIAN.html
select median(n) from (select 1 as n union all select 2 union all select 5) as t --> 2
-- r_MOD.html
select mod(10, 4) --> 2
-- r_MONTHS_BETWEEN_function.html
select months_between('1969-01-18', '1969-03-18') --> -2
-- r_NEXT_DAY.html
select next_day('2014-08-20', 'Tuesday')::varchar --> 2014-08-26
-- r_NULLIF_function.html
select nullif(1, 1) --> None
-- r_NVL2.html
select nvl2(null, 1, 2) --> 2
-- r_NVL_function.html
select nvl(null, 'a') --> a
-- r_OCTET_LENGTH.html
select octet_length('é') --> 2
-- r_OPERATOR_SYMBOLS.html
select 3/2 --> 1
select -7 / 2 --> -3
select |/ 25 --> 5
select 2.0 / 3 > 0.66 --> True
select 10::decimal(10,2) / 4 --> 2.5
-- r_PERCENTILE_CONT.html
select percentile_cont(0.5) within group (order by n) from (select 1 as n union all select 2) as t --> 1.5
-- r_POSITION.html
select position('fish' in 'dogfish') --> 4
-- r_POWER.html
select pow(2, 3) --> 8
-- r_QUALIFY_clause.html
select n from (select 1 as n union all select 2) as t qualify row_number() over (order by n desc) = 1 --> 2
-- r_QUOTE_IDENT.html
select quote_ident('a b') --> "a b"
-- r_REPEAT.html
select repeat('a', 3) --> aaa
select replicate('a', 3) --> aaa
-- r_REPLACE.html
select replace('a-b', '-', '+') --> a+b
-- r_REVERSE.html
select reverse('abc') --> cba
-- r_ROUND.html
select round(28.05, 1) --> 28.1
-- r_SELECT_list.html
select a + 1 as b from (select 1 as a) as t --> 2
select b from (select 1 as a, a + 1 as b) as t --> 2
select c from (select 2 as x, x * 2 as y, y + 1 as c) as t --> 5
select top 1 n from (select 2 as n union all select 1) as t order by n --> 1
-- r_SIGN.html
select sign(-5.5) --> -1
-- r_STRPOS.html
select strpos('dogfish', 'fish') --> 4
-- r_STRTOL.html
select strtol('abcd1234', 16) --> 2882343476
-- r_SYSDATE.html
select sysdate > '2020-01-01' --> True
-- r_TEXT_TO_INT_ALT.html
select text_to_numeric_alt('10.2') --> 10
select text_to_int_alt('123') --> 123
-- r_TIMEOFDAY.html
select timeofday() is not null --> True
-- r_TIMESTAMP_CMP.html
select timestamp_cmp('2008-01-24 06:43:29', '2008-01-24 06:43:29') --> 0
-- r_TIMESTAMP_CMP_DATE.html
select timestamp_cmp_date('2008-01-24 06:43:29', '2008-06-18') --> -1
-- r_TIMEZONE.html
select '2008-01-01'::timestamp at time zone 'MST' is not null --> True
select timezone('UTC', '2008-01-01'::timestamp) is not null --> True
-- r_TO_CHAR.html
select to_char('2009-12-31'::date, 'Mon-DD-YYYY') --> Dec-31-2009
-- r_TO_DATE_function.html
select to_date('20010631', 'YYYYMMDD', false)::varchar --> 2001-07-01
select to_date('02 Oct 2001', 'DD Mon YYYY')::varchar --> 2001-10-02
-- r_TO_HEX.html
select to_hex('abc'::varbyte) --> 616263
select to_hex(2147676847) --> 8002f2af
-- r_TO_NUMBER.html
select to_number('12,454.8-', '99G999D9S') --> -12454.8
-- r_TO_TIMESTAMP.html
select to_timestamp('2011-12-18 23:38:15', 'YYYY-MM-DD HH24:MI:SS')::varchar --> 2011-12-18 23:38:15+00
-- r_TO_VARBYTE.html
select to_varbyte('abc', 'utf8') --> abc
-- r_TRANSLATE.html
select translate('mint tea', 'inea', 'osin') --> most tin
-- r_TRIM.html
select trim(both '"' from '"dog"') --> dog
-- r_TRUNC.html
select trunc(123.456, 1) --> 123.4
-- r_TRUNC_date.html
select trunc('2011-07-21 10:32:38.248109'::timestamp)::varchar --> 2011-07-21
-- r_VARBYTE_type.html
select 'abc'::varbyte --> abc
select length('abc'::varbyte) --> 3
-- r_WF_LISTAGG.html
select listagg(n, ',') within group (order by n desc) over () from (select 1 as n union all select 2) as t limit 1 --> 2,1
-- r_WF_MEDIAN.html
select median(n) over () from (select 1 as n union all select 2 union all select 4) as t limit 1 --> 2
-- r_WF_PERCENTILE_CONT.html
select percentile_cont(0.5) within group (order by n) over () from (select 1 as n union all select 2) as t limit 1 --> 1.5
-- r_WF_PERCENTILE_DISC.html
select percentile_disc(0.5) within group (order by n) over () from (select 1 as n union all select 2 union all select 9) as t limit 1 --> 2
-- r_WF_RATIO_TO_REPORT.html
select ratio_to_report(n) over () from (select 1 as n union all select 3) as t order by 1 limit 1 --> 0.25
-- r_WF_first_value.html
select lag(n) ignore nulls over (order by k) from (select 1 as k, 5 as n union all select 2, null union all select 3, 7) as t order by k desc limit 1 --> 5
select lead(n, 1) ignore nulls over (order by k) from (select 1 as k, 5 as n union all select 2, null union all select 3, 7) as t order by k limit 1 --> 7
select last_value(n ignore nulls) over (order by k rows between unbounded preceding and unbounded following) from (select 1 as k, 5 as n union all select 2, null) as t limit 1 --> 5
select first_value(n) ignore nulls over (order by k desc rows between unbounded preceding and unbounded following) from (select 1 as k, 5 as n union all select 2, null) as t limit 1 --> 5
select nth_value(n ignore nulls, 2) over (order by k rows between unbounded preceding and unbounded following) from (select 1 as k, 5 as n union all select 2, null union all select 3, 7) as t limit 1 --> 7
-- r_WHERE_oracle_outer.html
select count(*) from (select 1 as a union all select 2) as x, (select 1 as a) as y where x.a = y.a(+) --> 2
-- r_array.html
select array(1, 'a', null) --> [1,"a",null]
select array() --> []
-- r_array_concat.html
select array_concat(array(1,2), array(3)) --> [1,2,3]
-- r_interval_data_types.html
select interval '3' day + date '2020-01-01' --> 2020-01-04 00:00:00
-- r_is_array.html
select is_array(array(1)), 1 --> True
-- r_json_typeof.html
select json_typeof(array(1,2)) --> array
-- r_object_function.html
select object('a', 1, 'b', 'x') --> {"a":1,"b":"x"}
select object() --> {}
-- r_subarray.html
select subarray(array('a','b','c','d'), 2, 1) --> ["c"]
select subarray(array('a','b','c','d'), 2) --> ["c","d"]
-- r_upper_attribute_names.html
select upper_attribute_names(object('a', object('b', 1))) --> {"A":{"B":1}}
-- split_to_array.html
select split_to_array('12|345|6', '|') --> ["12","345","6"]
select split_to_array('a,b') --> ["a","b"]
-- r_numeric_computations201.html
select 10.00::decimal(8,2) / 3.00::decimal(8,2) --> 3.333333333
select 2.0 / 3 --> 0.666666666666
select 1::decimal(19,2) / (1::decimal(19,0) / 3::decimal(19,0)) --> 3
select 7::decimal(38,20) / 3 --> 2.33333333333333333333
select 2 / 3.000 --> 0.6666
select (1.5 + 1) / 7 --> 0.357142857142
select sum(x) / count(*) from (select 1.25 as x union all select 2.25) as v --> 1.75
select x / y from (select 10::decimal(5,1) as x, 3::smallint as y) as v --> 3.3333333
with v as (select 10::decimal(5,1) * 2 as x) select x / 3::smallint from v --> 6.6666666
select case when true then 1.5 else 2 end / 7::smallint --> 0.2142857
select -7::decimal(3,0) / 3::decimal(3,0) --> -2.3333
select 1.0::double precision / 4 --> 0.25
-- r_AVG.html
select avg(x) from (select 1.25::decimal(5,2) as x union all select 1.20::decimal(5,2)) as v --> 1.22
select avg(x) over () from (select 1.25::decimal(5,2) as x union all select 1.20::decimal(5,2)) as v limit 1 --> 1.22
