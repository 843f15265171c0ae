from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from posebench.datasets.coco import ground_truth_instances, load_annotations
from posebench.datasets.images.reading import read_image
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction import device_crops as warping
from posebench.prediction.crops import normalise, resample_crop
from posebench.prediction.device_crops import (
    UploadedImages,
    normalise_tensor,
    resample_crops,
    warp_crops,
)
from posebench.prediction.devices import Uploader
from posebench.prediction.geometry import boxes_to_center_scale, crop_matrix

SIZES = [InputSize.parse(text) for text in ("256x192", "96x72", "37x21", "1x1", "5x130")]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.gpu,
    ),
]


def noise(seed: int, height: int, width: int):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def matrices_of(boxes, size: InputSize, udp: bool, padding: float = 1.25):
    with np.errstate(all="ignore"):
        center, scale = boxes_to_center_scale(np.asarray(boxes), size, padding)
        return [crop_matrix(c, s, size, udp) for c, s in zip(center, scale, strict=True)]


def warped_by_opencv(image, matrix, size: InputSize):
    return cv2.warpAffine(image, matrix, (size.width, size.height), flags=cv2.INTER_LINEAR)


def uploaded(images, device: str = "cpu"):
    return UploadedImages(images, Uploader(torch.device(device))).receive()


def assert_equals_opencv(images, matrices, size: InputSize, device: str = "cpu"):
    found = warp_crops(uploaded(images, device), np.stack(matrices), size)
    assert found.device.type == device
    expected = [warped_by_opencv(*pair, size) for pair in zip(images, matrices, strict=True)]
    np.testing.assert_array_equal(found.cpu().numpy(), np.stack(expected))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_boxes_of_all_kinds_equal_opencv(size, udp, device):
    rng = np.random.default_rng(size.height + udp)
    images = [noise(seed, *rng.integers(1, 300, 2)) for seed in range(20)]
    images += [noise(seed, *rng.integers(1, 4, 2)) for seed in range(4)]
    chosen, boxes = [], []
    for image in images:
        for kind in range(8):
            corner = rng.uniform(-1, 1.2, 2) * image.shape[1::-1]
            extent = np.exp(rng.uniform(-4, 9, 2))
            if kind == 0:
                extent = rng.integers(1, 300, 2)
            elif kind == 1:  # half-way between two fractions
                corner, extent = np.floor(corner * 2) / 2, np.floor(extent)
            elif kind == 2:
                corner = corner * 1e4
            chosen.append(image)
            boxes.append([*corner, *(corner + extent)])
    assert_equals_opencv(chosen, matrices_of(boxes, size, udp), size, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize(
    "box",
    [
        (10, 10, 10, 10),  # no area
        (5, 9, 5, 40),
        (1e9, 1e9, 1e9 + 50, 1e9 + 80),  # places that int32 does not hold
        (-3e6, 5, -3e6 + 1e3, 4e3),
        (0, 0, 1e30, 1e30),
        (0, 0, 1e-30, 1e-30),
        (0, 0, np.nan, 40),
    ],
)
def test_boxes_that_are_none_equal_opencv(box, udp, device):
    size = SIZES[0]
    assert_equals_opencv([noise(1, 60, 80)], matrices_of([box], size, udp), size, device)


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_any_matrix_equals_opencv(numbers, shape):
    # Turned and sheared too, as crop matrices are not.
    matrix = np.array(numbers).reshape(2, 3)
    assert_equals_opencv([noise(2, *shape)], [matrix], SIZES[2])


@pytest.mark.parametrize("device", DEVICES)
def test_portions_do_not_show(monkeypatch, device):
    size = SIZES[1]
    image = noise(3, 120, 90)
    rng = np.random.default_rng(3)
    corners = rng.uniform(-20, 60, (11, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 90, (11, 2))], axis=1)
    monkeypatch.setattr(warping, "MAX_PIXELS", 4 * size.height * size.width)
    assert_equals_opencv([image] * 11, matrices_of(boxes, size, False), size, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("udp", [False, True])
def test_crops_of_real_people_equal_opencv(coco_mini, udp, device):
    size = SIZES[1]
    annotations = coco_mini / "annotations" / "person_keypoints_val2017.json"
    dataset = load_annotations(annotations, coco_mini / "val2017")
    instances = ground_truth_instances(dataset)
    images = {index: read_image(dataset.images[index].path) for index in instances.image_index}
    matrices = matrices_of(instances.bbox_xyxy, size, udp)
    assert len(matrices) > 50
    assert_equals_opencv([images[i] for i in instances.image_index], matrices, size, device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("asked", ["96x72", "48x36", "200x150", "96x71", "31x100", "1x1"])
def test_crops_are_resampled_as_in_numpy(asked, udp, device):
    size = InputSize.parse(asked)
    crops = np.stack([noise(seed, 96, 72) for seed in range(3)])
    expected = np.stack([resample_crop(crop, size, udp) for crop in crops])
    found = resample_crops(torch.from_numpy(crops).to(device), size, udp)
    np.testing.assert_array_equal(found.cpu().numpy(), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_normalised_values_equal_those_of_numpy(size, channels, device):
    crop = CropSpec(channels=channels, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    crops = np.random.default_rng(4).integers(
        0, 256, (3, size.height, size.width, 3), dtype=np.uint8
    )
    before = crops.copy()
    found = normalise_tensor(torch.from_numpy(crops).to(device), crop)
    assert found.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(found.cpu().numpy(), normalise(crops, crop))
    np.testing.assert_array_equal(crops, before)


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_no_operation_mixes_devices(channels):
    # Torch's device without data refuses operands of the CPU, as a GPU does.
    images = uploaded([noise(seed, 50, 60) for seed in range(2)], "meta")
    crops = warp_crops(
        images, np.stack(matrices_of([[5, 5, 40, 40]] * 2, SIZES[0], False)), SIZES[0]
    )
    resampled = resample_crops(crops, SIZES[1], False)
    inputs = normalise_tensor(resampled, CropSpec(channels=channels))
    assert (inputs.device.type, inputs.shape) == ("meta", (2, 3, 96, 72))


def test_every_grey_level_is_normalised_as_by_numpy():
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
    crop = CropSpec()
    found = normalise_tensor(torch.from_numpy(levels), crop)
    np.testing.assert_array_equal(found.numpy(), normalise(levels, crop))
