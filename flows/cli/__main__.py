"""`python -m flows.cli`: the `sluice` command where it is not on the path, as in programs that `sluice up` starts."""

from flows.cli import main

main()
