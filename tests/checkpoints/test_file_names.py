"""File names of published checkpoints, against the facts in the tables that list them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posebench.checkpoints.file_names import find_decoder, find_keypoints, find_size


def values(findings: object) -> dict[str, object]:
    assert isinstance(findings, tuple)
    assert all(finding.why == "file name" for finding in findings)
    return {finding.field: finding.value for finding in findings}


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("td-hm_res50_8xb64-210e_coco-256x192-04af38ce_20220923.pth", "256x192"),
        ("res101_crowdpose_320x256-c88c512a_20201227.pth", "320x256"),
        ("pose_hrnet_w32_384x288.pth", "384x288"),
        ("4xmspn50_coco_256x192-7b837afb_20201123.pth", "256x192"),
        ("mine_256x192_from_384x288.pth", None),
        ("model_1x3x256x192.pth", None),
        ("odd_0000x9999.pth", None),
        ("best.pth", None),
    ],
)
def test_sizes(name: str, size: str | None) -> None:
    assert values(find_size(name)).get("input_size") == size


@pytest.mark.parametrize(
    ("name", "decoder"),
    [
        ("hrnet_w32_coco_256x192-c78dce93_20200708.pth", None),
        ("hrnet_w32_mpii_256x256_dark-f1601c5b_20200927.pth", "dark"),
        ("hrnet_w32_coco_256x192_udp-aba0be42_20210220.pth", "udp"),
        (
            "td-hm_hrnet-w32_udp-regress-8xb64-210e_coco-256x192-9c0b77b4_20220926.pth",
            "udp-regress",
        ),
        ("hrnet_w32_coco_256x192_udp_regress-be2dbba4_20210222.pth", "udp-regress"),
    ],
)
def test_decoders(name: str, decoder: str | None) -> None:
    found = values(find_decoder(name))
    assert found.get("codec.decoder") == decoder
    assert found.get("crop.udp", False) == (decoder in ("udp", "udp-regress"))


@pytest.mark.parametrize(
    ("name", "count", "keypoints"),
    [
        ("hrnet_w32_crowdpose_256x192-960be101_20201227.pth", 14, "crowdpose"),
        (
            "rtmpose-m_simcc-crowdpose_pt-aic-coco_210e-256x192-e6192cac_20230224.pth",
            14,
            "crowdpose",
        ),
        ("res101_aic_256x192-79b35445_20200826.pth", 14, "aic"),
        ("hrnet_w32_coco_wholebody_256x192-853765cd_20200918.pth", 133, "coco-wholebody"),
        (
            "rtmpose-m_simcc-ap10k_pt-aic-coco_210e-256x256-7a041aa1_20230206.pth",
            17,
            "ap10k",
        ),
        ("hrnet_w32_animalpose_256x256-1aa7f075_20210426.pth", 20, "animalpose"),
        ("AP-10K_best.pth", 17, "ap10k"),
        ("hrnetv2_w18_wflw_256x256-2bf032a6_20210125.pth", 98, "wflw"),
        ("res50_onehand10k_256x256-739c8639_20210330.pth", 21, "hand21"),
        ("rtmpose-l_simcc-body7_pt-body7-halpe26_700e-256x192-2abb7558_20230605.pth", 17, "coco"),
    ],
)
def test_keypoints(name: str, count: int, keypoints: str) -> None:
    assert values(find_keypoints(name, count)) == {"keypoints": keypoints}


def test_keypoints_that_a_name_does_not_tell() -> None:
    (unknown,) = find_keypoints("best.pth", 14)
    why = "default: none, as crowdpose and aic both have 14, in other orders"
    assert (unknown.value, unknown.why) == (None, why)
    (guess,) = find_keypoints("best.pth", 17)
    assert (guess.value, guess.guess) == ("coco", True)
    assert find_keypoints("best.pth", 18) == ()
    # PoseTrack also has 17 keypoints, but other ones.
    for name in (
        "res50_posetrack18_256x192-a62807c7_20201028.pth",
        "vitpose-h-apt36k.pth",
        "td-hm_res50_h36m-256x256.pth",
    ):
        (unknown,) = find_keypoints(name, 17)
        assert unknown.value is None
        assert unknown.why.startswith("file name: ")


def test_every_published_name_tells_its_size_and_decoder(shared_dir: Path) -> None:
    rows = json.loads((shared_dir / "data" / "published.json").read_text())
    rows = rows if isinstance(rows, list) else rows["rows"]
    files = {
        row["ckpt_name"]: row
        for row in rows
        if str(row.get("ckpt_name")).endswith(".pth") and row["source_repo"] == "open-mmlab/mmpose"
    }
    assert len(files) > 150
    for name, row in files.items():
        height, width = row["input_hw"]
        assert values(find_size(name)) == {"input_size": f"{height}x{width}"}, name
        decoder = values(find_decoder(name)).get("codec.decoder")
        unbiased = (row.get("decode") or {}).get("unbiased")
        if row["codec_type"] == "UDPHeatmap" and "ViTPose" not in name:
            assert str(decoder).startswith("udp"), name
        elif row["codec_type"] == "MSRAHeatmap" and unbiased is not None:
            assert (decoder == "dark") == unbiased, name
