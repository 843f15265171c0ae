"""Crops cut, resampled and normalised on a device: `crops` in torch, with the same numbers.

OpenCV 4's bilinear `warpAffine` computes in integers (`imgproc/src/imgwarp.cpp`): places in
1/1024 pixel, of which 5 bits of fraction are kept, and weights in 1/1024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.crops import resampling_taps
from posebench.prediction.devices import Uploader, to_device

# Fixed point: the bits of fraction that places are rounded to, and how many of them are kept.
PLACE_BITS, FRACTION_BITS = 10, 5
FRACTIONS = 1 << FRACTION_BITS
# Crops are made in portions of this many pixels; a pixel takes about 150 bytes meanwhile.
MAX_PIXELS = 1 << 21
# Black pixels laid around an image, so that a sample off the border reads only black ones.
MARGIN = 2


@dataclass(frozen=True)
class ImagePixels:
    """The pixels (P, 3) uint8 of several images one after the other, each with black margins.

    `layout` (N, 4) says for each of N boxes the first pixel and the pixels per row of its image,
    margins included, and the image's width and height without them.
    """

    pixels: Tensor
    layout: NDArray[np.int64]


class UploadedImages:
    """Images on their way to a device, in one copy."""

    def __init__(self, images: Sequence[NDArray[np.uint8]], uploader: Uploader) -> None:
        """Start to copy `images` (h, w, 3), one for each of N boxes, the same array once."""
        pixels, self._layout = _joined(images, uploader)
        self._uploaded = uploader.upload(pixels)

    def receive(self) -> ImagePixels:
        """Return the images; the current stream waits for them, the calling thread does not."""
        return ImagePixels(self._uploaded.receive(), self._layout)


def warp_crops(images: ImagePixels, matrices: NDArray[np.floating[Any]], size: InputSize) -> Tensor:
    """Return crops (N, H, W, 3) uint8 of N boxes, on the device of their images.

    `matrices` (N, 2, 3) are those of `geometry.crop_matrices`. The crops equal
    `cv2.warpAffine(image, matrix, (W, H), flags=INTER_LINEAR)` bit for bit (OpenCV 4.11 to 4.13 on
    x86-64), for images of up to 32 766 pixels a side.
    """
    pixels, device = images.pixels, images.pixels.device
    layout = to_device(images.layout, device)
    places = to_device(sample_places(np.asarray(matrices, dtype=np.float64), size), device)
    crops = torch.empty((len(layout), size.height, size.width, 3), dtype=torch.uint8, device=device)
    for rows in _portions(len(layout), size):
        crops[rows] = sampled_crops(pixels, layout[rows], places[rows], size)
    return crops


def resample_crops(crops: Tensor, size: InputSize, udp: bool) -> Tensor:
    """Return crops (N, h, w, 3) uint8 resampled to `size`.

    Equals `crops.resample_crop` bit for bit, on any device.
    """
    height, width = crops.shape[1:3]
    if (height, width) == (size.height, size.width):
        return crops
    rows = _resampled(crops, _taps_on(height, size.height, udp, crops.device), axis=1)
    result = _resampled(rows, _taps_on(width, size.width, udp, crops.device), axis=2)
    return result.round().clamp(0, 255).to(torch.uint8)


def normalise_tensor(crops: Tensor, crop: CropSpec) -> Tensor:
    """Return the network's input (N, 3, H, W), channels-last, from BGR crops (N, H, W, 3) uint8.

    Equals `crops.normalise` bit for bit, on any device.
    """
    ordered = _channels_reversed(crops) if crop.channels == "rgb" else crops
    # As rows of pixels: in-place operations on three channels at a time are 10 times slower.
    rows = ordered.flatten(2).float()
    rows -= _tiled(crop.mean, crops.shape[2], crops.device)
    rows /= _tiled(crop.std, crops.shape[2], crops.device)
    return rows.view(crops.shape).permute(0, 3, 1, 2)


def _resampled(pixels: Tensor, taps: tuple[Tensor, Tensor], axis: Literal[1, 2]) -> Tensor:
    """Return pixels (N, h, w, 3) resampled along one axis, in float32."""
    shape = (-1, 1, 1) if axis == 1 else (-1, 1)
    total = torch.zeros((), device=pixels.device)
    for place, weight in zip(*taps, strict=True):
        # Two operations: a fused one would round differently from numpy.
        total = total + pixels.index_select(axis, place) * weight.view(shape)
    return total


def _channels_reversed(crops: Tensor) -> Tensor:
    if crops.device.type != "cpu":
        return crops.flip(-1)
    # On a CPU torch's flip takes 25 times as long as this, longer than all the rest.
    image = crops.flatten(0, 1).numpy()
    return torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).view(crops.shape)


@lru_cache(maxsize=64)
def _tiled(constants: tuple[float, float, float], count: int, device: torch.device) -> Tensor:
    """Return three constants, repeated `count` times."""
    return to_device(np.tile(np.array(constants, dtype=np.float32), count), device)


@lru_cache(maxsize=64)
def _taps_on(old: int, new: int, udp: bool, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `resampling_taps` on a device."""
    places, weights = resampling_taps(old, new, udp)
    return to_device(places, device), to_device(weights, device)


def _joined(
    images: Sequence[NDArray[np.uint8]], uploader: Uploader
) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the pixels and the layout of `ImagePixels`, not uploaded yet."""
    distinct = {id(image): image for image in images}
    sides = np.array([image.shape[:2] for image in distinct.values()], dtype=np.int64)
    heights, widths = sides.T
    counts = (sides + 2 * MARGIN).prod(axis=1)
    firsts = counts.cumsum() - counts
    pixels = uploader.pixels(int(counts.sum()))
    places = pixels.numpy()
    for image, first, count in zip(distinct.values(), firsts, counts, strict=True):
        height, width = image.shape[:2]
        with_margins = places[first : first + count].reshape(-1, width + 2 * MARGIN, 3)
        with_margins[MARGIN : MARGIN + height, MARGIN : MARGIN + width] = image
    rows = np.stack([firsts, widths + 2 * MARGIN, widths, heights], axis=1)
    numbers = {image: number for number, image in enumerate(distinct)}
    return pixels, rows[[numbers[id(image)] for image in images]]


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
