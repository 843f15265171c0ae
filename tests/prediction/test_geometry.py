from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st

from posebench.networks.sizes import InputSize
from posebench.prediction import affine
from posebench.prediction.crops import cut_crops
from posebench.prediction.geometry import (
    boxes_to_center_scale,
    crop_matrices,
    crop_matrix,
    input_to_image,
)

SIZE = InputSize(256, 192)
sizes = st.sampled_from([SIZE, InputSize(128, 96), InputSize(384, 288), InputSize(160, 224)])
numbers = st.floats(0, 600, width=32)
extents = st.floats(2, 500, width=32)


def padded_box(x: float, y: float, w: float, h: float, size: InputSize):
    box = np.array([[x, y, x + w, y + h]], dtype=np.float32)
    center, scale = boxes_to_center_scale(box, size, 1.25)
    return center[0], scale[0]


def apply(matrix, points):
    return np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]


def test_tall_and_wide_boxes_grow_to_the_aspect_ratio_after_padding():
    boxes = np.array([[10, 20, 110, 220], [0, 0, 300, 100]], dtype=np.float32)
    center, scale = boxes_to_center_scale(boxes, SIZE, 1.25)
    assert center.tolist() == [[60, 120], [150, 50]]
    assert scale.tolist() == [[187.5, 250], [375, 500]]
    assert center.dtype == scale.dtype == np.float32


def test_no_boxes_give_no_centers():
    center, scale = boxes_to_center_scale(np.empty((0, 4), dtype=np.float32), SIZE, 1.25)
    assert center.shape == scale.shape == (0, 2)


@given(numbers, numbers, extents, extents, sizes)
def test_scale_has_the_aspect_ratio_and_holds_the_padded_box(x, y, w, h, size):
    box = np.array([[x, y, x + w, y + h]], dtype=np.float32)
    _, scale = boxes_to_center_scale(box, size, 1.25)
    assert scale[0, 0] / scale[0, 1] == pytest.approx(size.aspect_ratio, rel=1e-5)
    padded = 1.25 * (box[0, 2:] - box[0, :2])
    assert (scale[0] >= padded * (1 - 1e-6)).all()
    assert np.isclose(scale[0], padded, rtol=1e-6).any()


@given(numbers, numbers, extents, extents, sizes)
def test_classic_matrix_is_a_uniform_scaling_about_the_center(x, y, w, h, size):
    center, scale = padded_box(x, y, w, h, size)
    matrix = crop_matrix(center, scale, size, udp=False)
    factor = size.width / scale[0]
    expected = factor * (np.array([[30.0, 40.0]]) - center) + [size.width / 2, size.height / 2]
    np.testing.assert_allclose(apply(matrix, [[30, 40]]), expected, rtol=1e-4, atol=2e-2)
    np.testing.assert_allclose(matrix[:, :2], factor * np.eye(2), rtol=2e-4, atol=1e-9)


@given(numbers, numbers, extents, extents, sizes)
def test_udp_matrix_puts_the_box_corners_on_the_corner_pixels(x, y, w, h, size):
    center, scale = padded_box(x, y, w, h, size)
    matrix = crop_matrix(center, scale, size, udp=True)
    corners = np.stack([center - scale / 2, center + scale / 2])
    expected = [[0, 0], [size.width - 1, size.height - 1]]
    np.testing.assert_allclose(apply(matrix, corners), expected, atol=2e-2)
    assert matrix.dtype == np.float32


@pytest.mark.parametrize("udp", [False, True])
def test_input_pixels_are_fractions_of_the_box_whatever_the_crop(udp):
    center, scale = padded_box(12.5, 30.25, 141.5, 200.75, SIZE)
    points = np.array([[40.0, 60.0], [100.5, 200.25]])
    crop_pixels = apply(crop_matrix(center, scale, SIZE, udp), points)
    stretch = np.array([192 / 191, 256 / 255]) if udp else np.ones(2)
    np.testing.assert_allclose(
        input_to_image((crop_pixels * stretch)[None], center[None], scale[None], SIZE)[0],
        points,
        atol=1e-3,
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_input_to_image_keeps_the_dtype(dtype):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(0, 192, (5, 17, 2)).astype(dtype)
    corner = rng.uniform(0, 300, (5, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 300, (5, 2))], axis=1)
    center, scale = boxes_to_center_scale(boxes, SIZE, 1.25)
    image = input_to_image(keypoints, center, scale, SIZE)
    assert image.dtype == dtype
    x = np.float64(keypoints[2, 3, 0]) / 192 * scale[2, 0] + center[2, 0] - scale[2, 0] / 2
    assert image[2, 3, 0] == pytest.approx(x, abs=1e-4)


def matrix_by_mmpose(center, scale, size: InputSize, udp: bool):
    """Return the map of one box as MMPose 1.3.2 makes it, number by number."""
    if udp:
        factor = np.array([size.width - 1, size.height - 1]) / scale.astype(np.float64)
        offset = factor * (-center.astype(np.float64) + 0.5 * scale.astype(np.float64))
        matrix = np.concatenate([np.diag(factor), offset[:, None]], axis=1)
        return matrix.astype(np.float32)
    source = np.empty((3, 2), dtype=np.float32)
    source[0] = center
    source[1] = center[0] - 0.5 * np.float64(scale[0]), center[1]
    source[2] = source[1, 0], source[1, 1] + (source[0, 0] - source[1, 0])
    half_width, half_height = size.width / 2, size.height / 2
    target = [[half_width, half_height], [0, half_height], [0, half_height + half_width]]
    return cv2.getAffineTransform(source, np.array(target, dtype=np.float32))


def boxes_of_all_kinds(rng: np.random.Generator):
    corner, extent = rng.uniform(-300, 900, (50, 2)), rng.uniform(0, 600, (50, 2))
    whole = rng.integers(-5, 30, (40, 4))
    odd = rng.choice([0, -0.0, 1, 5, 320, 1e-30, 1e30, np.nan, np.inf, -np.inf], (60, 4))
    usual = np.concatenate([corner, corner + extent], axis=1)
    return np.concatenate([usual, whole, odd]).astype(np.float32)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("padding", [1.0, 1.25])
@pytest.mark.parametrize("text", ["64x48", "40x56", "1x1"])
def test_boxes_of_all_kinds_have_the_maps_and_crops_made_one_by_one(text, padding, udp):
    size, boxes = InputSize.parse(text), boxes_of_all_kinds(np.random.default_rng(7))
    with np.errstate(all="ignore"):
        center, scale = boxes_to_center_scale(boxes, size, padding)
        expected = [matrix_by_mmpose(*each, size, udp) for each in zip(center, scale, strict=True)]
    found = crop_matrices(center, scale, size, udp)
    assert found.dtype == expected[0].dtype
    np.testing.assert_array_equal(found, np.stack(expected))
    image = np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    sides = size.width, size.height
    crops = [cv2.warpAffine(image, matrix, sides, flags=cv2.INTER_LINEAR) for matrix in expected]
    np.testing.assert_array_equal(cut_crops([image] * len(boxes), found, size), np.stack(crops))


def test_no_boxes_have_no_maps():
    nothing = np.empty((0, 2), dtype=np.float32)
    assert crop_matrices(nothing, nothing, SIZE, False).shape == (0, 2, 3)
    assert crop_matrices(nothing, nothing, SIZE, True).shape == (0, 2, 3)


def test_where_opencv_rounds_otherwise_its_own_maps_are_taken(monkeypatch):
    solve = cv2.getAffineTransform
    monkeypatch.setattr(cv2, "getAffineTransform", lambda *pair: np.nextafter(solve(*pair), 9))
    affine._is_exact.cache_clear()
    try:
        center, scale = padded_box(10, 20, 100, 200, SIZE)
        found = crop_matrix(center, scale, SIZE, udp=False)
    finally:
        affine._is_exact.cache_clear()
    monkeypatch.undo()
    expected = matrix_by_mmpose(center, scale, SIZE, udp=False)
    np.testing.assert_array_equal(found, np.nextafter(expected, 9))
