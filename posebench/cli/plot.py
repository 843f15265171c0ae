"""`posebench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_OF_PROBES = ("decay", "position-code", "similarity", "matching", "match-examples")
KINDS = (
    "resolution", "scaling", "pareto", "keypoints", "bits", "sparsity", "robustness", *_OF_PROBES,
    "difference", "verdicts", "curve",
)  # fmt: skip


def plot_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A run directory, or a results file of `posebench eval`; for curve: .curve.json "
            "files of `posebench train`, or folders of them.",
            show_default=False,
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="resolution: AP against input size; scaling: against parameters; pareto: against "
            "cost; keypoints: by keypoint; bits, sparsity: by transform; robustness: by level of "
            "corruption; difference: between checkpoints; verdicts: effects of claims, seed by "
            "seed; curve: AP and loss in training. Of probes: decay: response by distance; "
            "position-code: cosines of bins; similarity: cosines of keypoints; matching: by layer; "
            "match-examples: with images."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, .svg, .pdf or .png.")],
) -> None:
    """Draw a run's results, or training curves, for print and for screens."""
    from posebench.cli.choices import one_of
    from posebench.errors import UsageError
    from posebench.reporting.figures.files import (
        plot_curves,
        plot_differences,
        plot_run,
        plot_verdicts,
    )
    from posebench.reporting.messages import say

    chosen = one_of(kind, KINDS, "--kind")
    if chosen == "curve":
        plot_curves(files, out)
    elif len(files) == 1 and chosen == "difference":
        plot_differences(files[0], out)
    elif len(files) == 1 and chosen == "verdicts":
        plot_verdicts(files[0], out)
    elif len(files) == 1:
        plot_run(files[0], chosen, out)
    else:
        raise UsageError(f"--kind {chosen} draws one run.", hint="Give one run directory or file.")
    say(str(out))
