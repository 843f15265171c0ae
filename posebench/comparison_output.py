"""What `posebench compare` does: read, compare, show, annotate. No torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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
from posebench.printing import print_fitting, text_of, write_out

_TEXTS: dict[str, Callable[[Comparison], str]] = {
    "md": comparison_markdown,
    "junit": comparison_junit,
    "json": comparison_json,
}
_SUMMARY = "GITHUB_STEP_SUMMARY"


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
        write_out(out, text or text_of(comparison_table(comparison)))
    elif text is not None:
        sys.stdout.write(text)
    else:
        print_fitting(comparison_table(comparison))
    if github:
        sys.stdout.write(github_annotations(comparison))
        summary = os.environ.get(_SUMMARY)
        if summary:
            _append(Path(summary), comparison_markdown(comparison))
    return comparison.passed


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise DataError(f"The job summary {path} cannot be written: {error.strerror}.") from None
