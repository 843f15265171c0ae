"""The cells of a run that are handed on: their names, numbers, protocol and COCO results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.datasets.categories import EVERY
from posebench.errors import DataError, UsageError
from posebench.files.records import mapping_from_record
from posebench.results.numbers import bounds_of, number_named, numbers_of
from posebench.results.store import Run, StoredCell
from posebench.scoring.evaluate import ScoringOptions, chosen_results


@dataclass(frozen=True)
class ExportedRun:
    """A run, its cells that have numbers, and where they go.

    Without `out` the library of the form decides; `project` is a name there.
    """

    run: Run
    cells: tuple[StoredCell, ...]
    out: Path | None
    project: str

    @property
    def place(self) -> Path:
        """The file or folder to write."""
        assert self.out is not None
        return self.out

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.run.folder.resolve().name

    def folder(self) -> Path:
        """Return the folder to write into, made if it is not there.

        Raises `UsageError` if it cannot be one.
        """
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"{self.place} cannot be a folder: {error.strerror}."
            raise UsageError(what, hint="Name another one with --out.") from None
        return self.place

    def coco_results(self, cell: StoredCell) -> list[dict[str, Any]]:
        """Return the COCO results that a cell was scored by.

        Raises `DataError` if its predictions were not kept.
        """
        predictions = self.run.predictions(cell)
        if predictions is None:
            raise DataError(
                f"The predictions of {cell.id} were not kept.",
                hint="Run it again with this version of posebench, which keeps them.",
            )
        protocol = cell.result.protocol
        if protocol.category == EVERY:
            raise DataError(
                f"{cell.id} is of several categories, which its predictions do not say.",
                hint="posebench run --predictions DIR writes its results with their categories.",
            )
        options = ScoringOptions(
            protocol.rescoring,  # type: ignore[arg-type]
            protocol.keypoint_threshold,
            protocol.nms,  # type: ignore[arg-type]
            protocol.nms_threshold,
        )
        return chosen_results(predictions, protocol.sigmas, options, protocol.category)


def numbers_in_units(cell: StoredCell) -> dict[str, float]:
    """Return a cell's numbers as tables show them, scores in points, with ends of intervals."""
    found: dict[str, float] = {}
    for name, value in numbers_of(cell.result).items():
        if value is None:
            continue
        scale = number_named(name).unit.scale
        found[name] = round(scale * value, 4)
        bounds = bounds_of(cell.result, name)
        if bounds is not None:
            low, high = bounds
            found |= {f"{name} low": round(scale * low, 4), f"{name} high": round(scale * high, 4)}
    return found


def settings_of(cell: StoredCell) -> dict[str, Any]:
    """Return what a cell is: checkpoint, size, policy, labels and the whole protocol, flat."""
    result = cell.result
    facts = mapping_from_record(result.checkpoint)
    protocol = mapping_from_record(result.protocol)
    return {
        "checkpoint": facts["name"],
        **{key: facts[key] for key in ("sha256", "paradigm", "backbone", "trained_size")},
        "size": str(result.size),
        "policy": result.policy,
        **{f"labels.{key}": value for key, value in cell.labels.items()},
        **{f"protocol.{key}": value for key, value in protocol.items()},
        "posebench": cell.posebench,
    }


def protocol_words(cell: StoredCell) -> str:
    """Return what tells a cell's numbers from others of its checkpoint, in a few words."""
    result, protocol = cell.result, cell.result.protocol
    flip = "flip test" if protocol.flip_test else "no flip test"
    words = (f"{result.size} {result.policy}", f"boxes {protocol.boxes}", flip)
    return ", ".join((*words, f"decoder {protocol.decoder}"))


def file_word(text: str) -> str:
    """Return a text as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def split_of(run: Run, cell: StoredCell) -> str | None:
    """Return the split that a cell's data set was read from, or None if it is not told."""
    name = cell.result.protocol.dataset
    splits = {entry.split for entry in run.record.suite.dataset_entries if entry.called == name}
    return splits.pop() if len(splits) == 1 else None
