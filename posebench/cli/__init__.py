"""The `posebench` command: parse, one library call, print, exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import posebench
from posebench.cli.data import app as data_app
from posebench.cli.diagnose import diagnose_command
from posebench.cli.evaluate import evaluate_command
from posebench.cli.inspect import inspect_command
from posebench.cli.score import score_command
from posebench.cli.train import train_command
from posebench.errors import PosebenchError

EXIT_INPUT_ERROR = 2

app = typer.Typer(
    help="Evaluate and benchmark 2D human-pose checkpoints, heatmap and SimCC.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("eval")(evaluate_command)
app.command("train")(train_command)
app.command("diagnose")(diagnose_command)
app.command("score")(score_command)
app.command("inspect")(inspect_command)
app.add_typer(data_app, name="data")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"posebench {posebench.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    del version, debug  # `version` acts in its callback, `debug` is read by `main`.


def main() -> None:
    """Run the command line; turn a `PosebenchError` into a message and exit code 2."""
    try:
        app()
    except PosebenchError as error:
        if "--debug" in sys.argv:
            raise
        typer.secho(f"error: {error.message}", fg=typer.colors.RED, err=True)
        if error.hint:
            typer.echo(error.hint, err=True)
        sys.exit(EXIT_INPUT_ERROR)
