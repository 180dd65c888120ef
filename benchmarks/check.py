"""Compare the last run of the benchmarks with the committed baseline, by ratios; ends with 1 on a regression.

python benchmarks/check.py [--run test-output/bench.json] [--baseline benchmarks/baseline.json] [--tolerance 0.3]
    [--accept]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from measures import TOLERANCE, BenchRun, Comparison, compare, merge

_FOLDER: Final = Path(__file__).parent
_RUN: Final = _FOLDER.parent / "test-output" / "bench.json"
_BASELINE: Final = _FOLDER / "baseline.json"
_USAGE_ERROR: Final = 2


def main() -> int:
    """Compare, or with --accept make the run the baseline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, default=_RUN, help="what `make bench` wrote")
    parser.add_argument("--baseline", type=Path, default=_BASELINE, help="what is committed")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="share by which a ratio may grow")
    parser.add_argument("--accept", action="store_true", help="write what was measured into the baseline")
    options = parser.parse_args()
    if not options.run.exists():
        print(f"{options.run} does not exist. Measure first: make bench", file=sys.stderr)
        return _USAGE_ERROR
    run = BenchRun.read(options.run)
    baseline = BenchRun.read(options.baseline) if options.baseline.exists() else BenchRun(())
    if options.accept:
        merge(baseline, run).write(options.baseline)
        print(f"{options.baseline}: {len(run.measures)} measures of this run are the baseline now.")
        return 0
    comparison = compare(baseline, run, options.tolerance)
    _print(comparison)
    return 0 if comparison.is_passed else 1


def _print(comparison: Comparison) -> None:
    for name in comparison.failed:
        print(f"failed      benchmarks/{name}.py: its measures are missing")
    for change in comparison.worse:
        limit = change.before * (1 + change.tolerance)
        print(f"regression  {change.key}: {change.now:.2f}x, was {change.before:.2f}x (at most {limit:.2f}x)")
    for change in comparison.changes:
        if change.is_better:
            print(f"better      {change.key}: {change.now:.2f}x, was {change.before:.2f}x")
    for key in () if comparison.is_short else comparison.unmeasured:
        print(f"missing     {key}: in the baseline, not in this full run")
    for key in comparison.new:
        print(f"new         {key}: not in the baseline")
    shortness = " (a short or partial run)" if comparison.is_short else ""
    print(
        f"{len(comparison.changes)} ratios compared: {len(comparison.worse)} regressions; "
        f"{len(comparison.unmeasured)} of the baseline not measured{shortness}, {len(comparison.new)} new."
    )


if __name__ == "__main__":
    sys.exit(main())
