"""The `posebench` command: parse, one library call, print, exit code."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from posebench.__version__ import __version__
from posebench.cli.bench import bench_command
from posebench.cli.cache import app as cache_app
from posebench.cli.claims import claims_command
from posebench.cli.compare import compare_command
from posebench.cli.convert import convert_command
from posebench.cli.data import app as data_app
from posebench.cli.diagnose import diagnose_command
from posebench.cli.evaluate import evaluate_command
from posebench.cli.examples import help_of
from posebench.cli.explain import explain_command
from posebench.cli.export import export_command
from posebench.cli.garbage import seldom_searched
from posebench.cli.inspect import inspect_command
from posebench.cli.merge import merge_command
from posebench.cli.plot import plot_command
from posebench.cli.probe import probe_command
from posebench.cli.report import report_command
from posebench.cli.run import run_command
from posebench.cli.score import score_command
from posebench.cli.status import status_command
from posebench.cli.suite import app as suite_app
from posebench.cli.table import table_command
from posebench.cli.train import train_command
from posebench.cli.zoo import app as zoo_app
from posebench.errors import PosebenchError

EXIT_INPUT_ERROR = 2

app = typer.Typer(
    help="Evaluate and benchmark 2D human-pose checkpoints, heatmap, SimCC and regression.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("run", **help_of("run"))(run_command)
app.command("eval", **help_of("eval"))(evaluate_command)
app.command("bench", **help_of("bench"))(bench_command)
app.command("probe", **help_of("probe"))(probe_command)
app.command("train", **help_of("train"))(train_command)
app.command("merge", **help_of("merge"))(merge_command)
app.command("status", **help_of("status"))(status_command)
app.command("table", **help_of("table"))(table_command)
app.command("claims", **help_of("claims"))(claims_command)
app.command("compare", **help_of("compare"))(compare_command)
app.command("diagnose", **help_of("diagnose"))(diagnose_command)
app.command("explain", **help_of("explain"))(explain_command)
app.command("score", **help_of("score"))(score_command)
app.command("inspect", **help_of("inspect"))(inspect_command)
app.command("convert", **help_of("convert"))(convert_command)
app.command("plot", **help_of("plot"))(plot_command)
app.command("report", **help_of("report"))(report_command)
app.command("export", **help_of("export"))(export_command)
app.add_typer(suite_app, name="suite", rich_help_panel="Checkpoints, data and suites")
app.add_typer(data_app, name="data", rich_help_panel="Checkpoints, data and suites")
app.add_typer(zoo_app, name="zoo", rich_help_panel="Checkpoints, data and suites")
app.add_typer(cache_app, name="cache", rich_help_panel="Checkpoints, data and suites")


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"posebench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors and of failed cells.")
    ] = False,
) -> None:
    del version, debug  # `version` acts in its callback, `debug` in `main`.


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; turn an error of the user's or the system's into exit code 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    if debug:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("posebench").setLevel(logging.DEBUG)
    for handler in (logging.lastResort, *logging.getLogger().handlers):
        if handler is not None:
            handler.addFilter(_make_harmless)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Where the terminal lacks a character (a dash, a dot), show "?" rather than fail.
            stream.reconfigure(errors="replace")
    try:
        # Taken out, so that it may stand before or behind the command.
        # Started as a module too, it goes by the name that its completion is installed for.
        with seldom_searched():
            app([each for each in given if each != "--debug"], prog_name="posebench")
    except (PosebenchError, OSError) as error:
        _show_error(error, debug)
        sys.exit(EXIT_INPUT_ERROR)


def _show_error(error: PosebenchError | OSError, debug: bool) -> None:
    """Show what was wrong: with what was given, or with the system, such as a name too long."""
    from posebench.reporting.messages import as_line, say

    if debug:
        say(traceback.format_exc(), err=True)
    if isinstance(error, OSError):
        what = "" if error.filename is None else f"{error.filename} cannot be used: "
        message, hint = f"{what}{error.strerror or error}.", None
    else:
        message, hint = error.message, error.hint
    typer.secho(as_line(f"error: {message}"), fg=typer.colors.RED, err=True)
    if hint:
        say(hint, err=True)


def _make_harmless(record: logging.LogRecord) -> bool:
    from posebench.reporting.messages import make_harmless

    return make_harmless(record)
