"""GPUs that do nothing: which one is current, which stream, and what is recorded where.

They follow torch.cuda in what goes wrong easily: streams belong to a GPU, and where recording a
graph fails, torch leaves the thread on the stream that it recorded on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch


class FakeStream:
    """A stream of a GPU."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.device, self.priority = torch.device(device or "cuda:0"), priority
        self.waited_for: list[FakeStream] = []

    def wait_stream(self, other: FakeStream) -> None:
        self.waited_for.append(other)


class FakeGpus:
    """What a thread does with its GPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.device = torch.device("cuda:0")
        self.streams = {
            torch.device(f"cuda:{index}"): FakeStream(f"cuda:{index}") for index in (0, 1)
        }
        self.recording: FakeStream | None = None
        self.recordings: list[tuple[torch.device, FakeStream]] = []
        self.error_modes: set[str] = set()
        self.replays = 0
        self.fails = False
        gpus = self

        class Graph:
            def replay(self) -> None:
                gpus.replays += 1

        for name, stand_in in {
            "Stream": FakeStream,
            "CUDAGraph": Graph,
            "current_stream": lambda device=None: self.streams[torch.device(device or self.device)],
            "stream": self._stream,
            "device": self._device,
            "graph": self._graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    @property
    def current(self) -> FakeStream:
        """The stream that work of the current GPU goes to."""
        return self.streams[self.device]

    @contextmanager
    def _device(self, device: Any) -> Iterator[None]:
        before, self.device = self.device, torch.device(device)
        try:
            yield
        finally:
            self.device = before

    @contextmanager
    def _stream(self, stream: FakeStream) -> Iterator[None]:
        before = self.streams[stream.device]
        with self._device(stream.device):
            self.streams[stream.device] = stream
            try:
                yield
            finally:
                self.streams[stream.device] = before

    @contextmanager
    def _graph(
        self, _graph: Any, stream: FakeStream | None = None, capture_error_mode: str = "global"
    ) -> Iterator[None]:
        chosen = stream or FakeStream("cuda:0")  # torch's own, of the GPU that recorded first
        before = self.streams[chosen.device]
        self.recordings.append((self.device, chosen))
        self.error_modes.add(capture_error_mode)
        self.streams[chosen.device] = self.recording = chosen
        yield
        self.recording = None
        if self.fails:
            raise RuntimeError("operation failed due to a previous error during capture")
        self.streams[chosen.device] = before
