"""PostgreSQL's triggers and functions of approval.

They know callers by `session_user`, which neither SET ROLE nor a variable changes. Each function has a search path of
its own, so that a temporary table of the same name is not read. The owner of the tables can drop all of it: people
must not log in as the owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, text

_GUARDED_LOGS: Final = ("control_audit", "proposal", "proposal_row")

_REFUSED: Final = "a protected environment changes by approved proposals only (sluice proposals)"

_FUNCTIONS: Final[Mapping[str, str]] = {
    "sluice_folded(name text) RETURNS text LANGUAGE sql IMMUTABLE": r"""
        SELECT lower(regexp_replace(name, '\s', '', 'g'))""",
    # jsonb of a stored column and of a proposal: numbers and texts may be written either way
    "sluice_equal(a jsonb, b jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE": r"""
        SELECT coalesce(a = b, false) OR (a #>> '{}') IS NOT DISTINCT FROM (b #>> '{}')
            OR CASE WHEN jsonb_typeof(a) = 'number' AND (b #>> '{}') ~ '^-?[0-9.]+([eE][-+]?[0-9]+)?$'
                THEN (a #>> '{}')::numeric = (b #>> '{}')::numeric ELSE false END""",
    "sluice_has(stored jsonb, wanted jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE": """
        SELECT CASE WHEN stored IS NULL OR wanted IS NULL THEN stored IS NULL AND wanted IS NULL
            ELSE NOT EXISTS (SELECT 1 FROM jsonb_each(wanted) w WHERE NOT sluice_equal(stored -> w.key, w.value))
            END""",
    "sluice_protected(env text) RETURNS boolean LANGUAGE sql STABLE": """
        SELECT EXISTS (SELECT 1 FROM protected_environment p WHERE p.environment = env)""",
    "sluice_granted(env text, wanted text, who text) RETURNS boolean LANGUAGE sql STABLE": """
        SELECT EXISTS (SELECT 1 FROM environment_role g WHERE g.environment = env AND g.role = wanted
            AND sluice_folded(g.identity) = sluice_folded(who))""",
    "sluice_may(env text, wanted text, who text) RETURNS boolean LANGUAGE sql STABLE": """
        SELECT sluice_granted(env, wanted, who)
            OR NOT EXISTS (SELECT 1 FROM environment_role g WHERE g.environment = env AND g.role = wanted)""",
    # whether the audit of this very transaction tells of the row
    "sluice_audited(env text, of_table text, of_key text, of_number integer) RETURNS boolean LANGUAGE sql STABLE": """
        SELECT EXISTS (SELECT 1 FROM control_audit a
            WHERE a.environment = env AND a."table" = of_table AND a.key = of_key
            AND a.xmin::text::bigint = txid_current() % 4294967296
            AND CASE WHEN of_number IS NULL THEN a.via = 'framework' ELSE a.proposal = of_number END)""",
}

_GUARD: Final = """
DECLARE
    old_row jsonb; new_row jsonb; env text; row_key text;
    own text[] := ARRAY['is_active', 'deactivated_by', 'comments', 'fingerprint', 'column_list'];
BEGIN
    -- before anything is made of the rows: elsewhere they may hold what jsonb cannot
    IF TG_TABLE_NAME <> 'protected_environment' AND NOT (
        (TG_OP <> 'INSERT' AND sluice_protected(OLD.environment))
        OR (TG_OP <> 'DELETE' AND sluice_protected(NEW.environment)))
    THEN RETURN NULL; END IF;
    IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
    IF old_row = new_row THEN RETURN NULL; END IF;
    SELECT string_agg(coalesce(old_row, new_row) ->> c, '.' ORDER BY n) INTO row_key
        FROM unnest(TG_ARGV) WITH ORDINALITY k(c, n);
    FOR env IN SELECT DISTINCT e FROM (VALUES (old_row ->> 'environment'), (new_row ->> 'environment')) v(e)
        WHERE e IS NOT NULL
    LOOP
        IF TG_TABLE_NAME = 'protected_environment' THEN
            CONTINUE WHEN TG_OP = 'INSERT';
        ELSE
            CONTINUE WHEN NOT sluice_protected(env);
        END IF;
        CONTINUE WHEN TG_TABLE_NAME = 'transformation_control' AND TG_OP = 'UPDATE' AND old_row - own = new_row - own
            AND ((new_row ->> 'is_active')::boolean <= (old_row ->> 'is_active')::boolean
                OR old_row ->> 'deactivated_by' = 'framework')
            AND (new_row ->> 'deactivated_by') IS NOT DISTINCT FROM
                CASE WHEN (new_row ->> 'is_active')::boolean = (old_row ->> 'is_active')::boolean
                    THEN old_row ->> 'deactivated_by'
                    WHEN (new_row ->> 'is_active')::boolean THEN NULL ELSE 'framework' END
            AND sluice_may(env, 'engine', session_user::text)
            AND sluice_audited(env, TG_TABLE_NAME, row_key, NULL);
        CONTINUE WHEN EXISTS (SELECT 1 FROM proposal p JOIN proposal_row r USING (environment, number)
            WHERE p.environment = env AND p.status = 'approved' AND p.applied_in = txid_current()::text
            AND r."table" = TG_TABLE_NAME AND r.key = row_key
            AND sluice_has(CASE WHEN TG_TABLE_NAME = 'protected_environment' THEN '{}' ELSE old_row END, CASE
                WHEN TG_TABLE_NAME = 'protected_environment' THEN '{}' ELSE r.before::jsonb END)
            AND sluice_has(new_row, r.after::jsonb)
            AND (old_row IS NULL OR new_row IS NULL OR (
                old_row - 'declared' - ARRAY(SELECT jsonb_object_keys(r.after::jsonb))
                = new_row - 'declared' - ARRAY(SELECT jsonb_object_keys(r.after::jsonb))))
            AND (new_row IS NULL OR sluice_equal(new_row -> 'declared',
                coalesce(r.declared::jsonb, old_row -> 'declared')))
            AND sluice_audited(env, TG_TABLE_NAME, row_key, p.number));
        RAISE EXCEPTION '%[%]: REFUSED', TG_TABLE_NAME, row_key USING ERRCODE = 'insufficient_privilege';
    END LOOP;
    RETURN NULL;
END"""

_PROPOSAL: Final = """
DECLARE
    decided text[] := ARRAY['status', 'decided_by', 'decided_account', 'decided_in_ci', 'decided_at',
        'decision_reason', 'is_override', 'applied_in'];
    may_name boolean := sluice_granted(NEW.environment, 'ci', session_user::text);
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.proposed_account := session_user;
        NEW.made_in := txid_current()::text;
        NEW.proposed_in_ci := NEW.proposed_in_ci AND may_name;
        IF NOT NEW.proposed_in_ci THEN NEW.proposed_by := session_user; END IF;
        IF NEW.status <> 'open' OR NEW.is_override OR NEW.decided_by IS NOT NULL OR NEW.applied_in IS NOT NULL
            OR NOT (sluice_may(NEW.environment, 'propose', NEW.proposed_by)
                OR (NEW.via IN ('activate', 'deactivate') AND sluice_may(NEW.environment, 'switch', NEW.proposed_by)))
        THEN RAISE EXCEPTION 'proposal %: REFUSED', NEW.number USING ERRCODE = 'insufficient_privilege'; END IF;
        RETURN NEW;
    END IF;
    IF OLD.status <> 'open' OR NEW.status = 'open' OR to_jsonb(OLD) - decided <> to_jsonb(NEW) - decided THEN
        RAISE EXCEPTION 'proposal %: REFUSED', OLD.number USING ERRCODE = 'insufficient_privilege';
    END IF;
    NEW.decided_account := session_user;
    NEW.decided_in_ci := NEW.decided_in_ci AND may_name;
    NEW.applied_in := NULL;
    IF NOT NEW.decided_in_ci THEN NEW.decided_by := session_user; END IF;
    IF NEW.status <> 'approved' THEN RETURN NEW; END IF;
    NEW.applied_in := txid_current()::text;
    IF NEW.is_override THEN
        IF coalesce(NEW.decision_reason, '') !~ '\\S' OR NOT sluice_may(NEW.environment, 'propose', NEW.decided_by) THEN
            RAISE EXCEPTION 'proposal %: an override needs a reason', OLD.number
                USING ERRCODE = 'insufficient_privilege';
        END IF;
    ELSIF sluice_folded(NEW.decided_by) = sluice_folded(OLD.proposed_by)
        OR (sluice_folded(NEW.decided_account) = sluice_folded(OLD.proposed_account)
            AND NOT (NEW.decided_in_ci AND OLD.proposed_in_ci))
        OR NOT sluice_may(NEW.environment, 'approve', NEW.decided_by)
    THEN
        RAISE EXCEPTION 'proposal %: another identity approves it', OLD.number
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END"""

_PROPOSAL_ROW: Final = """
BEGIN
    IF NOT EXISTS (SELECT 1 FROM proposal p WHERE p.environment = NEW.environment AND p.number = NEW.number
        AND p.status = 'open' AND p.made_in = txid_current()::text) THEN
        RAISE EXCEPTION 'proposal %: REFUSED', NEW.number USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END"""

_AUDIT: Final = """
BEGIN
    IF TG_OP <> 'INSERT' THEN
        IF sluice_protected(OLD.environment) THEN
            RAISE EXCEPTION 'control_audit: REFUSED' USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    ELSIF NEW.proposal IS NULL AND NEW.approved_by IS NULL THEN
        RETURN NEW;
    ELSIF NOT EXISTS (SELECT 1 FROM proposal p WHERE p.environment = NEW.environment AND p.number = NEW.proposal
        AND p.applied_in = txid_current()::text AND p.decided_by = NEW.approved_by) THEN
        RAISE EXCEPTION 'control_audit: no such approval' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END"""

_NEVER: Final = """
BEGIN
    RAISE EXCEPTION '%: REFUSED', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END"""

_TRUNCATE: Final = """
BEGIN
    IF EXISTS (SELECT 1 FROM protected_environment) THEN
        RAISE EXCEPTION '%: REFUSED', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END"""

_TRIGGER_FUNCTIONS: Final = {
    "sluice_guard": _GUARD,
    "sluice_proposal": _PROPOSAL,
    "sluice_proposal_row": _PROPOSAL_ROW,
    "sluice_audit": _AUDIT,
    "sluice_never": _NEVER,
    "sluice_truncate": _TRUNCATE,
}

_LOG_TRIGGERS: Final = (
    ("proposal", "BEFORE INSERT OR UPDATE", "sluice_proposal"),
    ("proposal", "BEFORE DELETE", "sluice_never"),
    ("proposal_row", "BEFORE INSERT", "sluice_proposal_row"),
    ("proposal_row", "BEFORE UPDATE OR DELETE", "sluice_never"),
    ("control_audit", "BEFORE INSERT OR UPDATE OR DELETE", "sluice_audit"),
)


def create_statements(connection: Connection, keys: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Return the statements that create functions and triggers.

    Args:
        connection: A connection whose schema holds the tables.
        keys: Guarded table → its key columns.
    """
    schema = str(connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one())
    path = f"SET search_path = pg_catalog, {schema}, pg_temp"
    for head, body in _FUNCTIONS.items():
        yield f"CREATE OR REPLACE FUNCTION {head} {path} AS $sluice${body}$sluice$"
    for name, body in _TRIGGER_FUNCTIONS.items():
        told = body.replace("REFUSED", _REFUSED)
        yield f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {path} AS $sluice${told}$sluice$"
    for table, key in keys.items():
        columns = ", ".join(f"'{column}'" for column in key)
        yield (
            f"CREATE CONSTRAINT TRIGGER sluice_guard AFTER INSERT OR UPDATE OR DELETE ON {table} "
            f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sluice_guard({columns})"
        )
    for position, (table, event, function) in enumerate(_LOG_TRIGGERS):
        yield f"CREATE TRIGGER sluice_{position} {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
    for table in (*keys, *_GUARDED_LOGS):
        yield f"CREATE TRIGGER sluice_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION sluice_truncate()"


def drop_statements(connection: Connection) -> list[str]:
    """Return the statements that drop the triggers of the connection's schema."""
    query = text(
        "SELECT format('DROP TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t "
        "JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        r"WHERE t.tgname LIKE 'sluice\_%' AND n.nspname = current_schema()"
    )
    return [str(statement) for statement in connection.execute(query).scalars()]
