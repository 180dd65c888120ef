-- Blanks at the end of text count for nothing when Redshift compares: =, <>, <, joins, DISTINCT, GROUP BY and windows.
-- https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html ("Significance of trailing blanks")
-- PostgreSQL's varchar borrows the comparisons of text; here it gets operators and operator classes of its own.
create schema rs_blanks;
create function rs_blanks.compare(varchar, varchar) returns integer language sql immutable strict parallel safe as
    $$ select bttextcmp(rtrim($1, ' '), rtrim($2, ' ')) $$;
create function rs_blanks.hash(varchar) returns integer language sql immutable strict parallel safe as
    $$ select hashtext(rtrim($1, ' ')) $$;
create function rs_blanks.hash64(varchar, bigint) returns bigint language sql immutable strict parallel safe as
    $$ select hashtextextended(rtrim($1, ' '), $2) $$;

do $$
declare
    first text; second text; compared record;
begin
    foreach first in array array['varchar', 'text'] loop
        foreach second in array array['varchar', 'text'] loop
            continue when first = 'text' and second = 'text';
            for compared in select * from (values ('=', 'eq', '=', '<>'), ('<>', 'ne', '<>', '='), ('<', 'lt', '>', '>='),
                ('<=', 'le', '>=', '>'), ('>', 'gt', '<', '<='), ('>=', 'ge', '<=', '<')) as v (sign, name, turned, negated)
            loop
                execute format('create function pg_catalog.rs_%s(%s, %s) returns boolean language sql immutable strict
                    parallel safe as $f$ select rtrim($1, '' '')::text operator(pg_catalog.%s) rtrim($2, '' '')::text $f$',
                    compared.name, first, second, compared.sign);
                execute format('create operator pg_catalog.%s (leftarg = %s, rightarg = %s, function = pg_catalog.rs_%s,
                    commutator = operator(pg_catalog.%s), negator = operator(pg_catalog.%s)%s)',
                    compared.sign, first, second, compared.name, compared.turned, compared.negated,
                    case when compared.sign = '=' and first = second then ', hashes, merges' else '' end);
            end loop;
        end loop;
    end loop;
end $$;

create operator class rs_blanks.varchar_order default for type varchar using btree as
    operator 1 pg_catalog.< (varchar, varchar), operator 2 pg_catalog.<= (varchar, varchar),
    operator 3 pg_catalog.= (varchar, varchar), operator 4 pg_catalog.>= (varchar, varchar),
    operator 5 pg_catalog.> (varchar, varchar), function 1 rs_blanks.compare(varchar, varchar);
create operator class rs_blanks.varchar_hash default for type varchar using hash as
    operator 1 pg_catalog.= (varchar, varchar), function 1 rs_blanks.hash(varchar),
    function 2 rs_blanks.hash64(varchar, bigint);
