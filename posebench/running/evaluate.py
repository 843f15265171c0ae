"""What `posebench eval` does: load, run every checkpoint's cells, keep what is done, print.

Results are written after each checkpoint, so that a stopped run keeps the finished ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from posebench.datasets.requests import DataRequest
from posebench.errors import UsageError
from posebench.files.writing import check_writable, naming_what_cannot_be_written, write_json
from posebench.prediction.execution import Progress, Resources
from posebench.results.cell import CellResult, RunSettings, write_results
from posebench.running.cells import Grid, Storage
from posebench.running.passes import most_cells, passes
from posebench.running.resources import share_out
from posebench.running.run_cells import result_without_cells, run_pass
from posebench.running.scored import FinishedCell
from posebench.running.sources import checkpoint_sources
from posebench.running.workload import load_workload
from posebench.scoring.evaluate import Evidence, ScoringOptions
from posebench.zoo import embedded_names


@dataclass(frozen=True)
class Outputs:
    """Files to write: results as JSON, predictions of a single cell, a folder with everything.

    `raw` is the folder that raw outputs are kept in, and read from where they are there; `cache`
    is that of predictions, which raw outputs make needless.
    """

    results: Path | None = None
    predictions: Path | None = None
    folder: Path | None = None
    raw: Path | None = None
    cache: Path | None = None


@dataclass(frozen=True)
class EvaluationRequest:
    """Everything a user asks of one evaluation; no checkpoints means all embedded ones."""

    checkpoints: tuple[str, ...] = ()
    spec_file: Path | None = None
    data: DataRequest = field(default_factory=DataRequest)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    evidence: Evidence = field(default_factory=Evidence)
    grid: Grid = field(default_factory=Grid)
    resources: Resources = field(default_factory=Resources)
    outputs: Outputs = field(default_factory=Outputs)


def run_evaluation(request: EvaluationRequest, report: Progress) -> list[CellResult]:
    """Run, write the files asked for, and return the results.

    Raises `PosebenchError` for what cannot be used at all; a cell or checkpoint that fails is a
    row. On Ctrl-C the rest is `skipped` and what is done is kept.
    """
    sources = checkpoint_sources(request.checkpoints or embedded_names(), request.spec_file)
    _check_request(request, len(sources))
    raw = request.outputs.raw
    storage = Storage(raw, request.outputs.cache if raw is None else None)
    parallelism, settings = share_out(request.resources, request.grid.execution.device)
    grid = replace(request.grid, parallelism=parallelism)
    workload = load_workload(
        request.data,
        request.scoring,
        lambda done, total: report("rendering", done, total),
        request.evidence,
    )
    results: list[CellResult] = []
    left = list(sources)
    try:
        cells_of_each = len(grid.sizes) * len(grid.policies) * len(grid.decoders)
        sigmas = workload.protocol.sigmas
        most = most_cells(len(workload.instances) * cells_of_each, len(sigmas))
        for together in passes(sources, lambda source: source.path, most):
            for _, cells in run_pass(together, workload, grid, report, storage):
                for cell in cells:
                    results.append(cell.result)
                    _write_predictions(request.outputs, cell)
                left.pop(0)
                _write_results(request.outputs, results, settings)
    except KeyboardInterrupt:
        results += [
            result_without_cells(source, workload, "skipped", "stopped by Ctrl-C")
            for source in left
        ]
    finally:
        _write_results(request.outputs, results, settings)
    return results


def _check_request(request: EvaluationRequest, checkpoints: int) -> None:
    """Raise `UsageError` for options and outputs that could only fail after the work is done."""
    scoring, outputs = request.scoring, request.outputs
    if not math.isfinite(scoring.keypoint_threshold):
        raise UsageError(f"--keypoint-threshold {scoring.keypoint_threshold} is not a number.")
    if not 0 < scoring.nms_threshold <= 1:
        raise UsageError(
            f"--nms-threshold {scoring.nms_threshold} is out of range.",
            hint="OKS lies between 0 and 1; --nms none turns OKS-NMS off.",
        )
    grid = request.grid
    if "," in grid.execution.device:
        raise UsageError(
            f"--device {grid.execution.device}: posebench eval runs on one device.",
            hint="posebench run SUITE takes several.",
        )
    cells = checkpoints * len(grid.sizes) * len(grid.policies) * len(grid.decoders)
    if outputs.predictions is not None and cells > 1:
        raise UsageError(
            f"--predictions writes one cell's results, but up to {cells} cells are asked for.",
            hint="Use --out DIR, which keeps the predictions of every cell.",
        )
    for path in (outputs.results, outputs.predictions):
        if path is not None:
            check_writable(path)
    if outputs.folder is not None:
        check_writable(outputs.folder / "results.json")
    if outputs.raw is not None:
        check_writable(outputs.raw / "raw.json")


def _write_results(outputs: Outputs, results: Sequence[CellResult], settings: RunSettings) -> None:
    in_folder = None if outputs.folder is None else outputs.folder / "results.json"
    for path in (outputs.results, in_folder):
        if path is not None and results:
            with naming_what_cannot_be_written(path):
                write_results(path, results, settings)


def _write_predictions(outputs: Outputs, cell: FinishedCell) -> None:
    name = f"{cell.result.cell_id}.json"
    in_folder = None if outputs.folder is None else outputs.folder / "predictions" / name
    for path in (outputs.predictions, in_folder):
        if path is not None and cell.coco_results is not None:
            with naming_what_cannot_be_written(path):
                write_json(path, cell.coco_results)
