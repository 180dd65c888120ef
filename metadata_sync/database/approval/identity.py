"""Who calls, from the authenticated side: CI, Prefect, PostgreSQL's role, or the operating system's user.

Never a form's text, nor a variable that names a user: `USER`, `LOGNAME` and `SLUICE_…` are not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from sqlalchemy import Connection, text

from metadata_sync.database.approval.model import Identity, Role
from metadata_sync.database.approval.protection import is_granted

_CI: Final = (("GITHUB_ACTIONS", "GITHUB_ACTOR"), ("GITLAB_CI", "GITLAB_USER_LOGIN"))


_NAMED: Final[ContextVar[str | None]] = ContextVar("named", default=None)


@contextmanager
def acting_for(person: str | None) -> Iterator[None]:
    """Act in the name of a person whom a server has authenticated, as CI names one; None: nobody is named."""
    token = _NAMED.set(person)
    try:
        yield
    finally:
        _NAMED.reset(token)


def read_identity(connection: Connection, environment: str, variables: Mapping[str, str] | None = None) -> Identity:
    """Return who calls.

    With PostgreSQL the person that CI or Prefect names counts only in sessions of a role that was granted `ci`:
    everyone can set variables, nobody the role of a session.

    Args:
        connection: A connection to the control database.
        environment: The environment whose grants count.
        variables: The variables of the process by default.
    """
    named = _NAMED.get() or ci_actor(os.environ if variables is None else variables)
    if connection.dialect.name != "postgresql":
        account = system_user()
        return Identity(named or account, account, in_ci=named is not None)
    account = str(connection.execute(text("SELECT session_user")).scalar_one())
    if named is not None and is_granted(connection, environment, Role.CI, account):
        return Identity(named, account, in_ci=True)
    return Identity(account, account)


def ci_actor(variables: Mapping[str, str]) -> str | None:
    """Return whom CI names, where CI says that it is CI.

    >>> ci_actor({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada"})
    'ada'
    >>> ci_actor({"GITHUB_ACTOR": "ada"})
    """
    for says_so, actor in _CI:
        if variables.get(says_so) == "true" and variables.get(actor, "").strip():
            return variables[actor].strip()
    return None


def system_user() -> str:
    """Return the operating system's user of this process, by its id."""
    try:
        import pwd
    except ModuleNotFoundError:  # Windows
        return os.getlogin()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no entry in the password database, as in some containers
        return f"uid {os.getuid()}"
