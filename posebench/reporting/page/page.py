"""The page: every part of a run's report, put into the templates, as one file."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posebench.judging.verdicts import verdicts_of
from posebench.reporting.escaping import one_line
from posebench.reporting.figures.inline import mark_svg
from posebench.reporting.figures.style import Looks
from posebench.reporting.page.arm_views import arms_figure
from posebench.reporting.page.comparisons import Wish, compared, difference_table
from posebench.reporting.page.contents import LegendEntry, series_class, series_css
from posebench.reporting.page.diagnoses import diagnose_pairs
from posebench.reporting.page.figure_views import group_figures, pair_figures
from posebench.reporting.page.pairs import CellPair, protocol_groups, shown_pairs
from posebench.reporting.page.people.browser import (
    MOST_INLINE,
    Browser,
    BrowserWish,
    make_browser,
)
from posebench.reporting.page.people.gallery_views import Answer, GalleryWish, make_gallery
from posebench.reporting.page.people.instances import PairInstances, RunData, load_run_data
from posebench.reporting.page.people.persons import all_persons
from posebench.reporting.page.probe_views import probe_views
from posebench.reporting.page.provenance import (
    command_to_repeat,
    environment_facts,
    environments_table,
    inputs_table,
    loads_table,
    protocol_views,
)
from posebench.reporting.page.result_tables import results_table
from posebench.reporting.page.verdict_views import tally, verdict_views
from posebench.reporting.printing import write_out
from posebench.results.findings import finding_lines
from posebench.results.store import Run, StoredCell, read_run

# Pairs that are looked at closely; more would make the page long, not clearer.
_MOST_PAIRS = 6


@dataclass(frozen=True)
class ReportRequest:
    """What to write: a run directory, the file, what to compare, and how much of the people.

    `instances` of each kind are shown of each pair, closely; `profiles` runs their networks again
    for their heatmaps and bins, which loads torch. `gallery` persons of the browser have a picture,
    None for all: a few in the page, more in a folder beside it. `wish` is what to compare, None for
    what readers look for first. `data_roots` are folders of training data by name, in the place of
    those where the run found them.
    """

    run: Path
    out: Path
    instances: int = 3
    profiles: bool = True
    gallery: int | None = MOST_INLINE
    wish: Wish | None = None
    data_roots: Mapping[str, Path] = field(default_factory=dict)


def write_report(request: ReportRequest) -> Path:
    """Write the report of a run as one HTML file; return its path.

    It needs nothing else, but for the folder of pictures if there are many. Parts whose data,
    images or checkpoints are gone say so. Raises `PosebenchError` if there is no run directory, or
    if it lacks the checkpoints to compare.
    """
    run = read_run(request.run)
    write_out(request.out, _render(_context(run, request)))
    return request.out


def _context(run: Run, request: ReportRequest) -> dict[str, Any]:
    groups = protocol_groups(run.cells)
    checkpoints = [cell.result.checkpoint for cell in run.cells]
    checkpoints += [probe.checkpoint for probe in run.probes]
    looks = Looks({one.name: one.paradigm for one in checkpoints})
    comparison = compared(run, groups, request.wish or Wish())
    close = shown_pairs(comparison.pairs, _MOST_PAIRS)
    data = load_run_data(run, request.data_roots)
    diagnosed = diagnose_pairs(run, data, close)
    verdicts = verdicts_of(run)
    arms = [figure for group in groups if (figure := arms_figure(group)) is not None]
    figures = [*arms, *(each for group in groups for each in group_figures(group, looks))]
    figures += pair_figures(close, diagnosed.pairs, looks)
    wish = GalleryWish(request.instances, looks, _answer(run, request))
    return {
        "run": run,
        "verdicts": verdict_views(verdicts),
        "tally": tally(verdicts),
        "counts": _counts(run),
        "findings": finding_lines(cell.result for cell in run.cells),
        "results": results_table(run, groups, looks),
        "comparison": comparison,
        "differences": difference_table(comparison),
        "troubles": _troubles(run.cells),
        "figures": figures,
        "probes": probe_views(run, looks),
        "plot_problems": diagnosed.problems,
        "gallery": make_gallery(run, data, close, wish),
        "browser": _browser(run, data, close, BrowserWish(request.gallery, request.out, looks)),
        "checkpoints": [LegendEntry(mark_svg(looks, name), name) for name in looks.paradigms],
        "poses": {name: series_class(looks, name) for pair in close for name in pair.names},
        "profiles": request.profiles,
        "protocols": protocol_views(groups),
        "inputs": inputs_table(run),
        "loads": loads_table(run),
        "environment": environment_facts(run),
        "environments": environments_table(run),
        "command": command_to_repeat(run),
    }


def _browser(run: Run, data: RunData, close: Sequence[CellPair], wish: BrowserWish) -> Browser:
    """Return the browser of all persons, which begins with the first pair that is looked at."""
    persons, problems = all_persons(run, data)
    first = close[0].names if close else ()
    return make_browser(persons, first, wish, (*data.problems, *problems))


def _answer(run: Run, request: ReportRequest) -> Answer | None:
    """Return how to ask a cell's network again, if that is wanted."""
    if not request.profiles:
        return None
    from posebench.reporting.page.people.profiles import NetworkAnswers

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
    style, *scripts = (
        (files / name).read_text("utf-8") for name in ("report.css", "report.js", "people.js")
    )
    style, script = series_css() + style, "\n".join(scripts)
    images = "data:" if context["browser"].folder is None else "data: 'self'"
    policy = (
        f"default-src 'none'; img-src {images}; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    template = environment.get_template("report.html")
    return template.render(context, style=style, script=script, policy=policy)


def _printable(value: object) -> object:
    """Return a text, if it is one and no markup, with its lines free of control characters."""
    return "\n".join(map(one_line, value.split("\n"))) if type(value) is str else value


def _hash(source: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
