"""Raw outputs: what is kept, what is read back, and when a network runs again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from passes import run_cells
from small_run import small_checkpoint

from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.keypoints import COCO
from posebench.datasets.requests import DataRequest
from posebench.errors import EvaluationError
from posebench.networks.codecs import DecoderChoice, decode_by
from posebench.prediction import crop_batches, predict as predict_module
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.kept.outputs import KEPT_PRECISION, pack, unpack
from posebench.running import network_plans as planning
from posebench.running.network_plans import Storage
from posebench.running.scored import FinishedCell
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions

HEATMAP: tuple[DecoderChoice, ...] = ("own", "argmax", "dark", "udp", "expectation")


def load(people: Path, **scoring: Any) -> Workload:
    return load_workload(
        DataRequest(str(people)), ScoringOptions(**scoring), lambda _done, _total: None
    )


@pytest.fixture(scope="module")
def workload(people: Path) -> Workload:
    return load(people)


def run(path: Path, workload: Workload, raw: Path | None = None, **axes: Any) -> list[FinishedCell]:
    return run_cells([path], workload, Storage(raw), **axes)


def numbers(cells: list[FinishedCell]) -> list[Any]:
    return [(named(c), c.result.protocol, c.result.gflops, c.coco_results) for c in cells]


def named(cell: FinishedCell) -> tuple[Any, ...]:
    return cell.result.network_id, cell.result.protocol.decoder


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the crops of every forward pass, flip test included in each."""
    sizes: list[int] = []

    def counted(network: Any, x: Any, flip_test: bool, *, apart: bool) -> Any:
        sizes.append(len(x))
        return predict_outputs(network, x, flip_test, apart=apart)

    monkeypatch.setattr(predict_module, "predict_outputs", counted)
    return sizes


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which every forward pass fails, and every image too."""

    def fail(*_: object) -> None:
        raise RuntimeError("the network ran")

    def forbid() -> None:
        monkeypatch.setattr(predict_module, "predict_outputs", fail)
        for name in ("dataset_image", "cut_crops"):
            monkeypatch.setattr(crop_batches, name, fail)
        monkeypatch.setattr(planning, "count_gflops", fail)

    return forbid


def test_a_network_runs_once_for_all_decoders(
    tmp_path: Path, workload: Workload, passes: list[int]
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    together = run(path, workload, decoders=HEATMAP, sizes=("native", "96x80"))
    assert sum(passes) == 2 * len(workload.instances)
    assert [cell.result.protocol.decoder for cell in together[:5]] == ["quarter", *HEATMAP[1:]]
    assert len({named(cell) for cell in together}) == 10
    for decoder in HEATMAP:
        alone = run(path, workload, decoders=(decoder,), sizes=("native", "96x80"))
        ids = {named(cell) for cell in alone}
        same = [cell for cell in together if named(cell) in ids]
        assert numbers(same) == numbers(alone)
    assert len({json.dumps(cell.coco_results) for cell in together[5:]}) == 5


def test_a_decoder_for_the_other_paradigm_is_unsupported_before_inference(
    tmp_path: Path, workload: Workload, passes: list[int]
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", "simcc")
    cells = run(path, workload, decoders=("udp", "dark"))
    assert [cell.result.status for cell in cells] == ["unsupported"] * 2
    assert "SimCC outputs have no udp decoder" in str(cells[0].result.reason)
    assert "argmax and expectation" in str(cells[0].result.reason)
    assert passes == []
    cells = run(path, workload, decoders=("expectation", "udp", "own"))
    assert [(c.result.protocol.decoder, c.result.status) for c in cells] == [
        ("expectation", "ok"),
        ("udp", "unsupported"),
        ("argmax", "ok"),
    ]
    assert sum(passes) == len(workload.instances)


def test_a_decoder_that_fails_leaves_the_others_alone(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(decoder: Any, *arguments: Any) -> Any:
        if decoder == "dark":
            raise EvaluationError("too dark")
        return decode_by(decoder, *arguments)

    monkeypatch.setattr("posebench.prediction.decoding.decode_by", failing)
    path = small_checkpoint(tmp_path / "net.safetensors")
    cells = run(path, workload, decoders=("own", "dark", "udp"))
    assert [cell.result.reason for cell in cells] == [None, "too dark", None]


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_kept_outputs_are_decoded_and_scored_again_without_the_network(
    tmp_path: Path, people: Path, workload: Workload, paradigm: str, no_network: Callable[[], None]
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", paradigm)
    sizes: dict[str, Any] = {"sizes": ("native", "96x80"), "policies": ("native", "resample")}
    raw = tmp_path / "raw"
    decoders: tuple[DecoderChoice, ...] = ("own", "expectation")
    direct = run(path, workload, decoders=decoders, **sizes)
    fresh = run(path, workload, raw, decoders=decoders, parallelism=Parallelism(5), **sizes)
    no_network()
    again = run(path, workload, raw, decoders=decoders, **sizes)
    assert numbers(again) == numbers(fresh)
    assert {cell.result.protocol.precision for cell in fresh} == {"fp32" + KEPT_PRECISION}
    assert {cell.result.protocol.precision for cell in direct} == {"fp32"}
    answered = [cell for cell in again if cell.result.status == "ok"]
    assert len(answered) == {"heatmap": 6, "simcc": 4, "rle": 3}[paradigm]
    assert all(cell.result.instances_per_second is None for cell in answered)
    other = run(path, load(people, nms="none", rescoring="keypoint"), raw, **sizes)
    assert {cell.result.status for cell in other} <= {"ok", "unsupported"}
    assert other[0].result.protocol.rescoring == "keypoint"
    for one, exact in zip(fresh, direct, strict=True):
        for kept, entry in zip(one.coco_results or [], exact.coco_results or [], strict=True):
            found, expected = (np.array(row["keypoints"], float) for row in (kept, entry))
            np.testing.assert_allclose(found, expected, atol=0.05)


def test_chunks_hold_what_scoring_takes(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posebench.prediction.kept.outputs._CHUNK", 4)
    run(
        small_checkpoint(tmp_path / "net.safetensors"),
        workload,
        tmp_path / "raw",
        parallelism=Parallelism(2),
    )
    (folder,) = (tmp_path / "raw").iterdir()
    record = json.loads((folder / "raw.json").read_text())
    count = len(workload.instances)
    assert sum(chunk["instances"] for chunk in record["chunks"]) == count
    assert max(chunk["instances"] for chunk in record["chunks"]) <= 5
    assert len(record["chunks"]) > 1
    assert record["identity"]["spec"]["codec"]["decoder"] == "quarter"
    assert record["description"]["protocol"]["images"] == 4
    rows = []
    for chunk in record["chunks"]:
        with np.load(folder / chunk["file"]) as arrays:
            rows += list(arrays["rows"])
            np.testing.assert_array_equal(
                arrays["bbox_xyxy"], workload.instances.bbox_xyxy[arrays["rows"]]
            )
            assert arrays["distances_0"].shape[1:] == (17, 4, 3)
    assert sorted(rows) == list(range(count))


def test_whatever_moves_an_output_makes_another_folder(
    tmp_path: Path, people: Path, workload: Workload
) -> None:
    path, raw = small_checkpoint(tmp_path / "net.safetensors"), tmp_path / "raw"
    run(path, workload, raw)
    run(path, workload, raw, decoders=("dark",))
    assert len(list(raw.iterdir())) == 1
    run(path, workload, raw, flip=(False,))
    boxes = workload.instances.bbox_xyxy + np.float32(1)
    run(path, replace(workload, instances=replace(workload.instances, bbox_xyxy=boxes)), raw)
    run(
        small_checkpoint(
            tmp_path / "other" / "net.safetensors", keypoints=replace(COCO, name="renamed")
        ),
        workload,
        raw,
    )
    assert len(list(raw.iterdir())) == 4
    assert all((folder / "raw.json").is_file() for folder in raw.iterdir())


@pytest.mark.parametrize(
    ("name", "answer"),
    [("code_sha256", lambda: "0" * 64), ("package_version", lambda name: f"{name} of another day")],
)
def test_outputs_of_other_code_or_libraries_are_not_taken(
    tmp_path: Path,
    workload: Workload,
    passes: list[int],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    answer: Callable[..., str],
) -> None:
    path, raw = small_checkpoint(tmp_path / "net.safetensors"), tmp_path / "raw"
    run(path, workload, raw)
    passes.clear()
    run(path, workload, raw)
    assert passes == []
    monkeypatch.setattr(planning, name, answer)
    run(path, workload, raw)
    assert sum(passes) == len(workload.instances)
    assert len(list(raw.iterdir())) == 2


def test_labels_alone_leave_outputs_good(
    tmp_path: Path, workload: Workload, passes: list[int]
) -> None:
    path, raw = small_checkpoint(tmp_path / "net.safetensors"), tmp_path / "raw"
    run(path, workload, raw)
    passes.clear()
    protocol = replace(workload.protocol, annotations_sha256="0" * 64)
    (cell,) = run(path, replace(workload, protocol=protocol), raw)
    assert (passes, cell.result.status) == ([], "ok")


def test_inputs_are_hashed_once_for_all_runs(
    tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []

    def counted(paths: Sequence[Path]) -> str:
        hashed.append(len(paths))
        return images_sha256(paths)

    monkeypatch.setattr("posebench.prediction.kept.identity.images_sha256", counted)
    monkeypatch.setattr("posebench.running.workload.images_sha256", counted)
    path = small_checkpoint(tmp_path / "net.safetensors")
    storage = Storage(tmp_path / "raw", predictions=tmp_path / "kept")
    run_cells([path], load(people), storage, sizes=("native", "96x80", "128x96"))
    assert hashed == [4, 4]  # all images for the protocol, those with instances for the networks


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "00000.npz").write_bytes(b"PK"), "SHA-256 of 00000.npz"),
        (lambda folder: (folder / "00000.npz").unlink(), "00000.npz: .*No such file"),
        (lambda folder: (folder / "raw.json").write_text("{"), "raw.json: "),
        (lambda folder: (folder / "raw.json").write_text("[]"), "raw.json: "),
        (lambda folder: _edit(folder, lambda raw: raw["identity"].clear()), "another cell"),
        (lambda folder: _edit(folder, lambda raw: raw["chunks"].clear()), "0 of 11 instances"),
    ],
)
def test_a_damaged_folder_fails_its_cell_and_says_what_to_do(
    tmp_path: Path, workload: Workload, damage: Callable[[Path], Any], said: str
) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    run(path, workload, tmp_path / "raw")
    (folder,) = (tmp_path / "raw").iterdir()
    damage(folder)
    (cell,) = run(path, workload, tmp_path / "raw")
    assert cell.result.status == "failed"
    reason = str(cell.result.reason)
    assert re.search(said.replace("11", str(len(workload.instances))), reason)
    assert str(folder) in reason and "Delete that folder" in reason


def _edit(folder: Path, change: Callable[[Any], Any]) -> None:
    raw = json.loads((folder / "raw.json").read_text())
    change(raw)
    (folder / "raw.json").write_text(json.dumps(raw))


@pytest.mark.parametrize("failure", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_a_run_that_stops_leaves_nothing_to_be_taken_for_complete(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    calls = 0

    def stopping(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise failure
        return predict_outputs(*arguments, **options)

    monkeypatch.setattr(predict_module, "predict_outputs", stopping)
    path = small_checkpoint(tmp_path / "net.safetensors")
    if isinstance(failure, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            run(path, workload, tmp_path / "raw", parallelism=Parallelism(2))
    else:
        (cell,) = run(path, workload, tmp_path / "raw", parallelism=Parallelism(2))
        assert cell.result.status == "failed"
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_score_that_fails_keeps_the_outputs(
    tmp_path: Path, workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("posebench.running.scored.evaluate", defect)
    run(small_checkpoint(tmp_path / "net.safetensors"), workload, tmp_path / "raw")
    assert len(list((tmp_path / "raw").iterdir())) == 1


@given(st.integers(0, 2**32 - 1), st.floats(-30, 30), st.sampled_from([(6, 5), (40,)]))
def test_packing_keeps_peaks_where_they_are(
    seed: int, magnitude: float, shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    maps = (rng.normal(rng.normal(), 1, (2, 3, *shape)) * 10**magnitude).astype(np.float32)
    close = rng.random(maps.shape) < 0.3  # the peak's very neighbours in float32
    peak = maps.max(axis=tuple(range(2, maps.ndim)), keepdims=True)
    below = np.nextafter(peak, np.float32(-np.inf))
    maps = np.where(close & (maps < peak), below, maps)
    back = unpack(pack(maps))
    assert back.dtype == np.float32
    flat, kept = maps.reshape(2, 3, -1), back.reshape(2, 3, -1)
    np.testing.assert_array_equal(kept.argmax(-1), flat.argmax(-1))
    np.testing.assert_array_equal(kept.max(-1), flat.max(-1))
    distance = flat.max(-1, keepdims=True) - flat
    bound = distance * 2.0**-11 + np.spacing(np.abs(flat).max(-1, keepdims=True))
    assert (np.abs(kept - flat) <= bound).all()


def test_packing_a_flat_map() -> None:
    flat = np.full((1, 2, 3, 4), 0.1, dtype=np.float32)
    np.testing.assert_array_equal(unpack(pack(flat)), flat)


@pytest.mark.parametrize("values", [2, 4])
def test_packing_keeps_coordinates_to_float32(values: int) -> None:
    coordinates = np.random.default_rng(0).random((5, 17, values), dtype=np.float32) * 1.2 - 0.1
    back = unpack(pack(coordinates))
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, coordinates, rtol=0, atol=2e-7)
