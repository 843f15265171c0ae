"""What `posebench eval` does with several checkpoints: print and keep their differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written
from posebench.judging.differences import (
    baseline_of,
    checkpoints_of,
    difference_claims,
    differences_of,
)
from posebench.reporting.tables.difference_table import print_differences
from posebench.results.cell import write_results
from posebench.results.differences import (
    Differences,
    read_differences,
    write_differences,
)
from posebench.results.shared.locks import locked
from posebench.results.store import RUN_FILE, Run, read_run, start_run
from posebench.running.sources import suite_checkpoints
from posebench.suites.suite import Suite

if TYPE_CHECKING:
    from posebench.running.evaluation import RunResults


def asked_baseline(
    suite: Suite, baseline: str | None, arguments: Sequence[str], out: Path | None
) -> str | None:
    """Return the name in results of the checkpoint that `--baseline` means, None without one.

    It is one of the arguments, or in the run directory already. Raises `UsageError` otherwise.
    """
    if baseline is None:
        return None
    names = [each.source.name for each in suite_checkpoints(suite, Path())]
    by_argument = dict(zip(arguments, names, strict=False))
    is_there = out is not None and (out / RUN_FILE).is_file()
    there = checkpoints_of(read_run(out)) if out is not None and is_there else ()
    return baseline_of([*names, *there], by_argument.get(baseline, baseline))


def show_differences(
    folder: Path,
    done: RunResults,
    baseline: str | None,
    json: Path | None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Print the differences of a run's checkpoints, and add them to its directory and to `json`.

    A run of a single checkpoint has none. `more` is what `json` has besides.
    """
    run = read_run(folder)
    names = checkpoints_of(run)
    if len(names) < 2:
        return
    found = differences_of(run, _baseline(run, names, baseline))
    print_differences(found)
    _keep(run, found)
    if json is not None:
        with naming_what_cannot_be_written(json):
            write_results(json, done.results, done.settings, {**more, **mapping_from_record(found)})


def _baseline(run: Run, names: Sequence[str], baseline: str | None) -> str:
    """Return the checkpoint to compare with: by default that of the run's differences so far."""
    before = None if baseline is not None else read_differences(run.folder)
    if before is not None and before.baseline in names:
        return before.baseline
    return baseline_of(names, baseline)


def _keep(run: Run, found: Differences) -> None:
    """Write differences into the run directory, and each as a claim that its readers judge."""
    claims = difference_claims(run, found.baseline)
    with locked(run.folder):
        start_run(run.folder, replace(run.record, claims=claims))
        write_differences(run.folder, found)
