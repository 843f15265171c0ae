"""Cells dealt to shards: each once, a checkpoint's together, and all shards about as dear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_store import result

from posebench.networks.codecs import HeatmapCodec
from posebench.networks.sizes import InputSize
from posebench.prediction.execution import Execution
from posebench.running.network_plans import NetworkPlan, RunKey
from posebench.running.plan import PlannedCell
from posebench.running.sharing.costs import cost_of
from posebench.running.sharing.dealing import deal
from posebench.running.sources import CheckpointSource, SuiteCheckpoint
from posebench.suites.suite import CheckpointEntry


def cell(checkpoint: str, size: int, gflops: float, decoder: int = 0) -> PlannedCell:
    source = CheckpointSource(Path(checkpoint), checkpoint)
    key = RunKey(0, checkpoint, InputSize(size, size), "native", False, Execution())
    network = NetworkPlan(key, source, "", HeatmapCodec(), cost=gflops)
    made = replace(result(), gflops=gflops, status="ok")
    of = SuiteCheckpoint(source, CheckpointEntry(checkpoint))
    return PlannedCell(f"{checkpoint} {size} {decoder}", made, of, network)


def trained(each: PlannedCell) -> PlannedCell:
    return replace(each, checkpoint=replace(each.checkpoint, datasets=()))


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 50])
def test_every_cell_is_dealt_once_and_the_order_of_checkpoints_does_not_matter(parts: int) -> None:
    rng = np.random.default_rng(parts)
    cells = [
        cell(str(index), size, float((7 * index) % 11 * size), decoder)
        for index in range(11)
        for size in (64, 96)
        for decoder in range(2)
    ]
    dealt = deal(cells, parts, {})
    assert sorted(each.id for part in dealt for each in part) == sorted(c.id for c in cells)
    for part in dealt:
        assert [each for each in cells if each in part] == part
    shuffled = [cells[index] for index in rng.permutation(len(cells))]
    again = deal(shuffled, parts, {})
    assert [{each.id for each in part} for part in again] == [
        {each.id for each in part} for part in dealt
    ]
    # Decoders share a network run.
    owners = {each.id: index for index, part in enumerate(dealt) for each in part}
    assert all(owners[name] == owners[f"{name[:-1]}1"] for name in owners if name[-1] == "0")


def test_shards_end_together_and_checkpoints_stay_whole() -> None:
    rng = np.random.default_rng(0)
    cells = [
        cell(str(index), size, float(rng.uniform(1, 5)) * size)
        for index in range(40)
        for size in (64, 96, 128, 192)
    ]
    dealt = deal(cells, 7, {})
    costs = [cost_of(part) for part in dealt]
    assert max(costs) < 1.1 * sum(costs) / 7
    homes = [{each.checkpoint.source.name for each in part} for part in dealt]
    assert sum(map(len, homes)) == 40


def test_a_checkpoint_dearer_than_a_share_is_dealt_by_its_networks() -> None:
    cells = [cell("huge", size, 100.0) for size in (32, 64, 96, 128)] + [cell("tiny", 32, 1.0)]
    costs = [cost_of(part) for part in deal(cells, 2, {})]
    assert max(costs) < 1.02 * min(costs)


def test_what_is_trained_stays_in_one_place_and_its_training_counts() -> None:
    huge = [trained(cell("arm", 32, 1.0)), trained(cell("arm@0.5x", 16, 1.0))]
    others = [cell(str(index), 32, 1.0) for index in range(6)]
    ids = [{each.id.partition(" ")[0] for each in part} for part in deal([*huge, *others], 2, {})]
    assert {"arm", "arm@0.5x"} <= ids[0] or {"arm", "arm@0.5x"} <= ids[1]
    assert sorted(map(len, ids)) == [4, 4]
    dear = deal([*huge, *others], 2, {"arm": 10**9})
    assert [{each.id.partition(" ")[0] for each in part} for part in dear] == [
        {"arm", "arm@0.5x"}, {str(index) for index in range(6)},
    ]  # fmt: skip


def test_cells_that_do_not_run_are_dealt_too() -> None:
    cells = [cell(str(index), 32, 1.0) for index in range(6)]
    cells = [replace(each, result=replace(each.result, status="failed")) for each in cells]
    assert [len(part) for part in deal(cells, 3, {})] == [2, 2, 2]


def test_a_network_that_one_machine_cannot_run_is_dealt_as_elsewhere() -> None:
    cells = [cell(str(index), 32, 6.0 - index) for index in range(6)]
    lame = [
        replace(cells[0], result=replace(cells[0].result, status="unsupported", gflops=None)),
        *cells[1:],
    ]
    ids = [[each.id for each in part] for part in deal(cells, 2, {})]
    assert [[each.id for each in part] for part in deal(lame, 2, {})] == ids
