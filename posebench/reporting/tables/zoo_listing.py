"""What `posebench zoo` prints: tables of published checkpoints, one in full, architectures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from posebench.reporting.printing import WIDE, print_fitting, screen_width
from posebench.reporting.text_tables import TextTable, columns_that_fit, terminal_table
from posebench.reporting.texts import NO_VALUE
from posebench.zoo.published import (
    PublishedCheckpoint,
    PublishedResult,
    published_sources,
    records_of,
)
from posebench.zoo.pulling import by_hand, pulled_path
from posebench.zoo.selection import Architecture

_COLUMNS = ("id", "paradigm", "K", "published", "data", "split", "boxes", "flip", "file")
# Columns that there may be no room for, the most dispensable first.
_DISPENSABLE = ("file", "flip", "K", "paradigm", "split", "data", "boxes")
# The metric that a result is shown by is the first of these that it has.
_MAIN_METRICS = ("AP", "PCKh@0.5", "PCK(person)", "PCK(torso)", "mAP(posetrack)", "AUC(body8)")


def print_entries(
    entries: Sequence[PublishedCheckpoint], dataset: str | None, *, as_json: bool
) -> None:
    """Print a table at the terminal's width, whole lines elsewhere, or JSON with everything."""
    if as_json:
        print_json(records_of(entries))
        return
    shown = _columns_on(entries, dataset, screen_width() or WIDE)
    print_fitting(entries_table(entries, dataset, shown))
    print_fitting(f"{len(entries)} published; `posebench zoo show ID` shows everything about one")
    if dropped := [name for name in _COLUMNS if name not in shown]:
        print_fitting(f"no room for {', '.join(dropped)}: --json has everything")


def print_architectures(architectures: Sequence[Architecture], *, as_json: bool) -> None:
    """Print the table of architectures, or JSON."""
    if as_json:
        print_json([asdict(row) for row in architectures])
    else:
        print_fitting(architectures_table(architectures))


def print_json(plain: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(plain, indent=1, allow_nan=False))


def _columns_on(
    entries: Sequence[PublishedCheckpoint], dataset: str | None, width: int
) -> list[str]:
    """Return the columns that a terminal has room for."""
    return columns_that_fit(
        _COLUMNS, _DISPENSABLE, width, lambda names: entries_table(entries, dataset, names)
    )


def entries_table(
    entries: Sequence[PublishedCheckpoint], dataset: str | None, columns: Sequence[str] = _COLUMNS
) -> TextTable:
    """Return a row per entry with its result on `dataset`, else on the data it is meant for."""
    rows = [_cells(entry, result_on(entry, dataset)) for entry in entries]
    words = [name for name in columns if name not in ("published", "K")]
    return terminal_table(columns, [[row[name] for name in columns] for row in rows], words)


def result_on(entry: PublishedCheckpoint, dataset: str | None) -> PublishedResult | None:
    """Return the first result on a data set, or the first of all."""
    fitting = (each for each in entry.results if dataset in (None, each.dataset))
    return next(fitting, None)


def entry_listing(entry: PublishedCheckpoint) -> str:
    """Return everything that is known of an entry."""
    codec = {name: value for name, value in vars(entry.codec).items() if value is not None}
    target = pulled_path(entry)
    source = published_sources()[entry.publisher]
    facts = {
        "paradigm": entry.paradigm,
        "family": entry.family,
        "backbone": entry.backbone,
        "head": entry.head,
        "input size": entry.input_size,
        "keypoints": f"{entry.keypoint_count} ({entry.keypoints})",
        "trained on": entry.trained_on,
        "codec": _fields(codec),
        "crop": _fields(vars(entry.crop)) if entry.crop else "not known",
        "flip": _fields(vars(entry.flip)) if entry.flip else "not known",
        "parameters": f"{entry.parameters_m} M" if entry.parameters_m else None,
        "GFLOPs": entry.gflops,
        "sha256": f"{entry.sha256_prefix}…" if entry.sha256_prefix else "not published",
        "licence": entry.licence or "none stated",
        "publisher": f"{source['repository']} at {source['commit']}",
        "config": entry.config,
        "ONNX": entry.onnx_url,
        "file": str(target) if target.is_file() else by_hand(entry, target),
    }
    lines = [entry.id]
    lines += [f"  {name:11} {value}" for name, value in facts.items() if value is not None]
    lines += [f"  caveat      {caveat}" for caveat in entry.caveats]
    lines += ["", "  published:" if entry.results else "  no result is published"]
    for result in entry.results:
        lines += _result_lines(result)
    return "\n".join(lines)


def architectures_table(architectures: Sequence[Architecture]) -> TextTable:
    """Return a row per architecture: how many files are published and whether they load."""
    return terminal_table(
        ("architecture", "published files", "posebench loads it as"),
        [
            (row.name, str(row.files), row.loaded_as or "– (only as an exported file)")
            for row in architectures
        ],
        ("architecture", "posebench loads it as"),
    )


def _main_metric(result: PublishedResult) -> str:
    name = next((name for name in _MAIN_METRICS if name in result.metrics), None)
    return NO_VALUE if name is None else f"{result.metrics[name]:.1f} {name}"


def _cells(entry: PublishedCheckpoint, result: PublishedResult | None) -> dict[str, str]:
    return {
        "id": entry.id,
        "paradigm": entry.paradigm,
        "K": str(entry.keypoint_count),
        "published": _main_metric(result) if result else NO_VALUE,
        "data": result.dataset if result else NO_VALUE,
        "split": result.split if result else NO_VALUE,
        "boxes": result.boxes or "?" if result else NO_VALUE,
        "flip": _yes_or_no(result.flip_test) if result else NO_VALUE,
        "file": "pull" if entry.urls else "by hand" if entry.page else "none",
    }


def _result_lines(result: PublishedResult) -> list[str]:
    protocol = f"boxes {result.boxes or 'not stated'}, flip test {_yes_or_no(result.flip_test)}"
    if result.decoder is not None:
        protocol += f", decoder {result.decoder}"
    if result.udp is not None:
        protocol += f", crop {'with' if result.udp else 'without'} UDP"
    numbers = "  ".join(f"{name} {value:g}" for name, value in result.metrics.items())
    return [
        f"    {result.dataset} {result.split}: {protocol}",
        f"      {numbers}",
        *(f"      caveat: {caveat}" for caveat in result.caveats),
        *(f"      {source}" for source in result.sources),
    ]


def _yes_or_no(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[value]


def _fields(values: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
