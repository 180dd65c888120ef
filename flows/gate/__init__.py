"""The gate: decides RUN, SKIP or HOLD for each target, from facts about its row, its sources and earlier loads.

Way in: `gather.open_gate(context, rows, targets, blame)`, then `decide`.

| module | what it holds |
| --- | --- |
| `gather` | reads the facts, probes the sources, applies the rules |
| `rules` | the rules: facts in, decision out (pure) |
| `facts` | actions, reasons and facts (pure), and decisions as the decision log stores them |
| `definitions` | targets whose rows an older SELECT derived |
| `decide` | the facts of all targets of a run, and the effect of one decision on the next |
| `probe`, `probe_sql` | the query of all driving sources for new rows, and its SQL |
| `extent` | the least and greatest key of a source, and its rows between them |
| `first_load` | a first load in chunks: what is loaded, what comes next (pure) |
| `lake` | the files of a lake source, and which target has read which |
| `explain` | a stored decision in words, for `sluice why` |

Never imported here: dbt, Prefect, boto3, `flows.run`, `flows.engine`. `rules` and `facts` import no SQL library.
"""
