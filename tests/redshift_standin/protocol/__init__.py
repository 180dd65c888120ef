"""A connection to the stand-in: messages on the wire, logging in, a client's session.

| module | what it holds |
| --- | --- |
| `wire` | PostgreSQL's messages, read and written |
| `authentication` | the password, on both sides |
| `session` | one client: each statement is planned, run by PostgreSQL, and answered in Redshift's words |
"""
