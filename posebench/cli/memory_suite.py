"""Suites made of a command's options: what `posebench eval` and `posebench bench` run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posebench.cli.choices import one_of
from posebench.datasets.choices import AREA_RULES
from posebench.datasets.images.rules import EXIF_RULES
from posebench.datasets.requests import GROUND_TRUTH
from posebench.running.sources import checkpoint_entries
from posebench.suites.suite import BoxesEntry, DatasetEntry, Suite, check_suite
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


def dataset_entry(
    name: str,
    root: Path | None,
    images: Path | None,
    area_rule: str | None,
    exif: str,
    **fields: Any,
) -> DatasetEntry:
    """Return the data set that a command's options mean; `fields` are as a suite has them.

    Raises `UsageError` if there is no such rule.
    """
    return DatasetEntry(
        name,
        root=text_of(root),
        images=text_of(images),
        area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
        exif=one_of(exif, EXIF_RULES, "--exif"),
        **fields,
    )


def boxes_entries(
    text: str, min_score: float, nms_threshold: float | None, most: int | None
) -> tuple[BoxesEntry, ...]:
    """Return the boxes that a comma-separated list means, and which of them to keep."""
    names = paths_of(text)
    alone = len(names) == 1
    return tuple(
        BoxesEntry(name)
        if name == GROUND_TRUTH and not alone
        else BoxesEntry(name, min_score, nms_threshold, most)
        for name in names
    )


def paths_of(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list, unless it is the name of one file or folder."""
    return (text,) if Path(text).exists() else words_of(text)


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a comma-separated list, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def text_of(path: Path | None) -> str | None:
    """Return a path as a suite says it."""
    return None if path is None else str(path)
