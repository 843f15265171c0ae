"""`posebench suite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="List, show and check suites.", no_args_is_help=True)


@app.command("ls")
def list_suites() -> None:
    """List the suites that come with posebench."""
    from posebench.reporting.messages import say
    from posebench.suites.suite import load_suite, shipped_suites

    for name, path in shipped_suites().items():
        say(f"{name:<18} {load_suite(path).description}")


@app.command("show")
def show_suite(
    suite: Annotated[str, typer.Argument(help="Suite file, or a shipped suite's name.")],
) -> None:
    """Print a suite's file."""
    from posebench.reporting.messages import harmless, say
    from posebench.suites.suite import find_suite

    path = find_suite(suite)
    say(f"# {path}")
    for line in path.read_text(encoding="utf-8").splitlines():
        typer.echo(harmless(line))


@app.command("validate")
def validate_suite(
    file: Annotated[Path, typer.Argument(help="Suite file.")],
) -> None:
    """Check a suite against the schema and its claims, without running anything."""
    from posebench.reporting.messages import say
    from posebench.suites.claims import find_claims
    from posebench.suites.suite import load_suite

    suite = load_suite(file)
    claims = find_claims(suite.claims, file.parent)
    say(f"{file} is sound: {suite.name}, {len(claims)} claims.")


@app.command("schema")
def print_schema() -> None:
    """Print the JSON schema of suite files, for editors."""
    import json

    from posebench.suites.suite import suite_schema

    typer.echo(json.dumps(suite_schema(), indent=1))
