"""What a comparison of two runs finds: the records of changes, cells and gates. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from posebench.results.numbers import NumberKind, number_named
from posebench.scoring.statistics.estimates import Estimate

CellState = Literal["unchanged", "changed", "failed", "missing", "new", "incomparable", "neither"]
Method = Literal["paired bootstrap", "plain difference"]


@dataclass(frozen=True)
class Change:
    """A number of both runs in its own scale (see `NUMBERS`), and candidate minus baseline.

    The interval and p-values are those of a paired bootstrap over images; they are made for AP
    and the metrics of gates, and are None for a plain difference. `told` says whether the repeats
    of a speed allow to call it different, None where it was measured once. `detectable` is the
    smallest drop that these images would show in four cases of five (see `detectable_drop`), None
    without resamples and where the matches are the same.
    """

    metric: str
    baseline: float
    candidate: float
    difference: Estimate
    told: bool | None = None
    detectable: float | None = None


def is_of(change: Change, kind: NumberKind) -> bool:
    """Tell whether a change is of a number of this kind."""
    return number_named(change.metric).kind == kind


@dataclass(frozen=True)
class CellComparison:
    """What became of one cell.

    `failed`: it had a result and has none any more, or it fails and did not before; `missing`: it
    is not in the candidate at all; `new`: it has a result for the first time; `neither` run has
    one; `incomparable`: the protocols differ, and `reason` says in what; `speed_reason` why only
    speeds do not compare; `made_with` names versions and machines that differ, both values each.
    """

    id: str
    state: CellState
    method: Method | None = None
    changes: tuple[Change, ...] = ()
    reason: str | None = None
    speed_reason: str | None = None
    made_with: tuple[str, ...] = ()

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
    """Two runs side by side; `findings` say what is odd in their data and checkpoints.

    `partners` says which checkpoints of other names were compared, and why.
    """

    baseline: str
    candidate: str
    cells: tuple[CellComparison, ...]
    gates: tuple[GateResult, ...] = ()
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Every gate passed."""
        return all(gate.passed for gate in self.gates)
