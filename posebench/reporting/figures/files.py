"""Figures as files: of runs, of their history, of trainings, of diagnoses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.errors import UsageError
from posebench.judging.verdicts import verdicts_of
from posebench.reporting.figures import RUN_FIGURES
from posebench.reporting.figures.diagnosis import diagnosis_drawing
from posebench.reporting.figures.drawing import Drawing, write_drawing
from posebench.reporting.figures.effects import differences_drawing
from posebench.reporting.figures.history import HistoryRun, history_drawing
from posebench.reporting.figures.lab.means import MeansRequest, means_drawing
from posebench.reporting.figures.lab.training import read_curves, training_drawing
from posebench.reporting.figures.lab.verdicts import verdicts_drawing
from posebench.reporting.figures.probes import PROBE_FIGURES
from posebench.reporting.figures.svg import clean
from posebench.reporting.figures.values import Measure
from posebench.reporting.selecting import selected
from posebench.reporting.tables.pivot.table import sources_of
from posebench.results.differences import cells_in, read_differences
from posebench.results.findings import finding_lines, warned_of
from posebench.results.reading import cells_of_run, read_cells, read_probes
from posebench.results.store import Run, read_run
from posebench.scoring.diagnosis.files import DiagnosisReport


@dataclass(frozen=True)
class Shown:
    """What a figure shows: a score, and the cells that fit every filter of `only`."""

    measure: Measure | None = None
    only: tuple[str, ...] = ()


_ALL = Shown()


def plot_run(source: Path, kind: str, out: Path, shown: Shown = _ALL) -> None:
    """Draw a figure of a run, an evaluation or a results file.

    `kind` is one of `RUN_FIGURES`, or of `PROBE_FIGURES` for a run with probes, which show all.

    Raises `DataError` if `source` holds no results, `UsageError` if they lack what the figure
    shows, and the errors of `write_drawing`.
    """
    if kind in PROBE_FIGURES:
        needs, drawing = PROBE_FIGURES[kind].needs, PROBE_FIGURES[kind].draw(read_probes(source))
        lines: list[str] = []
    else:
        cells = selected(read_cells(source), shown.only)
        drawing = RUN_FIGURES[kind].draw(cells, measure=shown.measure)
        needs = RUN_FIGURES[kind].needs
        lines = finding_lines(cell.result for cell in cells)
    if drawing is None:
        raise UsageError(f"{source} holds no result {needs}.")
    write_drawing(_noted(drawing, lines), out)


def plot_differences(source: Path, out: Path) -> None:
    """Draw the differences between the checkpoints of a run.

    Raises `DataError` if `source` is no run directory, `UsageError` if it has no differences, and
    the errors of `write_drawing`.
    """
    run = read_run(source)
    found = read_differences(source)
    compared = set() if found is None else cells_in(found.differences)
    results = [cell.result for cell in run.cells if cell.id in compared]
    drawing = None if found is None else differences_drawing(found, results)
    if drawing is None:
        raise UsageError(
            f"{source} holds no differences between checkpoints.",
            hint="posebench eval of several checkpoints, with --out, makes them.",
        )
    write_drawing(_noted(drawing, finding_lines(results)), out)


def plot_verdicts(source: Path, out: Path) -> None:
    """Draw the effects of a run's verdicts.

    Raises `DataError` if `source` is no run directory, `UsageError` if no claim of it has an
    effect, and the errors of `write_drawing`.
    """
    run = read_run(source)
    verdicts = verdicts_of(run)
    judged = {cell_id for verdict in verdicts for cell_id in verdict.cells}
    results = [cell.result for cell in run.cells if cell.id in judged]
    drawing = verdicts_drawing(verdicts, results)
    if drawing is None:
        raise UsageError(
            f"{source} holds no claim with an effect.", hint="posebench claims says why."
        )
    write_drawing(_noted(drawing, finding_lines(cell.result for cell in run.cells)), out)


def plot_means(source: Path, out: Path, request: MeansRequest, shown: Shown = _ALL) -> None:
    """Draw a score of a run against a field, as means over seeds.

    Raises `DataError` if `source` is no run directory, `UsageError` if no cell has the score or the
    field, and if cells that would be one point differ in more than seeds; and the errors of
    `write_drawing`.
    """
    run = read_run(source)
    kept = {cell.id for cell in selected(cells_of_run(run), shown.only)}
    sources = [each for each in sources_of(source.name, run) if each.cell.id in kept]
    drawing = means_drawing(sources, request)
    if drawing is None:
        raise UsageError(f"{source} holds no result with the score and {request.x}.")
    lines = finding_lines(each.stored.result for each in sources)
    write_drawing(_noted(drawing, lines), out)


def plot_history(sources: Sequence[Path], out: Path, shown: Shown = _ALL) -> None:
    """Draw runs in the order in which they were made; filters are of cells that all of them have.

    Raises `DataError` if one is no run directory, `UsageError` if none has the score, and the
    errors of `write_drawing`.
    """
    runs = [_history_run(read_run(source), shown) for source in sources]
    drawing = history_drawing(runs, measure=shown.measure, every=bool(shown.only))
    if drawing is None:
        name = "a score" if shown.measure is None else shown.measure.name
        raise UsageError(f"No cell of these runs has {name}.")
    lines = finding_lines(cell.result for run in runs for cell in run.cells)
    write_drawing(_noted(drawing, lines), out)


def _history_run(run: Run, shown: Shown) -> HistoryRun:
    environment = run.record.environment
    machine = environment.get("machine") or {}
    return HistoryRun(
        run.folder.name,
        str(environment.get("date", "")),
        " ".join(str(value) for value in machine.values()),
        tuple(selected(cells_of_run(run), shown.only)),
    )


def plot_curves(paths: Sequence[Path], out: Path) -> None:
    """Draw training curves, of files or folders of them.

    Raises the errors of `read_curves` and `write_drawing`.
    """
    write_drawing(training_drawing(read_curves(paths)), out)


def plot_diagnosis(report: DiagnosisReport, out: Path) -> None:
    """Draw a diagnosis.

    Raises the errors of `write_drawing`.
    """
    files = (line for model in report.models for line in model.findings)
    write_drawing(_noted(diagnosis_drawing(report), (*report.data.findings, *files)), out)


def _noted(drawing: Drawing, lines: Iterable[str]) -> Drawing:
    """Return a drawing that names what was found in the data and may move its numbers."""
    warned = warned_of(lines)
    return replace(drawing, note=clean(f"warnings: {', '.join(warned)}")) if warned else drawing
