"""`posebench plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

KINDS = ("resolution", "scaling", "pareto", "keypoints", "curve")


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
            "cost; keypoints: by keypoint; curve: AP and loss in training."
        ),
    ],
    out: Annotated[Path, typer.Option(help="File to write, .svg or .png.")],
) -> None:
    """Draw a run's results, or training curves (needs the extra `plots`)."""
    from posebench.cli.choices import one_of
    from posebench.errors import UsageError
    from posebench.reporting.figures.resolution import plot_resolution
    from posebench.reporting.figures.run_figures import plot_keypoints, plot_pareto, plot_scaling
    from posebench.reporting.figures.training import plot_training_curves
    from posebench.reporting.messages import say

    chosen = one_of(kind, KINDS, "--kind")
    draw = {
        "resolution": plot_resolution,
        "scaling": plot_scaling,
        "pareto": plot_pareto,
        "keypoints": plot_keypoints,
    }
    if chosen == "curve":
        plot_training_curves(files, out)
    elif len(files) == 1:
        draw[chosen](files[0], out)
    else:
        raise UsageError(f"--kind {chosen} draws one run.", hint="Give one run directory or file.")
    say(str(out))
