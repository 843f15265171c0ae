"""`posebench train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options

EXIT_UNFINISHED = 3


def train_command(
    recipe: Annotated[Path, typer.Argument(help="Recipe, a YAML file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint and its curve.")],
    threads: options.Threads = None,
    device: options.Device = "cpu",
) -> None:
    """Train one model from a recipe; called again, a stopped run goes on."""
    import torch

    from posebench.lab.training import is_resumable, load_recipe, train
    from posebench.lab.training.validation import validation
    from posebench.reporting.messages import say
    from posebench.reporting.progress import progress_bars

    if threads is not None:
        torch.set_num_threads(threads)
    loaded = load_recipe(recipe)
    try:
        with progress_bars("steps") as report:
            outcome = train(loaded, out, validation(loaded, report), report, device)
    except KeyboardInterrupt:
        kept = "goes on from its last evaluation" if is_resumable(loaded, out) else "starts afresh"
        say(f"\nStopped. The same command {kept}.", err=True)
        raise typer.Exit(EXIT_UNFINISHED) from None
    scores = ", ".join(f"{name} {100 * value:.1f}" for name, value in outcome.metrics.items())
    say(f"{outcome.checkpoint}: {scores} (points)\ncurve: {outcome.curve}")
    for size, checkpoint in outcome.at_sizes.items():
        say(f"for {size}: {checkpoint}")
