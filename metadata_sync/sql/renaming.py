"""Rename a table in the text of a SELECT: only the places that read it change, everything else stays as written."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from metadata_sync.rows.names import TableName, quote_identifier
from metadata_sync.sql.definition import definition_hash
from metadata_sync.sql.parse import ParsedSelect, TableRead, folded, parse_select


def rename_table(select: ParsedSelect, old: TableName, new: TableName) -> str | None:
    """Return the text of a SELECT that reads a table under its new name.

    A table without an alias gets its old name as alias where the text may refer to it by that name, so that
    `old.column` keeps its meaning.

    Args:
        select: The parsed SELECT.
        old: The table.
        new: Its new name.

    Returns:
        The text; None when the result would not be the same SELECT over the renamed table.
    """
    for is_quoted in (False, True):
        text = _renamed(select, old, new, is_quoted=is_quoted)
        if _is_same_otherwise(select, text, old, new):
            return text
    return None


def _renamed(select: ParsedSelect, old: TableName, new: TableName, *, is_quoted: bool) -> str:
    text = select.text
    alias = _alias(select, old, new)
    for read in reversed(select.reads):
        if read.name != old:
            continue
        if alias and not read.has_alias:
            text = f"{text[: read.end]} as {alias}{text[read.end :]}"
        pairs = ((read.node.this, old.table, new.table), (read.node.args["db"], old.schema, new.schema))
        for identifier, before, after in pairs:
            if before != after:
                start, end = identifier.meta["start"], identifier.meta["end"] + 1
                name = quote_identifier(after) if is_quoted or text[start] == '"' else after
                text = text[:start] + name + text[end:]
    return text


def _alias(select: ParsedSelect, old: TableName, new: TableName) -> str | None:
    """Return the alias that keeps references by the old name; None when nothing refers to a table of that name."""
    if old.table == new.table:
        return None
    names = {id(part) for read in select.reads for part in (read.node.this, read.node.args["db"])}
    others = {folded(item) for item in select.tree.find_all(exp.Identifier) if id(item) not in names}
    others |= {read.name.table for read in select.reads if read.name != old}
    if others.isdisjoint({old.table, new.table}):
        return None
    first = next((read for read in select.reads if read.name == old and not read.has_alias), None)
    return None if first is None else _written(first, select.text)


def _written(read: TableRead, text: str) -> str:
    """Return the table's own name as the text spells it."""
    identifier = read.node.this
    return text[identifier.meta["start"] : identifier.meta["end"] + 1]


def _is_same_otherwise(select: ParsedSelect, text: str, old: TableName, new: TableName) -> bool:
    """Tell whether a text parses to the same reads in the same order, each of the old table under the new name."""
    parsed, problems = parse_select(text, select.dialect)
    if parsed is None or problems:
        return False
    wanted = [new if read.name == old else read.name for read in select.reads]
    return [read.name for read in parsed.reads] == wanted


def former_hashes(select: ParsedSelect, old: TableName, new: TableName) -> frozenset[str]:
    """Return the hashes that a SELECT had while a table still had its old name, whether it was given an alias or not.

    Args:
        select: The SELECT, which reads the table under its new name.
        old: Its old name.
        new: Its new name.
    """
    hashes = set()
    for drops_alias in (False, True):
        tree = select.tree.copy()
        for table in list(tree.find_all(exp.Table)):
            schema, name = table.args.get("db"), table.this
            if schema is None or (folded(schema), folded(name)) != (new.schema, new.table):
                continue
            table.set("this", exp.to_identifier(old.table, quoted=bool(name.args.get("quoted"))))
            table.set("db", exp.to_identifier(old.schema, quoted=bool(schema.args.get("quoted"))))
            if drops_alias and table.alias == old.table:
                table.set("alias", None)
        hashes.add(definition_hash(replace(select, tree=tree)))
    return frozenset(hashes)
