"""`posebench claims`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SCHEMA_VERSION = 1


def claims_command(
    runs: Annotated[
        list[Path], typer.Argument(help="Run directories, or folders of them.", metavar="RUN...")
    ],
    enforce: Annotated[
        bool, typer.Option("--enforce", help="Exit with 1 if a claim is refuted.")
    ] = False,
    format: Annotated[
        str, typer.Option(help="terminal, or md: a table with a column for each data set.")
    ] = "terminal",
    json: Annotated[Path | None, typer.Option(help="Write the verdicts.")] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write them as JUnit XML, in which refuted claims fail.")
    ] = None,
) -> None:
    """Judge the claims of runs: verdict, effect, interval and what they rest on.

    Each run is judged by itself; p-values are adjusted for the number of its claims.
    """
    from posebench.cli.choices import one_of
    from posebench.files.records import mapping_from_record
    from posebench.files.writing import naming_what_cannot_be_written, write_json, write_text
    from posebench.judging.verdicts import verdicts_of
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.verdict_junit import verdict_junit
    from posebench.reporting.tables.verdict_overview import verdict_overview
    from posebench.reporting.tables.verdict_table import verdict_line, verdict_table
    from posebench.results.findings import finding_lines
    from posebench.results.store import read_run, runs_in

    shown = one_of(format, ("terminal", "md"), "--format")
    judged = [read_run(run) for folder in runs for run in runs_in(folder)]
    verdicts = [verdict for run in judged for verdict in verdicts_of(run)]
    found = finding_lines(cell.result for run in judged for cell in run.cells)
    for line in found:
        print_fitting(line)
    if not verdicts:
        print_fitting("No suite of these runs makes claims.")
    elif shown == "md":
        typer.echo(verdict_overview(verdicts))
    else:
        print_fitting(verdict_table(verdicts))
    if json is not None:
        plain = [{**mapping_from_record(each), "line": verdict_line(each)} for each in verdicts]
        document = {"schema_version": SCHEMA_VERSION, "findings": found, "verdicts": plain}
        with naming_what_cannot_be_written(json):
            write_json(json, document)
    if junit is not None:
        with naming_what_cannot_be_written(junit):
            write_text(junit, verdict_junit(verdicts))
    refuted = any(verdict.verdict == "refuted" for verdict in verdicts)
    raise typer.Exit(1 if enforce and refuted else 0)
