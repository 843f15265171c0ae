"""How threads, lanes and workers are shared out for a device."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2
import pytest
import torch

from posebench.errors import UsageError
from posebench.prediction.execution import Parallelism, Resources
from posebench.running import resources
from posebench.running.resources import device_names, set_up_process, share_of_each, share_out


@pytest.fixture(autouse=True)
def any_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "check_device", lambda _: None)


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


@pytest.mark.parametrize(
    ("asked", "device", "shared"),
    [
        (Resources(threads=3), "cpu", Parallelism(8, 3, 0)),
        (Resources(threads=1), "cpu", Parallelism(8, 1, 0)),
        # More lanes than 8 would only take memory: each gets several threads.
        (Resources(threads=32), "cpu", Parallelism(8, 8, 0)),
        (Resources(2, workers=4, batch_size=5), "cpu", Parallelism(5, 2, 4)),
        (Resources(4, workers=3), "cuda:1", Parallelism(64, 2, 3)),
        (Resources(4, workers=0, batch_size=7), "cuda", Parallelism(7, 2, 0)),
    ],
)
def test_shares(asked: Resources, device: str, shared: Parallelism) -> None:
    parallelism, settings = share_out(asked, device)
    assert parallelism == shared
    assert settings.torch_threads == asked.threads
    said = settings.batch_size, settings.lanes, settings.workers
    # On a GPU the networks are tried, unless a size is asked for.
    tried = device != "cpu" and asked.batch_size is None
    assert said == (None if tried else shared.batch_size, shared.lanes, shared.workers)
    assert settings.device == device


def test_sharing_out_sets_nothing_and_setting_up_does() -> None:
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    _, settings = share_out(Resources(threads=3), "cpu")
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (2, 2)
    set_up_process(settings)
    assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 1)


def test_what_is_not_asked_for_is_what_the_machine_has() -> None:
    torch.set_num_threads(2)
    parallelism, settings = share_out(Resources(), "cpu")
    assert (parallelism, settings.torch_threads) == (Parallelism(8, 2, 0), 2)
    parallelism, _ = share_out(Resources(), "cuda")
    assert parallelism.workers == min(os.cpu_count() or 1, 16)


@pytest.mark.parametrize(
    ("asked", "device", "processes", "share"),
    [
        (Resources(threads=8), "cpu", 2, Resources(threads=4)),
        (Resources(threads=1), "cpu", 2, Resources(threads=1)),
        (Resources(7, 3, 5), "cpu", 2, Resources(3, 2, 5)),
        (Resources(7, 0, 5), "cuda", 2, Resources(3, 0, 5)),
    ],
)
def test_processes_share_what_one_would_have(
    asked: Resources, device: str, processes: int, share: Resources
) -> None:
    assert share_of_each(asked, device, processes) == share


def test_processes_share_the_machine() -> None:
    torch.set_num_threads(3)
    share = share_of_each(Resources(), "cuda", 2)
    assert share == Resources(1, -(-min(os.cpu_count() or 1, 32) // 2))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cpu", ("cpu",)),
        ("cuda:0, cuda:1", ("cuda:0", "cuda:1")),
        ("cuda,cuda:1", ("cuda", "cuda:1")),
    ],
)
def test_names(text: str, names: tuple[str, ...]) -> None:
    assert device_names(text) == names


def test_devices_of_two_kinds() -> None:
    with pytest.raises(UsageError, match="mixes cpu and cuda"):
        device_names("cpu,cuda:1")
