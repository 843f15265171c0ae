"""What `posebench run` and `merge` print of a run directory: tables, verdicts, what is left."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.judging.verdicts import verdicts_of
from posebench.reporting.messages import say
from posebench.reporting.printing import print_fitting
from posebench.reporting.tables.probe_tables import probe_tables
from posebench.reporting.tables.results_table import by_data, print_results
from posebench.reporting.tables.verdict_table import verdict_table
from posebench.results.cell import CellResult
from posebench.results.store import Run


def print_run(run: Run, *, verdicts: bool) -> None:
    """Print the tables of a run, and the verdicts on its claims if they are asked for."""
    results = [cell.result for cell in run.cells]
    for group in by_data(results):
        print_results(group)
    for line in _in_suites(results):
        say(line)
    for table in probe_tables(run.probes):
        print_fitting(table)
    found = verdicts_of(run) if verdicts else ()
    if found:
        print_fitting(verdict_table(found))


def print_left(run: Run, why: str) -> None:
    """Print how many results of a run are not there, and why."""
    total = len(run.record.cells) + len(run.record.probes)
    print_fitting(f"{why}: {len(run.missing)} of {total} results are left.")


# Reasons name options of `posebench eval`; these are their keys in a suite.
_KEYS = {
    "--spec": "`spec` of a checkpoint",
    "--engine": "`engines`",
    "--dataset": "`datasets`",
}


def _in_suites(results: Sequence[CellResult]) -> list[str]:
    """Return what options that reasons name are called in a suite."""
    reasons = " ".join(result.reason or "" for result in results)
    return [f"In a suite, {option} is {key}." for option, key in _KEYS.items() if option in reasons]
