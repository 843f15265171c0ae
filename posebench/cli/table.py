"""`posebench table`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def table_command(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, or folders of them.")],
    rows: Annotated[
        str | None,
        typer.Option(help="Fields of the rows; by default those that vary.", show_default=False),
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Fields of the columns, or none for one column per metric.")
    ] = "size",
    metric: Annotated[
        str | None,
        typer.Option(
            help="Metrics, such as AP,AR,PCK@0.1,inst/s,latency ms,params M; by default AP, or "
            "the main one of data without it.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Checkpoint to show differences to.")] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Column that orders the rows, best first, or best for the first one.",
            show_default=False,
        ),
    ] = None,
    mean_over: Annotated[
        str | None,
        typer.Option(
            help="Field, such as labels.seed, over whose values to show means.", show_default=False
        ),
    ] = None,
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Show 95 % intervals, of differences to the baseline too."),
    ] = False,
    format: Annotated[
        str, typer.Option(help="terminal, md, latex, csv, html or json.")
    ] = "terminal",
    out: Annotated[Path | None, typer.Option(help="File to write instead of the screen.")] = None,
    probes: Annotated[
        bool, typer.Option("--probes", help="What probes read instead: terminal or md.")
    ] = False,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept", help="The share of AP kept on corrupted images instead: terminal or md."
        ),
    ] = False,
) -> None:
    """Show runs as a table over any fields; results of other protocols are never subtracted."""
    from posebench.cli.choices import one_of
    from posebench.reporting.printing import print_fitting, screen_width, text_of, write_out
    from posebench.reporting.tables.pivot.formats import TEXT_FORMATS, pivot_table
    from posebench.reporting.tables.pivot.request import PivotRequest
    from posebench.reporting.tables.pivot.table import pivot_runs
    from posebench.results.store import runs_in

    if probes:
        _show_probes(runs, one_of(format, ("terminal", "md"), "--format"), out)
        return
    if kept:
        _show_kept(runs, one_of(format, ("terminal", "md"), "--format"), out)
        return
    request = PivotRequest(
        rows=_names(rows or ""),
        columns=() if columns == "none" else _names(columns),
        metrics=_names(metric or ""),
        baseline=baseline,
        sort=sort,
        intervals=ci,
        mean_over=mean_over,
    )
    form = one_of(format, ("terminal", *TEXT_FORMATS), "--format")
    pivot = pivot_runs([run for folder in runs for run in runs_in(folder)], request)
    if form in TEXT_FORMATS:
        text = TEXT_FORMATS[form](pivot, ci)
        write_out(out, text) if out is not None else sys.stdout.write(text)
    elif out is not None:
        write_out(out, text_of(pivot_table(pivot, ci)))
    else:
        print_fitting(pivot_table(pivot, ci, screen_width()))


def _show_probes(runs: list[Path], form: str, out: Path | None) -> None:
    """Show what the probes of runs read."""
    from posebench.reporting.printing import print_fitting, text_of, write_out
    from posebench.reporting.tables.probe_tables import markdown_of, probe_tables
    from posebench.results.store import read_run

    found = [probe for run in runs for probe in read_run(run).probes]
    if form == "md":
        text = markdown_of(found)
        write_out(out, text) if out is not None else sys.stdout.write(text)
        return
    tables = list(probe_tables(found))
    if out is not None:
        write_out(out, "".join(map(text_of, tables)))
        return
    for table in tables:
        print_fitting(table)


def _show_kept(runs: list[Path], form: str, out: Path | None) -> None:
    """Show the share of AP that the networks of a run keep on corrupted images."""
    from posebench.errors import UsageError
    from posebench.judging.robustness.kept import kept_shares
    from posebench.reporting.printing import print_fitting, text_of, write_out
    from posebench.reporting.robustness.kept_table import kept_markdown, kept_table
    from posebench.results.store import read_run

    if len(runs) > 1:
        raise UsageError("--kept shows one run.", hint="Give one run directory.")
    shares = kept_shares(read_run(runs[0]))
    if form == "md":
        text = kept_markdown(shares)
        write_out(out, text) if out is not None else sys.stdout.write(text)
    elif out is not None:
        write_out(out, text_of(kept_table(shares)))
    else:
        print_fitting(kept_table(shares))


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
