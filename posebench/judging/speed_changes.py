"""Speeds of one cell in two runs: what may be compared, and what may be called. No torch."""

from __future__ import annotations

from typing import Any

from posebench.results.cell import CellResult
from posebench.results.numbers import number_named
from posebench.results.speed import differing_conditions, is_told
from posebench.results.store import Run, StoredCell


def is_speed_told(old: CellResult, new: CellResult, name: str) -> bool | None:
    """Tell whether repeats allow to call a number different, None where it was measured once."""
    repeats = number_named(name).repeats
    one, other = (None, None) if repeats is None else (repeats(old), repeats(new))
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
