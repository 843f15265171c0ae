"""`posebench export`: the forms in which a run can be handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from posebench.errors import DataError, UsageError, nearest
from posebench.reporting.exports import (
    coco_submission,
    fiftyone,
    mlflow_runs,
    model_index,
    weights_and_biases,
)
from posebench.reporting.exports.cells import ExportedRun
from posebench.results.store import read_run


@dataclass(frozen=True)
class Export:
    """A form: what it is, the function that writes it, and whether it writes files of its own.

    The function returns where each part went. Without `needs_out` the destination may be left to
    the library.
    """

    says: str
    write: Callable[[ExportedRun], list[str]]
    needs_out: bool = True


EXPORTS: Mapping[str, Export] = MappingProxyType(
    {
        "model-index": Export("a Hugging Face model card's metadata", model_index.write),
        "fiftyone": Export("a COCO file per cell for FiftyOne", fiftyone.write),
        "coco-submission": Export("results as COCO's server takes them", coco_submission.write),
        "wandb": Export("a run per cell in Weights & Biases", weights_and_biases.write, False),
        "mlflow": Export("a run per cell in MLflow", mlflow_runs.write, False),
    }
)


@dataclass(frozen=True)
class ExportRequest:
    """What to hand on, in which form, and where to.

    `out` is a folder, which `wandb` and `mlflow` can do without; `project` is a name in Weights &
    Biases or MLflow.
    """

    run: Path
    form: str
    out: Path | None = None
    project: str = "posebench"


def export_run(request: ExportRequest) -> list[str]:
    """Hand a run on, and return lines that say where its parts went and what was left out.

    Raises `UsageError` for a form that is not known or a missing destination, `DataError` if no
    cell has numbers, and `MissingExtraError` if a library is not installed.
    """
    if request.form not in EXPORTS:
        raise UsageError(
            f"--format {request.form!r} is not known.", hint=nearest(request.form, EXPORTS)
        )
    form = EXPORTS[request.form]
    if form.needs_out and request.out is None:
        raise UsageError(
            f"--format {request.form} writes files, and no place is named.", hint="Use --out PATH."
        )
    run = read_run(request.run)
    cells = tuple(cell for cell in run.cells if cell.result.status == "ok" and cell.result.metrics)
    if not cells:
        raise DataError(f"No cell of {request.run} has numbers to hand on.")
    lines = form.write(ExportedRun(run, cells, request.out, request.project))
    if left := len(run.record.cells) - len(cells):
        lines.append(f"{left} of {len(run.record.cells)} cells have no numbers and are left out.")
    return lines
