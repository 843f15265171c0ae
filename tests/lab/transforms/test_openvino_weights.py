"""Weights in 8 bits, against those of OpenVINO on the embedded checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.prediction.engines import openvino_engine
from posebench.results.store import read_run
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_suite import run_suite
from posebench.suites.suite import DatasetEntry, ScoringEntry, Suite

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")

CHECKPOINTS = ("heatmap-s", "simcc-s", "heatmap-m", "simcc-m")
IMAGES = 40
LEVELS = 255


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))


def ap_of(out: Path, **fields: Any) -> dict[str, float]:
    suite = Suite(
        "eight-bits",
        "d",
        CHECKPOINTS,
        datasets=(DatasetEntry("synthetic", limit=IMAGES),),
        scoring=ScoringEntry(replicates=0),
        **fields,
    )
    run_suite(RunRequest(suite, (), out, out), ProgressDisplay(lambda *_: None))
    results = [cell.result for cell in read_run(out).cells]
    assert all(result.status == "ok" for result in results), [r.reason for r in results]
    return {r.checkpoint.name: float((r.metrics or {})["AP"] or 0) for r in results}


def with_weights_of_eight_bits(model: Any) -> Any:
    """Put OpenVINO's own FakeQuantize behind the weights of each layer of a model."""
    from openvino import opset8

    changed = 0
    for node in model.get_ops():
        if node.get_type_name() not in openvino_engine._WEIGHTED:
            continue
        weights = node.input(1).get_source_output()
        assert weights.get_node().get_type_name() == "Constant"
        values = weights.get_node().get_data()
        # Outputs are the first axis of a convolution's weights, else the second.
        axis = 0 if node.get_type_name() == "Convolution" else 1
        others = tuple(place for place in range(values.ndim) if place != axis)
        ends = np.abs(values).max(axis=others, keepdims=True).astype(np.float32)
        low, high = opset8.constant(-ends), opset8.constant(ends)
        rounded = opset8.fake_quantize(weights, low, high, low, high, LEVELS)
        node.input(1).replace_source_output(rounded.output(0))
        changed += 1
    assert changed > 10
    return model


def test_w8_moves_ap_by_what_openvinos_weights_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ap_of(tmp_path / "plain")
    ours = ap_of(tmp_path / "ours", transforms=("w8",))
    read = openvino_engine._read
    monkeypatch.setattr(openvino_engine, "_read", lambda g: with_weights_of_eight_bits(read(g)))
    monkeypatch.setattr(openvino_engine, "EXPORT_TOLERANCE", 1.0)
    theirs = ap_of(tmp_path / "theirs", engines=("openvino",))
    assert theirs != plain
    moved = {name: 100 * (ours[name] - plain[name]) for name in plain}
    wanted = {name: 100 * (theirs[name] - plain[name]) for name in plain}
    for name in CHECKPOINTS:
        assert abs(moved[name] - wanted[name]) < 0.3, (name, moved, wanted)
