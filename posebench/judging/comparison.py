"""Compare two runs cell by cell: what changed, by how much, and which gates fail. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from posebench.errors import UsageError, nearest
from posebench.judging.claim_cells import comparable_identity
from posebench.judging.gates import ChangeGate, Gate, StateGate
from posebench.judging.speed_changes import differing_speeds, is_speed_told
from posebench.results.numbers import AP, NUMBERS, NumberKind, number_named, numbers_of
from posebench.results.store import Run, StoredCell, read_run
from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.matching.metrics import MATCH_METRICS, MatchMetric
from posebench.scoring.statistics.estimates import Estimate, Resampling, resample
from posebench.scoring.statistics.intervals import holm
from posebench.suites.suite import ScoringEntry

CellState = Literal["unchanged", "changed", "failed", "missing", "new", "incomparable", "neither"]
Method = Literal["paired bootstrap", "plain difference"]
LEVEL = 0.05


@dataclass(frozen=True)
class Change:
    """A number of both runs in its own scale (see `NUMBERS`), and candidate minus baseline.

    The interval and p-values are those of a paired bootstrap over images; they are made for AP
    and the metrics of gates, and are None for a plain difference. `told` says whether the repeats
    of a speed allow to call it different, None where it was measured once.
    """

    metric: str
    baseline: float
    candidate: float
    difference: Estimate
    told: bool | None = None


def is_of(change: Change, kind: NumberKind) -> bool:
    """Tell whether a change is of a number of this kind."""
    return number_named(change.metric).kind == kind


@dataclass(frozen=True)
class CellComparison:
    """What became of one cell.

    `failed`: it had a result and has none any more; `missing`: it is not in the candidate at
    all; `new`: it has a result for the first time; `neither` run has one; `incomparable`: the
    protocols differ, and `reason` says in what; `speed_reason` why only speeds do not compare.
    """

    id: str
    state: CellState
    method: Method | None = None
    changes: tuple[Change, ...] = ()
    reason: str | None = None
    speed_reason: str | None = None

    def change(self, metric: str) -> Change | None:
        """Return the change of a metric, None where it was not measured in both."""
        return next((each for each in self.changes if each.metric == metric), None)


@dataclass(frozen=True)
class GateResult:
    """A gate and the cells that fail it, each with what it shows."""

    gate: str
    offenders: tuple[tuple[str, str], ...]

    @property
    def passed(self) -> bool:
        """No cell fails it."""
        return not self.offenders


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side."""

    baseline: str
    candidate: str
    cells: tuple[CellComparison, ...]
    gates: tuple[GateResult, ...] = ()
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Every gate passed."""
        return all(gate.passed for gate in self.gates)


def compare_runs(baseline: Path, candidate: Path, gates: Sequence[Gate]) -> Comparison:
    """Compare two run directories; raise `PosebenchError` for what is not one."""
    runs = read_run(baseline), read_run(candidate)
    old, new = ({cell.id: cell for cell in run.cells} for run in runs)
    names = dict.fromkeys(name for run in runs for name in run.record.cells)
    tested = {AP, *(gate.metric for gate in gates if isinstance(gate, ChangeGate))}
    cells = _adjusted(
        [_compare(name, (old.get(name), new.get(name)), runs, tested) for name in names]
    )
    _check_gates(gates, cells)
    return Comparison(
        baseline=str(baseline),
        candidate=str(candidate),
        cells=tuple(cells),
        gates=tuple(GateResult(gate.text, tuple(_offenders(gate, cells))) for gate in gates),
        environments={
            side: run.record.environment
            for side, run in zip(("baseline", "candidate"), runs, strict=True)
        },
    )


def _compare(
    name: str,
    sides: tuple[StoredCell | None, StoredCell | None],
    runs: tuple[Run, Run],
    tested: Set[str],
) -> CellComparison:
    old, new = sides
    new = new or _lost(old, runs[1])
    had, has = (cell is not None and cell.result.status == "ok" for cell in (old, new))
    if new is None:
        return CellComparison(name, "missing" if had else "neither", reason="not in the candidate")
    if not has:
        reason = f"{new.result.status}: {new.result.reason or 'no reason given'}"
        return CellComparison(name, "failed" if had else "neither", reason=reason)
    if old is None or not had:
        before = "not in the baseline" if old is None else old.result.status
        return CellComparison(name, "new", reason=before)
    one, other = (comparable_identity(cell.result) for cell in (old, new))
    differing = [key for key in one if one[key] != other.get(key)]
    if differing:
        shown = ", ".join(f"{key} ({_short(one[key])} / {_short(other[key])})" for key in differing)
        return CellComparison(name, "incomparable", reason=f"the protocols differ in {shown}")
    tables = runs[0].table(old), runs[1].table(new)
    changes, method = _changes(old, new, tables, runs[0].record.suite.scoring, tested)
    speed_reason = differing_speeds(runs, old, new)
    if speed_reason is not None:
        changes = tuple(each for each in changes if not is_of(each, "speed"))
    moved = any(each.difference.value != 0 for each in changes if is_of(each, "score"))
    state: CellState = "changed" if moved else "unchanged"
    return CellComparison(name, state, method, changes, speed_reason=speed_reason)


def _lost(old: StoredCell | None, candidate: Run) -> StoredCell | None:
    """Return the one cell that stands for all of a checkpoint which could not be loaded."""
    if old is None:
        return None
    name, protocol = old.result.checkpoint.name, old.result.protocol
    return next(
        (
            cell
            for cell in candidate.cells
            if cell.result.size is None
            and cell.result.checkpoint.name == name
            and cell.result.protocol.dataset == protocol.dataset
            and cell.result.protocol.boxes == protocol.boxes
        ),
        None,
    )


def _changes(
    old: StoredCell,
    new: StoredCell,
    tables: tuple[MatchTable | None, MatchTable | None],
    scoring: ScoringEntry,
    tested: Set[str],
) -> tuple[tuple[Change, ...], Method]:
    before, after = _numbers(old), _numbers(new)
    shared = [name for name in before if name in after]
    differences = {name: after[name] - before[name] for name in shared}
    estimates: dict[str, Estimate] = {}
    one, other = tables
    paired = (
        one is not None
        and other is not None
        and np.array_equal(one.image_ids, other.image_ids)
        and scoring.replicates > 0
    )
    if paired and old.table == new.table:
        # The same matches: every resample of one is that of the other.
        assert one is not None
        estimates = {
            m.name: Estimate(0.0, 0.0, 0.0, 1.0) for m in _metrics(one) if m.name in differences
        }
    elif paired:
        assert one is not None and other is not None
        metrics = [m for m in _metrics(one) if m.name in differences and m.name in tested]
        sampled = resample([one, other], metrics, Resampling(scoring.replicates, scoring.seed))
        values = {metric.name: differences[metric.name] for metric in metrics}
        estimates = sampled.estimates(1, values, base=0)
    changes = tuple(
        Change(
            name,
            before[name],
            after[name],
            estimates.get(name, Estimate(difference)),
            is_speed_told(old.result, new.result, name),
        )
        for name, difference in differences.items()
    )
    return changes, "paired bootstrap" if estimates else "plain difference"


def _numbers(cell: StoredCell) -> dict[str, float]:
    """Return all of a cell's numbers that are there."""
    numbers = numbers_of(cell.result, cell.keypoints)
    return {name: value for name, value in numbers.items() if value is not None}


def _metrics(table: MatchTable) -> tuple[MatchMetric, ...]:
    return MATCH_METRICS["coco" if table.crowd_index is None else "crowdpose"]


def _adjusted(cells: Sequence[CellComparison]) -> list[CellComparison]:
    """Return cells whose p-values are adjusted over all cells, metric by metric."""
    adjusted: dict[tuple[str, str], float | None] = {}
    metrics = dict.fromkeys(change.metric for cell in cells for change in cell.changes)
    for metric in metrics:
        found = [(c.id, change) for c in cells if (change := c.change(metric)) is not None]
        values = holm([change.difference.p for _, change in found])
        adjusted.update({(name, metric): p for (name, _), p in zip(found, values, strict=True)})
    return [
        replace(
            cell,
            changes=tuple(
                replace(c, difference=replace(c.difference, p_holm=adjusted[cell.id, c.metric]))
                for c in cell.changes
            ),
        )
        for cell in cells
    ]


def _check_gates(gates: Sequence[Gate], cells: Sequence[CellComparison]) -> None:
    """Raise `UsageError` for a gate on a metric that no cell has: it could never fail."""
    measured = dict.fromkeys(change.metric for cell in cells for change in cell.changes)
    if any(cell.speed_reason for cell in cells):
        measured |= dict.fromkeys(n for n, each in NUMBERS.items() if each.kind == "speed")
    for gate in gates:
        if isinstance(gate, ChangeGate) and measured and gate.metric not in measured:
            raise UsageError(
                f"The gate {gate.text!r}: no cell has {gate.metric}.",
                hint=nearest(gate.metric, measured),
            )


def _offenders(gate: Gate, cells: Sequence[CellComparison]) -> list[tuple[str, str]]:
    if isinstance(gate, StateGate):
        return [(cell.id, cell.reason or gate.state) for cell in cells if cell.state == gate.state]
    found = []
    for cell in cells:
        change = cell.change(gate.metric)
        if number_named(gate.metric).kind == "speed" and cell.speed_reason is not None:
            found.append((cell.id, f"speeds are not comparable: {cell.speed_reason}"))
        elif change is not None and _fails(gate, change):
            found.append((cell.id, _shown(change)))
    return found


def _fails(gate: ChangeGate, change: Change) -> bool:
    worse = change.baseline - change.candidate
    if gate.rise:
        worse = -worse
    limit = gate.limit * change.baseline if gate.relative else gate.limit
    # A difference of decimals must not fail for the last bit of its binary form.
    if worse <= limit + 1e-12:
        return False
    if gate.significant and change.told is not None:
        return change.told
    p = change.difference.p_holm
    return not gate.significant or p is None or p < LEVEL


def _shown(change: Change) -> str:
    number = number_named(change.metric)
    text = f"{number.unit.text(change.baseline)} -> {number.unit.text(change.candidate)}"
    if number.kind != "score":
        return f"{text} {number.unit.word}"
    text = f"{change.metric} {text}"
    value, low, high = change.difference.value, change.difference.low, change.difference.high
    if low is None or high is None or value is None:
        return f"{text} (plain difference, without interval)"
    value_text, low_text, high_text = map(number.unit.signed, (value, low, high))
    return f"{text} ({value_text}, 95 % interval {low_text} to {high_text})"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"
