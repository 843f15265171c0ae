from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from comparison import compare, compare_scoring, undecided
from outside_files import NO_PEER, peer_python, peer_script
from peer_reference import Peer
from report import BOXES, ENGINES, JITTER_SEEDS, LIMITS, NETWORKS, beyond_limits, cases

from posebench.prediction.execution import Engine

# Shares of all keypoints. Under the default engine outputs differ at all.
MOST_TIES = {"eager": 0.02, "torch": 0.1}
# Newton steps on the flat maps of random weights go anywhere: there raw outputs are what counts.
NEWTON_STEPS = ("dark", "udp", "vitpose")


@pytest.fixture(scope="module")
def peer(shared_dir: Path) -> Peer:
    python, script = peer_python(), peer_script()
    if python is None or script is None:
        pytest.skip(NO_PEER)
    return Peer(python, script, shared_dir / "data")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run as the reference ran: with more threads, sums in another order widen what is a tie."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "engine", "boxes", "flip"), cases(NETWORKS, ENGINES, BOXES, (False, True))
)
def test_every_stage_equals_mmpose(
    peer: Peer, family: str, engine: Engine, boxes: str, flip: bool
) -> None:
    row = compare(peer, family, engine, boxes, flip)
    if engine == "eager" or not any(word in family for word in NEWTON_STEPS):
        assert row.ties < MOST_TIES[engine] * row.keypoints
    assert beyond_limits(row) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", JITTER_SEEDS)
def test_noisy_ground_truth_scores_as_in_mmpose(peer: Peer, seed: int) -> None:
    row = compare_scoring(peer, seed)
    assert 0.1 < row.peer_ap < 0.9
    assert row.metric <= LIMITS["metric"]


def test_only_answers_within_the_margin_are_undecided() -> None:
    heatmaps = np.zeros((1, 4, 9, 9), dtype=np.float32)
    heatmaps[0, :, 4, 4] = 1
    heatmaps[0, :, 4, 5] = heatmaps[0, :, 5, 4] = 0.5
    heatmaps[0, 1, 7, 7] = 0.9995
    heatmaps[0, 2, 4, 3] = 0.4995
    heatmaps[0, 3] -= 1.0005
    assert undecided((heatmaps,), 1e-3).tolist() == [[False, True, True, True]]
