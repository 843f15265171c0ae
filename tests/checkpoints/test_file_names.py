"""Sizes in file names, as publishers write them."""

from __future__ import annotations

import pytest

from posebench.checkpoints.file_names import find_size


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("pose_hrnet_w32_256x192.pth", "256x192"),
        ("pose_resnet_50_384x288.pth.tar", "384x288"),
        ("res50_64x64_d256x3_adam_lr1e-3.pth", "64x64"),
        ("hrnet_w32_coco_256x192-c78dce93_20200708.pth", "256x192"),
        ("td-hm_res50_8xb64-210e_coco-256x192.pth", "256x192"),
        ("rtmpose-m_aic-coco_420e-256X192.pth", "256x192"),
        ("pose_256x192_and_384x288.pth", None),
        ("model_best.pth", None),
        ("8xb64_d256x3_0x00.pth", None),
        ("w32_9999x9999.pth", None),
    ],
)
def test_one_size_or_none(name: str, size: str | None) -> None:
    assert [finding.value for finding in find_size(name)] == ([size] if size else [])
