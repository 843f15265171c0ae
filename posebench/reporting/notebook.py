"""Runs and scores as Python programs hold them: tables in a notebook, text in a terminal. No torch.

What they print is what the command line prints.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.judging.verdicts import Verdict, verdicts_of
from posebench.reporting.escaping import for_html
from posebench.reporting.printing import WIDE, text_of
from posebench.reporting.progress import progress_bars
from posebench.reporting.tables.pivot.formats import pivot_html
from posebench.reporting.tables.pivot.request import PivotRequest
from posebench.reporting.tables.pivot.table import pivot_runs
from posebench.reporting.tables.results_table import results_table
from posebench.reporting.tables.score_tables import score_tables
from posebench.reporting.texts import estimate_text, file_labels, p_text
from posebench.results.frames import load_results
from posebench.results.numbers import main_metric
from posebench.results.store import Run, read_run
from posebench.scoring.files import ScoreReport
from posebench.scoring.statistics.estimates import Estimate

if TYPE_CHECKING:
    import pandas as pd

    from posebench.running.evaluation import EvaluationRequest

_SHOWN = ("AP", "AR", "PCK@0.1")


@dataclass(frozen=True, repr=False)
class EvaluatedRun:
    """A run of `posebench.evaluate`; `str()` of it is the table of `posebench eval`.

    `run` holds its cells, and `folder` is its run directory.
    """

    run: Run

    @property
    def folder(self) -> Path:
        """The run directory, which `posebench table`, `report` and the others read."""
        return self.run.folder

    def table(self) -> pd.DataFrame:
        """Return the cells as a table, a row each; see `posebench.load_results`."""
        return load_results(self.folder)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdicts on the claims that were asked for."""
        return verdicts_of(self.run)

    def __repr__(self) -> str:
        good = sum(cell.result.status == "ok" for cell in self.run.cells)
        return f"<EvaluatedRun {self.folder}: {len(self.run.cells)} cells, {good} ok>"

    def __str__(self) -> str:
        return text_of(results_table([cell.result for cell in self.run.cells], WIDE))

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows: scores in points with their intervals."""
        known = {name for cell in self.run.cells for name in cell.result.metrics or {}}
        main = main_metric(cell.result for cell in self.run.cells)
        shown = dict.fromkeys((main, *_SHOWN))
        metrics = tuple(name for name in shown if name in known) or ("params M",)
        return pivot_html(pivot_runs([self.folder], PivotRequest((), (), metrics)), True)


@dataclass(frozen=True, repr=False)
class Scores:
    """Scores of results files; `str()` of it is what `posebench score` prints."""

    report: ScoreReport

    def table(self) -> pd.DataFrame:
        """Return a row for each file and metric: fractions 0-1 with interval and difference.

        `difference` is to the first file, with its own interval and `p_holm`.
        """
        import pandas as pd

        rows = [
            {"file": score.path, "metric": name, **_numbers(estimate), **self._gap(index, name)}
            for index, score in enumerate(self.report.scores)
            for name, estimate in score.metrics.items()
        ]
        table: pd.DataFrame = pd.DataFrame(rows)
        return table

    def _gap(self, index: int, name: str) -> dict[str, float | None]:
        """Return what tells a file from the first."""
        if index == 0:
            return {}
        gap = self.report.differences[index - 1].metrics[name]
        named = {"difference": gap.value, "difference low": gap.low, "difference high": gap.high}
        return {**named, "p_holm": gap.p_holm}

    def __repr__(self) -> str:
        files = ", ".join(score.path for score in self.report.scores)
        return f"<Scores of {files} on {self.report.data.annotations}>"

    def __str__(self) -> str:
        return text_of(score_tables(self.report))

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows, in points."""
        labels = file_labels(len(self.report.scores))
        found = [
            f"{label} = {score.path}: {score.detections} detections. {' '.join(score.findings)}"
            for label, score in zip(labels, self.report.scores, strict=True)
        ]
        lines = [f"<p>{for_html(line)}</p>" for line in (*self.report.data.findings, *found)]
        header = ["points", *labels]
        for label in labels[1:]:
            header += [f"{label} − {labels[0]}", "p (Holm)"]
        rows = []
        for name in self.report.scores[0].metrics:
            gaps = [difference.metrics[name] for difference in self.report.differences]
            told = [text for gap in gaps for text in (_shown(gap, signed=True), p_text(gap.p_holm))]
            rows.append([name, *(_shown(each.metrics[name]) for each in self.report.scores), *told])
        return "\n".join((*lines, _html_table(header, rows)))


def evaluated(request: EvaluationRequest, progress: bool) -> EvaluatedRun:
    """Evaluate what was asked for, with bars on a terminal if `progress`."""
    from posebench.running.evaluation import evaluate_run
    from posebench.running.request import ProgressDisplay

    with progress_bars("instances") if progress else nullcontext(_unseen) as report:
        return EvaluatedRun(evaluate_run(request, ProgressDisplay(report)))


def run_of(run: EvaluatedRun | Run | str | os.PathLike[str]) -> Run:
    """Return a run that was evaluated, read, or lies in a run directory.

    Raises `DataError` if there is no run.
    """
    if isinstance(run, EvaluatedRun):
        return run.run
    return run if isinstance(run, Run) else read_run(Path(run))


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _shown(estimate: Estimate, *, signed: bool = False) -> str:
    return estimate_text(estimate.value, estimate.interval, signed=signed)


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table without style."""
    head = "".join(f'<th scope="col">{for_html(name)}</th>' for name in header)
    body = ["".join(f"<td>{for_html(text)}</td>" for text in row) for row in rows]
    lines = "\n".join(f"<tr>{row}</tr>" for row in body)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _unseen(_label: str, _done: int, _total: int, *_: Any) -> None:
    """Show no progress."""
