"""`posebench suite`."""

from __future__ import annotations

from typing import Annotated

import typer

from posebench.cli.examples import epilog_of

app = typer.Typer(help="List, show and check suites.", no_args_is_help=True)


@app.command("ls", epilog=epilog_of("suite ls"))
def list_suites() -> None:
    """List the suites that come with posebench."""
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.text_tables import terminal_table
    from posebench.suites.collection import description_of
    from posebench.suites.shipped import shipped_suites

    rows = [(name, description_of(path)) for name, path in shipped_suites().items()]
    print_fitting(terminal_table(("suite", "what it is for"), rows, words=2))


@app.command("show", epilog=epilog_of("suite show"))
def show_suite(
    suite: Annotated[str, typer.Argument(help="Suite file, or a shipped suite's name.")],
) -> None:
    """Print a suite's file."""
    from posebench.reporting.messages import harmless, say
    from posebench.suites.shipped import find_suite

    path = find_suite(suite)
    say(f"# {path}")
    for line in path.read_text(encoding="utf-8").splitlines():
        typer.echo(harmless(line))


@app.command("validate", epilog=epilog_of("suite validate"))
def validate_suite(
    suite: Annotated[str, typer.Argument(help="Suite file, or a shipped suite's name.")],
    data: Annotated[
        bool, typer.Option("--data", help="Also read the data sets, with their images and boxes.")
    ] = False,
    data_root: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: where data to train on lie. May be given several times."),
    ] = None,
) -> None:
    """Check a suite: its schema, its checkpoints, and its claims on the cells that it plans.

    Nothing runs. The exit code is 2 where something is wrong.
    """
    from posebench.cli.choices import roots_of
    from posebench.cli.validate_suite import validate_files
    from posebench.suites.collection import files_of
    from posebench.suites.shipped import find_suite

    paths, roots = files_of(find_suite(suite)), roots_of(data_root or [])
    raise typer.Exit(validate_files(paths, roots, data=data))


@app.command("schema", epilog=epilog_of("suite schema"))
def print_schema(
    format: Annotated[str, typer.Option(help="json, for editors, or md, for readers.")] = "json",
) -> None:
    """Print the schema of suite files: types, choices and meaning of every field."""
    import json

    from posebench.cli.choices import one_of
    from posebench.suites.schema import suite_schema
    from posebench.suites.schema_tables import record_tables

    if one_of(format, ("json", "md"), "--format") == "json":
        typer.echo(json.dumps(suite_schema(), indent=1))
    else:
        typer.echo("\n\n".join(record_tables().values()))
