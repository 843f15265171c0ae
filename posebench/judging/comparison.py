"""Compare two runs cell by cell: what changed, by how much, and which gates fail. No torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from posebench.files.environment import flat_environment
from posebench.judging.changes import (
    CellComparison,
    CellState,
    Change,
    Comparison,
    GateResult,
    Method,
    is_of,
)
from posebench.judging.claim_cells import comparable_identity
from posebench.judging.contrasts import short_text
from posebench.judging.gate_results import check_gates, offenders
from posebench.judging.gates import ChangeGate, Gate, default_gates
from posebench.judging.pairs.partners import partners_of
from posebench.judging.speed_changes import differing_speeds, is_speed_told
from posebench.results.findings import finding_lines
from posebench.results.numbers import AP, main_metrics, number_named, numbers_of
from posebench.results.replicates import Draws, sampled_table
from posebench.results.store import Run, StoredCell, read_run
from posebench.scoring.statistics.estimates import Estimate, Sampled
from posebench.scoring.statistics.image_table import ImageTable, Recipe
from posebench.scoring.statistics.intervals import detectable_drop, holm

_log = logging.getLogger(__name__)
_SIDES = ("baseline", "candidate")


def compare_runs(
    baseline: Path,
    candidate: Path,
    gates: Sequence[Gate],
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Comparison:
    """Compare two run directories; raise `PosebenchError` for what is not one.

    `aliases` say which of the candidate's checkpoints one of the baseline is compared with, by
    name. The default gates are on the main number of each data set: AP, or that of data without.
    """
    runs = read_run(baseline), read_run(candidate)
    known = main_metrics(cell.result for run in runs for cell in run.cells)
    old, new = ({cell.id: cell for cell in run.cells} for run in runs)
    partners = partners_of(*runs, aliases)
    tested = {*known, *(gate.metric for gate in gates if isinstance(gate, ChangeGate))}
    cells = _adjusted(
        [
            _compare(a or b or "", (old.get(a or ""), new.get(b or "")), runs, tested)
            for a, b in partners.pairs
        ]
    )
    if tuple(gates) == default_gates([AP]):
        both = [name for name in known if any(cell.change(name) for cell in cells)]
        gates = default_gates(both or known)
    check_gates(gates, cells)
    _warn_of_old_tables(cells, tested)
    return Comparison(
        baseline=str(baseline),
        candidate=str(candidate),
        cells=tuple(cells),
        gates=tuple(GateResult(gate.text, tuple(offenders(gate, cells))) for gate in gates),
        environments={side: run.record.environment for side, run in zip(_SIDES, runs, strict=True)},
        findings=_findings(runs),
        partners=partners.said,
    )


def _warn_of_old_tables(cells: Sequence[CellComparison], tested: Set[str]) -> None:
    """Say which tested metrics have no interval because a table does not hold what they need."""
    changes = [each for cell in cells if cell.method == "paired bootstrap" for each in cell.changes]
    untold = dict.fromkeys(
        each.metric
        for each in changes
        if each.metric in tested
        and each.difference.low is None
        and number_named(each.metric).recipe is not None
    )
    if untold:
        _log.warning(
            "One of the runs was scored by version 0.2 or before, which kept too little for an "
            "interval of %s. The command that made the run scores it again.",
            ", ".join(untold),
        )


def _findings(runs: tuple[Run, Run]) -> tuple[str, ...]:
    """Return what is odd in the data and checkpoints; which run's, where the other has it not."""
    one, other = (finding_lines(cell.result for cell in run.cells) for run in runs)
    shared = [line for line in one if line in other]
    own = [(side, line) for side, lines in zip(_SIDES, (one, other), strict=True) for line in lines]
    return (*shared, *(f"{side}: {line}" for side, line in own if line not in shared))


def _compare(
    name: str,
    sides: tuple[StoredCell | None, StoredCell | None],
    runs: tuple[Run, Run],
    tested: Set[str],
) -> CellComparison:
    old, new = sides
    stands_for_others = old is None and new is not None and _answers_for(new, runs[0])
    new = new or _lost(old, runs[1])
    had, has = (cell is not None and cell.result.status == "ok" for cell in (old, new))
    if new is None:
        return CellComparison(name, "missing" if had else "neither", reason="not in the candidate")
    if not has:
        reason = f"{new.result.status}: {new.result.reason or 'no reason given'}"
        failed_before = old is not None and old.result.status == "failed"
        fails = new.result.status == "failed" and not failed_before and not stands_for_others
        return CellComparison(name, "failed" if had or fails else "neither", reason=reason)
    if old is None or not had:
        before = "not in the baseline" if old is None else old.result.status
        return CellComparison(name, "new", reason=before)
    one, other = (comparable_identity(cell.result) for cell in (old, new))
    differing = [key for key in one if one[key] != other.get(key)]
    # Files of one content may have two names.
    for key, content in (("dataset", "annotations_sha256"), ("boxes", "boxes_sha256")):
        if key in differing and one[content] is not None and content not in differing:
            differing.remove(key)
    if differing:
        shown = ", ".join(
            f"{key} ({short_text(one[key])} / {short_text(other[key])})" for key in differing
        )
        reason = f"the protocols differ in {shown}"
        images = one["images_sha256"], other["images_sha256"]
        if "images_sha256" in differing and None in images:
            reason += "; a version before 0.2 did not record what the images hold: run it again"
        return CellComparison(name, "incomparable", reason=reason)
    changes, method = _changes((old, new), runs, tested)
    speed_reason = differing_speeds(runs, old, new)
    if speed_reason is not None:
        changes = tuple(each for each in changes if not is_of(each, "speed"))
    moved = any(each.difference.value != 0 for each in changes if is_of(each, "score"))
    state: CellState = "changed" if moved else "unchanged"
    made_with = _made_with(runs[0].environment(old), runs[1].environment(new))
    return CellComparison(name, state, method, changes, None, speed_reason, made_with)


def _lost(old: StoredCell | None, candidate: Run) -> StoredCell | None:
    """Return the one cell that stands for all of a checkpoint which could not be loaded."""
    if old is None:
        return None
    return next((cell for cell in candidate.cells if _is_all_of(cell, old)), None)


def _answers_for(new: StoredCell, baseline: Run) -> bool:
    """Tell whether a cell stands for others, which the baseline has one by one."""
    return any(_is_all_of(new, old) for old in baseline.cells)


def _is_all_of(lost: StoredCell, cell: StoredCell) -> bool:
    """Tell whether `lost` is all that there is of a cell's checkpoint on its data."""
    one, other = lost.result, cell.result
    return (
        one.size is None
        and one.checkpoint.name == other.checkpoint.name
        and one.protocol.dataset == other.protocol.dataset
        and one.protocol.boxes == other.protocol.boxes
    )


def _made_with(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in what the environments of two cells differ, apart from the date."""
    one, other = flat_environment(old), flat_environment(new)
    return tuple(
        f"{name} ({one.get(name, 'not said')} / {other.get(name, 'not said')})"
        for name in {**one, **other}
        if name != "date" and one.get(name) != other.get(name)
    )


def _changes(
    cells: tuple[StoredCell, StoredCell], runs: tuple[Run, Run], tested: Set[str]
) -> tuple[tuple[Change, ...], Method]:
    old, new = cells
    before, after = _numbers(old), _numbers(new)
    shared = [name for name in before if name in after]
    differences = {name: after[name] - before[name] for name in shared}
    estimates: dict[str, Estimate] = {}
    detectable: dict[str, float | None] = {}
    scoring = runs[0].record.suite.scoring
    if scoring.replicates > 0 and old.table is not None and old.table == new.table:
        # The same table: every resample of one is that of the other.
        table = runs[0].table(old)
        assert table is not None
        estimates = {m.name: Estimate(0.0, 0.0, 0.0, 1.0) for m in _told(differences, table)}
    elif scoring.replicates > 0:
        wanted = [name for name in differences if name in tested]
        sampled, told = _sampled(cells, runs, wanted)
        estimates = sampled.estimates(1, {name: differences[name] for name in told}, base=0)
        draws = sampled.replicates[1] - sampled.replicates[0]
        detectable = {name: detectable_drop(draws[:, i]) for i, name in enumerate(told)}
    changes = tuple(
        Change(
            name,
            before[name],
            after[name],
            estimates.get(name, Estimate(difference)),
            is_speed_told(old.result, new.result, name),
            detectable.get(name),
        )
        for name, difference in differences.items()
    )
    return changes, "paired bootstrap" if estimates else "plain difference"


def _sampled(
    cells: tuple[StoredCell, StoredCell], runs: tuple[Run, Run], names: Sequence[str]
) -> tuple[Sampled, list[str]]:
    """Return resamples of both cells, and the names of the numbers that both tables tell.

    There are none without tables of the same images.
    """
    scoring = runs[0].record.suite.scoring
    draws = Draws(scoring.replicates, scoring.seed)
    recipes = [r for name in names if (r := number_named(name).recipe) is not None]
    both = zip(runs, cells, strict=True)
    tables = [(run.folder, cell.table) for run, cell in both if cell.table is not None]
    alone = len(tables) < len(cells)
    sides = [] if alone else [sampled_table(*table, recipes, draws) for table in tables]
    told = [r for r in recipes if sides and all(r in side.replicates for side in sides)]
    if not told or sides[0].images != sides[1].images:
        return Sampled(np.zeros((2, 0, 0)), None), []
    replicates = [np.stack([side.replicates[r] for r in told], axis=1) for side in sides]
    return Sampled(np.stack(replicates), None), [recipe.name for recipe in told]


def _numbers(cell: StoredCell) -> dict[str, float]:
    """Return all of a cell's numbers that are there."""
    numbers = numbers_of(cell.result, cell.keypoints)
    return {name: value for name, value in numbers.items() if value is not None}


def _told(names: Iterable[str], table: ImageTable) -> list[Recipe]:
    """Return the recipes of the numbers that a table tells."""
    recipes = [number_named(name).recipe for name in names]
    return [recipe for recipe in recipes if recipe is not None and table.tells(recipe)]


def _adjusted(cells: Sequence[CellComparison]) -> list[CellComparison]:
    """Return cells whose p-values are adjusted over all cells, metric by metric."""
    values: dict[str, dict[str, float | None]] = {}
    for cell in cells:
        for change in cell.changes:
            values.setdefault(change.metric, {})[cell.id] = change.difference.p
    adjusted = {
        metric: dict(zip(of_cells, holm([*of_cells.values()]), strict=True))
        for metric, of_cells in values.items()
    }

    def with_adjusted(change: Change, cell: CellComparison) -> Change:
        p = adjusted[change.metric][cell.id]
        if p is None:  # of most, which were not resampled
            return change
        return replace(change, difference=replace(change.difference, p_holm=p))

    return [
        replace(cell, changes=tuple(with_adjusted(change, cell) for change in cell.changes))
        for cell in cells
    ]
