"""What commands write goes where its path leads; what this machine lacks is a failure."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import posebench, small_checkpoint
from small_store import made_up_table, result, run_folder

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.is_char_device(), reason="needs Linux's devices")


@pytest.fixture(scope="module")
def made_up_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cells = {"a": result(), "b": result("simcc-s")}
    tables = {"a": made_up_table(0.5), "b": made_up_table(0.6)}
    return run_folder(tmp_path_factory.mktemp("made-up"), cells, tables)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "a.safetensors")


@pytest.mark.parametrize(
    "arguments",
    [
        ["table", "{run}", "--out", "{out}"],
        ["table", "{run}", "--format", "csv", "--out", "{out}"],
        ["compare", "{run}", "{run}", "--out", "{out}"],
        ["compare", "{run}", "{run}", "--format", "json", "--out", "{out}"],
        ["claims", "{run}", "--json", "{out}"],
        ["claims", "{run}", "--junit", "{out}"],
        ["report", "{run}", "--no-profiles", "--out", "{out}"],
        ["convert", "{weights}", "{out}.safetensors"],
        ["data", "make", "synthetic", "--count=1", "--out={dir}", "--contact-sheet", "{out}.png"],
    ],
)
def test_outputs_follow_links_to_devices_that_name_themselves(
    run: Callable[..., Any],
    made_up_run: Path,
    weights: Path,
    tmp_path: Path,
    arguments: list[str],
) -> None:
    places = {"run": made_up_run, "weights": weights, "dir": tmp_path / "d", "out": tmp_path / "o"}
    given = [each.format(**places) for each in arguments]
    links = [Path(each) for each in given if each.startswith(str(places["out"]))]
    for link in links:
        link.symlink_to(FULL)
    done = run(*given, *(["--force"] if arguments[0] == "convert" else []))
    assert done.code == 2
    assert f"{links[0]} cannot be written: No space left on device." in done.err
    assert links[0].is_symlink() and FULL.is_char_device()


def test_results_can_go_to_standard_output(weights: Path, people: Path) -> None:
    done = posebench(
        "eval", weights, "--dataset", people, "--limit", 1, "--replicates", 0, "--json",
        "/dev/stdout",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, end = json.JSONDecoder().raw_decode(done.stdout)
    assert found["results"][0]["status"] == "ok"
    assert "a" in done.stdout[end:]


def test_a_missing_extra_is_a_failure(
    run: Callable[..., Any],
    weights: Path,
    people: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    out = tmp_path / "results.json"
    command = ("eval", weights, "--dataset", people, "--limit", "1", "--engine", "onnxruntime")
    done = run(*command, "--json", out)
    assert done.code == 3
    (found,) = json.loads(out.read_text(encoding="utf-8"))["results"]
    assert found["status"] == "failed"
    assert 'pip install "posebench-pose[onnx]"' in found["reason"]
