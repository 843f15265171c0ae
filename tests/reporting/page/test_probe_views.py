"""The page's section on probes, made from the committed results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from posebench.cli import app
from posebench.reporting.page.page import ReportRequest, write_report
from posebench.reporting.page.probe_views import probe_views
from posebench.results.store import read_run

RESULTS = Path(__file__).resolve().parents[3] / "results"


def test_every_probe_has_its_figures_or_its_table() -> None:
    sections = probe_views(read_run(RESULTS / "probes"))
    assert [len(section.figures) for section in sections] == [0, 1, 1, 1, 2]
    assert [len(section.tables) for section in sections] == [1, 0, 0, 0, 0]
    (remark,) = sections[2].remarks
    assert remark.startswith("heatmap-s, heatmap-m, heatmap-l: unsupported")


def test_the_page_shows_probes_and_only_where_there_are_any(tmp_path: Path) -> None:
    for name, expected in (("probes", True), ("ci", False)):
        page = tmp_path / f"{name}.html"
        write_report(ReportRequest(RESULTS / name, page, profiles=False))
        text = page.read_text("utf-8")
        assert ('href="#probes"' in text) == ('id="probes"' in text) == expected
    assert "data:image/png;base64" in (tmp_path / "probes.html").read_text("utf-8")


def test_damaged_arrays_are_said_and_the_rest_is_shown(tmp_path: Path) -> None:
    shutil.copytree(RESULTS / "probes", tmp_path / "run")
    next((tmp_path / "run" / "probes").glob("*tokens.npz")).write_bytes(b"")
    (section,) = probe_views(read_run(tmp_path / "run"))
    assert "damaged" in section.caption


def test_a_table_of_probes_says_what_could_not_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.probe_tables import probe_tables

    for table in probe_tables(read_run(RESULTS / "probes").probes):
        print_fitting(table)
    said = capsys.readouterr().out
    assert "probe position-code" in said and "labelled, 5" in said
    assert "heatmap-l: unsupported: It has no position vectors" in said


def test_table_shows_probes_as_markdown() -> None:
    done = CliRunner().invoke(app, ["table", str(RESULTS / "probes"), "--probes", "--format", "md"])
    assert done.exit_code == 0 and "## probe keypoint-vectors" in done.output
    page = (RESULTS / "probes" / "README.md").read_text("utf-8")
    rows = [line for line in done.output.splitlines() if line.startswith(("| heatmap", "| simcc"))]
    assert len(rows) == 165 and all(row in page for row in rows)
