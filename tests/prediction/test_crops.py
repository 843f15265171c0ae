from __future__ import annotations

import cv2
import numpy as np
import pytest

from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.crops import crop_image, normalise, resample_crop
from posebench.prediction.geometry import boxes_to_center_scale

SIZE = InputSize(256, 192)


def blob(size: InputSize, at: tuple[float, float], udp: bool, spread: float = 0.05):
    """Draw a bright spot at a fraction of the box, in the crop convention."""
    last = 1 if udp else 0
    x = np.arange(size.width) / (size.width - last)
    y = np.arange(size.height) / (size.height - last)
    profile = np.exp(-((x - at[0]) ** 2 + (y[:, None] - at[1]) ** 2) / (2 * spread**2))
    return np.repeat(np.rint(250 * profile)[..., None], 3, axis=2).astype(np.uint8)


def centroid(crop, udp: bool):
    """Return the fraction of the box at which a spot lies."""
    height, width = crop.shape[:2]
    weight = crop[..., 0].astype(np.float64)
    last = 1 if udp else 0
    x = (weight.sum(axis=0) * np.arange(width)).sum() / weight.sum() / (width - last)
    y = (weight.sum(axis=1) * np.arange(height)).sum() / weight.sum() / (height - last)
    return np.array([x, y])


def test_a_box_that_is_the_whole_image_gives_the_image():
    image = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
    center, scale = boxes_to_center_scale(np.array([[0, 0, 192, 256]]), SIZE, 1.0)
    np.testing.assert_array_equal(crop_image(image, center[0], scale[0], SIZE, False), image)


def test_udp_crop_lays_corner_pixels_on_the_box_corners():
    image = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
    center, scale = boxes_to_center_scale(np.array([[0, 0, 191, 255]]), SIZE, 1.0)
    # 191:255 is not 192:256, so the box is widened a little; its top and bottom stay.
    crop = crop_image(image, center[0], np.array([191, 255], np.float32), SIZE, True)
    np.testing.assert_array_equal(crop, image)
    assert scale[0, 1] == 255


def test_a_crop_is_black_outside_the_image():
    image = np.full((100, 100, 3), 200, dtype=np.uint8)
    center, scale = boxes_to_center_scale(np.array([[50, 0, 150, 100]]), SIZE, 1.25)
    crop = crop_image(image, center[0], scale[0], SIZE, False)
    assert (crop[:, -40:] == 0).all()
    assert (crop[128, 30:60] == 200).all()


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("asked", ["512x384", "384x288", "128x96", "96x72", "192x160"])
def test_resampling_keeps_a_spot_at_its_fraction_of_the_box(asked, udp):
    at = (0.37, 0.58)
    crop = blob(InputSize.parse(asked), at, udp)
    shift = (centroid(resample_crop(crop, SIZE, udp), udp) - at) * [192, 256]
    assert np.abs(shift).max() < 0.02


def test_half_pixel_alignment_would_shift_a_classic_crop():
    crop = blob(InputSize(128, 96), (0.37, 0.58), udp=False)
    resized = cv2.resize(crop, (192, 256), interpolation=cv2.INTER_LINEAR)
    shift = (centroid(resized, udp=False) - (0.37, 0.58)) * [192, 256]
    np.testing.assert_allclose(shift, 0.5, atol=0.02)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("asked", ["512x384", "128x96"])
def test_a_resampled_crop_looks_like_the_crop_cut_at_that_size(asked, udp):
    rng = np.random.default_rng(1)
    noise = cv2.GaussianBlur(rng.uniform(size=(400, 500, 3)), (0, 0), 12)
    image = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    center, scale = boxes_to_center_scale(np.array([[150, 60, 320, 330]]), SIZE, 1.25)
    direct = crop_image(image, center[0], scale[0], SIZE, udp)
    other = crop_image(image, center[0], scale[0], InputSize.parse(asked), udp)
    error = np.abs(resample_crop(other, SIZE, udp).astype(float) - direct)[8:-8, 8:-8]
    half_a_pixel_off = np.abs(direct[8:-8, 9:-7].astype(float) - direct[8:-8, 8:-8]) / 2
    assert error.mean() < 0.5 * half_a_pixel_off.mean()


def test_shrinking_averages_stripes_to_grey_instead_of_aliasing():
    stripes = np.zeros((512, 384, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    middle = resample_crop(stripes, SIZE, False)[:, 2:-2].astype(int)
    assert np.abs(middle - 127.5).max() <= 1
    aliased = cv2.resize(stripes, (192, 256), interpolation=cv2.INTER_NEAREST)
    assert set(np.unique(aliased)) == {255}


def test_resampling_to_the_same_size_changes_nothing():
    crop = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
    assert resample_crop(crop, SIZE, False) is crop


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_normalise_orders_channels_and_divides(channels):
    crops = np.random.default_rng(0).integers(0, 256, (2, 4, 3, 3), dtype=np.uint8)
    spec = CropSpec(channels=channels, mean=(10.5, 20.25, 30.125), std=(3.1, 4.2, 5.3))
    result = normalise(crops, spec)
    assert result.shape == (2, 3, 4, 3)
    assert result.dtype == np.float32
    for channel in range(3):
        source = 2 - channel if channels == "rgb" else channel
        value = np.float32(crops[1, 2, 0, source])
        mean, std = np.float32(spec.mean[channel]), np.float32(spec.std[channel])
        assert result[1, channel, 2, 0] == (value - mean) / std
