"""A place of one's own beside what is loaded: a copy of the project, with tables that never are those it was made from.

Three use it: the trial of proposed rows (`flows.onboard.trial`), stage 2 of `sluice ci` (`flows.ci.build`), and
environments without copies.

Way in: `place.open_place(context, kind)`; in it `project_copy.copied`, `samples.copy_samples` and `build.load`.

| module | what is in it |
| --- | --- |
| `place` | the name of a place and its end; places of killed processes are removed by a later one |
| `project_copy` | the project in another folder, with control tables and settings of its own |
| `inputs` | what a set of targets reads that is not loaded with them; their rows as they read it there |
| `samples` | samples of these tables, in the place |
| `base_file` | on DuckDB, the other environment's file, attached to read |
| `environment` | environments that stay until they are dropped or expire: everything else is read by name |
| `build` | rows applied and loaded in a copy |

Nothing here writes a table that was there before: a server's schemas all begin with the place's name, and DuckDB's file
is another one.
"""
