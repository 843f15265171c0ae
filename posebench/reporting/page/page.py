"""The page: every part of a run's report, put into the templates, as one file."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.judging.verdicts import verdicts_of
from posebench.reporting.escaping import one_line
from posebench.reporting.figures.style import PARADIGMS
from posebench.reporting.page.contents import paradigm_css
from posebench.reporting.page.diagnoses import diagnose_pairs
from posebench.reporting.page.figure_views import group_figures, pair_figures
from posebench.reporting.page.gallery_views import Answer, make_gallery
from posebench.reporting.page.instances import PairInstances, load_run_data
from posebench.reporting.page.pairs import (
    incomparable_pairs,
    matched_pairs,
    protocol_groups,
    shown_pairs,
)
from posebench.reporting.page.probe_views import probe_views
from posebench.reporting.page.provenance import (
    command_to_repeat,
    environment_facts,
    environments_table,
    inputs_table,
    loads_table,
    protocol_views,
)
from posebench.reporting.page.result_tables import pairs_table, results_table
from posebench.reporting.page.verdict_views import tally, verdict_view
from posebench.reporting.printing import write_out
from posebench.results.findings import finding_lines
from posebench.results.store import Run, StoredCell, read_run

# Pairs that are looked at closely; more would make the page long, not clearer.
_MOST_PAIRS = 6


@dataclass(frozen=True)
class ReportRequest:
    """What to write: a run directory, the file, and how much of the gallery.

    `instances` of each kind are shown of each pair; `profiles` runs the networks of the gallery
    again for their heatmaps and bins, which loads torch.
    """

    run: Path
    out: Path
    instances: int = 3
    profiles: bool = True


def write_report(request: ReportRequest) -> Path:
    """Write the report of a run as one HTML file that needs nothing else; return its path.

    Parts whose data, images or checkpoints are gone say so. Raises `PosebenchError` if there is no
    run directory.
    """
    run = read_run(request.run)
    write_out(request.out, _render(_context(run, request)))
    return request.out


def _context(run: Run, request: ReportRequest) -> dict[str, Any]:
    groups = protocol_groups(run.cells)
    pairs, apart = matched_pairs(groups), incomparable_pairs(groups)
    close = shown_pairs(pairs, _MOST_PAIRS)
    data = load_run_data(run)
    diagnosed = diagnose_pairs(run, data, close)
    verdicts = verdicts_of(run)
    figures = [figure for group in groups for figure in group_figures(group)]
    figures += pair_figures(close, diagnosed.pairs)
    return {
        "run": run,
        "verdicts": [verdict_view(verdict, place) for place, verdict in enumerate(verdicts, 1)],
        "tally": tally(verdicts),
        "counts": _counts(run),
        "findings": finding_lines(cell.result for cell in run.cells),
        "results": results_table(run, groups),
        "pairs": pairs_table(run, pairs, apart) if pairs or apart else None,
        "troubles": _troubles(run.cells),
        "figures": figures,
        "probes": probe_views(run),
        "plot_problems": diagnosed.problems,
        "gallery": make_gallery(run, data, close, request.instances, _answer(run, request)),
        "paradigms": {name: PARADIGMS[name] for pair in close for name in pair.paradigms},
        "profiles": request.profiles,
        "protocols": protocol_views(groups),
        "inputs": inputs_table(run),
        "loads": loads_table(run),
        "environment": environment_facts(run),
        "environments": environments_table(run),
        "command": command_to_repeat(run),
    }


def _answer(run: Run, request: ReportRequest) -> Answer | None:
    """Return how to ask a cell's network again, if that is wanted."""
    if not request.profiles:
        return None
    from posebench.reporting.page.profiles import NetworkAnswers

    networks = NetworkAnswers(run)

    def answer(cell: StoredCell, found: PairInstances, side: int, rows: Sequence[int]) -> Any:
        return networks(cell, found.dataset, found.predictions[side], rows)

    return answer


def _counts(run: Run) -> list[tuple[str, int]]:
    statuses = [cell.result.status for cell in run.cells]
    found = [(status, statuses.count(status)) for status in dict.fromkeys(statuses)]
    return found + [("not run yet", len(run.missing))] * bool(run.missing)


def _troubles(cells: Sequence[StoredCell]) -> list[tuple[str, str, list[str]]]:
    """Return status and reason of cells without numbers, with the cells that share them."""
    troubles: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        result = cell.result
        if result.status != "ok":
            reason = result.reason or "no reason is known"
            shared = reason.removeprefix(f"{result.size} under {result.policy}: ")
            troubles.setdefault((result.status, shared), []).append(cell.id)
    return [(*key, names) for key, names in troubles.items()]


def _render(context: dict[str, Any]) -> str:
    """Return the page; scripts and styles are allowed by their hashes, and nothing else is."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("posebench.reporting.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = importlib.resources.files("posebench.reporting.page") / "templates"
    style, script = ((files / name).read_text("utf-8") for name in ("report.css", "report.js"))
    style = paradigm_css() + style
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    template = environment.get_template("report.html")
    return template.render(context, style=style, script=script, policy=policy)


def _printable(value: object) -> object:
    """Return a text, if it is one and no markup, with its lines free of control characters."""
    return "\n".join(map(one_line, value.split("\n"))) if type(value) is str else value


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
