"""Figures as files: of runs, of trainings, of diagnoses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posebench.errors import UsageError
from posebench.reporting.figures import RUN_FIGURES
from posebench.reporting.figures.diagnosis import diagnosis_drawing
from posebench.reporting.figures.drawing import write_drawing
from posebench.reporting.figures.probes import PROBE_FIGURES
from posebench.reporting.figures.training import read_curves, training_drawing
from posebench.results.reading import read_cells, read_probes
from posebench.scoring.diagnosis.files import DiagnosisReport


def plot_run(source: Path, kind: str, out: Path) -> None:
    """Draw a figure of a run, an evaluation or a results file.

    `kind` is one of `RUN_FIGURES`, or of `PROBE_FIGURES` for a run with probes.

    Raises `DataError` if `source` holds no results, `UsageError` if they lack what the figure
    shows, and the errors of `write_drawing`.
    """
    if kind in PROBE_FIGURES:
        needs, drawing = PROBE_FIGURES[kind].needs, PROBE_FIGURES[kind].draw(read_probes(source))
    else:
        needs, drawing = RUN_FIGURES[kind].needs, RUN_FIGURES[kind].draw(read_cells(source))
    if drawing is None:
        raise UsageError(f"{source} holds no result {needs}.")
    write_drawing(drawing, out)


def plot_curves(paths: Sequence[Path], out: Path) -> None:
    """Draw training curves, of files or folders of them.

    Raises the errors of `read_curves` and `write_drawing`.
    """
    write_drawing(training_drawing(read_curves(paths)), out)


def plot_diagnosis(report: DiagnosisReport, out: Path) -> None:
    """Draw a diagnosis.

    Raises the errors of `write_drawing`.
    """
    write_drawing(diagnosis_drawing(report), out)
