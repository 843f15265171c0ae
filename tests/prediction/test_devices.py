from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch

from posebench.errors import UnsupportedExecutionError
from posebench.prediction import devices
from posebench.prediction.devices import (
    Uploaded,
    Uploader,
    check_device,
    device_text,
    peak_memory,
    to_device,
)

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_the_cpu_is_always_there(no_gpu):
    assert check_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:1"])
def test_gpus_go_by_number(two_gpus, name):
    assert check_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda:2", "cuda:-1", "cuda:01", "gpu", "mps", ""])
def test_other_names_get_the_valid_ones(two_gpus, name):
    with pytest.raises(UnsupportedExecutionError, match=r"no device") as failure:
        check_device(name)
    assert "Valid: cpu, cuda, cuda:0, cuda:1." in str(failure.value)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_without_a_gpu_the_reason_is_said(no_gpu, name):
    with pytest.raises(UnsupportedExecutionError, match=r"needs a GPU.*torch") as failure:
        check_device(name)
    assert "Valid: cpu." in str(failure.value)


def test_on_the_cpu_nothing_is_copied():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    shared = torch.from_numpy(array)
    for tensor in (to_device(array, CPU), Uploader(CPU).upload(shared).receive()):
        array[0, 0] += 5
        assert tensor.numpy() is not array
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_receiver_waits_before_it_takes_and_keeps_the_memory(monkeypatch):
    calls = []

    class Stream:
        def wait_event(self, event):
            calls.append(("wait", event))

    class Arriving:
        device = torch.device("cuda:1")

        def record_stream(self, stream):
            calls.append(("record", stream))

    stream: Any = Stream()
    tensor: Any = Arriving()
    event: Any = "event"
    monkeypatch.setattr(torch.cuda, "current_stream", {torch.device("cuda:1"): stream}.__getitem__)
    assert Uploaded(tensor, event).receive() is tensor
    assert calls == [("wait", "event"), ("record", stream)]


def test_an_upload_to_a_gpu_is_pinned_and_marked_on_its_own_stream(monkeypatch):
    active: list[Any] = []
    answers: tuple[Any, Any] = ("tensor", "event")
    calls: list[tuple[Any, ...]] = []

    class Stream:
        def __init__(self, device, priority):
            self.device = device

        def record_event(self):
            calls.append(("event", list(active)))
            return "event"

    @contextlib.contextmanager
    def stream(chosen):
        active.append(chosen)
        yield
        active.pop()

    class Pinned:
        def to(self, device, *, non_blocking):
            calls.append(("to", device, non_blocking, list(active)))
            return "tensor"

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    device = torch.device("cuda:1")
    uploader = Uploader(device)
    pinned: Any = Pinned()
    found = uploader.upload(pinned)
    assert vars(found) == vars(Uploaded(*answers))
    own = uploader._stream
    assert calls == [("to", device, True, [own]), ("event", [own])]
    assert own.device == device


def test_memory_that_torch_keeps_for_later_is_room_for_crops(monkeypatch):
    gpu = torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", {gpu: (1000, 9000)}.__getitem__)
    monkeypatch.setattr(torch.cuda, "memory_reserved", {gpu: 5000}.__getitem__)
    monkeypatch.setattr(torch.cuda, "memory_allocated", {gpu: 2000}.__getitem__)
    assert devices.room_for_crops(gpu) == (1000 + 5000 - 2000) // 4
    assert devices.room_for_crops(CPU) is None


@pytest.mark.gpu
def test_what_a_gpu_gets_is_what_was_sent():
    device = check_device("cuda")
    uploader = Uploader(device)
    rng = np.random.default_rng(0)
    sent = [rng.integers(0, 256, (480 * 640, 3), dtype=np.uint8) for _ in range(50)]
    uploaded = []
    for array in sent:
        scratch = uploader.pixels(len(array))
        assert scratch.is_pinned()
        scratch.numpy()[:] = array
        # Its memory is free for the next one when the copy is done, and no earlier.
        uploaded.append(uploader.upload(scratch))
        del scratch
    for array, each in zip(sent, uploaded, strict=True):
        np.testing.assert_array_equal(each.receive().cpu().numpy(), array)
    assert (peak_memory(device) or 0) >= 50 * 480 * 640 * 3
    assert torch.cuda.get_device_name(device) in device_text(device)


def test_a_cpu_has_no_counter_and_nothing_to_wait_for():
    devices.synchronise(CPU)
    devices.forget_peak_memory(CPU)
    assert peak_memory(CPU) is None
    assert device_text(CPU) == "CPU"


@pytest.mark.parametrize("clock", [1980, None])
def test_a_gpu_is_described_with_its_clock_where_that_is_known(monkeypatch, clock):
    class Properties:
        name = "NVIDIA H200"
        total_memory = 140 * 2**30

    def clock_rate(device):
        if clock is None:
            raise ModuleNotFoundError("pynvml")
        return clock

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    monkeypatch.setattr(torch.cuda, "clock_rate", clock_rate)
    expected = "NVIDIA H200, 140 GiB" + (", 1980 MHz" if clock else "")
    assert device_text(torch.device("cuda:0")) == expected
