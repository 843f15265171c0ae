"""Crops cut, resampled and normalised on a device: `crops` in torch, with the same numbers.

OpenCV 4's bilinear `warpAffine` computes in integers (`imgproc/src/imgwarp.cpp`): places in
1/1024 pixel, of which 5 bits of fraction are kept, and weights in 1/1024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.crops import Taps, resampling_taps
from posebench.prediction.devices import to_device

# Fixed point: the bits of fraction that places are rounded to, and how many of them are kept.
PLACE_BITS, FRACTION_BITS = 10, 5
FRACTIONS = 1 << FRACTION_BITS
# Crops are made in portions of this many pixels; a pixel takes about 150 bytes meanwhile.
MAX_PIXELS = 1 << 21
# Black pixels laid around an image, so that a sample off the border reads only black ones.
MARGIN = 2


def warp_crops(
    images: Sequence[Tensor], matrices: NDArray[np.floating[Any]], size: InputSize
) -> Tensor:
    """Return crops (N, H, W, 3) uint8 of `images`, one (h, w, 3) uint8 for each of N boxes.

    All images and the crops are on one device. An image is listed once for each of its boxes, and
    copied once if these are the same tensor.

    `matrices` (N, 2, 3) are those of `geometry.crop_matrix`. The crops equal
    `cv2.warpAffine(image, matrix, (W, H), flags=INTER_LINEAR)` bit for bit (OpenCV 4.11 to 4.13 on
    x86-64), for images of up to 32 766 pixels a side.
    """
    device = images[0].device
    pixels, layout = _joined(images)
    places = sample_places(np.asarray(matrices, dtype=np.float64), size)
    crops = torch.empty((len(images), size.height, size.width, 3), dtype=torch.uint8, device=device)
    for rows in _portions(len(images), size):
        crops[rows] = sampled_crops(
            pixels, to_device(layout[rows], device), to_device(places[rows], device), size
        )
    return crops


def resample_crops(crops: Tensor, size: InputSize, udp: bool) -> Tensor:
    """Return crops (N, h, w, 3) uint8 resampled to `size`.

    Equals `crops.resample_crop` bit for bit, on any device.
    """
    height, width = crops.shape[1:3]
    if (height, width) == (size.height, size.width):
        return crops
    rows = _resampled(crops, resampling_taps(height, size.height, udp), axis=1)
    result = _resampled(rows, resampling_taps(width, size.width, udp), axis=2)
    return result.round().clamp(0, 255).to(torch.uint8)


def normalise_tensor(crops: Tensor, crop: CropSpec) -> Tensor:
    """Return the network's input (N, 3, H, W), channels-last, from BGR crops (N, H, W, 3) uint8.

    Equals `crops.normalise` bit for bit, on any device.
    """
    ordered = _channels_reversed(crops) if crop.channels == "rgb" else crops
    # As rows of pixels: in-place operations on three channels at a time are 10 times slower.
    rows = ordered.flatten(2).float()
    rows -= _tiled(crop.mean, crops)
    rows /= _tiled(crop.std, crops)
    return rows.view(crops.shape).permute(0, 3, 1, 2)


def _resampled(pixels: Tensor, taps: Taps, axis: Literal[1, 2]) -> Tensor:
    """Return pixels (N, h, w, 3) resampled along one axis, in float32."""
    shape = (-1, 1, 1) if axis == 1 else (-1, 1)
    places, weights = (to_device(part, pixels.device) for part in taps)
    total = torch.zeros((), device=pixels.device)
    for place, weight in zip(places, weights, strict=True):
        # Two operations: a fused one would round differently from numpy.
        total = total + pixels.index_select(axis, place) * weight.view(shape)
    return total


def _channels_reversed(crops: Tensor) -> Tensor:
    if crops.device.type != "cpu":
        return crops.flip(-1)
    # On a CPU torch's flip takes 25 times as long as this, longer than all the rest.
    image = crops.flatten(0, 1).numpy()
    return torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).view(crops.shape)


def _tiled(constants: tuple[float, float, float], crops: Tensor) -> Tensor:
    """Return three constants, repeated for each pixel in a row of crops (N, H, W, 3)."""
    return to_device(np.tile(np.array(constants, dtype=np.float32), crops.shape[2]), crops.device)


def _joined(images: Sequence[Tensor]) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the pixels (P, 3) of all distinct images, with margins, and a layout (N, 4) per box.

    The layout is the first pixel and the pixels per row of the box's image, margins included, and
    the image's width and height without them.
    """
    distinct: dict[int, tuple[int, int, int, int]] = {}
    flat, first = [], 0
    for image in images:
        if id(image) not in distinct:
            height, width = image.shape[:2]
            padded = functional.pad(image, (0, 0, MARGIN, MARGIN, MARGIN, MARGIN)).flatten(0, 1)
            distinct[id(image)] = (first, width + 2 * MARGIN, width, height)
            flat.append(padded)
            first += len(padded)
    return torch.cat(flat), np.array([distinct[id(image)] for image in images], dtype=np.int64)


def sample_places(matrices: NDArray[np.float64], size: InputSize) -> NDArray[np.int32]:
    """Return (N, 2, H + W): what each row and each column of a crop adds to the place sampled.

    The unit is 1/1024 pixel of the image, x then y. Computed in float64 and in OpenCV's order,
    because places half-way between two fractions are common.
    """
    a, b, c, d, e, f = np.moveaxis(matrices.reshape(-1, 6, 1), 1, 0)
    rows, columns = np.arange(size.height), np.arange(size.width)
    # Boxes without area have matrices that are singular or not finite.
    with np.errstate(all="ignore"):
        determinant = a * e - b * d
        inverse = np.where(determinant != 0, 1 / determinant, 0)
        xx, xy, yx, yy = e * inverse, b * -inverse, d * -inverse, a * inverse
        x0, y0 = -xx * c - xy * f, -yx * c - yy * f
        by_row = np.stack([xy * rows + x0, yy * rows + y0], axis=1)
        by_column = np.stack([xx * columns, yx * columns], axis=1)
        rounded = np.rint(np.concatenate([by_row, by_column], axis=2) * (1 << PLACE_BITS))
        # A number that does not fit becomes the lowest one, as in the processor's own conversion.
        places = np.where(np.abs(rounded) < 2**31, rounded, -(2**31)).astype(np.int32)
    places[..., : size.height] += 1 << (PLACE_BITS - FRACTION_BITS - 1)
    return places


def _portions(count: int, size: InputSize) -> Iterator[slice]:
    step = max(1, MAX_PIXELS // (size.height * size.width))
    for start in range(0, count, step):
        yield slice(start, start + step)


def sampled_crops(pixels: Tensor, layout: Tensor, places: Tensor, size: InputSize) -> Tensor:
    """Return crops (N, H, W, 3) from pixels (P, 3), `layout` (N, 4), places (N, 2, H + W)."""
    # Sums that overflow wrap around, as OpenCV's do.
    place = places[:, :, : size.height, None] + places[:, :, None, size.height :]
    place >>= PLACE_BITS - FRACTION_BITS
    weights = (place & (FRACTIONS - 1))[..., None]
    first, stride, width, height = (part.view(-1, 1, 1) for part in layout.unbind(1))
    cell = place >> FRACTION_BITS
    column = cell[:, 0].clamp(-MARGIN).minimum(width) + MARGIN
    row = cell[:, 1].clamp(-MARGIN).minimum(height) + MARGIN
    index = first + row * stride + column
    top = _between(pixels, index, weights[:, 0])
    bottom = _between(pixels, index + stride, weights[:, 0])
    total = top * (FRACTIONS - weights[:, 1]) + bottom * weights[:, 1]
    return ((total + FRACTIONS**2 // 2) >> (2 * FRACTION_BITS)).to(torch.uint8)


def _between(pixels: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Return pixels at `index` and at the next, weighted in 1/32; int32 (..., 3)."""
    left, right = (
        pixels.index_select(0, (index + step).flatten()).view(*index.shape, 3) for step in (0, 1)
    )
    return left * (FRACTIONS - weight) + right * weight
