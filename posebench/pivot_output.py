"""What `posebench table` does: read runs, arrange, show or write. No torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from posebench.pivot import PivotRequest, pivot_runs
from posebench.pivot_formats import TEXT_FORMATS, pivot_table
from posebench.printing import print_fitting, text_of, write_out


def show_pivot(
    runs: Sequence[Path], request: PivotRequest, form: str, with_interval: bool, out: Path | None
) -> None:
    """Show a table of runs in a format, or write it; raise `PosebenchError`."""
    pivot = pivot_runs(runs, request)
    if form in TEXT_FORMATS:
        text = TEXT_FORMATS[form](pivot, with_interval)
        if out is None:
            sys.stdout.write(text)
        else:
            write_out(out, text)
    elif out is None:
        print_fitting(pivot_table(pivot, with_interval))
    else:
        write_out(out, text_of(pivot_table(pivot, with_interval)))
