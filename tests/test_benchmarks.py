"""The scripts below benchmarks/: what they measure with, and the pages they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from lab_suites import lab_suite

from posebench.datasets.coco import ground_truth_instances, load_annotations
from posebench.networks.sizes import InputSize
from posebench.prediction.crops import crop_image

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


def throughput_page() -> ModuleType:
    import throughput_page as module

    return module


def throughput_runs() -> ModuleType:
    import throughput_runs as module

    return module


def made_up(speed: float, ap: float, **fields: object) -> Any:
    """A run of 100 instances of 1 GMAC, all of whose time but a tenth is the network's."""
    loop = 100 / speed
    return throughput_runs().Run(
        instances=100,
        loop=loop,
        whole=loop + 5,
        memory=500.0,
        ap=ap,
        data_cpu=0.5,
        network=0.9 * loop,
        shares={"network": 0.9, "decoding": 0.01},
        **fields,
    )


def compared(fp32_ap: float = 0.5) -> dict[tuple[str, str, int], object]:
    """MMPose at 10 and 11 instances/s, the default at 30 and 22, bf16 at 60 with another AP."""
    net = "rtmpose-t"
    return {
        (net, "MMPose, 2 workers", 0): made_up(8.0, 0.5),
        (net, "MMPose, 0 workers", 0): made_up(10.0, 0.5),
        (net, "default", 0): made_up(30.0, fp32_ap, gmacs=1.0, settings={"lanes": 2}),
        (net, "torch/bf16", 0): made_up(60.0, 0.502, gmacs=1.0),
        (net, "openvino/fp32", 0): made_up(45.0, 0.5, gmacs=1.0),
        (net, "openvino/int8", 0): throughput_runs().Run(failure="unsupported: no such thing"),
        (net, "MMPose, 0 workers", 1): made_up(11.0, 0.5),
        (net, "default", 1): made_up(22.0, fp32_ap, gmacs=1.0),
        ("heatmap-m", "default", 0): made_up(100.0, 0.6, gmacs=0.1),
    }


def cells(lines: list[str], starts: str) -> list[str]:
    """The cells of the first table row that starts so."""
    line = next(line for line in lines if line.startswith(starts))
    return [cell.strip() for cell in line.strip("|").split("|")]


LIMITS = [{"fp32": 240.0, "bf16": 480.0}]


def test_ratios_are_taken_round_by_round_against_the_fastest_setting_of_mmpose():
    net = throughput_runs().net_runs(compared(), "rtmpose-t")
    assert net.best_reference == "MMPose, 0 workers"
    assert net.ratios("default") == pytest.approx([3.0, 2.0])
    assert net.failures == {"openvino/int8": "unsupported: no such thing"}


def test_the_page_says_which_targets_are_reached_and_what_bounds_the_others():
    lines = throughput_page().page(compared(), ["rtmpose-t"], ["heatmap-m"], LIMITS)
    row = cells(lines, "| rtmpose-t | 10.5")
    # The median of 3 and 2; bf16 moves AP by 0.2 points, so openvino/fp32 is the fastest allowed.
    assert row[2:6] == ["default: 26.0", "2.50 (AP equal)", "2.4", "yes"]
    assert row[6:] == ["openvino/fp32: 45.0", "4.50 (AP equal)", "4.0", "yes"]
    assert any("unsupported: no such thing" in line for line in lines)
    assert not any(line.startswith("- rtmpose-t") for line in lines)

    lines = throughput_page().page(compared(0.5001), ["rtmpose-t"], [], LIMITS)
    assert cells(lines, "| rtmpose-t | 10.5")[3:6] == ["2.50 (AP +0.01)", "2.4", "**no**"]
    reason = next(line for line in lines if line.startswith("- rtmpose-t, default"))
    assert "90% of the loop is network" in reason
    assert "48% of the speed of multiplying" in reason  # median of 33.3 and 24.4 × 4 of 240 GFLOP/s


def test_the_fraction_of_the_limit_counts_two_operations_and_two_passes():
    lines = throughput_page().page(compared(), ["rtmpose-t"], ["heatmap-m"], LIMITS)
    # 60 instances/s × 4 GFLOP of 480 GFLOP/s in bf16.
    assert cells(lines, "| rtmpose-t | torch/bf16 | 4.00")[3] == "240 (50%)"


def test_without_mmpose_nothing_is_compared():
    runs = {key: run for key, run in compared().items() if "MMPose" not in key[1]}
    lines = throughput_page().page(runs, ["rtmpose-t"], ["heatmap-m"], LIMITS)
    assert lines[0] == "# Throughput of posebench alone"
    assert not any("target" in line for line in lines)
    # Then AP is compared with the default's.
    assert cells(lines, "| torch/bf16 |")[7] == "+0.20"


def test_runs_that_were_kept_are_not_run_again(tmp_path: Path):
    from throughput import Log

    file = tmp_path / "runs.jsonl"
    run = made_up(30.0, 0.5, settings={"lanes": 2})
    Log(file).add("rtmpose-t", "default", 0, lambda: run)
    again = Log(file).add("rtmpose-t", "default", 0, lambda: pytest.fail("measured again"))
    assert again == run


def test_boxes_are_repeated_until_there_are_enough(people: Path, tmp_path: Path):
    from throughput import write_boxes

    annotations = next(people.rglob("*.json"))
    truth = ground_truth_instances(load_annotations(annotations, people))
    write_boxes(annotations, len(truth) + 1, tmp_path / "boxes.json")
    rows = json.loads((tmp_path / "boxes.json").read_text())
    assert len(rows) == len(truth) + 1
    left, top, width, height = np.array([row["bbox"] for row in rows]).T
    found = np.stack([left, top, left + width, top + height], axis=1)
    expected = np.concatenate([truth.bbox_xyxy, truth.bbox_xyxy[:1]])
    assert np.allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-3)


def test_a_measured_process_says_what_it_took_or_why_it_failed():
    from measuring import FailedRunError, run_json

    said = "print('chatter'); print('SAID {\"value\": 3}')"
    measured = run_json([sys.executable, "-c", said], marker="SAID ")
    assert measured["value"] == 3 and measured["whole"] > 0
    with pytest.raises(FailedRunError, match="no luck"):
        run_json([sys.executable, "-c", "raise SystemExit('no luck')"])


def test_every_stage_that_is_timed_is_one_that_prediction_calls():
    from timed_eval import STAGES

    import posebench.prediction.crop_batches
    import posebench.prediction.decoding

    called = [
        *vars(posebench.prediction.decoding).values(),
        *vars(posebench.prediction.crop_batches).values(),
    ]
    assert all(any(function is each for each in called) for function in STAGES.values())


def test_a_half_size_image_gives_the_same_crop_of_a_plane():
    from reduced_decoding import crop_reduced

    y, x = np.mgrid[:240, :320].astype(np.float32)
    plane = np.stack([0.5 * x + 0.2 * y] * 3, axis=-1)
    # What libjpeg's half size comes to: each pixel the mean of four.
    half = plane.reshape(120, 2, 160, 2, 3).mean(axis=(1, 3))
    center, scale = np.array([160, 120], np.float32), np.array([120, 160], np.float32)
    size = InputSize(64, 48)
    whole_crop = crop_image(plane.astype(np.uint8), center, scale, size, udp=False).astype(float)
    half_crop = crop_reduced(half.astype(np.uint8), center, scale, size, udp=False).astype(float)
    assert np.abs(whole_crop - half_crop).max() <= 1


def test_generated_images_are_jpeg_files_with_two_or_three_people_each(tmp_path: Path):
    from generated_images import HEIGHT, WIDTH, write_images

    annotations = write_images(tmp_path / "made", 4)
    dataset = load_annotations(annotations, tmp_path / "made" / "val")
    assert len(dataset.images) == 4 and len(ground_truth_instances(dataset)) == 9
    assert cv2.imread(str(dataset.images[0].path)).shape == (HEIGHT, WIDTH, 3)


def test_the_page_of_overlap_counts_what_is_found(tmp_path: Path) -> None:
    import overlap_recall

    scenes = overlap_recall.rendered(tmp_path / "rendered", 3, 5)
    train = [(overlap_recall.RENDERED, path) for path in scenes]
    rng = np.random.default_rng(0)
    planted = overlap_recall.copies(tmp_path / "copies", train, [0, 2], rng)
    text = overlap_recall.page(train, planted)
    assert "| rendered scenes | cropped | 2 of 2 |" in text and "Found: 10 of 10" in text
    assert "No other pair was taken for one." in text
    assert overlap_recall.least_recall(10, 10) == pytest.approx(0.7225, abs=1e-4)
    assert overlap_recall.least_recall(8, 10) == pytest.approx(0.4902, abs=1e-4)


@pytest.mark.slow
def test_the_lab_is_trained_and_judged_by_one_script(tmp_path: Path, people: Path) -> None:
    claim = {
        "id": "L1", "statement": "s", "treatment": {"labels.arm": "simcc"},
        "control": {"labels.arm": "heatmap"}, "match_by": ["dataset", "labels.seed"],
    }  # fmt: skip
    (tmp_path / "claim.yaml").write_text(yaml.safe_dump({"claims": [claim]}), encoding="utf-8")
    scales = {"medium": {"set": {"optimisation.samples": 32}}}
    data = [{"folder": str(people), "split": "val"}]
    suite = lab_suite(tmp_path, {"claims": ["claim.yaml"]}, data=data, scales=scales)
    out = tmp_path / "out"
    settings = {
        "SUITE": str(suite), "DEVICE": "cpu", "JOBS": "1", "OMP_NUM_THREADS": "1",
        "POSEBENCH": f"{sys.executable} -m posebench", "POSEBENCH_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    command = [str(FOLDER / "lab_gpu.sh"), str(out)]
    for expected in ("2 to train", "0 to train"):
        done = subprocess.run(
            command, env={**os.environ, **settings}, capture_output=True, text=True, check=True
        )
        assert expected in done.stdout
    assert (out / "log.txt").read_text(encoding="utf-8").count("to train") == 2
    verdicts = json.loads((out / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    assert [each["claim"]["id"] for each in verdicts] == ["L1"]


BARE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, {folder!r})
sys.argv = ["gpu.py", "--device", "cpu", "--quick", "--out", {page!r}]
import gpu
gpu.main()
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("a | b\nmore"), "ValueError: a / b"), (RuntimeError(), "RuntimeError")],
)
def test_a_table_says_why_a_part_failed(error: Exception, said: str) -> None:
    import gpu_sections

    assert gpu_sections.reason(error) == f"**failed**: {said}"


@pytest.mark.slow
@pytest.mark.parametrize("bare", [True, False])
def test_the_gpu_is_measured_on_a_bare_machine_too(tmp_path: Path, bare: bool) -> None:
    packages = [
        *("lazy_loader", "orjson", "pydantic", "pycocotools", "xtcocotools", "yaml"),
        *("safetensors", "onnx", "platformdirs", "typer", "rich", "pandas", "matplotlib", "jinja2"),
    ]
    page = tmp_path / "gpu.md"
    code = BARE.format(packages=packages if bare else [], folder=str(FOLDER), page=str(page))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "| tiny | fp32 | 8 |" in text and "| tiny | bf16 | 8 |" in text
    assert ("Stand-ins for lazy_loader, orjson, pydantic." in text) == bare
    assert ("Not measured: lazy_loader, orjson, pydantic, pycocotools missing." in text) == bare
    assert ("`posebench eval`" in text and "exit code 0" in text) == (not bare)


def test_the_gpus_page_keeps_what_was_measured_before_a_failure_and_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu

    def fails(_bench: object) -> Iterator[str]:
        yield "| first |"
        raise RuntimeError("CUDA out of memory.\nmore")

    def ends(_bench: object) -> Iterator[str]:
        yield "| second |"
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "SECTIONS", {"A": fails, "B": ends, "C": ends})
    bench: Any = SimpleNamespace(device=torch.device("cpu"), on_gpu=False)
    path = tmp_path / "gpu.md"
    with pytest.raises(KeyboardInterrupt):
        gpu.measure_page(bench, 1e9, gpu.Page(bench, str(path)))
    text = path.read_text(encoding="utf-8")
    assert "| first |" in text and "| second |" in text
    assert "This section **failed**: RuntimeError: CUDA out of memory.\n" in text
    assert "Not measured: B, C." in text
    gpu.measure_page(bench, -1.0, gpu.Page(bench, str(path)))
    assert "Not measured: A, B, C." in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_whole_command_is_measured_step_by_step(tmp_path: Path) -> None:
    page = tmp_path / "whole.md"
    command = [sys.executable, str(FOLDER / "whole_command.py"), "--quick", "--out", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "1000 detected boxes" in text
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")]
    seconds = [float(row[2]) for row in rows[1:]]
    assert len(seconds) == 10 and all(each >= 0 for each in seconds)
    assert seconds[-1] == pytest.approx(sum(seconds[:-1]), abs=0.1)
