"""`posebench plot`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

_OF_PROBES = ("decay", "position-code", "similarity", "matching", "match-examples")
# What draws a score, and so takes --metric.
_SCORED = (
    "resolution", "scaling", "pareto", "means", "bits", "sparsity", "robustness", "history",
)  # fmt: skip
_SELECTED = (*_SCORED, "keypoints")
KINDS = (
    "resolution", "scaling", "pareto", "keypoints", "bits", "sparsity", "robustness", "history",
    *_OF_PROBES, "difference", "verdicts", "means", "curve",
)  # fmt: skip


def plot_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A run directory, or a results file of `posebench eval`; for history: several run "
            "directories; for curve: .curve.json files of `posebench train`, or folders of them.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="resolution: a score against input size; scaling: against parameters; pareto: "
            "against cost; means: over seeds, against any field; keypoints: by keypoint; "
            "bits, sparsity: by transform; robustness: by level of corruption; history: score "
            "and speed over runs; difference: between checkpoints; verdicts: effects of "
            "claims, seed by seed; curve: AP and loss in training. Of probes: decay: response "
            "by distance; position-code: cosines of bins; similarity: cosines of keypoints; "
            "matching: by layer; match-examples: with images."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, .svg, .pdf or .png.")],
    metric: Annotated[
        str | None,
        typer.Option(
            help="Score to draw, such as AR, PCK@0.1, median error or ECE; by default AP, or the "
            "main number of data without it.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Only cells whose id fits a pattern, as in posebench run, or whose field does: "
            "policy=native, checkpoint=heatmap-*. May be given several times.",
            show_default=False,
        ),
    ] = None,
    x: Annotated[
        str | None,
        typer.Option(
            help="For means: the field, or the number of a network such as params M, along the "
            "axis.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="For means: the fields of a line, separated by commas; by default paradigm.",
            show_default=False,
        ),
    ] = None,
    mean_over: Annotated[
        str | None,
        typer.Option(
            help="For means: the field over which they are taken; by default labels.seed.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw a run's results, runs over time, or training curves, for print and for screens."""
    from posebench.cli.choices import one_of
    from posebench.errors import UsageError
    from posebench.reporting.figures.files import (
        Shown,
        plot_curves,
        plot_differences,
        plot_history,
        plot_means,
        plot_run,
        plot_verdicts,
    )
    from posebench.reporting.figures.lab.means import MeansRequest
    from posebench.reporting.figures.values import Measure
    from posebench.reporting.messages import say
    from posebench.results.numbers import NUMBERS

    chosen = one_of(kind, KINDS, "--kind")
    scores = tuple(name for name, number in NUMBERS.items() if number.kind == "score")
    measure = None if metric is None else Measure(one_of(metric, scores, "--metric"))
    shown = Shown(measure, tuple(only or ()))
    _refuse_unused(chosen, metric, only)
    own = {"--x": x, "--by": by, "--mean-over": mean_over}
    _check_means(chosen, own)
    if chosen == "curve":
        plot_curves(files, out)
    elif chosen == "history":
        plot_history(files, out, shown)
    elif len(files) > 1:
        raise UsageError(f"--kind {chosen} draws one run.", hint="Give one run directory or file.")
    elif chosen == "difference":
        plot_differences(files[0], out)
    elif chosen == "means":
        request = MeansRequest(
            x or "",
            tuple(name.strip() for name in by.split(",")) if by else MeansRequest.by,
            mean_over or MeansRequest.over,
            measure,
        )
        plot_means(files[0], out, request, shown)
    elif chosen == "verdicts":
        plot_verdicts(files[0], out)
    else:
        plot_run(files[0], chosen, out, shown)
    say(str(out))


def _refuse_unused(kind: str, metric: str | None, only: list[str] | None) -> None:
    """Raise `UsageError` for an option that a kind of figure does not take."""
    from posebench.errors import UsageError

    if metric is not None and kind not in _SCORED:
        raise UsageError(
            f"--kind {kind} draws no other score.", hint=f"--metric is for {', '.join(_SCORED)}."
        )
    if only and kind not in _SELECTED:
        raise UsageError(
            f"--kind {kind} shows everything.", hint=f"--only is for {', '.join(_SELECTED)}."
        )


def _check_means(kind: str, options: Mapping[str, str | None]) -> None:
    """Raise `UsageError` for options of means at another kind, and for means without --x."""
    from posebench.errors import UsageError

    given = [name for name, value in options.items() if value is not None]
    if kind == "means" and options["--x"] is None:
        raise UsageError(
            "--kind means needs --x, the field along the axis.",
            hint="Such as --x size, --x labels.arm or --x 'params M'.",
        )
    if kind != "means" and given:
        raise UsageError(f"{', '.join(given)} is for --kind means alone.")
