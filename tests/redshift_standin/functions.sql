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
