"""What `posebench compare` does: read, compare, show, annotate. No torch."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from posebench.compare import Comparison, compare_runs
from posebench.comparison_formats import (
    comparison_json,
    comparison_junit,
    comparison_markdown,
    comparison_table,
    github_annotations,
)
from posebench.errors import DataError
from posebench.gates import DEFAULT_GATES, parse_gate
from posebench.records import write_text

_TEXTS: dict[str, Callable[[Comparison], str]] = {
    "md": comparison_markdown,
    "junit": comparison_junit,
    "json": comparison_json,
}
_SUMMARY = "GITHUB_STEP_SUMMARY"
_WIDTH = 200


def show_comparison(
    baseline: Path,
    candidate: Path,
    gates: Sequence[str],
    form: str,
    out: Path | None,
    github: bool,
) -> bool:
    """Compare two runs, show it, and return whether every gate passed; no gates: the default."""
    comparison = compare_runs(
        baseline, candidate, [parse_gate(text) for text in gates or DEFAULT_GATES]
    )
    text = _TEXTS[form](comparison) if form in _TEXTS else None
    if out is not None:
        _write(out, text or _plain(comparison))
    elif text is not None:
        sys.stdout.write(text)
    else:
        Console().print(comparison_table(comparison))
    if github:
        sys.stdout.write(github_annotations(comparison))
        summary = os.environ.get(_SUMMARY)
        if summary:
            _append(Path(summary), comparison_markdown(comparison))
    return comparison.passed


def _plain(comparison: Comparison) -> str:
    stream = io.StringIO()
    Console(file=stream, width=_WIDTH).print(comparison_table(comparison))
    return stream.getvalue()


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from None


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise DataError(f"The job summary {path} cannot be written: {error.strerror}.") from None
