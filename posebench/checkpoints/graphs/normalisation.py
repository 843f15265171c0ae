"""Derive, from what a graph does to pixels, how its crops must be made, or ask the user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from posebench.checkpoints.findings import Finding
from posebench.checkpoints.graphs.graphs import GraphInput
from posebench.checkpoints.graphs.pixels import Pixels
from posebench.errors import CheckpointError
from posebench.networks.spec import IMAGENET_MEAN, IMAGENET_STD

Range = Literal["as it is", "0-255", "0-1", "unknown"]
_SCALE = ("crop.mean", "crop.std")
_FULL = 255.0
# Usual means and deviations of pixels, as fractions of their range; a plain scale has neither.
_MEANS, _DEVIATIONS = (0.15, 0.85), (0.08, 1.01)
# Fraction of the range; rounding to 8 bits moves ImageNet's means by less.
_NEAR = 0.004
_STRAIGHT, _TURNED = (0, 1, 2), (2, 1, 0)


def crop_findings(
    pixels: Pixels, taken: GraphInput, told: Iterable[Finding], *, where: str
) -> tuple[Finding, ...]:
    """Return the channels, mean and std of a graph's crops, as far as it fixes them.

    `told` are findings from `--spec` or from beside the file. Raises `CheckpointError` if the graph
    leaves something open that was not told, which the message asks for, or if `told` contradicts
    the graph.
    """
    said = {found.field: found for found in told}
    scaled = _range(pixels, taken)
    told_scale, told_channels = said.keys() >= set(_SCALE), "crop.channels" in said
    if scaled == "unknown":
        if not told_scale:
            raise _question(where, pixels.problem or f"changes its input ({_shown(pixels)})")
        return ()
    findings = _scale(pixels, scaled)
    if findings:
        _check_said(findings, said, taken, where)
    by_mean = _colour_order(pixels, scaled)
    if by_mean is not None:
        why = "the means that the graph subtracts are ImageNet's of red, green and blue"
        return (*findings, Finding("crop.channels", by_mean, why))
    if pixels.order == _TURNED and not told_channels:
        raise _question(where, "turns the order of its input's channels round")
    if pixels.order not in (_STRAIGHT, _TURNED) and not (told_channels and told_scale):
        raise _question(where, "rearranges the channels of its input")
    if pixels.order == _TURNED and not findings and said["crop.channels"].value == "bgr":
        why = "assumed: ImageNet's, by colour, as the graph turns the channels round"
        crop = {"crop.mean": IMAGENET_MEAN[::-1], "crop.std": IMAGENET_STD[::-1]}
        return tuple(Finding(name, value, why) for name, value in crop.items())
    return findings


def _range(pixels: Pixels, taken: GraphInput) -> Range:
    """Return the range of values that a graph's own scaling is meant for."""
    if pixels.problem:
        return "unknown"
    mean, std = np.asarray(pixels.mean), np.asarray(pixels.std)
    plain = bool((np.abs(mean) < _NEAR).all())
    if plain and bool((np.abs(std - 1) < _NEAR).all()):
        return "0-255" if taken.dtype is np.uint8 else "as it is"
    for full in (_FULL, 1.0):
        centred = bool(((mean > _MEANS[0] * full) & (mean < _MEANS[1] * full)).all())
        spread = bool(((std > _DEVIATIONS[0] * full) & (std < _DEVIATIONS[1] * full)).all())
        # Networks from Caffe's time subtract a mean without dividing.
        spread = spread or bool((np.abs(std - 1) < _NEAR).all())
        scales = plain and full > 1 and bool((np.abs(std / full - 1) < _NEAR).all())
        if (centred and spread) or scales:
            return "0-255" if full > 1 else "unknown" if taken.dtype is np.uint8 else "0-1"
    return "unknown"


def _scale(pixels: Pixels, scaled: Range) -> tuple[Finding, ...]:
    """Return the mean and std that are left to apply before the graph."""
    if scaled == "as it is":
        return ()
    std = 1.0 if scaled == "0-255" else _FULL
    nothing = Pixels().mean, Pixels().std
    if (pixels.mean, pixels.std) == nothing:
        why = "the graph takes bytes, pixels as they are"
    else:
        why = f"the graph normalises pixels {scaled} itself: {_shown(pixels)}"
    return (Finding("crop.mean", (0.0,) * 3, why), Finding("crop.std", (std,) * 3, why))


def _shown(pixels: Pixels) -> str:
    mean, std = ((f"{value:.6g}" for value in values) for values in (pixels.mean, pixels.std))
    return f"(x - [{', '.join(mean)}]) / [{', '.join(std)}]"


def _colour_order(pixels: Pixels, scaled: Range) -> Literal["rgb", "bgr"] | None:
    """Return the order of the input's channels if the subtracted means reveal it."""
    if scaled not in ("0-255", "0-1"):
        return None
    mean = np.asarray(pixels.mean) * (_FULL if scaled == "0-1" else 1.0)
    if np.allclose(mean, IMAGENET_MEAN, rtol=0, atol=_NEAR * _FULL):
        return "rgb"
    return "bgr" if np.allclose(mean, IMAGENET_MEAN[::-1], rtol=0, atol=_NEAR * _FULL) else None


def _check_said(
    findings: Iterable[Finding], said: Mapping[str, Finding], taken: GraphInput, where: str
) -> None:
    """Raise `CheckpointError` if crops would be normalised twice, or crops of bytes at all.

    Only `--spec` may ask for a second normalisation.
    """
    for found in findings:
        other = said.get(found.field)
        if other is None or np.allclose(_floats(other.value), _floats(found.value)):
            continue
        if taken.dtype is np.uint8:
            raise CheckpointError(
                f"{other.why} gives {where} a {found.field} of {other.value}, but it takes bytes.",
                hint="Crops of bytes are pixels as they are: mean 0 and std 1.",
            )
        if not other.why.startswith("--spec"):
            raise CheckpointError(
                f"{other.why} says {found.field} {other.value}, but in {where} {found.why}.",
                hint=_hint(),
            )


def _floats(value: Any) -> Any:
    return np.asarray(value, dtype=np.float64)


def _question(where: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{where} {what} before its first layer, so its file does not say how crops must be"
        " normalised and in which order their channels come.",
        hint=_hint(),
    )


def _hint() -> str:
    return (
        "Say with --spec FILE.yaml what is left to do before the graph, for example\n"
        "    crop: {channels: rgb, mean: [0, 0, 0], std: [1, 1, 1]}\n"
        "for a graph that takes red, green, blue pixels 0-255 and normalises them itself, or\n"
        "    crop: {channels: bgr, mean: [103.53, 116.28, 123.675], std: [57.375, 57.12, 58.395]}\n"
        "for one that takes normalised crops in the order blue, green, red."
    )
