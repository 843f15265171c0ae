"""`docs/python.ipynb` is a sound notebook, and runs."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from notebooks import code_cells, run_cells

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "python.ipynb"


def test_the_notebook_is_of_jupyter_s_format() -> None:
    held = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (held["nbformat"], held["nbformat_minor"]) == (4, 5)
    assert held["metadata"]["kernelspec"]["name"] == "python3"
    assert len({cell["id"] for cell in held["cells"]}) == len(held["cells"])
    assert [cell["execution_count"] for cell in code_cells(NOTEBOOK)] == list(
        range(1, len(code_cells(NOTEBOOK)) + 1)
    )


def test_the_notebook_runs_and_shows_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = code_cells(NOTEBOOK)
    for cell, outputs in zip(cells, run_cells(cells), strict=True):
        kept = cell["outputs"]
        assert [each["output_type"] for each in outputs] == [each["output_type"] for each in kept]
        for new, old in zip(outputs, kept, strict=True):
            assert new.get("text") == old.get("text")
            # Numbers of another machine may differ in their last digits, tables in their width.
            assert new.get("data", {}).keys() == old.get("data", {}).keys()


def test_it_shows_every_function_that_programs_need() -> None:
    source = "\n".join("".join(cell["source"]) for cell in code_cells(NOTEBOOK))
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called >= {"load", "predict", "evaluate", "table", "score", "verdicts"}
