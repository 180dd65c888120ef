"""One Redshift statement as PostgreSQL runs it, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError

from metadata_sync.sql.redshift.from_paths import FromPath, take_paths
from tests.redshift_standin.errors import RedshiftError, not_known
from tests.redshift_standin.expressions.calls import SESSION_SETTINGS
from tests.redshift_standin.expressions.dialect import StandinRedshift
from tests.redshift_standin.expressions.expressions import to_postgres
from tests.redshift_standin.expressions.names import literal, relation_name, with_short_names
from tests.redshift_standin.protocol.wire import Column
from tests.redshift_standin.statements import rules, tables
from tests.redshift_standin.statements.administration import administer, without_role_words
from tests.redshift_standin.statements.external import ABOUT_EXTERNAL, PARTITION, read_external, read_partition
from tests.redshift_standin.statements.lake import Copy, Unload, read_copy, read_unload
from tests.redshift_standin.statements.routines import ABOUT_FUNCTIONS, read_function_statement
from tests.redshift_standin.statements.show import SHOWING, show_query
from tests.redshift_standin.statements.views import ABOUT_VIEWS, read_view_statement

NOTHING = "do $rs$ begin end $rs$"
SHARED_SETTINGS = frozenset({"statement_timeout", "timezone"})
"""Settings that PostgreSQL has, too, with the same meaning."""
NOTED = ("insert", "merge")  # SYS_QUERY_DETAIL has them
COLOURS = re.compile(r"\x1b\[[0-9]*m")
ACCESS = re.compile(r"(begin|start\s+transaction)\s+read\s+(only|write)", re.IGNORECASE)  # sqlglot cannot parse it
SESSION_READ_ONLY = re.compile(r"set\s+session\s+characteristics\s+as\s+transaction\s+read\s+only", re.IGNORECASE)
RESET = re.compile(r"reset\s+(\w+)", re.IGNORECASE)
SHOWN = re.compile(r"show\s+(\w+)", re.IGNORECASE)
UNLOADING = re.compile(r"unload\b", re.IGNORECASE)
VACUUM = re.compile(r"vacuum\b", re.IGNORECASE)
ALONE = re.compile(r"(vacuum|(create|drop)\s+database)\b", re.IGNORECASE)
ALL_TABLES = re.compile(r"grant\s+select\s+on\s+all\s+tables\s+in\s+schema\s+\w+\s+to\s+\w+", re.IGNORECASE)
DROPPED_DATABASE = re.compile(r"drop\s+database\s+(?P<name>\w+)(?P<force>\s+force)?", re.IGNORECASE)
NO_BINDING = re.compile(r"\s+with\s+no\s+schema\s+binding\s*$", re.IGNORECASE)
PARAMETER = re.compile(r"(?<![\w$])\$(\d+)")


@dataclass(frozen=True)
class Plan:
    """What to do for a statement.

    Attributes:
        kind: Of the statement, for the journal.
        sql: The statement that PostgreSQL runs in its place.
        after: Statements of the stand-in's own, once it succeeded.
        target: Table that it writes.
        tag: Command tag that the client sees, when not PostgreSQL's.
        transfer: COPY or UNLOAD, done between the two.
    """

    kind: str
    sql: str
    after: tuple[str, ...] = ()
    target: str | None = None
    tag: str | None = None
    transfer: Copy | Unload | None = None


@dataclass(frozen=True)
class Surroundings:
    """What a statement is read in.

    Attributes:
        is_in_block: Whether it stands between BEGIN and COMMIT.
        views: Late-binding views, (schema, name) → their SELECT for PostgreSQL.
        columns: Asks PostgreSQL for the columns of a query.
    """

    is_in_block: bool
    views: Mapping[tuple[str, str], str]
    columns: Callable[[str], Sequence[Column]]

    def translated(self, query: str) -> str:
        """A query within another statement, for PostgreSQL."""
        return _plan_in(query, self).sql


class _NeedsColumnsError(Exception):
    """A statement cannot be planned without the database."""


def _nobody(query: str) -> Sequence[Column]:
    raise _NeedsColumnsError


def failing(refusal: RedshiftError) -> Plan:
    """A statement that fails inside PostgreSQL, so that the transaction is aborted as on Redshift."""
    detail = f", detail = {literal(refusal.detail)}" if refusal.detail else ""
    text = f"errcode = {literal(refusal.code)}, message = {literal(refusal.message)}{detail}"
    return Plan("refused", f"do $rs$ begin raise exception using {text}; end $rs$")


def translate(
    sql: str,
    *,
    is_in_block: bool,
    views: Mapping[tuple[str, str], str] | None = None,
    columns: Callable[[str], Sequence[Column]] = _nobody,
) -> Plan:
    """Plan one statement.

    Args:
        sql: As the client sent it.
        is_in_block: Whether it stands between BEGIN and COMMIT.
        views: Late-binding views, (schema, name) → their SELECT for PostgreSQL.
        columns: Asks PostgreSQL for the columns of a query.

    Raises:
        RedshiftError: When Redshift refuses it, or the stand-in does not know it.
    """
    text = with_short_names(_without_comments(sql).rstrip().rstrip(";").rstrip())
    try:
        return _plan_in(text, Surroundings(is_in_block, views, _nobody)) if views else _plan(text, is_in_block)
    except _NeedsColumnsError:
        if columns is _nobody:
            raise not_known("the columns of a table without a database") from None
    return _plan_in(text, Surroundings(is_in_block, views or {}, columns))


@lru_cache(maxsize=4096)
def _plan(text: str, is_in_block: bool) -> Plan:
    """Loads of many targets send the same statements."""
    return _plan_in(text, Surroundings(is_in_block, {}, _nobody))


def _plan_in(text: str, around: Surroundings) -> Plan:
    if around.is_in_block and (alone := ALONE.match(text)):
        raise RedshiftError("25001", f"{alone[0].upper()} cannot run inside a transaction block")
    rules.check_words(text)
    if (plan := _plan_words(text, around)) is not None:
        return plan
    is_unbound = bool(NO_BINDING.search(text))
    tree, paths = _parse(without_role_words(NO_BINDING.sub("", text) if is_unbound else text))
    rules.check(tree, is_in_block=around.is_in_block)
    for kind, plan_tree in PLANS.items():
        if isinstance(tree, kind):
            return plan_tree(_Context(tree, paths, is_unbound, around))
    raise not_known(f"{type(tree).__name__.upper()}: {text[:80]}")


def _plan_words(text: str, around: Surroundings) -> Plan | None:
    """Plan what sqlglot cannot parse."""
    plan: Plan | None = None
    if match := DROPPED_DATABASE.fullmatch(text):
        plan = Plan("drop database", f"drop database {match['name']}" + (" with (force)" if match["force"] else ""))
    elif plain := _plan_plain(text):
        plan = plain
    elif (setting := _plan_setting(text)) is not None:
        plan = setting
    elif UNLOADING.match(text):
        plan = _plan_unload(text, around)
    elif SHOWING.match(text):
        plan = Plan("show", show_query(text))
    elif ABOUT_EXTERNAL.match(text):
        external = read_external(text, is_in_block=around.is_in_block)
        plan = Plan("create external", external.sql, external.after)
    elif (partition := PARTITION.fullmatch(text)) is not None:
        plan = Plan("alter table", read_partition(partition), tag="ALTER TABLE")
    elif ABOUT_FUNCTIONS.match(text):
        plan = Plan("function", read_function_statement(text, around.translated))
    elif ABOUT_VIEWS.match(text):
        found = read_view_statement(text, around.translated)
        plan = Plan(found.kind, found.sql, found.after, found.target, tag=found.kind.upper())
    return plan


def _plan_plain(text: str) -> Plan | None:
    """Statements that PostgreSQL takes as they are, or that do nothing there."""
    if VACUUM.match(text):
        return Plan("vacuum", NOTHING, tag="VACUUM")
    if ALL_TABLES.fullmatch(text):
        return Plan("grant", text)
    if (administered := administer(text)) is not None:
        return Plan("administration", administered, tag=text.split(maxsplit=1)[0].upper())
    if SESSION_READ_ONLY.fullmatch(text):  # AWS's own JDBC driver sends it (readOnlyBehavior=always)
        return Plan("set", text)
    access = ACCESS.fullmatch(text)
    return None if access is None else Plan("begin", f"begin read {access[2].lower()}")


def _plan_setting(text: str) -> Plan | None:
    """RESET and SHOW of a setting that PostgreSQL does not have."""
    if (reset := RESET.fullmatch(text)) and reset[1].lower() in SESSION_SETTINGS:
        return Plan("reset", f"reset rs.{reset[1]}")
    if (shown := SHOWN.fullmatch(text)) and shown[1].lower() in SESSION_SETTINGS:
        name = shown[1].lower()
        return Plan("show", f"select rs_catalog.setting({literal(name)}) as {name}")
    return None


@dataclass(frozen=True)
class _Context:
    tree: exp.Expr
    paths: Sequence[FromPath]
    is_unbound: bool
    around: Surroundings

    @property
    def is_in_block(self) -> bool:
        return self.around.is_in_block

    def postgres_sql(self, tree: exp.Expr | None = None) -> str:
        """The statement, or a part of it, for PostgreSQL."""
        return _text(to_postgres(tree or self.tree, self.around.views, self._columns, self.paths))

    def _columns(self, query: exp.Expr) -> Sequence[Column]:
        return self.around.columns(_text(query))


def _text(tree: exp.Expr) -> str:
    try:
        text = tree.sql(dialect="postgres", copy=True, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise not_known(f"a PostgreSQL form of this: {error}") from error
    return re.sub(r"\brs_parameter_(\d+)", r"$\1", text)


def _without_comments(sql: str) -> str:
    return re.sub(r"\A(\s+|/\*.*?\*/|--[^\n]*\n)+", "", sql, flags=re.DOTALL)


def _parse(text: str) -> tuple[exp.Expr, Sequence[FromPath]]:
    # sqlglot reads $1 … $2 as a string between dollar quotes.
    try:
        plain, paths = take_paths(PARAMETER.sub(r"rs_parameter_\1", text))
        trees = sqlglot.parse(plain, dialect=StandinRedshift)
    except SqlglotError as error:
        raise RedshiftError("42601", f"syntax error: {COLOURS.sub('', str(error))[:300]}") from error
    found = [tree for tree in trees if tree is not None]
    if len(found) != 1:
        raise RedshiftError("42601", "cannot insert multiple commands into a prepared statement")
    return found[0], paths


def _plan_query(context: _Context) -> Plan:
    return Plan("select", context.postgres_sql())


def _plan_write(context: _Context) -> Plan:
    table = context.tree.find(exp.Table)
    assert table is not None
    target = relation_name(table)
    kind = type(context.tree).__name__.lower()
    after = (_note_insert(target),) if kind in NOTED else ()
    return Plan(kind, context.postgres_sql(), after, target=target)


def _note_insert(target: str) -> str:
    return f"select rs_catalog.note_insert({literal(target)})"


def _plan_create(context: _Context) -> Plan:
    tree, kind = context.tree, str(context.tree.args["kind"]).upper()
    if kind == "SCHEMA":
        tree.this.set("catalog", None)
        return Plan("create schema", context.postgres_sql())
    if kind == "VIEW" and context.is_unbound:
        query = tree.args["expression"]
        body = context.postgres_sql(query.unnest())
        name = literal(relation_name(tree.this))
        create = f"select rs_catalog.create_late_binding_view({name}, {literal(body)})"
        return Plan("create late-binding view", NOTHING, (create,), tag="CREATE VIEW")
    if kind == "VIEW":
        return Plan("create view", context.postgres_sql())
    if kind == "DATABASE":
        return Plan("create database", context.postgres_sql())
    if kind != "TABLE":
        raise not_known(f"CREATE {kind}")
    tables.make_temporary(tree)
    attributes = tables.take_attributes(tree)
    tables.declare_types(tree)
    name = literal(relation_name(tree.find(exp.Table)))
    after = [
        f"select rs_catalog.set_attribute({name}::regclass, {literal(key)}, {literal(value)})"
        for key, value in attributes.items()
    ]
    if tree.expression is not None:
        after.append(_note_insert(relation_name(tree.find(exp.Table))))
    return Plan("create table", context.postgres_sql(), (f"select rs_catalog.guard_types({name})", *after))


def _plan_alter(context: _Context) -> Plan:
    tree = context.tree
    actions = tree.args.get("actions") or []
    if str(tree.args.get("kind")).upper() != "TABLE":
        raise not_known(f"ALTER {tree.args.get('kind')}")
    if any(isinstance(action, exp.AlterRename) for action in actions):
        return Plan("alter table", context.postgres_sql())
    for column in tree.find_all(exp.ColumnDef):
        tables.declare_type(column)
    guard = f"select rs_catalog.guard_types({literal(relation_name(tree.this))})"
    return Plan("alter table", context.postgres_sql(), (guard,))


def _plan_copy(context: _Context) -> Plan:
    assert isinstance(context.tree, exp.Copy)
    copy = read_copy(context.tree)
    return Plan("copy", NOTHING, target=copy.table, tag="COPY", transfer=copy)


def _plan_unload(text: str, around: Surroundings) -> Plan:
    return Plan("unload", NOTHING, tag="UNLOAD", transfer=read_unload(text, around.translated))


def _plan_truncate(context: _Context) -> Plan:
    table = context.tree.find(exp.Table)
    commits = ("commit",) if context.is_in_block else ()
    return Plan("truncate", context.postgres_sql(), commits, target=relation_name(table))


def _plan_set(context: _Context) -> Plan:
    match = re.match(r"set\s+(\w+)\s*(?:=|to)\s*(.+)$", context.tree.sql(dialect="postgres"), re.IGNORECASE | re.DOTALL)
    if match and match[1].lower() in SHARED_SETTINGS:
        return Plan("set", match[0])
    if not match or match[1].lower() not in SESSION_SETTINGS:
        raise not_known(context.tree.sql()[:80])
    return Plan("set", f"set rs.{match[1]} to {match[2]}")


def _plan_transaction(context: _Context) -> Plan:
    kinds: dict[type[exp.Expr], str] = {exp.Transaction: "begin", exp.Commit: "commit", exp.Rollback: "rollback"}
    kind = kinds[type(context.tree)]
    if context.tree.args.get("savepoint"):
        raise RedshiftError("0A000", "SQL command not supported on Redshift: SAVEPOINT")
    return Plan(kind, kind)


def _plan_drop(context: _Context) -> Plan:
    if str(context.tree.args.get("kind")).upper() == "SCHEMA":
        for schema in context.tree.find_all(exp.Table):
            schema.set("catalog", None)
    return Plan("drop", context.postgres_sql())


def _plan_as_is(context: _Context) -> Plan:
    return Plan(type(context.tree).__name__.lower(), context.postgres_sql())


PLANS: dict[type[exp.Expr], Callable[[_Context], Plan]] = {
    exp.Query: _plan_query,
    exp.Insert: _plan_write,
    exp.Update: _plan_write,
    exp.Delete: _plan_write,
    exp.Merge: _plan_write,
    exp.Create: _plan_create,
    exp.Alter: _plan_alter,
    exp.Copy: _plan_copy,
    exp.TruncateTable: _plan_truncate,
    exp.Set: _plan_set,
    exp.Transaction: _plan_transaction,
    exp.Commit: _plan_transaction,
    exp.Rollback: _plan_transaction,
    exp.Drop: _plan_drop,
    exp.Comment: _plan_as_is,
    exp.Grant: _plan_as_is,
    exp.Revoke: _plan_as_is,
    exp.Analyze: _plan_as_is,
}
