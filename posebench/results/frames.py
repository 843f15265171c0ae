"""Results as a pandas table, for notebooks. No torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.files.records import mapping_from_record
from posebench.results.cell import CellResult
from posebench.results.differences import Difference, by_cell, read_differences
from posebench.results.findings import finding_lines
from posebench.results.numbers import NUMBERS
from posebench.results.store import StoredCell, read_run

if TYPE_CHECKING:
    import pandas as pd


def load_results(*runs: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the cells of run directories as a table, one row per cell in the suite's order.

    Columns are flat: what was evaluated, `status` and `reason`, the protocol as `protocol.*`,
    labels as `labels.*`, what `posebench bench` measured as `speed.*`, and metrics as fractions 0-1
    with the ends of their intervals as `AP low` and `AP high`. `findings` says what is odd in the
    data and the checkpoint, a line each as tables show it, and is empty where nothing is. Where
    `posebench eval` compared checkpoints, `AP difference` is the one to `baseline` in its row, with
    `AP difference low`, `high`, `p (Holm)` and `told apart`. With several runs, the first column
    `run` says which. Raises `DataError` if one is no run directory.
    """
    import pandas as pd

    rows = [
        {"run": os.fspath(folder), **row} if len(runs) > 1 else row
        for folder in runs
        for row in _rows(Path(folder))
    ]
    table: pd.DataFrame = pd.DataFrame(rows)
    return table


def _rows(folder: Path) -> list[dict[str, Any]]:
    run = read_run(folder)
    found = read_differences(run.folder)
    compared = {} if found is None else by_cell(found.differences)
    return [{**_row(cell), **_difference(compared.get(cell.id))} for cell in run.cells]


def _difference(found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {}
    name = f"{found.metric} difference"
    return {
        "baseline": found.baseline,
        name: found.difference,
        f"{name} low": found.low,
        f"{name} high": found.high,
        f"{name} p (Holm)": found.p_holm,
        f"{name} told apart": found.told_apart,
    }


def _row(cell: StoredCell) -> dict[str, Any]:
    plain = mapping_from_record(cell.result)
    checkpoint = plain.pop("checkpoint")
    name = checkpoint.pop("name")
    checkpoint.pop("spec")
    plain.pop("speed")
    intervals, official = (plain.pop(key) or {} for key in ("intervals", "official"))
    protocol, metrics = (plain.pop(key) or {} for key in ("protocol", "metrics"))
    return {
        "id": cell.id,
        "checkpoint": name,
        **checkpoint,
        **{f"labels.{key}": value for key, value in cell.labels.items()},
        **plain,
        "findings": "\n".join(finding_lines([cell.result])),
        **_speeds(cell.result),
        **metrics,
        **{
            f"{metric} {e}": v
            for e in ("low", "high")
            for metric, v in intervals.get(e, {}).items()
        },
        **{f"official.{key}": value for key, value in official.get("metrics", {}).items()},
        **{f"protocol.{key}": value for key, value in protocol.items()},
    }


def _speeds(result: CellResult) -> dict[str, float | None]:
    if result.speed is None:
        return {}
    return {
        f"speed.{name}": number.read(result)
        for name, number in NUMBERS.items()
        if number.kind == "speed"
    }
