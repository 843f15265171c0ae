"""A package that this machine lacks fails the cell that needs it, and the command says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_onnx import save_heatmap
from small_run import small_checkpoint

# As if the package were not installed.
WITHOUT = "import sys; sys.modules['onnxruntime'] = None; from posebench.cli import main; main({})"


def run_without(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format([str(argument) for argument in arguments])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("exported", [True, False])
def test_a_missing_runtime_fails_the_cell(people: Path, tmp_path: Path, exported: bool) -> None:
    if exported:
        path = tmp_path / "net.onnx"
        save_heatmap(path, ["N", 3, 64, 48])
        more: tuple[object, ...] = ()
    else:
        path = small_checkpoint(tmp_path / "net.safetensors")
        more = ("--engine", "onnxruntime")
    results = tmp_path / "r.json"
    done = run_without(
        "eval", path, "--dataset", people, "--replicates", 0, "--json", results, *more
    )
    assert done.returncode == 3, done.stderr
    (result,) = json.loads(results.read_text())["results"]
    assert result["status"] == "failed"
    assert "posebench-pose[onnx]" in result["reason"]
    assert "posebench-pose[onnx]" in done.stdout
