"""What `posebench eval` does: load, run every checkpoint's cells, keep what is done, print.

Results are written after each checkpoint, so that a stopped run keeps the finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from posebench.errors import UsageError
from posebench.evaluation.protocol import ScoringOptions
from posebench.progress import progress_bars
from posebench.records import write_json
from posebench.results import CellResult, CheckpointFacts, write_results
from posebench.runner import FinishedCell, Grid, exit_code, run_checkpoint
from posebench.tables import results_table
from posebench.workload import DataRequest, Workload, load_workload
from posebench.zoo import embedded_names, resolve

WIDE = 240


@dataclass(frozen=True)
class Outputs:
    """Files to write: results as JSON, predictions of a single cell, a folder with everything."""

    results: Path | None = None
    predictions: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class EvaluationRequest:
    """Everything a user asks of one evaluation; no checkpoints means all embedded ones."""

    checkpoints: tuple[str, ...] = ()
    spec_file: Path | None = None
    data: DataRequest = field(default_factory=DataRequest)
    scoring: ScoringOptions = field(default_factory=ScoringOptions)
    grid: Grid = field(default_factory=Grid)
    threads: int | None = None
    outputs: Outputs = field(default_factory=Outputs)


def run_evaluation(request: EvaluationRequest) -> int:
    """Run, print the table, write the files asked for, and return the exit code.

    Raises `PosebenchError` for what cannot be used at all; a cell or checkpoint that fails is a
    row. On Ctrl-C the rest is `skipped` and what is done is kept.
    """
    paths = [resolve(name) for name in request.checkpoints or embedded_names()]
    if request.threads is not None:
        import torch

        torch.set_num_threads(request.threads)
    _check_outputs(request, len(paths))
    with progress_bars("instances") as report:
        workload = load_workload(
            request.data, request.scoring, lambda done, total: report("rendering", done, total)
        )
        results: list[CellResult] = []
        for position, path in enumerate(paths):
            try:
                for cell in run_checkpoint(path, request.spec_file, workload, request.grid, report):
                    results.append(cell.result)
                    _write_predictions(request.outputs, cell)
            except KeyboardInterrupt:
                results += [_skipped(left, workload, request.grid) for left in paths[position:]]
                break
            finally:
                _write_results(request.outputs, results)
    console = Console()
    width = console.width if console.is_terminal else WIDE
    Console(width=max(width, 80)).print(results_table(results, width), soft_wrap=True)
    return exit_code(results)


def _check_outputs(request: EvaluationRequest, checkpoints: int) -> None:
    cells = checkpoints * len(request.grid.sizes) * len(request.grid.policies)
    if request.outputs.predictions is not None and cells > 1:
        raise UsageError(
            f"--predictions writes one cell's results, but up to {cells} cells are asked for.",
            hint="Use --out DIR, which keeps the predictions of every cell.",
        )


def _skipped(path: Path, workload: Workload, grid: Grid) -> CellResult:
    facts = CheckpointFacts(name=path.stem)
    return CellResult(
        facts, None, grid.policies[0], "skipped", workload.protocol, reason="stopped by Ctrl-C"
    )


def _write_results(outputs: Outputs, results: Sequence[CellResult]) -> None:
    if not results:
        return
    if outputs.results is not None:
        write_results(outputs.results, results)
    if outputs.folder is not None:
        write_results(outputs.folder / "results.json", results)


def _write_predictions(outputs: Outputs, cell: FinishedCell) -> None:
    if cell.coco_results is None:
        return
    if outputs.predictions is not None:
        write_json(outputs.predictions, cell.coco_results)
    if outputs.folder is not None:
        path = outputs.folder / "predictions" / f"{cell.result.cell_id}.json"
        write_json(path, cell.coco_results)
