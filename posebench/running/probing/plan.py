"""A suite's probes to what runs: every one with what is known before anything is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from posebench.__version__ import __version__
from posebench.datasets.coco import ground_truth_instances
from posebench.files.names import distinct_file_names
from posebench.results.cell import CheckpointFacts
from posebench.results.probes import ProbeData, ProbeStatus, StoredProbe
from posebench.running.loading import LoadedCheckpoints, checkpoint_facts
from posebench.running.reasons import reason_of
from posebench.running.sources import SuiteCheckpoint
from posebench.running.workload import Workload, datasets_of_workloads
from posebench.suites.suite import DatasetEntry, Suite


@dataclass(frozen=True)
class PlannedProbe:
    """One probe of one checkpoint before it runs, with its result so far."""

    result: StoredProbe
    checkpoint: SuiteCheckpoint
    workload: Workload

    @property
    def id(self) -> str:
        """The id of the probe, a name of its files."""
        return self.result.id


def plan_probes(
    suite: Suite,
    checkpoints: Sequence[SuiteCheckpoint],
    workloads: Sequence[Workload],
    loaded: LoadedCheckpoints,
) -> tuple[PlannedProbe, ...]:
    """Return the probes of a suite, by data set and checkpoint.

    A checkpoint is probed on what it is evaluated on; one that cannot be loaded has its probes,
    with the reason. Boxes do not matter: probes read annotated people.
    """
    if not suite.probes:
        return ()
    planned: list[PlannedProbe] = []
    for entry, workload in _each_data_set(suite, workloads):
        data = _data(suite, workload)
        for checkpoint in checkpoints:
            if entry not in checkpoint.own_datasets(suite):
                continue
            facts, problem = _facts(checkpoint, loaded)
            status, reason = problem or ("ok", None)
            for probe in suite.probes:
                result = StoredProbe(
                    f"{data.dataset}_{checkpoint.source.name}_{probe}",
                    probe,
                    facts,
                    data,
                    suite.probing,
                    status,
                    reason,
                    intervals=_intervals(suite),
                    labels=dict(checkpoint.entry.labels),
                    posebench=__version__,
                )
                planned.append(PlannedProbe(result, checkpoint, workload))
    names = distinct_file_names(each.id for each in planned)
    return tuple(
        replace(each, result=replace(each.result, id=name))
        for each, name in zip(planned, names, strict=True)
    )


def _each_data_set(
    suite: Suite, workloads: Sequence[Workload]
) -> Iterator[tuple[DatasetEntry, Workload]]:
    """Yield each data set once, with whichever boxes come first."""
    seen: set[DatasetEntry] = set()
    for entry, workload in zip(datasets_of_workloads(suite), workloads, strict=True):
        if entry not in seen:
            seen.add(entry)
            yield entry, workload


def _facts(
    checkpoint: SuiteCheckpoint, loaded: LoadedCheckpoints
) -> tuple[CheckpointFacts, tuple[ProbeStatus, str] | None]:
    """Return what is known of a checkpoint, and what keeps it from being read, if anything."""
    name, problem = checkpoint.source.name, checkpoint.problem
    if problem is None:
        try:
            return checkpoint_facts(loaded.load(checkpoint.source), name), None
        except Exception as error:
            problem = ("failed", reason_of(error, name))
    return CheckpointFacts(name=name), problem


def _data(suite: Suite, workload: Workload) -> ProbeData:
    protocol, dataset = workload.protocol, workload.dataset
    count = len(ground_truth_instances(dataset)) if dataset.images else 0
    return ProbeData(
        dataset=dataset.name,
        annotations_sha256=protocol.annotations_sha256,
        keypoints=dataset.keypoints.name,
        images=len(dataset.images),
        people=min(count, suite.probing.people),
        images_sha256=protocol.images_sha256,
    )


def _intervals(suite: Suite) -> str | None:
    scoring = suite.scoring
    if not scoring.replicates:
        return None
    return f"percentile, {scoring.replicates} resamples, seed {scoring.seed}"
