"""`posebench diagnose` on real files: terminal, JSON and figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from posebench.cli import app
from posebench.errors import UsageError
from posebench.reporting.figures.files import plot_diagnosis
from posebench.scoring.diagnosis.files import DiagnosisReport, DiagnosisRequest, diagnose_files


@pytest.fixture(scope="module")
def val250(shared_dir: Path) -> Path:
    return shared_dir / "data" / "evaluator"


@pytest.fixture(scope="module")
def report(val250: Path) -> DiagnosisReport:
    files = tuple(val250 / f"coco_val250_dt_{name}.json" for name in "ab")
    return diagnose_files(DiagnosisRequest(files, val250 / "coco_val250_gt.json", replicates=200))


def test_two_real_models(report: DiagnosisReport) -> None:
    first, second = report.models
    assert first.ap == pytest.approx(0.2154, abs=5e-5)
    assert second.ap == pytest.approx(0.0737, abs=5e-5)
    good = report.differences[0].shares["good"]
    assert good.interval is not None and good.interval[1] < 0
    for model in report.models:
        assert model.oracle_ap is not None and model.ap is not None
        assert model.oracle_ap > model.ap
        assert model.calibration.ece is None  # scores are sums
        gains = sum(cost.in_order or 0 for cost in model.costs)
        assert model.ap + gains + (model.remaining or 0) == pytest.approx(1)
        assert [curve.threshold for curve in model.curves] == [0.5, 0.75, 0.95]


def test_states_are_those_coco_analyze_counts(report: DiagnosisReport) -> None:
    # Its own `_find_kpt_errors` (pycocotools/cocoanalyze.py, latest commit), fed pycocotools'
    # matches at OKS 0.1 of these files: no keypoint's state differs.
    counted = [model.keypoint_states["all"] for model in report.models]
    assert counted == [
        {"good": 1195, "jitter": 552, "inversion": 161, "swap": 31, "miss": 741},
        {"good": 545, "jitter": 387, "inversion": 126, "swap": 26, "miss": 834},
    ]


def test_command_writes_tables_json_and_figure(val250: Path, tmp_path: Path) -> None:
    arguments = [str(val250 / f"coco_val250_dt_{name}.json") for name in "ab"]
    options = ["--ann", str(val250 / "coco_val250_gt.json"), "--replicates", "20"]
    files = ["--json", str(tmp_path / "x.json"), "--plot", str(tmp_path / "x.png")]
    result = CliRunner().invoke(app, ["diagnose", *arguments, *options, *files])
    assert result.exit_code == 0, result.output
    for text in ("false negative", "B − A", "left_ankle", "3 or more", "rank correlation"):
        assert text in result.output
    written = json.loads((tmp_path / "x.json").read_text())["report"]
    assert written["models"][0]["keypoint_states"]["all"]["miss"] == 741
    assert written["differences"][0]["shares"]["miss"]["value"] > 0.1
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_crowdpose(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "crowdpose"
    found = diagnose_files(
        DiagnosisRequest(
            (folder / "example_crowdpose_preds.json",),
            folder / "example_crowdpose_val.json",
            dataset="crowdpose",
            replicates=20,
        )
    )
    (model,) = found.models
    assert model.ap == pytest.approx(0.78772159358793, abs=1e-10)
    assert sum(model.keypoint_states["all"].values()) > 0
    assert set(model.keypoint_states) == {"all", *(item.name for item in model.keypoints)}


def test_only_pictures_are_drawn(report: DiagnosisReport, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x\.txt"):
        plot_diagnosis(report, tmp_path / "x.txt")


def test_neither_torch_nor_matplotlib_is_loaded() -> None:
    code = (
        "import sys, posebench.reporting.tables.diagnosis_tables\n"
        "import posebench.reporting.figures.files\n"
        "sys.exit(bool({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
