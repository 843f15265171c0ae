"""Result files: strict JSON that holds what a sceptic asks for and reads back the same."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
from small_run import PROTOCOL, made_up

from posebench.files.environment import environment, package_version
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.results.cell import (
    CellResult,
    CheckpointFacts,
    OfficialMetrics,
    RunSettings,
    with_all_metrics,
    write_results,
)

SETTINGS = RunSettings(2, batch_size=8, lanes=2, workers=0, device="cpu")


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_results_read_back_the_same(tmp_path: Path) -> None:
    scored = made_up("heatmap-s", "64x48", "native", 0.5)
    official = OfficialMetrics("pycocotools 2.0.11", {"AP": 0.5, "AP(M)": None})
    results = [
        scored,
        dataclasses.replace(scored, intervals=None, official=official),
        made_up("simcc-s", "96x80", "native", status="unsupported", reason="locked"),
        made_up("broken", None, None, status="failed", reason="no such tensor"),
    ]
    write_results(tmp_path / "results.json", results, SETTINGS)
    document = strict((tmp_path / "results.json").read_text())
    assert document["schema_version"] == 3
    assert document["settings"] == {
        "torch_threads": 2,
        "batch_size": 8,
        "lanes": 2,
        "workers": 0,
        "device": "cpu",
    }
    assert document["results"][0]["metrics"]["AP"] == 0.5
    assert document["results"][0]["metrics"]["AP(M)"] is None
    assert document["results"][0]["intervals"]["low"]["AP"] == pytest.approx(0.48)
    assert document["results"][0]["size"] == "64x48"
    read = [record_from_mapping(CellResult, row, where="x") for row in document["results"]]
    assert read == results


def test_numbers_that_are_none_are_never_written(tmp_path: Path) -> None:
    bad = dataclasses.replace(made_up("a", "64x48", "native", 0.5), gflops=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results(tmp_path / "results.json", [bad], SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_environment_names_versions_machine_and_date() -> None:
    import torch

    found = environment()
    # A build for CUDA may add that to its version only.
    assert torch.__version__.startswith(found["packages"]["torch"])
    assert found["packages"]["pycocotools"]
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["processor"]
    assert found["date"].endswith("+00:00")
    assert package_version("no-such-package") is None


@pytest.mark.parametrize("name", ["a/net.pth", "b\\net"])
def test_network_ids_are_file_names(name: str) -> None:
    result = made_up("net", "64x48", "native", 0.5)
    result = dataclasses.replace(result, checkpoint=CheckpointFacts(name))
    assert not set("/\\") & set(result.network_id)
    assert result.network_id.endswith("_64x48_native")


def test_versions_and_processor_are_looked_up_once_a_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def version(name: str) -> str:
        asked.append(name)
        return "1"

    package_version.cache_clear()
    try:
        monkeypatch.setattr(importlib.metadata, "version", version)
        first = environment()["packages"]
        assert environment()["packages"] == first and first["numpy"] == "1"
        assert len(asked) == len(set(asked)) == len(first)
    finally:
        package_version.cache_clear()


def test_every_option_that_moves_ap_is_in_the_protocol() -> None:
    from posebench.datasets.boxes import BoxChange, BoxFilter
    from posebench.scoring.evaluate import ScoringOptions

    fields = {field.name for field in dataclasses.fields(PROTOCOL)}
    assert {field.name for field in dataclasses.fields(ScoringOptions)} <= fields
    names = {"min_score": "min_box_score", "nms_threshold": "box_nms", "max_per_image": "max_boxes"}
    assert {names[field.name] for field in dataclasses.fields(BoxFilter)} <= fields
    assert {f"box_{field.name}" for field in dataclasses.fields(BoxChange)} <= fields


def test_older_files_hold_pck_and_median_error_apart(tmp_path: Path) -> None:
    result = made_up("a", "64x48", "native", 0.5)
    plain = mapping_from_record(result)
    names = ("PCK@0.05", "PCK@0.1", "PCK@0.2")
    plain["pck"] = {name.removeprefix("PCK@"): plain["metrics"].pop(name) for name in names}
    plain["median_error"] = plain["metrics"].pop("median error")
    assert record_from_mapping(CellResult, with_all_metrics(plain), where="x") == result
    nothing = mapping_from_record(made_up("a", None, None, status="failed"))
    older = {**nothing, "pck": None, "median_error": None}
    assert with_all_metrics(older) == nothing
