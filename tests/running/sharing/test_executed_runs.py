"""A suite gives the same bytes wherever it runs, whoever of those who run it is killed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from executor_suites import (
    PATHS,
    Counts,
    DiesInTheMiddle,
    DiesOnce,
    drive,
    executor_request,
    killed_driver,
)
from same_runs import run_contents

from posebench.prediction.execution import Resources
from posebench.prediction.kept.parts import Span
from posebench.results.shared.locks import Shard
from posebench.results.shared.merging import merge_runs
from posebench.results.store import read_run
from posebench.running.sharing.jobs import Segment, segments_of


def needs(package: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(absent, reason=f"needs {package}")


local = "processes"
slurm = pytest.param("slurm", marks=[needs("submitit"), pytest.mark.slow])
ray = pytest.param("ray", marks=[needs("ray"), pytest.mark.slow])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder whose processes find the tests' material."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PATHS)
        yield tmp_path_factory.mktemp("suite")


@pytest.fixture(scope="module")
def whole(folder: Path, people: Path) -> dict[str, Any]:
    """Return what the suite leaves when it runs in this process."""
    request = executor_request(folder, people, "whole")
    drive(request)
    return run_contents(request.out)


@pytest.fixture
def options(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """Yield the options of an executor; Ray has a cluster of two nodes."""
    if request.node.callspec.params["executor"] != "ray":
        yield {"cluster": "local"}
        return
    with two_nodes() as cluster:
        yield {"address": cluster.address}


class two_nodes:  # noqa: N801
    """A Ray cluster of two nodes, of one core each, on this machine."""

    def __enter__(self) -> Any:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        self._cluster.add_node(num_cpus=1)
        return self._cluster

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()


@pytest.mark.parametrize("executor", [local, slurm, ray])
def test_a_killed_worker_changes_nothing(
    executor: str, options: dict[str, str], folder: Path, people: Path, whole: dict[str, Any]
) -> None:
    request = executor_request(folder, people, f"worker-{executor}", executor, options=options)
    counts = Counts()
    drive(request, DiesOnce, counts)
    assert (request.out / ".died").exists()
    assert run_contents(request.out) == whole
    assert sorted(set(counts.finished_ids)) == sorted(counts.pending)


@pytest.mark.parametrize(
    "executor", [None, pytest.param(local, marks=pytest.mark.slow), slurm, ray]
)
def test_a_killed_driver_changes_nothing(
    executor: str | None, options: dict[str, str], folder: Path, people: Path, whole: dict[str, Any]
) -> None:
    name = f"driver-{executor}"
    killed_driver(folder, people, name, executor, options=options)
    request = executor_request(folder, people, name, executor, options=options)
    assert 0 < len(read_run(request.out).cells) < 6
    drive(request)
    assert run_contents(request.out) == whole


def test_one_huge_cell_is_predicted_in_segments_and_scored_once(
    folder: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posebench.running.sharing.jobs._LEAST_BATCHES", 1)
    one: dict[str, Any] = {
        "paradigms": ("heatmap",),
        "axes": {"decoders": ("argmax", "quarter")},
        "resources": Resources(threads=1, batch_size=2),
    }
    alone = executor_request(folder, people, "huge-alone", **one)
    drive(alone)
    request = executor_request(folder, people, "huge", local, **one)
    spans = list[Span]()

    def spied(job: Any, share: float, batch_size: int) -> list[Segment]:
        found = segments_of(job, share, batch_size)
        spans.extend(segment.span for segment in found)
        return found

    monkeypatch.setattr("posebench.running.sharing.dispatch.segments_of", spied)
    counts = Counts()
    drive(request, DiesInTheMiddle, counts)
    assert (request.out / ".died").exists()
    assert run_contents(request.out) == run_contents(alone.out)
    assert len(counts.finished_ids) == 2
    # Nine people in batches of two, halves of whole batches, which the pass finds when it starts.
    assert spans == [Span(0, 4), Span(4, 9)]
    assert counts.steps[-1] == 9 and not list((request.out / "predictions").glob("*.part.npz"))


@pytest.mark.slow
def test_a_shard_whose_process_is_killed_is_run_again_and_merged(
    folder: Path, people: Path, whole: dict[str, Any]
) -> None:
    parts = []
    for index in (1, 2):
        name, shard = f"part-{index}", Shard(index, 2)
        if index == 1:
            killed_driver(folder, people, name, None, shard=shard)
        request = executor_request(folder, people, name, shard=shard)
        drive(request)
        parts.append(request.out)
    assert run_contents(merge_runs(parts, folder / "merged").folder) == whole


@pytest.mark.slow
@needs("ray")
def test_a_node_that_disappears_for_good_costs_no_cell(
    folder: Path, people: Path, whole: dict[str, Any]
) -> None:
    with two_nodes() as cluster:
        options = {"address": cluster.address}
        request = executor_request(folder, people, "node", "ray", options=options)
        node = cluster.worker_nodes.copy().pop()
        drive(request, display=Counts(at_first=lambda: cluster.remove_node(node)))
    assert run_contents(request.out) == whole
