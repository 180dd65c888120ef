"""Users, groups, roles, owners and the database in use: PostgreSQL knows only roles, and one database a connection."""

from __future__ import annotations

import re

from tests.redshift_standin.expressions.names import literal

PART = r'(?:"[^"]+"|\w+)'
NAMES = rf"{PART}(?:\s*,\s*{PART})*"
USER = re.compile(
    rf"create\s+user\s+(?P<name>{PART})\s+(?:with\s+)?password\s+(?P<password>'[^']*'|disable)"
    rf"(?P<options>(\s+(nocreatedb|createdb|nocreateuser|connection\s+limit\s+\d+|valid\s+until\s+'[^']*'"
    rf"|in\s+group\s+{NAMES}))*)",
    re.IGNORECASE,
)
GROUP = re.compile(rf"create\s+group\s+(?P<name>{PART})(?:\s+(?:with\s+)?user\s+(?P<users>{NAMES}))?", re.IGNORECASE)
ROLE = re.compile(rf"create\s+role\s+(?P<name>{PART})", re.IGNORECASE)
DROPPED = re.compile(rf"drop\s+(user|group|role)\s+(?P<exists>if\s+exists\s+)?(?P<names>{NAMES})", re.IGNORECASE)
MEMBERS = re.compile(
    rf"alter\s+group\s+(?P<group>{PART})\s+(?P<how>add|drop)\s+user\s+(?P<users>{NAMES})", re.IGNORECASE
)
OWNER = re.compile(rf"alter\s+(table|schema)\s+\S+\s+owner\s+to\s+{PART}", re.IGNORECASE)
SCHEMA = re.compile(rf"alter\s+schema\s+{PART}\s+rename\s+to\s+{PART}", re.IGNORECASE)
SETTING = re.compile(
    rf"alter\s+user\s+(?P<name>{PART})\s+(?P<how>set\s+(timezone|statement_timeout|search_path)"
    r"\s*(=|to)\s*('[^']*'|[\w, ]+)"
    r"|reset\s+(timezone|statement_timeout|search_path)|(no)?createdb|valid\s+until\s+'[^']*'|connection\s+limit\s+\d+)",
    re.IGNORECASE,
)
LOCK = re.compile(r"lock\s+(table\s+)?(?P<tables>[\w\".,\s]+)", re.IGNORECASE)
USE = re.compile(rf"use\s+(?P<name>{PART})|reset\s+use", re.IGNORECASE)
TO_ROLE = re.compile(r"\b(to|from)\s+role\s+", re.IGNORECASE)
VIEW_COMMENT = re.compile(r"comment\s+on\s+view\s+(?P<view>\S+)\s+is\s+(?P<text>.*)", re.IGNORECASE | re.DOTALL)


def administer(text: str) -> str | None:
    """Such a statement for PostgreSQL, or None for any other."""
    if OWNER.fullmatch(text) or SCHEMA.fullmatch(text):
        return text
    if match := LOCK.fullmatch(text):
        return f"lock table {match['tables']} in access exclusive mode"
    if match := USE.fullmatch(text):
        return _use(match["name"])
    if match := SETTING.fullmatch(text):  # r_ALTER_USER.html
        return f"alter role {match['name']} {match['how']}"
    if match := VIEW_COMMENT.fullmatch(text):
        return _comment(match["view"], match["text"])
    return _identities(text)


def without_role_words(text: str) -> str:
    """GRANT and REVOKE for a role: PostgreSQL has nothing but roles, and no word for it."""
    return TO_ROLE.sub(r"\1 ", text) if re.match(r"(grant|revoke)\b", text, re.IGNORECASE) else text


def _identities(text: str) -> str | None:
    if match := USER.fullmatch(text):
        password = "" if match["password"].lower() == "disable" else f" password {match['password']}"
        options = re.sub(r"\bin\s+group\b", "in role", match["options"], flags=re.IGNORECASE)
        return f"create role {match['name']} login{password}" + re.sub(
            r"\s+nocreateuser\b", "", options, flags=re.IGNORECASE
        )
    if match := GROUP.fullmatch(text):
        return f"create role {match['name']}" + (f" role {match['users']}" if match["users"] else "")
    if match := ROLE.fullmatch(text):
        name = literal(match["name"].strip('"').lower())
        return (
            f"do $rs$ begin create role {match['name']}; insert into rs_catalog.redshift_role values ({name}); end $rs$"
        )
    if match := DROPPED.fullmatch(text):
        return f"drop role {match['exists'] or ''}{match['names']}"
    if match := MEMBERS.fullmatch(text):
        verb, word = ("grant", "to") if match["how"].lower() == "add" else ("revoke", "from")
        return f"{verb} {match['group']} {word} {match['users']}"
    return None


def _use(name: str | None) -> str:
    """Only the database of the connection can be used."""
    wanted = literal((name or "").strip('"').lower())
    known = f"{wanted} in ('', current_database())"
    message = "the Redshift stand-in does not know USE of another database"
    refusal = f"raise exception using errcode = '0A000', message = '{message}'"
    return f"do $rs$ begin if not {known} then {refusal}; end if; end $rs$"


def _comment(view: str, text: str) -> str:
    """A materialized view is a view to COMMENT (r_COMMENT.html)."""
    kind = f"(select relkind from pg_class where oid = {literal(view)}::regclass)"
    return (
        f"do $rs$ begin if {kind} = 'm' then comment on materialized view {view} is {text};"
        f" else comment on view {view} is {text}; end if; end $rs$"
    )
