"""A suite to its cells: every one with what is known before anything runs, in a stable order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from posebench.checkpoints.load_report import LoadReport
from posebench.files.names import distinct_file_names
from posebench.networks.codecs import Decoder
from posebench.networks.policies import Policy, canonical_policy
from posebench.networks.sizes import InputSize, resolve_size
from posebench.networks.spec import ModelSpec
from posebench.prediction.engines import own_engine
from posebench.prediction.execution import Execution, Progress
from posebench.results.cell import CellResult, CheckpointFacts, Status
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Costed, NetworkPlan, NetworkPlanner, RunKey, Storage
from posebench.running.reasons import reason_of
from posebench.running.sources import SuiteCheckpoint, check_distinct, suite_checkpoints
from posebench.running.workload import (
    Workload,
    datasets_of_workloads,
    suite_workloads,
    workloads_without_data,
)
from posebench.suites.suite import Suite
from posebench.suites.transforms import Transform, parse_transform


@dataclass(frozen=True)
class PlannedCell:
    """One cell before it runs: its id, its result so far, and how its network is to run.

    `network` and `report`, on the file's tensors, are None for a checkpoint that cannot be loaded.
    """

    id: str
    result: CellResult
    checkpoint: SuiteCheckpoint
    network: NetworkPlan | None = None
    report: LoadReport | None = None

    @property
    def runs(self) -> NetworkPlan:
        """The network plan of a cell that runs."""
        assert self.network is not None
        return self.network

    @property
    def decoder(self) -> Decoder:
        """The decoder of a cell that runs."""
        return cast("Decoder", self.result.protocol.decoder)


@dataclass(frozen=True)
class SuitePlan:
    """All cells of a suite, in order, and the checkpoints that they are of.

    The order is by data set, boxes, corruption, checkpoint, flip test, engine, precision,
    transform, size, policy, decoder.
    """

    suite: Suite
    workloads: tuple[Workload, ...]
    cells: tuple[PlannedCell, ...]
    checkpoints: tuple[SuiteCheckpoint, ...]


@dataclass(frozen=True)
class Place:
    """Where a suite's paths start, what is kept where, and the device that networks run on.

    `limit` keeps the first images of each data set only; `trained` are the checkpoints that the run
    has trained. The device may be `elsewhere`, on machines that this one need not be like. Images
    are read from copies in `stage`, if that is given.
    """

    folder: Path
    storage: Storage
    limit: int | None = None
    device: str = "cpu"
    trained: tuple[SuiteCheckpoint, ...] = ()
    elsewhere: bool = False
    stage: Path | None = None

    def checkpoints(self, suite: Suite) -> tuple[SuiteCheckpoint, ...]:
        """Return all checkpoints of a suite, those that are trained last.

        Raises `SpecError` if a pattern fits no file, or if two checkpoints have one name.
        """
        found = (*suite_checkpoints(suite, self.folder), *self.trained)
        check_distinct(found)
        return found


def plan_suite(
    suite: Suite,
    place: Place,
    loaded: LoadedCheckpoints,
    progress: Progress,
) -> SuitePlan:
    """Load data and checkpoints and plan every cell.

    A checkpoint that is not there or cannot be loaded is a result with its reason. Raises
    `PosebenchError` if data cannot be used, or if a pattern fits no file.
    """
    checkpoints = place.checkpoints(suite)
    workloads = suite_workloads(suite, place.folder, place.limit, progress, place.stage)
    return plan_cells(suite, checkpoints, workloads, place, loaded, progress)


def plan_without_data(
    suite: Suite, place: Place, loaded: LoadedCheckpoints, progress: Progress
) -> SuitePlan:
    """Plan every cell as far as that can be done without images and boxes being there."""
    checkpoints = place.checkpoints(suite)
    workloads = workloads_without_data(suite, place.folder)
    return plan_cells(suite, checkpoints, workloads, place, loaded, progress)


def plan_cells(
    suite: Suite,
    checkpoints: Sequence[SuiteCheckpoint],
    workloads: Sequence[Workload],
    place: Place,
    loaded: LoadedCheckpoints,
    progress: Progress,
) -> SuitePlan:
    """Load checkpoints and plan every cell on data that is loaded."""
    by_workload: list[list[PlannedCell]] = [[] for _ in workloads]
    datasets = datasets_of_workloads(suite)
    counted: dict[Costed, float | None] = {}
    for position, checkpoint in enumerate(checkpoints):
        progress("planning", position, len(checkpoints))
        planner = _CheckpointPlanner(suite, checkpoint, place, loaded, counted)
        own = checkpoint.own_datasets(suite)
        for index, (dataset, workload) in enumerate(zip(datasets, workloads, strict=True)):
            if dataset in own:
                by_workload[index] += planner.cells(index, workload)
    progress("planning", len(checkpoints), len(checkpoints))
    cells = [cell for group in by_workload for cell in group]
    return SuitePlan(suite, tuple(workloads), tuple(_with_ids(cells)), tuple(checkpoints))


class _CheckpointPlanner:
    """Plans the cells of one checkpoint, which is loaded once for all data."""

    def __init__(
        self,
        suite: Suite,
        checkpoint: SuiteCheckpoint,
        place: Place,
        loaded: LoadedCheckpoints,
        counted: dict[Costed, float | None],
    ) -> None:
        self._suite = suite
        self._checkpoint = checkpoint
        self._place = place
        self._problem = checkpoint.problem
        source = checkpoint.source
        if self._problem is None:
            try:
                found = loaded.load(source)
                self._planner = NetworkPlanner(
                    found,
                    source,
                    suite.decoders,
                    place.storage,
                    elsewhere=place.elsewhere,
                    counted=counted,
                )
                self._places = sizes_and_policies(
                    found.spec, checkpoint.sizes or suite.sizes, suite.policies
                )
            except Exception as error:
                self._problem = ("failed", reason_of(error, source.name))

    def cells(self, index: int, workload: Workload) -> list[PlannedCell]:
        """Return the cells on one workload, without ids."""
        if self._problem is not None:
            result = _result_without_network(self._checkpoint, workload, *self._problem)
            return [PlannedCell("", result, self._checkpoint)]
        loaded, cells = self._planner.checkpoint, []
        for flip_test, execution, transform in self._settings():
            for size, policy in self._places:
                name = self._checkpoint.source.name
                key = RunKey(index, name, size, policy, flip_test, execution, transform)
                network, results = self._planner.plan(key, workload)
                cells += [
                    PlannedCell("", result, self._checkpoint, network, loaded.report)
                    for result in results.values()
                ]
        return cells

    def _settings(self) -> list[tuple[bool, Execution, Transform]]:
        """Return the distinct ways to run the network, in the order asked for."""
        suite, loaded = self._suite, self._planner.checkpoint
        own = own_engine(loaded.network)
        settings = (
            (
                loaded.spec.flip.test if flip == "own" else flip,
                Execution(own if engine == "own" else engine, precision, self._place.device),
                parse_transform(text),
            )
            for flip, engine, precision, text in itertools.product(
                suite.flip, suite.engines, suite.precision, suite.transforms
            )
        )
        return list(dict.fromkeys(settings))


def sizes_and_policies(
    spec: ModelSpec, sizes: Sequence[str], policies: Sequence[Policy]
) -> list[tuple[InputSize, Policy]]:
    """Return the distinct sizes and policies of one checkpoint, in the order asked for."""
    resolved = [resolve_size(text, spec.input_size) for text in sizes]
    both = (
        (size, canonical_policy(spec, size, policy)) for size in resolved for policy in policies
    )
    return list(dict.fromkeys(both))


def _result_without_network(
    checkpoint: SuiteCheckpoint, workload: Workload, status: Status, reason: str
) -> CellResult:
    """Return the one result of a checkpoint that was not loaded."""
    facts = CheckpointFacts(name=checkpoint.source.name)
    found = workload.cell_findings
    return CellResult(facts, None, None, status, workload.protocol, reason, findings=found)


def _with_ids(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Return cells with ids that are names of files."""
    names = distinct_file_names(map(_cell_name, cells))
    return [replace(cell, id=name) for cell, name in zip(cells, names, strict=True)]


def _cell_name(cell: PlannedCell) -> str:
    result, protocol = cell.result, cell.result.protocol
    parts = [protocol.dataset, protocol.boxes, result.checkpoint.name]
    if cell.network is not None:
        flip = "flip" if protocol.flip_test else "noflip"
        parts += [str(result.size), str(result.policy), flip, protocol.decoder or "none"]
        parts += [
            each
            for each in (result.unusual_execution, result.transform, result.corruption)
            if each is not None
        ]
    return "_".join(parts)
