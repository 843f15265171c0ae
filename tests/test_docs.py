"""The documentation's pages: their links, commands and lists are true, and the site builds."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented_commands import commands_in, unknown_words
from rooms import ROOMS
from small_store import result

from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.judging.verdicts import verdicts_of
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.heads import HEADS
from posebench.networks.spec import BackboneSpec, CropSpec, FlipSpec, NeckSpec
from posebench.reporting.tables.results_table import METRIC_COLUMNS, columns
from posebench.results.cell import (
    CellResult,
    CheckpointFacts,
    Intervals,
    OfficialMetrics,
    Protocol,
)
from posebench.results.numbers import NUMBERS
from posebench.results.store import StoredCell, read_run
from posebench.suites.claims import FIELDS
from posebench.suites.schema_tables import record_tables

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# Rooms that offer nothing to Python programs: the command line, the house's own files, and a room
# of which each folder is used by itself.
NOT_OFFERED = {"cli", "files", "lab"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@each_page
def test_commands_are_known(page: Path) -> None:
    commands = [command for command in commands_in(page) if command[0] == "posebench"]
    assert commands or page.name not in {"README.md", "index.md"}
    assert {
        " ".join(command): unknown for command in commands if (unknown := unknown_words(command))
    } == {}


def test_an_unknown_word_is_found() -> None:
    assert unknown_words(["posebench", "evaluate"]) == ["evaluate"]
    assert unknown_words(["posebench", "suite", "show", "ci", "--jsn"]) == ["--jsn"]
    assert unknown_words(["posebench", "table", "runs/x", "--ci", "--format=md"]) == []


def test_the_table_of_rooms_is_the_order_that_imports_keep() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("| room |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)/` \| (.*)$", table, flags=re.MULTILINE)
    assert tuple(room for room, _ in rows) == ROOMS
    for room, said in rows:
        folders = re.findall(r"`(\w+)/`", said)
        assert [name for name in folders if not (ROOT / "posebench" / room / name).is_dir()] == []


def test_the_api_page_lists_what_each_room_offers() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^::: posebench\.(\w+)\n((?: +.*\n)*)", text, flags=re.MULTILINE)
    listed = {room: yaml.safe_load(said)["options"].get("members") for room, said in blocks if said}
    listed.pop("errors")
    faces = {room: importlib.import_module(f"posebench.{room}") for room in ROOMS}
    assert listed == {
        room: sorted(face.__all__) for room, face in faces.items() if room not in NOT_OFFERED
    }


def generated(page: str) -> str:
    """Return what stands between the marks for generated fields on a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return text.partition("<!-- fields -->\n")[2].partition("\n<!-- end of fields -->")[0]


def test_the_fields_of_suites_and_claims_are_those_of_the_schema() -> None:
    """`posebench suite schema --format md` makes these sections."""
    tables = record_tables({"Claim": "claims.md"})
    assert generated("claims.md") == tables.pop("Claim")
    assert generated("suites.md") == "\n\n".join(tables.values())


def named_in(page: str) -> set[str]:
    """Return what a page sets as code."""
    text = prose(ROOT / "docs" / page)
    return {part.strip() for code in re.findall(r"`([^`]+)`", text) for part in code.split(",")}


def test_the_page_of_columns_names_every_column_number_and_field() -> None:
    named = named_in("columns.md")
    headers = {column.header for kind in METRIC_COLUMNS.values() for column in _columns(kind)}
    assert set(map(_without_part, headers - {"AP 95%"})) <= {
        *map(_without_part, named),
        "left_wrist",
    }
    # Numbers of parts and at thresholds are named by one of their kind.
    assert set(map(_without_part, NUMBERS)) <= set(map(_without_part, named))
    for record in (Protocol, CellResult, CheckpointFacts, Intervals, StoredCell):
        assert {field.name for field in dataclasses.fields(record)} - {"result"} <= named


def _without_part(number: str) -> str:
    return re.split(r"[(@]", number)[0]


def _columns(names: tuple[str, ...]) -> list[Any]:
    """Return the columns of a table with everything in it."""
    made = result("a", 0.5)
    official = OfficialMetrics("e", {"AP": 0.5})
    intervals = Intervals(0.95, "percentile", 1, 0, {"AP": 0.4}, {"AP": 0.6})
    protocol = dataclasses.replace(made.protocol, transform="w8", precision="bf16")
    return columns(
        [
            dataclasses.replace(
                made,
                metrics=dict.fromkeys(names, 0.5),
                official=official,
                intervals=intervals,
                protocol=protocol,
            )
        ]
    )


def test_the_pages_of_claims_and_specs_name_every_field() -> None:
    assert set(FIELDS) <= named_in("claims.md")
    named = named_in("spec.md")
    inner = {"backbone": BackboneSpec, "crop": CropSpec, "flip": FlipSpec, "neck": NeckSpec}
    wanted = {f"{name}.{f.name}" for name, kind in inner.items() for f in dataclasses.fields(kind)}
    wanted |= {"input_size", "keypoints", "weights", *HEADS, *KEYPOINT_SETS}
    for codec in (HeatmapCodec, SimccCodec):
        wanted |= {field.name for field in dataclasses.fields(codec)} - {"kind"}
    assert wanted <= named


@pytest.mark.parametrize("number", range(3))
def test_the_worked_examples_of_claims_run(number: int, tmp_path: Path, run: Any) -> None:
    text = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    example = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)[number]
    suite = tmp_path / "suite.yaml"
    suite.write_text(example, encoding="utf-8")
    done = run("run", suite, "--out", tmp_path / "run", "--limit", 6)
    assert done.code == 0, done.err
    verdicts = verdicts_of(read_run(tmp_path / "run"))
    assert verdicts
    assert {v.verdict for v in verdicts} <= {"supported", "refuted", "inconclusive"}
    assert all(v.low is not None for v in verdicts)


def test_every_page_is_in_the_menu() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    shown = [file for entry in settings["nav"] for file in entry.values()]
    pages = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").glob("**/*.md")]
    assert sorted(shown) == sorted(pages)


def test_the_site_builds_without_a_warning_and_shows_signatures(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs the extra `docs`")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "api" / "index.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    assert "load_checkpoint(" in text and "spec_file: Path | None = None" in text
    # A record shows its fields.
    assert re.search(r"FlipSpec\(\s*test: bool", text)
    assert re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="(https?:[^"]+)"', page) == []
