"""`posebench claims`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SCHEMA_VERSION = 1


def claims_command(
    run: Annotated[Path, typer.Argument(help="Run directory.")],
    enforce: Annotated[
        bool, typer.Option("--enforce", help="Exit with 1 if a claim is refuted.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the verdicts.")] = None,
) -> None:
    """Judge a run's claims: verdict, effect, interval and what they rest on."""
    from posebench.files.records import mapping_from_record
    from posebench.files.writing import naming_what_cannot_be_written, write_json
    from posebench.judging.verdicts import judge_run
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.verdict_table import verdict_table

    verdicts = judge_run(run)
    print_fitting(verdict_table(verdicts) if verdicts else "The suite of this run makes no claims.")
    if json is not None:
        found = [mapping_from_record(verdict) for verdict in verdicts]
        with naming_what_cannot_be_written(json):
            write_json(json, {"schema_version": SCHEMA_VERSION, "verdicts": found})
    refuted = any(verdict.verdict == "refuted" for verdict in verdicts)
    raise typer.Exit(1 if enforce and refuted else 0)
