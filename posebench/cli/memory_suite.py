"""Suites made of a command's options: what `posebench eval` and `posebench bench` run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posebench.running.sources import checkpoint_entries
from posebench.suites.suite import Suite, check_suite
from posebench.zoo import embedded_names


def suite_of(
    command: str, checkpoints: Sequence[str] | None, spec: Path | None, **fields: Any
) -> Suite:
    """Return the suite that a command's options mean; no checkpoints are all embedded ones.

    Raises `PosebenchError` for checkpoints that are not there, and for what no suite can say.
    """
    suite = Suite(
        name=command,
        description=f"posebench {command}",
        checkpoints=checkpoint_entries(checkpoints or embedded_names(), spec),
        **fields,
    )
    check_suite(suite)
    return suite


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def text_of(path: Path | None) -> str | None:
    """Return a path as a suite says it."""
    return None if path is None else str(path)
