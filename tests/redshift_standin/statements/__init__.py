"""One statement as PostgreSQL runs it, or the reason why not. Way in: `translation.translate`.

| module | what it holds |
| --- | --- |
| `translation` | the plan of a statement, by kind |
| `rules` | the product's own rules, in Redshift's words |
| `tables`, `views`, `routines`, `external` | CREATE and ALTER of each |
| `lake` | COPY and UNLOAD, and the simulated S3 |
| `administration`, `show` | users, owners, comments, settings; SHOW |
"""
