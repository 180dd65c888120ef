"""What stands within statements, as PostgreSQL computes the same. Way in: `expressions.to_postgres`.

| module | what it holds |
| --- | --- |
| `expressions` | the order of the rewrites |
| `queries`, `windows`, `super_paths` | clauses of SELECT, windows, paths into SUPER values |
| `calls`, `dates`, `casts`, `decimals` | functions, parts of dates, types, sizes of quotients |
| `names` | names and literals, names above 63 bytes |
| `dialect`, `not_known` | how text is read; what is refused by name |
"""
