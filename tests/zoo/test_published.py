"""The facts: they fit their schema and equal the collected ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from posebench.errors import SpecError, ZooError
from posebench.files.records import record_from_mapping
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.spec import IMAGENET_MEAN, IMAGENET_STD
from posebench.zoo import facts_for, find_published, published_checkpoints
from posebench.zoo.published import (
    PublishedCheckpoint,
    PublishedResult,
    plain_entries,
    published_sources,
    read_document,
    records_of,
)

ENTRIES = published_checkpoints()
REPOSITORIES = {
    "mmpose": "open-mmlab/mmpose",
    "hrnet": "leoxiaobin/deep-high-resolution-net.pytorch",
    "simcc": "leeyegy/SimCC",
    "vitpose": "ViTAE-Transformer/ViTPose",
}


def of(file_name: str) -> PublishedCheckpoint:
    return next(entry for entry in ENTRIES if entry.file_name == file_name)


def test_every_entry_fits_the_schema() -> None:
    from pydantic import TypeAdapter

    plain = plain_entries(read_document())
    where = (str(entry.get("id")) for entry in plain)
    for entry, name in zip(plain, where, strict=True):
        record_from_mapping(PublishedCheckpoint, entry, where=name)
    # Entries loaded without validation equal the validated ones.
    checked = TypeAdapter(list[PublishedCheckpoint]).validate_python(plain)
    assert tuple(checked) == ENTRIES
    with pytest.raises(SpecError, match="unknown key 'paradim'"):
        record_from_mapping(PublishedCheckpoint, plain[0] | {"paradim": "simcc"}, where="x")
    with pytest.raises(SpecError, match="schema 2"):
        plain_entries({"schema": 2})


def test_ids_files_and_hashes_are_unique_and_can_be_typed() -> None:
    for values in (
        [entry.id for entry in ENTRIES],
        [entry.file_name for entry in ENTRIES],
        [entry.sha256_prefix for entry in ENTRIES if entry.sha256_prefix],
    ):
        assert [value for value, count in Counter(values).items() if count > 1] == []
    pattern = rf"({'|'.join(REPOSITORIES)})/[a-zA-Z0-9.+-]+(_[a-zA-Z0-9.+-]+)*_\d+x\d+(_0\.x)?"
    assert [entry.id for entry in ENTRIES if not re.fullmatch(pattern, entry.id)] == []
    assert {entry.publisher for entry in ENTRIES} == set(REPOSITORIES) == set(published_sources())


def test_urls_and_hashes_are_whole() -> None:
    for entry in ENTRIES:
        assert all(url.startswith("https://download.openmmlab.com/") for url in entry.urls)
        assert re.fullmatch(r"[\w.+-]+\.pth", entry.file_name), entry.id
        assert not (entry.urls and entry.page)
        if entry.sha256_prefix:
            assert re.fullmatch(r"[0-9a-f]{8}", entry.sha256_prefix)
            assert entry.sha256_prefix in entry.file_name


def test_codecs_and_crops_fit_their_paradigm() -> None:
    for entry in ENTRIES:
        assert entry.codec.kind == entry.paradigm
        assert (entry.codec.decoder is None) == (entry.paradigm != "heatmap")
        if entry.codec.decoder in ("quarter", "dark", "udp"):
            record_from_mapping(
                HeatmapCodec, {"kind": "heatmap", "decoder": entry.codec.decoder}, where=entry.id
            )
    # The constants of ImageNet, which every one of these configs has.
    crops = {(entry.crop.mean, entry.crop.std) for entry in ENTRIES if entry.crop}
    assert crops == {(IMAGENET_MEAN, IMAGENET_STD)}


def test_results_name_protocol_and_source() -> None:
    results = [result for entry in ENTRIES for result in entry.results]
    assert all(result.metrics and result.sources for result in results)
    sources = [source for result in results for source in result.sources]
    places = rf"({'|'.join(REPOSITORIES)}):[^:]+\.(md|yml)(:\d+)?"
    assert [source for source in sources if not re.fullmatch(places, source)] == []
    assert all(0 < result.metrics.get("AP", 50) < 100 for result in results)


def test_entries_are_found_by_id_file_name_and_the_nearest_is_named() -> None:
    entry = find_published("mmpose/rtmpose-m_body7_256x192")
    assert find_published("rtmpose-m_body7_256x192") is entry
    assert find_published(entry.file_name) is entry
    with pytest.raises(ZooError, match="hrnet/hrnet-w32_coco_256x192 or simcc/hrnet-w32"):
        find_published("hrnet-w32_coco_256x192")


def test_facts_are_found_by_hash_before_name() -> None:
    entry, other = ENTRIES[0], of("hrnet_w32_crowdpose_256x192-960be101_20201227.pth")
    by_hash = facts_for(Path(other.file_name), f"{entry.sha256_prefix}{'0' * 56}")
    assert by_hash is not None and (by_hash.entry, by_hash.by) == (entry, "hash")
    by_name = facts_for(Path("x") / Path(other.file_name).with_suffix(".onnx"), "0" * 64)
    assert by_name is not None and (by_name.entry, by_name.by) == (other, "file name")
    assert facts_for(Path("own.pth"), "0" * 64) is None


def test_records_are_plain_and_read_back() -> None:
    plain = json.loads(json.dumps(records_of(ENTRIES[:3])))
    read = [record_from_mapping(PublishedCheckpoint, each, where="record") for each in plain]
    assert tuple(read) == ENTRIES[:3]


# --- against the collected tables


@pytest.fixture(scope="module")
def rows(shared_dir: Path) -> list[dict[str, Any]]:
    collected: list[dict[str, Any]] = json.loads(
        (shared_dir / "data" / "published.json").read_text(encoding="utf-8")
    )
    return collected


def _source(row: dict[str, Any]) -> str:
    publisher = next(key for key, name in REPOSITORIES.items() if name == row["source_repo"])
    line = f":{row['source_line']}" if row["source_line"] else ""
    return f"{publisher}:{row['source_file']}{line}"


def _results() -> dict[str, list[tuple[PublishedCheckpoint, PublishedResult]]]:
    found: dict[str, list[tuple[PublishedCheckpoint, PublishedResult]]] = {}
    for entry in ENTRIES:
        for result in entry.results:
            for source in result.sources:
                found.setdefault(source, []).append((entry, result))
    return found


def test_every_collected_number_is_here_under_its_protocol(rows: list[dict[str, Any]]) -> None:
    results = _results()
    scored = [row for row in rows if row["AP"] is not None]
    assert len(scored) == 432  # PUBLISHED.md, section 1
    for row in scored:
        found = [
            (entry, result)
            for entry, result in results[_source(row)]
            if result.metrics.get("AP") == row["AP"]
            and (result.dataset, result.split) == (row["dataset"], row["split"])
            and (result.boxes, result.flip_test) == (row["boxes"], row["flip_test"])
            and str(entry.input_size) == "x".join(map(str, row["input_hw"]))
            and (entry.paradigm, entry.backbone) == (row["paradigm"], row["backbone"])
            and entry.trained_on == row["train_set"]
        ]
        assert found, row["id"]
        entry, result = found[0]
        assert result.metrics.get("AR") == row["AR"]
        assert entry.sha256_prefix == row["sha8"]
        assert (row["url"] in entry.urls) if entry.urls else (row["url"] == entry.page)


def test_every_collected_file_is_one_entry(rows: list[dict[str, Any]]) -> None:
    # Regression was not collected: its entries are read from MMPose's metafiles.
    entries = [entry for entry in ENTRIES if entry.paradigm != "regression"]
    hashes = {row["sha8"] for row in rows if row["sha8"]}
    assert {entry.sha256_prefix for entry in entries if entry.sha256_prefix} == hashes
    urls = {row["url"] for row in rows if row["url"] and "openmmlab" in row["url"]}
    assert {url for entry in entries for url in entry.urls} == urls
    # PUBLISHED.md, section 1.
    assert sum(len(entry.urls) for entry in entries if entry.sha256_prefix) == 254


def test_codec_crop_and_flip_are_those_of_the_configs(shared_dir: Path) -> None:
    configs = json.loads((shared_dir / "data" / "mmpose_configs.json").read_text(encoding="utf-8"))
    compared = 0
    for entry in ENTRIES:
        config = configs.get((entry.config or "").removeprefix("mmpose:"))
        if config is None:
            continue
        compared += 1
        width, height = config["input_wh"]
        assert str(entry.input_size) == f"{height}x{width}", entry.id
        assert entry.crop is not None and entry.flip is not None
        assert entry.crop.udp == config["use_udp_affine"], entry.id
        assert entry.flip.test == config["test_cfg"]["flip_test"], entry.id
        if entry.paradigm == "heatmap":
            shift = config["test_cfg"].get("shift_heatmap", False)
            assert (entry.flip.shift_heatmap or False) == shift, entry.id
            if entry.codec.decoder in ("dark", "udp"):
                assert entry.codec.blur_kernel == config["codec"]["blur_kernel_size"], entry.id
            unbiased = config["codec"].get("unbiased", False)
            assert unbiased == (entry.codec.decoder == "dark"), entry.id
        elif entry.paradigm == "simcc":
            codec = config["codec"]
            assert entry.codec.split_ratio == codec["simcc_split_ratio"], entry.id
            assert entry.codec.normalize == codec["normalize"], entry.id
    assert compared > 230


def test_regression_is_published_with_its_initial_weights() -> None:
    entries = [entry for entry in ENTRIES if entry.paradigm == "regression"]
    assert len(entries) == 9
    for entry in entries:
        assert entry.flip is not None and entry.flip.shift_coords
        (result,) = entry.results
        assert bool(result.caveats) == (entry.decoding == "rle"), entry.id
        if "pretrained" in entry.id:
            assert find_published(str(entry.initialised_from)).paradigm == "heatmap"
        else:
            assert entry.initialised_from == "imagenet-1k"
    # Claim C17's published figures.
    scratch, pretrained = (
        find_published(f"mmpose/resnet50_{name}_coco_256x192").results[0].metrics["AP"]
        for name in ("rle", "rle-pretrained")
    )
    assert (scratch, pretrained) == (70.6, 71.9)


def test_known_errors_of_the_sources_are_corrected() -> None:
    # PUBLISHED.md, section 0b.
    unpublished = find_published("mmpose/resnet101_coco_384x288")
    assert unpublished.urls == () and "065d3625" in unpublished.caveats[0]
    aic = find_published("mmpose/cspnext-m_aic+coco_256x192")
    assert aic.results[0].boxes == "gt" and "det56.4" in aic.results[0].caveats[0]
    assert find_published("mmpose/hrnet-w32_coco_256x192").results[0].metrics["AP"] == 74.9
    for entry in ENTRIES:
        assert "(" not in "".join(entry.urls)
        if entry.publisher in ("hrnet", "simcc") and entry.architecture == "resnet" and entry.crop:
            assert entry.crop.channels == "bgr"
    rtmw = [entry for entry in ENTRIES if entry.family == "rtmw"]
    assert sum(entry.sha256_prefix is None for entry in rtmw) == 3
    dark = [e for e in ENTRIES if e.codec.decoder == "dark" and str(e.input_size) == "384x288"]
    kernels = {entry.backbone: entry.codec.blur_kernel for entry in dark}
    assert kernels.pop("resnet152") == 17 and set(kernels.values()) == {11}
