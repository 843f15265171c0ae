"""The page: every part is there, nothing leaves it, and no text in a run becomes markup."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from report_runs import CLAIM, HOSTILE, hostile_run, small_real_run
from small_store import made_up_table, result, run_folder

from posebench.checkpoints import load_checkpoint
from posebench.errors import DataError
from posebench.reporting.page import ReportRequest, write_report
from posebench.reporting.page.pairs import matched_pairs, protocol_groups, shown_pairs
from posebench.reporting.page.people.instances import load_run_data, pair_instances
from posebench.reporting.page.people.profiles import NetworkAnswers
from posebench.results.store import read_run, write_cell


class Elements(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page_of(run: Path, **options: Any) -> str:
    out = run.parent / "report.html"
    write_report(ReportRequest(run, out, **options))
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, people: Path) -> tuple[Path, str]:
    run = small_real_run(tmp_path_factory.mktemp("real"), people)
    return run, page_of(run, instances=1)


def test_every_part_is_there(real: tuple[Path, str]) -> None:
    page = Elements(real[1])
    assert [h["id"] for h in page.of("section")] == [
        "verdicts", "results", "plots", "gallery", "people", "provenance",
    ]  # fmt: skip
    figures = [f["id"] for f in page.of("figure") if "id" in f]
    assert figures == [
        "size-A", "scaling-A", "pareto-A", "keypoints", "errors", "reliability",
    ]  # fmt: skip
    assert {"unsupported", "changed"} <= set(re.findall(r"unsupported|changed", page.text))
    run = read_run(real[0])
    for cell in run.cells:
        assert cell.result.checkpoint.sha256 is not None
        assert cell.result.checkpoint.sha256 in page.text
    assert run.cells[0].result.protocol.annotations_sha256 in page.text
    assert "posebench run" in page.text


def test_gallery_shows_both_poses_and_both_answers(real: tuple[Path, str]) -> None:
    items = real[1].split('<article class="instance"')[1:]
    assert len(items) == 2  # one most changed, one worst, of one pair
    for item in items:
        assert item.count('<figure class="tile">') == 4
        assert item.count('class="pose truth"') == 2
        assert 'class="map"' in item
        assert item.count('class="profile"') == 2
    assert 'class="problem"' not in real[1]


def test_marks_of_figures_have_tooltips(real: tuple[Path, str]) -> None:
    figure = real[1].split('<figure id="size-A"')[1].split("</figure>")[0]
    titles = re.findall(r"<title>([^<]*)</title>", figure)
    # The plot of the policy resample also has both checkpoints at their trained size.
    assert len(titles) == len(read_run(real[0]).cells) + 2 == 8
    assert "simcc, 96x80 native: unsupported" in titles
    assert 'style="' not in figure  # the page's policy would not let it apply


def test_nothing_leaves_the_page(real: tuple[Path, str]) -> None:
    page = Elements(real[1])
    links = [
        value
        for _, attributes in page.found
        for name, value in attributes.items()
        if name in ("src", "href", "action", "srcset", "data", "xlink:href")
    ]
    assert links
    assert [link for link in links if not (link or "").startswith(("#", "data:image/"))] == []
    style = real[1].split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(m["content"] for m in page.of("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_headings_descend_one_by_one(real: tuple[Path, str]) -> None:
    levels = [int(tag[1]) for tag, _ in Elements(real[1]).found if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    page = Elements(real[1])
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.of("svg"))
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_no_text_of_a_run_becomes_markup(tmp_path: Path) -> None:
    source = page_of(hostile_run(tmp_path / "run"))
    page = Elements(source)
    assert len(page.of("script")) == 1
    assert page.of("img") == []
    assert [a for _, attributes in page.found for a in attributes if a.startswith("on")] == []
    assert HOSTILE in page.text
    assert HOSTILE not in source


def test_rows_of_other_protocols_are_not_subtracted(tmp_path: Path) -> None:
    cells = {
        "one": result("heatmap-s", 0.5),
        "other": result("simcc-s", 0.6, boxes="detector"),
    }
    labels = {name: {"pair": "s"} for name in cells}
    page = page_of(run_folder(tmp_path / "run", cells, labels=labels))
    rows = page.split('id="pairs-table"')[1].split("<tbody>")[1].split("</tbody>")[0]
    assert re.findall(r"<t[hd][^>]*>([^<]*)<", rows) == [
        "simcc-s", "–", "n/c", "heatmap-s", "60.0", "50.0", "s", "the protocols differ in boxes",
    ]  # fmt: skip
    assert "+10.0" not in page


def test_difference_and_verdict_are_those_of_the_cells(tmp_path: Path) -> None:
    cells = {"one": result("heatmap-s", 0.5), "other": result("simcc-s", 0.625)}
    labels = {name: {"pair": "s"} for name in cells}
    tables = {"one": made_up_table(0.5), "other": made_up_table(0.9, seed=1)}
    page = page_of(run_folder(tmp_path / "run", cells, tables, (CLAIM,), labels))
    rows = page.split('id="pairs-table"')[1].split("</tbody>")[0]
    assert "50.0</td><td" in rows
    assert "+12.5</td>" in rows
    assert re.search(r"✔</span> supported</p>", page)
    assert "<dt>scope</dt><dd>these weights</dd>" in page
    assert "A verdict for these weights shows nothing of other trainings" in page


def test_parts_that_are_gone_say_so(real: tuple[Path, str], tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(real[0].parent, folder)
    run = folder / "run"
    record = (run / "run.yaml").read_text(encoding="utf-8")
    moved = record.replace(str(real[0].parent), str(folder))
    (run / "run.yaml").write_text(moved, encoding="utf-8")
    (folder / "simcc.safetensors").unlink()
    page = page_of(run, instances=1)
    assert "No heatmaps or profiles of simcc" in page
    assert 'class="pose truth"' in page
    (folder / "tiny.yaml").unlink()
    page = page_of(run, instances=1)
    assert "suite is gone" in Elements(page).text
    assert 'class="pose truth"' not in page
    assert 'id="size-A"' in page


def test_a_checkpoint_is_loaded_once_for_all_pairs(
    real: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []

    def loaded(path: Path, spec_file: Path | None = None) -> Any:
        loads.append(path.stem)
        return load_checkpoint(path, spec_file)

    monkeypatch.setattr("posebench.running.loading.load_checkpoint", loaded)
    run = read_run(real[0])
    (pair,) = shown_pairs(matched_pairs(protocol_groups(run.cells)), 1)
    found = pair_instances(run, load_run_data(run), pair)
    networks = NetworkAnswers(run)
    for _ in range(2):
        for cell, predictions in zip(pair.cells, found.predictions, strict=True):
            outputs = networks(cell, found.dataset, predictions, [1, 0])
            assert {len(output) for output in outputs} == {2}
    assert sorted(loads) == ["heatmap", "simcc"]


def test_maps_of_another_execution_say_so(real: tuple[Path, str], tmp_path: Path) -> None:
    assert "were made in fp32" not in Elements(real[1]).text
    folder = tmp_path / "run"
    shutil.copytree(real[0], folder)
    run = read_run(folder)
    for cell in run.cells:
        protocol = replace(cell.result.protocol, precision="bf16", engine="openvino")
        other = replace(cell, result=replace(cell.result, protocol=protocol))
        write_cell(folder, other, run.table(cell))
    said = Elements(page_of(folder, instances=1)).text
    for name in ("heatmap", "simcc"):
        assert (
            f"Heatmaps or profiles of {name} were made in fp32 on the CPU; its poses were "
            "predicted by openvino in bf16 on cpu."
        ) in said


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run directory"):
        write_report(ReportRequest(tmp_path, tmp_path / "report.html"))


def test_without_profiles_no_torch_is_loaded(real: tuple[Path, str], tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from posebench.reporting.page import *;"
        f"write_report(ReportRequest(Path({str(real[0])!r}), Path({str(tmp_path / 'r.html')!r}),"
        " profiles=False)); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "--no-profiles" in page
    assert 'class="pose truth"' in page
    assert 'class="map"' not in page


def test_cells_that_are_not_run_yet(tmp_path: Path) -> None:
    page = page_of(run_folder(tmp_path / "run", {"one": result()}, absent=("later",)))
    assert "later" in page.split("not run yet")[-1]
