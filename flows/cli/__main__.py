"""`python -m flows.cli`: the `sluice` command without the script on the path, for programs that `sluice up` starts."""

from flows.cli import main

main()
