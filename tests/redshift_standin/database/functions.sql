-- Functions of Redshift's that PostgreSQL has under another name or not at all, with Redshift's answers as its pages say.
create function pg_catalog.sha2(t text, bits integer) returns varchar language sql immutable strict as $$
    select encode(case bits when 224 then sha224(t::bytea) when 384 then sha384(t::bytea) when 512 then sha512(t::bytea)
        else sha256(t::bytea) end, 'hex') $$;
create function pg_catalog.charindex(part text, t text) returns integer language sql immutable strict as $$
    select position(part in t) $$;
create function pg_catalog.replicate(t text, n integer) returns varchar language sql immutable strict as $$ select repeat(t, n) $$;
create function pg_catalog.last_day(d timestamp) returns date language sql immutable strict as $$
    select (date_trunc('month', d) + interval '1 month - 1 day')::date $$;
-- the last day of a month stays the last day (r_ADD_MONTHS.html)
create function pg_catalog.add_months(d timestamp, n integer) returns timestamp language sql immutable strict as $$
    select case when d::date = last_day(d) then last_day(d + n * interval '1 month') + d::time
        else d + n * interval '1 month' end $$;
create function pg_catalog.months_between(a timestamp, b timestamp) returns double precision language sql immutable strict as $$
    select (extract(year from a) - extract(year from b)) * 12 + extract(month from a) - extract(month from b)
        + case when extract(day from a) = extract(day from b) or (a::date = last_day(a) and b::date = last_day(b)) then 0
            else (extract(day from a) - extract(day from b)) / 31.0 end $$;
create function pg_catalog.next_day(d timestamp, weekday text) returns date language sql immutable strict as $$
    select d::date + n from generate_series(1, 7) as n
    where lower(to_char(d::date + n, 'FMDay')) like lower(weekday) || '%' limit 1 $$;
create function pg_catalog.trunc(d timestamp) returns date language sql immutable strict as $$ select d::date $$;
create function pg_catalog.convert_timezone(source text, target text, t timestamp) returns timestamp language sql stable strict as $$
    select t at time zone source at time zone target $$;
create function pg_catalog.strtol(t text, base integer) returns bigint language plpgsql immutable strict as $$
declare
    n bigint := 0; digit integer; word text := regexp_replace(lower(t), '^0x', '');
begin
    for i in 1..length(word) loop
        digit := position(substr(word, i, 1) in '0123456789abcdefghijklmnopqrstuvwxyz') - 1;
        if digit < 0 or digit >= base then
            raise exception using errcode = '22P02', message = 'The input ' || t || ' is not valid to be converted to base ' || base;
        end if;
        n := n * base + digit;
    end loop;
    return n;
end $$;
create function rs_catalog.json_or_null(t text) returns json language plpgsql immutable strict as $$
begin
    return t::json;
exception when others then
    return null;
end $$;
create function pg_catalog.is_valid_json(t text) returns boolean language sql immutable strict as $$
    select coalesce(json_typeof(rs_catalog.json_or_null(t)) = 'object', false) $$;
create function pg_catalog.is_valid_json_array(t text) returns boolean language sql immutable strict as $$
    select coalesce(json_typeof(rs_catalog.json_or_null(t)) = 'array', false) $$;
create function pg_catalog.can_json_parse(t text) returns boolean language sql immutable strict as $$
    select rs_catalog.json_or_null(t) is not null $$;
create function pg_catalog.json_array_length(t text) returns integer language sql immutable strict as $$
    select json_array_length(t::json) $$;
create function pg_catalog.json_extract_path_text(t text, variadic path text[]) returns varchar language sql immutable as $$
    select nullif(json_extract_path_text(t::json, variadic path), '') $$;
create function pg_catalog.json_extract_array_element_text(t text, n integer) returns varchar language sql immutable as $$
    select t::json ->> n $$;
create function rs_catalog.first(state anyelement, value anyelement) returns anyelement language sql immutable strict as $$
    select state $$;
create aggregate pg_catalog.any_value(anyelement) (sfunc = rs_catalog.first, stype = anyelement);
create function pg_catalog.hex(n bigint) returns varchar language sql immutable strict as $$ select to_hex(n) $$;
create function pg_catalog.octetindex(part text, t text) returns integer language sql immutable strict as $$
    select position(part::bytea in t::bytea) $$;
create function pg_catalog.json_extract_path_text(t text, a text, null_if_invalid boolean) returns varchar language sql immutable as $$
    select json_extract_path_text(case when null_if_invalid then rs_catalog.json_or_null(t)::text else t end, a) $$;
create function pg_catalog.json_extract_path_text(t text, a text, b text, null_if_invalid boolean) returns varchar language sql immutable as $$
    select json_extract_path_text(case when null_if_invalid then rs_catalog.json_or_null(t)::text else t end, a, b) $$;
create function pg_catalog.json_extract_path_text(t text, a text, b text, c text, null_if_invalid boolean) returns varchar
    language sql immutable as $$
    select json_extract_path_text(case when null_if_invalid then rs_catalog.json_or_null(t)::text else t end, a, b, c) $$;
create function pg_catalog.json_extract_array_element_text(t text, n integer, null_if_invalid boolean) returns varchar
    language sql immutable as $$
    select json_extract_array_element_text(case when null_if_invalid then rs_catalog.json_or_null(t)::text else t end, n) $$;
create function pg_catalog.json_array_length(t text, null_if_invalid boolean) returns integer language sql immutable as $$
    select json_array_length(case when null_if_invalid then rs_catalog.json_or_null(t)::text else t end) $$;
create function rs_catalog.sysdate() returns timestamp language sql stable as $$ select now() at time zone 'utc' $$;
create function pg_catalog.date_part_year(d date) returns integer language sql immutable strict as $$
    select extract(year from d)::int $$;
create function pg_catalog.regexp_replace(t text, pattern text, new text, start integer, flags text) returns varchar
    language sql immutable strict as $$
    select regexp_replace(t, pattern, new, start, 0, translate(flags, 'pce', '')) $$;
create function pg_catalog.text_to_int_alt(t text) returns integer language sql immutable strict as $$ select t::numeric::int $$;
create function pg_catalog.text_to_numeric_alt(t text) returns numeric language sql immutable strict as $$
    select t::numeric(38, 0) $$;
-- days past the end of a month run on into the next one, unless they are refused (r_TO_DATE_function.html)
create function rs_catalog.run_on(t text, form text) returns date language plpgsql immutable strict as $$
begin
    return to_date(t, form);
exception when datetime_field_overflow then
    if upper(form) <> 'YYYYMMDD' and upper(form) <> 'YYYY-MM-DD' then raise; end if;
    return make_date(left(t, 4)::int, 1, 1) + (substr(regexp_replace(t, '-', '', 'g'), 5, 2)::int - 1) * interval '1 month'
        + (right(t, 2)::int - 1) * interval '1 day';
end $$;
create function rs_catalog.to_date(t text, form text, is_strict boolean default false) returns date
    language sql immutable strict as $$
    select case when is_strict then pg_catalog.to_date(t, form) else rs_catalog.run_on(t, form) end $$;
create function pg_catalog.current_user_id() returns integer language sql stable as $$
    select usesysid::integer from pg_user where usename = current_user $$;
create function pg_catalog.user_is_member_of(member text, role text) returns boolean language sql stable as $$
    select pg_has_role(member, role, 'member') $$;
create function pg_catalog.role_is_member_of(member text, role text) returns boolean language sql stable as $$
    select pg_has_role(member, role, 'member') $$;
create function rs_catalog.setting(name text) returns varchar language sql stable as $$
    select coalesce(nullif(current_setting('rs.' || name, true), ''), case name when 'query_group' then 'default'
        when 'wlm_query_slot_count' then '1' else 'on' end) $$;
-- DATE_TRUNC of a date has no time zone (r_DATE_TRUNC.html); DATEADD and DATEDIFF take one
create function pg_catalog.date_trunc(part text, d date) returns timestamp language sql immutable strict as $$
    select date_trunc(part, d::timestamp) $$;
create function pg_catalog.dateadd(part text, n bigint, t timestamptz) returns timestamptz language sql stable strict as $$
    select case when part = 'quarter' then t + n * interval '3 month' else t + n * ('1 ' || part)::interval end $$;
create function pg_catalog.datediff(part text, a timestamptz, b timestamptz) returns bigint language sql stable strict as $$
    select datediff(part, a at time zone 'utc', b at time zone 'utc') $$;
create function pg_catalog.dateadd(part text, n bigint, d date) returns timestamp language sql immutable strict as $$
    select dateadd(part, n, d::timestamp) $$;
-- The third argument asks for strictness; without it what is too much of a part goes over to the next (r_TO_TIMESTAMP.html).
create function pg_catalog.to_timestamp(t text, form text, is_strict boolean) returns timestamptz language plpgsql stable strict as $$
declare parts text[] := regexp_match(t, '^(\d{4}-\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d))?$');
begin
    return to_timestamp(t, form);
exception when datetime_field_overflow then
    if is_strict or parts is null or form not in ('YYYY-MM-DD', 'YYYY-MM-DD HH24:MI:SS') then raise; end if;
    return (parts[1] || '-01')::timestamp + make_interval(days => parts[2]::int - 1, hours => coalesce(parts[3], '0')::int,
        mins => coalesce(parts[4], '0')::int, secs => coalesce(parts[5], '0')::int);
end $$;
