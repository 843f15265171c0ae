"""What `posebench eval --exclude` does: print and keep numbers with and without some images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.datasets.overlap.exclusion import Exclusion, ListedImages, check_exclusion
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written
from posebench.judging.explaining.excluding import excluded_scores
from posebench.reporting.explaining.overlap import excluded_table
from posebench.reporting.printing import print_fitting
from posebench.results.cell import write_results
from posebench.results.explaining.exclusion import write_excluded
from posebench.results.store import read_run

if TYPE_CHECKING:
    from posebench.running.evaluation import RunResults
    from posebench.running.plan import SuitePlan


def check_plan(exclusion: Exclusion, plan: SuitePlan) -> None:
    """Check that an exclusion is of what will be evaluated.

    Raises the errors of `check_exclusion`.
    """
    datasets = [workload.dataset for workload in plan.workloads]
    listed = [
        ListedImages(
            dataset.name,
            dataset.annotations_sha256,
            frozenset(image.id for image in dataset.images),
        )
        for dataset in datasets
    ]
    check_exclusion(exclusion, listed)


def show_excluded(
    folder: Path, done: RunResults, exclusion: Exclusion, json: Path | None
) -> dict[str, Any]:
    """Print both numbers of every cell, add them to the run and to `json`, and return them."""
    run = read_run(folder)
    found = excluded_scores(run, exclusion, [cell.id for cell in run.cells])
    print_fitting(excluded_table(found))
    write_excluded(folder, found)
    more = {"excluded": mapping_from_record(found)}
    if json is not None:
        with naming_what_cannot_be_written(json):
            write_results(json, done.results, done.settings, more)
    return more
