"""What the C library is asked for, where there is one to ask."""

from __future__ import annotations

import ctypes
import platform
from types import SimpleNamespace

import pytest

from posebench.running.resources import keep_freed_memory


def test_glibc_agrees() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    assert keep_freed_memory()


def test_a_library_without_the_setting_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert not keep_freed_memory()


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda *_: 0))
    assert not keep_freed_memory()
