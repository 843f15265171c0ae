"""The two sides of an explanation: a run's cell, a results file, or a published number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.datasets.coco import PoseDataset
from posebench.errors import DataError, UsageError, ZooError
from posebench.judging.explaining.published import published_fields
from posebench.results.explaining.explanation import SideFacts
from posebench.results.explaining.fields import fields_of
from posebench.results.numbers import AP
from posebench.results.store import RUN_FILE, Run, StoredCell, read_run
from posebench.scoring.matching.metrics import MATCH_METRICS
from posebench.scoring.matching.truth import GroundTruth, ground_truth
from posebench.scoring.metrics import matched_table
from posebench.scoring.results_file import read_results
from posebench.scoring.signs.sign import ReadFile
from posebench.scoring.statistics.image_table import ImageTable
from posebench.zoo.published import PublishedCheckpoint, PublishedResult, find_published

_CELLS = "cells"
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Annotated:
    """The annotations that results files are scored against."""

    dataset: PoseDataset
    truth: GroundTruth

    @classmethod
    def of(cls, dataset: PoseDataset) -> Annotated:
        """Return a data set with its persons as columns.

        Raises `DataError` if it is scored by distances and has no AP, or has several categories.
        """
        if not MATCH_METRICS[dataset.kind]:
            raise _without_ap(dataset.name)
        if dataset.together:
            raise _of_several(dataset.name)
        return cls(dataset, ground_truth(dataset))

    def table(self, file: ReadFile) -> ImageTable:
        """Return a file's per-image table."""
        found = file.columns.of(self.dataset.category.id)
        return matched_table(self.truth, found, self.dataset.kind)


def of_one_category(datasets: Sequence[PoseDataset]) -> Annotated:
    """Return the only category of an annotation file.

    Raises `DataError` if there are several, and as `Annotated.of` does.
    """
    if len(datasets) > 1:
        raise _of_several(str(datasets[0].annotations))
    return Annotated.of(datasets[0])


def _of_several(what: str) -> DataError:
    return DataError(
        f"{what} has several categories, and results files are explained for one.",
        hint="Compare two runs, or write annotations and results of one category into files.",
    )


def _without_ap(dataset: str) -> DataError:
    return DataError(
        f"{dataset} is scored by distances and has no AP, which is what is explained.",
        hint="`posebench compare` subtracts the numbers that it has.",
    )


@dataclass(frozen=True, eq=False)
class Side:
    """One side: what is shown of it, the fields that it states, and what it was read from.

    `table` is its per-image table; `run` and `cell`, `file`, or `published` say what it is.
    `paradigm` is that of its network and `images` the number of its images, if they are known.
    """

    facts: SideFacts
    fields: Mapping[str, Any]
    table: ImageTable | None = None
    run: Run | None = None
    cell: StoredCell | None = None
    file: ReadFile | None = None
    published: PublishedCheckpoint | None = None
    result: PublishedResult | None = None
    paradigm: str | None = None
    images: int | None = None


def is_of_run(argument: str) -> bool:
    """Tell whether an argument means a run directory or a cell of one."""
    path = Path(argument)
    return (path / RUN_FILE).is_file() or (
        path.parent.name == _CELLS and (path.parent.parent / RUN_FILE).is_file()
    )


def read_side(argument: str, annotated: Annotated | None, name: str) -> Side:
    """Return the side that an argument means.

    It is a run directory, a cell of one (`RUN/cells/ID.json`), a results file, or a zoo id. Raises
    `PosebenchError` if it is none, or if a results file comes without annotations.
    """
    path = Path(argument)
    if path.is_dir() and (path / RUN_FILE).is_file():
        return _run_side(argument, read_run(path), None)
    if path.parent.name == _CELLS and (path.parent.parent / RUN_FILE).is_file():
        return _run_side(argument, read_run(path.parent.parent), path.stem)
    if path.exists():
        return _file_side(path, annotated, name)
    try:
        entry = find_published(argument)
    except ZooError as error:
        raise UsageError(
            f"{argument} is no run directory, results file or id of the zoo.", hint=error.hint
        ) from None
    return published_side(entry, None)


def published_side(entry: PublishedCheckpoint, other: Mapping[str, Any] | None) -> Side:
    """Return a published number: of an entry's rows, the one that most fields of `other` equal."""
    rows = [result for result in entry.results if AP in result.metrics]
    if not rows:
        raise DataError(
            f"The zoo has no AP of {entry.id}.", hint="`posebench zoo show` lists what it has."
        )

    def differing(result: PublishedResult) -> int:
        said = published_fields(entry, result)
        both = (name for name in said if other is not None and said[name] is not None)
        return sum(said[each] != (other or {}).get(each) for each in both)

    row = min(rows, key=differing)
    about = ", ".join(
        filter(None, (row.dataset, row.split, row.boxes and f"boxes {row.boxes}", row.sources[0]))
    )
    facts = SideFacts(entry.id, "published", entry.id, row.metrics[AP] / 100, about)
    fields = published_fields(entry, row)
    return Side(
        facts,
        fields,
        published=entry,
        result=row,
        paradigm=entry.paradigm,
        images=fields["images"],
    )


def _run_side(argument: str, run: Run, name: str | None) -> Side:
    cells = [cell for cell in run.cells if cell.result.status == "ok"]
    if name is not None:
        cells = [cell for cell in cells if cell.id == name]
    if len(cells) != 1:
        shown = ", ".join(cell.id for cell in cells[:_SHOWN])
        what = f"has {len(cells)} results" if cells else "has no result that is ok"
        raise UsageError(
            f"{argument} {what}, and one is explained at a time.",
            hint=f"Name one as {run.folder / _CELLS}/ID.json; ids are {shown}." if cells else None,
        )
    (cell,) = cells
    result = cell.result
    about = f"{result.protocol.dataset}, {result.protocol.images} images"
    if AP not in (result.metrics or {}):
        raise _without_ap(result.protocol.dataset)
    ap = (result.metrics or {})[AP]
    facts = SideFacts(argument, "run", result.checkpoint.name, ap, about)
    return Side(
        facts,
        fields_of(result),
        run.table(cell),
        run,
        cell,
        paradigm=result.checkpoint.paradigm,
        images=result.protocol.images,
    )


def _file_side(path: Path, annotated: Annotated | None, name: str) -> Side:
    if annotated is None:
        raise UsageError(
            f"{path} is a results file, which needs the annotations it is scored against.",
            hint="Name them with --ann FILE; a run on the other side has its own.",
        )
    found = read_results(path, [annotated.dataset], [annotated.truth])
    file = ReadFile(name, found.columns)
    return side_of_file(str(path), path.stem, file, annotated)


def side_of_file(source: str, name: str, file: ReadFile, annotated: Annotated) -> Side:
    """Return poses that are scored against annotations as a side."""
    from posebench.scoring.signs.signs import average_precision

    dataset, truth = annotated.dataset, annotated.truth
    poses = file.columns.of(dataset.category.id)
    ap = average_precision(dataset, truth, poses)
    about = f"{len(poses)} poses, {len(dataset.images)} images"
    facts = SideFacts(source, "results file", name, ap, about)
    return Side(facts, {}, annotated.table(file), file=file, images=len(dataset.images))
