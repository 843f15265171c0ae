"""Run directories that were damaged, and texts from files that would give commands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from small_run import small_checkpoint
from small_store import made_up_table, result, run_folder

REASON = "bad \x1b[31m \x00 \ufffe reason\n::error::smug <script>|a|b\n]]>"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "heatmap.safetensors")


@pytest.mark.parametrize("folder", ["tables", "predictions", "cells"])
def test_51_what_was_damaged_in_a_run_is_made_again(
    run: Any, people: Path, weights: Path, tmp_path: Path, folder: str
) -> None:
    suite, out = tmp_path / "suite.yaml", tmp_path / "run"
    plain = {
        "name": "n", "description": "d", "checkpoints": [str(weights)],
        "datasets": [str(people)], "scoring": {"replicates": 5},
    }  # fmt: skip
    suite.write_text(yaml.safe_dump(plain))
    assert run("run", suite, "--out", out).code == 0
    whole = run("table", out).out
    for path in (out / folder).iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0x11
        path.write_bytes(data)
    for command in (
        ("table", out),
        ("compare", out, out),
        ("report", out, "--out", out / "r.html"),
    ):
        assert run(*command).code in (0, 1, 2)
    again = run("run", suite, "--out", out)
    assert again.code == 0, again
    assert run("table", out).out == whole
    assert run("report", out, "--out", out / "r.html").code == 0


def test_51_a_damaged_table_is_named(run: Any, tmp_path: Path) -> None:
    out = run_folder(tmp_path, {"a": result()}, {"a": made_up_table(0.5)})
    (path,) = (out / "tables").iterdir()
    path.write_bytes(path.read_bytes()[:-200])
    done = run("compare", out, out)
    assert done.code == 2 and f"table {path} is damaged" in done.err
    assert "Run the suite again" in done.err


def test_55_control_characters_in_a_reason(run: Any, tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = run_folder(tmp_path / "new", {"a": result(ap=None, reason=REASON)})
    done = run("compare", old, new, "--format", "junit")
    assert done.code == 1
    # The gate on AP had nothing to judge; the one on failed cells gives their reason.
    _, failure = ET.fromstring(done.out).iter("failure")
    assert failure.attrib["message"].endswith("reason ::error::smug <script>|a|b ]]>")
    for format in ("terminal", "md", "json"):
        shown = run("compare", old, new, "--format", format).out
        assert not {"\x1b", "\x00"} & set(shown)
        assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


def test_60_line_feeds_in_names_and_claims(
    run: Any, people: Path, weights: Path, tmp_path: Path
) -> None:
    evil = "evil|<script>\n::error::id\x1b[31m"
    shutil.copy(weights, tmp_path / "a\n::error::file\x1b[31m.safetensors")
    claim = {
        "id": evil, "statement": "<script>alert(2)</script>\n::error::stmt",
        "caveat": "</section><script>alert(3)</script>", "source": "<i>src\n::warning::src",
        "treatment": {"policy": "native"}, "control": {"policy": "resample"},
        "match_by": ["dataset", "checkpoint", "labels.pair"], "direction": "less",
    }  # fmt: skip
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump({"claims": [claim]}))
    suite, out = tmp_path / "suite.yaml", tmp_path / "run"
    entry = {"file": "*.safetensors", "labels": {"pair": "s\n::error::label"}}
    plain = {
        "name": "n", "description": "d\n::error::d", "checkpoints": [entry],
        "datasets": [str(people)], "scoring": {"replicates": 5}, "claims": ["claims.yaml"],
        "sizes": ["96x80"], "policies": ["native", "resample"],
    }  # fmt: skip
    suite.write_text(yaml.safe_dump(plain))
    page = tmp_path / "report.html"
    for command in (
        ("suite", "validate", suite),
        ("run", suite, "--out", out, "--dry-run"),
        ("run", suite, "--out", out),
        ("table", out),
        ("table", out, "--format", "md"),
        ("claims", out),
        ("compare", out, out),
        ("report", out, "--out", page),
    ):
        done = run(*command)
        assert done.code == 0, (command, done.out, done.err)
        shown = done.out + done.err
        assert "\x1b" not in shown, command
        assert not any(line.lstrip().startswith("::") for line in shown.splitlines()), command
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text and "\x1b" not in text
