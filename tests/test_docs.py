"""The documentation's pages: their links, commands and lists are true, and the site builds."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from documented_commands import commands_in, unknown_words
from rooms import ROOMS

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
