"""Tasks that were submitted before are taken over only by a run that asks for the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_store import result

from posebench.running.plan import PlannedCell
from posebench.running.request import RunRequest
from posebench.running.sharing.dispatch import job_key
from posebench.running.sources import CheckpointSource, SuiteCheckpoint
from posebench.suites.suite import CheckpointEntry, ScoringEntry, Suite


def key(pair: str = "a", **scoring: object) -> str:
    entry = CheckpointEntry("x.pth", labels={"pair": pair})
    checkpoint = SuiteCheckpoint(CheckpointSource(Path("x.pth"), "x"), entry)
    suite = Suite("s", "d", ("x.pth",), scoring=ScoringEntry(**scoring))  # type: ignore[arg-type]
    request = RunRequest(suite, (), Path(), Path("out"))
    return job_key(request, [PlannedCell("x", result("x"), checkpoint)])


def test_a_job_is_known_by_all_that_makes_its_results_count_as_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert key(replicates=1000) == key(replicates=1000)
    keys = [
        key(replicates=1000),
        key(replicates=5000),
        key(replicates=1000, seed=3),
        key(replicates=1000, official=True),
        key("b", replicates=1000),
    ]
    monkeypatch.setattr("posebench.running.sharing.dispatch.__version__", "0.0")
    assert len({*keys, key(replicates=1000)}) == 6
