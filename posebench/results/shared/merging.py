"""Run directories of one suite to one: the shards of a run, from wherever they were run.

Files are copied as they are, so that each cell keeps the environment that it was made in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from posebench.errors import DataError, UsageError
from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written
from posebench.results.cell import CheckpointFacts
from posebench.results.probe_store import probe_files
from posebench.results.probes import StoredProbe
from posebench.results.shared.copied import cell_files, copy_files, copy_trained, join_places
from posebench.results.shared.deals import check_deals, copy_deals
from posebench.results.shared.locks import locked
from posebench.results.store import (
    RUN_FILE,
    Run,
    RunRecord,
    StoredCell,
    read_run,
    start_run,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result", StoredCell, StoredProbe)
# Results that another one of the same cell replaces, whatever it is.
_UNFINISHED = ("failed", "skipped")
# What two records of one run may differ in.
_OWN = {"environment": {}, "threads": 0, "source": "", "cells": (), "probes": ()}
# Fields of a suite that say where data lie.
_PLACES = ("root", "images", "folder")


@dataclass(frozen=True)
class _Found:
    """A result of a cell or probe, and the run directory that has it."""

    result: Any
    folder: Path


def merge_runs(folders: Sequence[Path], out: Path) -> Run:
    """Merge run directories of one suite into another one and return it.

    What `out` has already stays; a result that two have is taken from the first. A cell that
    failed or was skipped in one is taken from another one where it is done. Raises `UsageError` if
    the runs are not of one suite, and `DataError` if two results of one cell differ in more than
    their environment and speed, if one checkpoint has two weights, or if files cannot be read or
    written.
    """
    with locked(out):
        sources = [out] if (out / RUN_FILE).is_file() else []
        sources += [each for each in folders if each.resolve() != out.resolve()]
        runs = [read_run(folder) for folder in sources]
        if not runs:
            raise UsageError("There is nothing to merge.", hint="Name run directories.")
        record = _joined_record(runs)
        check_deals(sources)
        cells = _chosen([(run.folder, run.cells) for run in runs], _cell_difference)
        probes = _chosen([(run.folder, run.probes) for run in runs], _probe_difference)
        _check_weights([*cells.values(), *probes.values()])
        with naming_what_cannot_be_written(out):
            copy_trained([run.folder for run in runs], out)
            for found in cells.values():
                copy_files(found.folder, out, cell_files(found.folder, found.result))
            for found in probes.values():
                copy_files(found.folder, out, probe_files(found.folder, found.result))
            copy_deals(sources, out)
            join_places(sources, out)
        start_run(out, record)
        run = read_run(out)
        _say_which_versions(run)
        return run


def _say_which_versions(run: Run) -> None:
    """Warn of results of several versions of posebench, which may score in different ways."""
    versions = sorted({cell.posebench for cell in run.cells if cell.posebench})
    if len(versions) > 1:
        _log.warning(
            "%s has results of posebench %s, whose numbers may differ: see the changelog. "
            "`posebench run` makes those of other versions again.",
            run.folder,
            " and ".join(versions),
        )


def _joined_record(runs: Sequence[Run]) -> RunRecord:
    """Return the record of all runs together.

    Raises `UsageError` if they are not of one suite.
    """
    first = runs[0]
    for other in runs[1:]:
        differing = _differing(first.record, other.record)
        if differing:
            raise UsageError(
                f"{first.folder} and {other.folder} are not parts of one run: they differ in "
                f"{', '.join(differing)}.",
                hint="Merge what `posebench run` made of one suite with the same options.",
            )
    return replace(
        first.record,
        cells=_joined_ids([run.record.cells for run in runs]),
        probes=_joined_ids([run.record.probes for run in runs]),
    )


def _differing(one: RunRecord, other: RunRecord) -> list[str]:
    """Return the fields that make two runs differ; of a suite, its own fields.

    Where data lie does not count: results name them by the hash of their content.
    """
    plain, others = (
        _without_places(mapping_from_record(replace(each, **_OWN)))  # type: ignore[arg-type]
        for each in (one, other)
    )
    machines = [each.environment.get("machine") for each in (one, other)]
    if one.bench is not None and machines[0] != machines[1]:
        return ["the machine whose speed they are"]
    names = [name for name in plain if plain[name] != others[name]]
    if "suite" in names:
        suite, changed = plain["suite"], others["suite"]
        names.remove("suite")
        names += [f"suite: {name}" for name in suite if suite[name] != changed.get(name)]
    return names


def _without_places(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _without_places(v) for key, v in plain.items() if key not in _PLACES}
    return [_without_places(each) for each in plain] if isinstance(plain, list) else plain


def _joined_ids(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return all ids; those that the first list lacks come behind what they follow elsewhere."""
    joined = list(lists[0])
    for ids in lists[1:]:
        known, place = {*joined}, 0
        for name in ids:
            if name in known:
                place = joined.index(name) + 1
            else:
                joined.insert(place, name)
                place += 1
    return tuple(joined)


def _chosen(
    sources: Sequence[tuple[Path, Sequence[_Result]]],
    difference: Callable[[_Result, _Result], str | None],
) -> dict[str, _Found]:
    """Return one result of each id.

    Raises `DataError` if two that are finished differ.
    """
    chosen: dict[str, _Found] = {}
    for folder, results in sources:
        for result in results:
            own = chosen.get(result.id)
            if own is None or (_status(own.result) in _UNFINISHED and _is_finished(result)):
                chosen[result.id] = _Found(result, folder)
                continue
            if not _is_finished(result):
                continue
            what = difference(own.result, result)
            if what is not None:
                raise DataError(
                    f"{own.folder} and {folder} have two results of {result.id}: they differ in "
                    f"{what}.",
                    hint="Delete the wrong one, in its folder's `cells` or `probes`.",
                )
    return chosen


def _status(result: StoredCell | StoredProbe) -> str:
    return result.result.status if isinstance(result, StoredCell) else result.status


def _is_finished(result: StoredCell | StoredProbe) -> bool:
    return _status(result) not in _UNFINISHED


def _check_weights(found: Sequence[_Found]) -> None:
    """Raise `DataError` if results of one checkpoint are of different weights."""
    first: dict[str, _Found] = {}
    for each in found:
        facts = _checkpoint(each)
        if facts.sha256 is None:
            continue
        known = first.setdefault(facts.name, each)
        if _checkpoint(known).sha256 != facts.sha256:
            raise DataError(
                f"{facts.name} is one checkpoint in {known.folder} and another one in "
                f"{each.folder}: {known.result.id} and {each.result.id} are of different weights.",
                hint="Run all of its cells with one of the two: trainings have to be done once, "
                "and copied to where they are evaluated.",
            )


def _checkpoint(found: _Found) -> CheckpointFacts:
    result = found.result
    facts: CheckpointFacts = (
        result.result if isinstance(result, StoredCell) else result
    ).checkpoint
    return facts


def _cell_difference(one: StoredCell, other: StoredCell) -> str | None:
    """Return the first thing besides environment, speed and words in which two cells differ."""
    plain, others = (
        mapping_from_record(
            replace(
                each,
                environment=None,
                predictions=None,
                load_report=None,
                result=replace(
                    each.result, instances_per_second=None, speed=None, reason=None, findings=()
                ),
            )
        )
        for each in (one, other)
    )
    return _first_difference(plain, others)


def _probe_difference(one: StoredProbe, other: StoredProbe) -> str | None:
    plain, others = (
        mapping_from_record(replace(each, environment=None, seconds=None)) for each in (one, other)
    )
    return _first_difference(plain, others)


def _first_difference(one: Any, other: Any, name: str = "") -> str | None:
    """Return where plain data differ, such as `result: metrics: AP (0.5, 0.6)`."""
    if one == other:
        return None
    if isinstance(one, dict) and isinstance(other, dict):
        for key in (*one, *(key for key in other if key not in one)):
            place = f"{name}: {key}" if name else str(key)
            found = _first_difference(one.get(key), other.get(key), place)
            if found is not None:
                return found
    return f"{name} ({one}, {other})"
