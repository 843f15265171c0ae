"""Run the probes that are not done, and write each to the run directory when it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from posebench.datasets.coco import PoseDataset
from posebench.errors import UnsupportedProbeError, in_one_line
from posebench.files.environment import environment
from posebench.lab.probes import PROBES, Subject, load_people, open_subject
from posebench.prediction.execution import Progress
from posebench.results.probe_store import has_arrays, read_probe, write_arrays, write_probe
from posebench.results.probes import ProbeReading, ProbeRow, StoredProbe
from posebench.running.loading import LoadedCheckpoints
from posebench.running.probing.plan import PlannedProbe
from posebench.running.reasons import reason_of
from posebench.running.request import RunRequest
from posebench.scoring.statistics.bootstrap import resampled_images
from posebench.scoring.statistics.intervals import percentile_interval
from posebench.suites.suite import ScoringEntry
from posebench.suites.trained import SEED

_OUTCOME = {
    "rows": (), "notes": (), "sampled": None, "arrays": None, "seconds": None, "environment": None,
}  # fmt: skip


def pending_probes(request: RunRequest, asked: Sequence[PlannedProbe]) -> list[PlannedProbe]:
    """Return the probes that the run directory has no result of."""
    return [each for each in asked if not _is_done(request, each)]


def run_probes(
    request: RunRequest,
    asked: Sequence[PlannedProbe],
    loaded: LoadedCheckpoints,
    progress: Progress,
) -> None:
    """Run what is left of the probes; one that fails is a result with its reason."""
    pending = pending_probes(request, asked)
    for done, (probe, subject) in enumerate(_subjects(pending, loaded)):
        progress(f"probe {probe.id}", done, len(pending))
        _store(request, probe, subject)
    if pending:
        progress("probes", len(pending), len(pending))


def _subjects(
    pending: Sequence[PlannedProbe], loaded: LoadedCheckpoints
) -> Iterator[tuple[PlannedProbe, Subject | str | None]]:
    """Yield probes with what they look at, opened once for all probes of a checkpoint.

    In place of what cannot be opened stands the reason.
    """
    last: tuple[str, PoseDataset] | None = None
    subject: Subject | str | None = None
    for probe in pending:
        source, dataset = probe.checkpoint.source, probe.workload.dataset
        key = (source.name, dataset)
        if probe.result.status != "ok":
            yield probe, None
            continue
        if key != last:
            settings = probe.result.settings
            try:
                loaded.make_room([source])
                network = loaded.load(source).network
                people = load_people(dataset, network.spec, settings)
                subject = open_subject(network, people, _twin_seed(probe.result))
            except Exception as error:
                subject = reason_of(error, source.name)
            last = key
        yield probe, subject


def _twin_seed(probe: StoredProbe) -> int:
    """Return the seed of an untrained twin: trainings with seeds of their own have such twins.

    Else a verdict on the paradigm would take one draw of initial weights for all of them.
    """
    own = probe.labels.get(SEED, "")
    return probe.settings.seed + (int(own) if own.isdecimal() else 0)


def _store(request: RunRequest, probe: PlannedProbe, subject: Subject | str | None) -> None:
    """Run one probe and write what came of it."""
    result = replace(probe.result, environment=environment())
    if isinstance(subject, str):
        result = replace(result, status="failed", reason=subject)
    elif subject is not None:
        start = time.perf_counter()
        try:
            reading = PROBES[result.probe](subject, result.settings)
        except UnsupportedProbeError as error:
            result = replace(result, status="unsupported", reason=in_one_line(error))
        except Exception as error:
            result = replace(result, status="failed", reason=reason_of(error, probe.id))
        else:
            result = replace(
                result,
                rows=stored_rows(reading, request.suite.scoring),
                notes=reading.notes,
                sampled=reading.sampled,
                arrays=write_arrays(request.out, result.id, reading),
                seconds=round(time.perf_counter() - start, 2),
            )
    write_probe(request.out, result)


def stored_rows(reading: ProbeReading, scoring: ScoringEntry) -> tuple[ProbeRow, ...]:
    """Return the rows of a reading with the intervals of its sampled numbers."""
    weights: dict[int, np.ndarray] = {}
    rows = []
    for row in reading.rows:
        bounds: dict[str, tuple[float, float]] = {}
        for name, sums in row.sums.items():
            units = len(sums.numerators)
            if units not in weights and scoring.replicates:
                rng = np.random.default_rng(scoring.seed)
                weights[units] = np.concatenate(
                    list(resampled_images(rng, units, scoring.replicates))
                )
            if scoring.replicates and units > 1:
                found = percentile_interval(sums.replicates(weights[units]))
                bounds |= {} if found is None else {name: found}
        low: Mapping[str, float] = {name: ends[0] for name, ends in bounds.items()}
        high: Mapping[str, float] = {name: ends[1] for name, ends in bounds.items()}
        rows.append(ProbeRow(row.arm, dict(row.where), row.values(), low, high))
    return tuple(rows)


def _is_done(request: RunRequest, probe: PlannedProbe) -> bool:
    stored = read_probe(request.out, probe.id)
    if stored is None or _inputs(stored) != _inputs(probe.result):
        return False
    if stored.status == "failed" and probe.result.status == "ok":
        return not request.retry_failed
    return has_arrays(request.out, stored)


def _inputs(probe: StoredProbe) -> StoredProbe:
    """Return a probe without its outcome."""
    return replace(probe, status="ok", reason=None, **_OUTCOME)  # type: ignore[arg-type]
