"""A suite to its cells: every one with what is known before anything runs, in a stable order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.errors import PosebenchError, SpecError
from posebench.networks.codecs import DecoderChoice
from posebench.networks.policies import Policy
from posebench.networks.sizes import InputSize
from posebench.prediction.engines import own_engine
from posebench.prediction.execution import Execution
from posebench.results.cell import CellResult, Status
from posebench.running.cells import Grid, Storage, one_line, plan_cell, plan_cells, reason_of
from posebench.running.run_cells import checkpoint_facts, result_without_cells
from posebench.running.sources import CheckpointSource, distinct_names
from posebench.running.workload import Workload, data_requests, load_workload
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions
from posebench.scoring.statistics.estimates import Resampling
from posebench.suites.suite import CheckpointEntry, Suite
from posebench.zoo import resolve

_WILD = re.compile(r"[*?\[]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class SuiteCheckpoint:
    """One checkpoint of a suite; `problem` is why there is no file, if there is none."""

    source: CheckpointSource
    entry: CheckpointEntry
    problem: tuple[Status, str] | None = None


@dataclass(frozen=True)
class CellAxes:
    """What is the same for all cells of a checkpoint that are planned together."""

    flip_test: bool
    execution: Execution


@dataclass(frozen=True)
class SuiteCell:
    """One cell: its id, its result so far, and where in the plan its parts are.

    `axes` and `key`, the size and policy, are None for a checkpoint that cannot be loaded.
    """

    id: str
    result: CellResult
    checkpoint: SuiteCheckpoint
    workload: int = 0
    axes: CellAxes | None = None
    key: tuple[InputSize, Policy] | None = None

    @property
    def decoder(self) -> DecoderChoice:
        """Return the decoder, or `own` where the checkpoint could not be loaded."""
        return cast("DecoderChoice", self.result.protocol.decoder or "own")


@dataclass(frozen=True)
class SuitePlan:
    """All cells of a suite, in order.

    By data set, boxes, checkpoint, flip test, engine, precision, size, policy, decoder.
    """

    suite: Suite
    workloads: tuple[Workload, ...]
    cells: tuple[SuiteCell, ...]


@dataclass(frozen=True)
class Place:
    """Where a suite's paths start, what is kept where, and the device that networks run on.

    `limit` keeps the first images of each data set only.
    """

    folder: Path
    storage: Storage
    limit: int | None = None
    device: str = "cpu"


def plan_suite(suite: Suite, place: Place, progress: Callable[[str, int, int], None]) -> SuitePlan:
    """Load data and checkpoints and plan every cell.

    A checkpoint that is not there or cannot be loaded is a result with its reason. Raises
    `PosebenchError` for data that cannot be used, and for patterns that fit no file.
    """
    checkpoints = suite_checkpoints(suite, place.folder)
    workloads = [
        load_workload(
            request,
            scoring_options(suite),
            lambda done, all_: progress("rendering", done, all_),
            ScoreChecks(resampling(suite)),
        )
        for request in data_requests(suite, place.folder, place.limit)
    ]
    by_workload: list[list[SuiteCell]] = [[] for _ in workloads]
    for position, checkpoint in enumerate(checkpoints):
        progress("planning", position, len(checkpoints))
        for index, cells in enumerate(_checkpoint_cells(suite, checkpoint, workloads, place)):
            by_workload[index] += [replace(cell, workload=index) for cell in cells]
    progress("planning", len(checkpoints), len(checkpoints))
    cells = [cell for group in by_workload for cell in group]
    return SuitePlan(suite, tuple(workloads), tuple(_with_ids(cells)))


def suite_checkpoints(suite: Suite, folder: Path) -> tuple[SuiteCheckpoint, ...]:
    """Return the checkpoints that a suite's entries mean, patterns in the order of names."""
    found: list[tuple[CheckpointEntry, Path | None, PosebenchError | None]] = []
    for entry in suite.checkpoint_entries:
        if _WILD.search(entry.file) and not (folder / entry.file).exists():
            paths = sorted(path for path in folder.glob(entry.file) if path.is_file())
            if not paths or (entry.name is not None and len(paths) > 1):
                what = "fits no file" if not paths else f"fits {len(paths)} files, for one name"
                raise SpecError(f"The pattern {entry.file} {what} in {folder}.")
            found += [(entry, path, None) for path in paths]
            continue
        try:
            own = folder / entry.file
            found.append((entry, own if own.is_file() else resolve(entry.file), None))
        except PosebenchError as error:
            found.append((entry, None, error))
    names = iter(distinct_names([path for _, path, _ in found if path is not None]))
    checkpoints = []
    for entry, path, absence in found:
        name = entry.file if path is None else next(names)
        spec = None if entry.spec is None else folder / entry.spec
        source = CheckpointSource(path or Path(entry.file), entry.name or name, spec)
        problem: tuple[Status, str] | None = None
        if absence is not None:
            problem = ("skipped", one_line(absence))
        checkpoints.append(SuiteCheckpoint(source, entry, problem))
    _check_distinct(checkpoints)
    return tuple(checkpoints)


def _check_distinct(checkpoints: Sequence[SuiteCheckpoint]) -> None:
    """Raise `SpecError` for two checkpoints of one name: results could not tell them apart."""
    names = [checkpoint.source.name for checkpoint in checkpoints]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(
                f"The suite has two checkpoints {name}.",
                hint="Give one of them a `name`, or list it once.",
            )


def scoring_options(suite: Suite) -> ScoringOptions:
    """Return how a suite scores."""
    scoring = suite.scoring
    return ScoringOptions(
        rescoring=scoring.rescoring,
        keypoint_threshold=scoring.keypoint_threshold,
        nms=scoring.nms,
        nms_threshold=scoring.nms_threshold,
    )


def resampling(suite: Suite) -> Resampling | None:
    """Return how a suite makes intervals, None for not at all."""
    scoring = suite.scoring
    return Resampling(scoring.replicates, scoring.seed) if scoring.replicates else None


def suite_grid(suite: Suite, axes: CellAxes) -> Grid:
    """Return the sizes, policies and decoders of one checkpoint's cells on the other axes."""
    return Grid(
        sizes=suite.sizes,
        policies=suite.policies,
        flip_test=axes.flip_test,
        execution=axes.execution,
        decoders=suite.decoders,
    )


def _checkpoint_cells(
    suite: Suite,
    checkpoint: SuiteCheckpoint,
    workloads: Sequence[Workload],
    place: Place,
) -> list[list[SuiteCell]]:
    """Return the cells of one checkpoint on each workload."""
    source, problem, loaded = checkpoint.source, checkpoint.problem, None
    if problem is None:
        try:
            loaded = load_checkpoint(source.path, source.spec_file)
        except Exception as error:
            problem = ("failed", reason_of(error, source.name))
    if loaded is None:
        assert problem is not None
        return [
            [SuiteCell("", result_without_cells(source, load, *problem), checkpoint)]
            for load in workloads
        ]
    return [_cells(suite, checkpoint, loaded, load, place) for load in workloads]


def _cells(
    suite: Suite,
    checkpoint: SuiteCheckpoint,
    loaded: Checkpoint,
    workload: Workload,
    place: Place,
) -> list[SuiteCell]:
    facts = checkpoint_facts(loaded, checkpoint.source.name)
    cells = []
    for axes in _axes(suite, loaded, place.device):
        grid = suite_grid(suite, axes)
        for key in plan_cells(loaded.spec, grid):
            planned = plan_cell(loaded, facts, key, workload, grid, place.storage)
            cells += [
                SuiteCell("", result, checkpoint, axes=axes, key=key) for result in planned.results
            ]
    return cells


def _axes(suite: Suite, loaded: Checkpoint, device: str) -> list[CellAxes]:
    """Return the distinct settings of flip test, engine and precision, in the order asked for."""
    own = own_engine(loaded.network)
    axes = (
        CellAxes(
            loaded.spec.flip.test if flip == "own" else flip,
            Execution(own if engine == "own" else engine, precision, device),
        )
        for flip, engine, precision in itertools.product(suite.flip, suite.engines, suite.precision)
    )
    return list(dict.fromkeys(axes))


def _with_ids(cells: Sequence[SuiteCell]) -> list[SuiteCell]:
    """Return cells with ids that are safe as file names and differ, also where case does not."""
    taken = set[str]()
    named = []
    for cell in cells:
        name = _cell_name(cell)
        tries = (name if count == 1 else f"{name}-{count}" for count in itertools.count(1))
        free = next(each for each in tries if each.lower() not in taken)
        taken.add(free.lower())
        named.append(replace(cell, id=free))
    return named


def _cell_name(cell: SuiteCell) -> str:
    protocol, parts = (
        cell.result.protocol,
        [cell.result.protocol.dataset, cell.result.protocol.boxes],
    )
    parts.append(cell.result.checkpoint.name)
    if cell.key is not None:
        flip = "flip" if protocol.flip_test else "noflip"
        parts += [*map(str, cell.key), flip, protocol.decoder or "none"]
        execution = cell.result.unusual_execution
        parts += [] if execution is None else [execution]
    return _UNSAFE.sub("-", "_".join(parts)).strip(".-")[:180]
