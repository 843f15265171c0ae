"""What `posebench bench` does: measure, show, write."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from posebench.bench_run import BenchRequest, resources_of, run_bench
from posebench.bench_tables import bench_markdown, bench_table
from posebench.evaluation_run import check_writable, naming_what_cannot_be_written
from posebench.printing import print_fitting
from posebench.progress import progress_bars
from posebench.resources import share_out
from posebench.results import CellResult, write_results
from posebench.runner import exit_code

FORMATS = ("terminal", "md")


def bench_command_line(request: BenchRequest, json: Path | None, form: str) -> int:
    """Measure, print, write the files asked for, and return the exit code.

    It is 3 if a cell failed, and on Ctrl-C, which leaves out what is not measured yet.
    """
    if json is not None:
        check_writable(json)
    results: list[CellResult] = []
    stopped = False
    with progress_bars("steps") as report:
        try:
            for result in run_bench(request, report):
                results.append(result)
        except KeyboardInterrupt:
            stopped = True
    if json is not None and results:
        _, settings = share_out(resources_of(request), request.device)
        with naming_what_cannot_be_written(json):
            write_results(json, results, settings)
    if form == "md":
        sys.stdout.write(bench_markdown(results))
    else:
        _show(results, request.out, stopped)
    return 3 if stopped else exit_code(results)


def _show(results: Sequence[CellResult], out: Path | None, stopped: bool) -> None:
    if results:
        print_fitting(bench_table(results))
    if out is not None:
        print_fitting(Text(f"Run directory: {out}"))
    if stopped:
        print_fitting("Stopped by Ctrl-C.")
