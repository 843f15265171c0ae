"""A run in Weights & Biases: each cell is a run there, its protocol the config.

Whether it is sent or kept for later is that library's own setting, `WANDB_MODE`.
"""

from __future__ import annotations

from posebench.errors import MissingExtraError, PosebenchError
from posebench.reporting.exports.cells import ExportedRun, numbers_in_units, settings_of


def write(exported: ExportedRun) -> list[str]:
    """Log each cell; return the runs' names.

    Raises `MissingExtraError` if wandb is not installed.
    """
    try:
        import wandb
    except ImportError:
        raise MissingExtraError.of("--format wandb", "wandb", "wandb") from None
    folder = None if exported.out is None else str(exported.folder())
    lines = []
    for cell in exported.cells:
        try:
            with wandb.init(
                project=exported.project,
                name=cell.id,
                group=exported.name,
                job_type="evaluation",
                config=settings_of(cell),
                dir=folder,
            ) as run:
                run.summary.update(numbers_in_units(cell))
                lines.append(f"{exported.project}/{exported.name}/{cell.id}: {run.id}")
        except wandb.Error as error:
            raise PosebenchError(
                f"Weights & Biases did not take {cell.id}: {error}.",
                hint="Run `wandb login`, or set WANDB_MODE=offline and `wandb sync` later.",
            ) from None
    return lines
