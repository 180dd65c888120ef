-- Hashes, phonetics and bytes, checked against the examples of AWS's pages (r_FNV_HASH.html, MURMUR3_32_HASH.html, SHA.html, SOUNDEX.html).
create extension if not exists pgcrypto schema rs_catalog;
create extension if not exists fuzzystrmatch schema rs_catalog;
create function pg_catalog.sha1(t text) returns varchar language sql immutable strict as $$
    select encode(rs_catalog.digest(t, 'sha1'), 'hex') $$;
create function pg_catalog.sha(t text) returns varchar language sql immutable strict as $$ select sha1(t) $$;
create function pg_catalog.func_sha1(t text) returns varchar language sql immutable strict as $$ select sha1(t) $$;
create function pg_catalog.soundex(t text) returns varchar language sql immutable strict as $$ select rs_catalog.soundex(t) $$;
create function pg_catalog.difference(a text, b text) returns integer language sql immutable strict as $$
    select rs_catalog.difference(a, b) $$;
create function rs_catalog.reversed(b bytea) returns bytea language sql immutable strict as $$
    select coalesce(string_agg(substr(b, n, 1), ''::bytea order by n desc), ''::bytea) from generate_series(1, length(b)) as n $$;

-- FNV-1a of 64 bits over the bytes of the value, the seed as its start
create function rs_catalog.fnv(b bytea, seed bigint) returns bigint language plpgsql immutable strict as $$
declare
    whole numeric := 18446744073709551616; hash numeric := case when seed < 0 then seed + 18446744073709551616::numeric else seed end;
    low integer;
begin
    for i in 0..length(b) - 1 loop
        low := (hash % 256)::int;
        hash := ((hash - low + (low # get_byte(b, i))) * 1099511628211) % whole;
    end loop;
    return case when hash >= whole / 2 then hash - whole else hash end;
end $$;
create function rs_catalog.first_seed() returns bigint language sql immutable as $$ select -3750763034362895579::bigint $$;
do $$
declare kind record;
begin
    for kind in select * from (values ('smallint', 'rs_catalog.reversed(int2send(v))'), ('integer', 'rs_catalog.reversed(int4send(v))'),
        ('bigint', 'rs_catalog.reversed(int8send(v))'), ('text', 'convert_to(v, ''UTF8'')')) as k (name, bytes)
    loop
        execute format('create function pg_catalog.fnv_hash(v %s, seed bigint default rs_catalog.first_seed()) returns bigint
            language sql immutable strict as $f$ select rs_catalog.fnv(%s, seed) $f$', kind.name, kind.bytes);
    end loop;
end $$;

-- Murmur3A of 32 bits; whole numbers as 8 bytes, as Iceberg has them
create function rs_catalog.murmur3(b bytea, seed integer) returns integer language plpgsql immutable strict as $$
declare
    word bigint := 4294967296; h bigint := (seed::bigint + 4294967296) % 4294967296; k numeric; size integer := length(b);
    at integer := 0; part integer;
begin
    while at < size loop
        part := least(4, size - at);
        k := 0;
        for i in reverse part - 1..0 loop k := k * 256 + get_byte(b, at + i); end loop;
        k := (k * 3432918353) % word;
        k := (k * 32768) % word + trunc(k / 131072);
        k := (k * 461845907) % word;
        h := h # k::bigint;
        if part = 4 then
            h := ((h << 13) % word) | (h >> 19);
            h := (h * 5 + 3864292196) % word;
        end if;
        at := at + 4;
    end loop;
    h := h # size;
    h := h # (h >> 16);
    h := ((h::numeric * 2246822507) % word)::bigint;
    h := h # (h >> 13);
    h := ((h::numeric * 3266489909) % word)::bigint;
    h := h # (h >> 16);
    return (case when h >= 2147483648 then h - word else h end)::integer;
end $$;
create function pg_catalog.murmur3_32_hash(v bigint, seed integer default 0) returns integer language sql immutable strict as $$
    select rs_catalog.murmur3(rs_catalog.reversed(int8send(v)), seed) $$;
create function pg_catalog.murmur3_32_hash(v text, seed integer default 0) returns integer language sql immutable strict as $$
    select rs_catalog.murmur3(convert_to(v, 'UTF8'), seed) $$;

create function pg_catalog.crc32(t text) returns varchar language plpgsql immutable strict as $$
declare c bigint := 4294967295; b bytea := convert_to(t, 'UTF8');
begin
    for i in 0..length(b) - 1 loop
        c := c # get_byte(b, i);
        for bit in 1..8 loop c := case when c & 1 = 1 then (c >> 1) # 3988292384 else c >> 1 end; end loop;
    end loop;
    return lpad(to_hex(c # 4294967295), 8, '0');
end $$;
create function pg_catalog.bpcharcmp(a text, b text) returns integer language sql immutable strict as $$
    select sign(bttextcmp(rtrim(a, ' ') collate "C", rtrim(b, ' ')))::integer $$;
create collation pg_catalog.rs_case_insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create function rs_catalog.case_insensitive(t text) returns text language sql immutable strict as $$
    select t collate pg_catalog.rs_case_insensitive $$;

-- VARBYTE: hexadecimal digits, as a client reads them (r_VARBYTE_type.html)
create type pg_catalog.varbyte;
create function rs_catalog.varbyte_in(cstring) returns varbyte language internal immutable strict as 'textin';
create function rs_catalog.varbyte_out(varbyte) returns cstring language internal immutable strict as 'textout';
create type pg_catalog.varbyte (input = rs_catalog.varbyte_in, output = rs_catalog.varbyte_out, like = text);
create cast (varbyte as text) without function;
create cast (text as varbyte) without function;
create function rs_catalog.to_varbyte(b bytea) returns varbyte language sql immutable strict as $$
    select encode(b, 'hex')::varbyte $$;
create function rs_catalog.bytes(v varbyte) returns bytea language sql immutable strict as $$ select decode(v::text, 'hex') $$;
create function rs_catalog.varbyte_of(t text) returns varbyte language sql immutable strict as $$
    select rs_catalog.to_varbyte(convert_to(t, 'UTF8')) $$;
create function rs_catalog.varbyte_of(v varbyte) returns varbyte language sql immutable strict as $$ select v $$;
create function rs_catalog.format_of(name text) returns text language plpgsql immutable strict as $$
begin
    if lower(name) not in ('hex', 'base64', 'utf8', 'utf-8', 'binary') then
        raise exception using errcode = '22023', message = 'format ' || name || ' is not supported';
    end if;
    return lower(name);
end $$;
create function pg_catalog.to_varbyte(t text, name text) returns varbyte language sql immutable strict as $$
    select rs_catalog.to_varbyte(case rs_catalog.format_of(name) when 'hex' then decode(t, 'hex') when 'base64' then decode(t, 'base64')
        else convert_to(t, 'UTF8') end) $$;
create function pg_catalog.from_varbyte(v varbyte, name text) returns varchar language sql immutable strict as $$
    select case rs_catalog.format_of(name) when 'hex' then v::text when 'base64' then encode(rs_catalog.bytes(v), 'base64')
        else convert_from(rs_catalog.bytes(v), 'UTF8') end $$;
create function pg_catalog.from_hex(t text) returns varbyte language sql immutable strict as $$ select to_varbyte(t, 'hex') $$;
create function pg_catalog.to_hex(v varbyte) returns varchar language sql immutable strict as $$ select v::text $$;
create function pg_catalog.length(v varbyte) returns integer language sql immutable strict as $$ select length(v::text) / 2 $$;
create function pg_catalog.octet_length(v varbyte) returns integer language sql immutable strict as $$ select length(v::text) / 2 $$;
create function pg_catalog.len(v varbyte) returns integer language sql immutable strict as $$ select length(v::text) / 2 $$;
create function pg_catalog.substring(v varbyte, start integer, size integer) returns varbyte language sql immutable strict as $$
    select rs_catalog.to_varbyte(substring(rs_catalog.bytes(v) from start for size)) $$;
create function rs_catalog.varbyte_join(a varbyte, b varbyte) returns varbyte language sql immutable strict as $$
    select (a::text || b::text)::varbyte $$;
create operator pg_catalog.|| (leftarg = varbyte, rightarg = varbyte, function = rs_catalog.varbyte_join);
create function pg_catalog.getbit(v varbyte, n integer) returns integer language sql immutable strict as $$
    select get_bit(rs_catalog.bytes(v), n) $$;
create function pg_catalog.json_serialize_to_varbyte(j json) returns varbyte language sql immutable strict as $$
    select rs_catalog.varbyte_of(rs_catalog.raw(j)) $$;
create function rs_catalog.json_text(v varbyte) returns text language sql immutable strict as $$
    select convert_from(rs_catalog.bytes(v), 'UTF8') $$;
create function pg_catalog.json_parse(v varbyte) returns json language sql immutable strict as $$
    select json_parse(rs_catalog.json_text(v)) $$;
create function pg_catalog.can_json_parse(v varbyte) returns boolean language sql immutable strict as $$
    select can_json_parse(rs_catalog.json_text(v)) $$;
do $$
declare compared record;
begin
    for compared in select * from (values ('=', 'eq'), ('<>', 'ne'), ('<', 'lt'), ('<=', 'le'), ('>', 'gt'), ('>=', 'ge'))
        as v (sign, name)
    loop
        execute format('create function rs_catalog.varbyte_%s(a varbyte, b varbyte) returns boolean language sql immutable strict as
            $f$ select a::text collate "C" %s b::text $f$', compared.name, compared.sign);
        execute format('create operator pg_catalog.%s (leftarg = varbyte, rightarg = varbyte, function = rs_catalog.varbyte_%s)',
            compared.sign, compared.name);
    end loop;
end $$;
create function rs_catalog.varbyte_compare(a varbyte, b varbyte) returns integer language sql immutable strict as $$
    select bttextcmp(a::text collate "C", b::text) $$;
create operator class rs_catalog.varbyte_order default for type varbyte using btree as
    operator 1 pg_catalog.< (varbyte, varbyte), operator 2 pg_catalog.<= (varbyte, varbyte),
    operator 3 pg_catalog.= (varbyte, varbyte), operator 4 pg_catalog.>= (varbyte, varbyte),
    operator 5 pg_catalog.> (varbyte, varbyte), function 1 rs_catalog.varbyte_compare(varbyte, varbyte);

-- GEOMETRY and GEOGRAPHY: types of columns; the functions that fill and read them are refused
do $$
declare kind text;
begin
    foreach kind in array array['geometry', 'geography'] loop
        execute format('create type pg_catalog.%1$s', kind);
        execute format('create function rs_catalog.%1$s_in(cstring) returns %1$s language internal immutable strict
            as ''textin''', kind);
        execute format('create function rs_catalog.%1$s_out(%1$s) returns cstring language internal immutable strict
            as ''textout''', kind);
        execute format('create type pg_catalog.%1$s (input = rs_catalog.%1$s_in, output = rs_catalog.%1$s_out,
            like = text)', kind);
    end loop;
end $$;
