"""Speeds of one cell in two runs: what may be compared, and what may be called. No torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from posebench.judging.gates import CROPS, LATENCY, SPEED
from posebench.results.cell import CellResult
from posebench.results.speed import REPEATED, Measured, Speed, differing_conditions, is_told
from posebench.results.store import Run, StoredCell

UNITS = {SPEED: "instances/s", CROPS: "crops/s", LATENCY: "ms"}
_REPEATED: dict[str, Callable[[Speed], Measured | None]] = {
    SPEED: REPEATED["inst/s"],
    CROPS: REPEATED["crops/s"],
    LATENCY: REPEATED["latency ms"],
}


def speeds_of(result: CellResult) -> dict[str, float | None]:
    """Return a result's speeds by the names of gates."""
    speed = result.speed
    if speed is None:
        return {SPEED: result.instances_per_second}
    repeated = {name: number(speed) for name, number in _REPEATED.items()}
    return {name: None if each is None else each.value for name, each in repeated.items()}


def is_speed_told(old: CellResult, new: CellResult, name: str) -> bool | None:
    """Tell whether repeats allow to call a speed different, None where it was measured once."""
    if old.speed is None or new.speed is None:
        return None
    one, other = (_REPEATED[name](speed) for speed in (old.speed, new.speed))
    return None if one is None or other is None else is_told(one, other)


def differing_speeds(runs: tuple[Run, Run], old: StoredCell, new: StoredCell) -> str | None:
    """Return what forbids to compare two cells' speeds, None where there is nothing to compare."""
    one, other = old.result, new.result
    if one.instances_per_second is None or other.instances_per_second is None:
        return None
    if one.speed is not None and other.speed is not None:
        return differing_conditions(one.speed.conditions, other.speed.conditions)
    if one.speed is not None or other.speed is not None:
        return "only one run is of posebench bench"
    machines = [_machine(run) for run in runs]
    pairs = [(name, machines[0][name], machines[1][name]) for name in machines[0]]
    return ", ".join(f"{name} ({a} / {b})" for name, a, b in pairs if a != b) or None


def _machine(run: Run) -> dict[str, Any]:
    machine = run.record.environment.get("machine", {})
    return {
        "processor": machine.get("processor"),
        "cores": machine.get("cores"),
        "threads": run.record.threads,
    }
