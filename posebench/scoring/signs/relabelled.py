"""Causes that move poses elsewhere: swapped sides or axes, whole pixels, other image ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.scoring.matching.detections import Detections
from posebench.scoring.signs.linear import Undone
from posebench.scoring.signs.paired import nearest_pairs
from posebench.scoring.signs.sign import ReadFile


def relabelled(dataset: PoseDataset, one: ReadFile, other: ReadFile) -> Iterator[Undone]:
    """Yield causes that leave the numbers as they are and move them elsewhere."""
    theirs = other.columns.detections
    order = list(dataset.keypoints.flip_indices)
    swapped = replace(
        theirs,
        keypoints=theirs.keypoints[:, order],
        keypoint_scores=theirs.keypoint_scores[:, order],
    )
    yield Undone("left and right", f"{other.name} has left and right swapped", swapped)
    turned = replace(theirs, keypoints=theirs.keypoints[..., ::-1])
    yield Undone("x and y", f"{other.name} has x and y swapped", turned)
    yield from _whole_pixels(one, other)
    yield from _renamed_images(one, other)


def _whole_pixels(one: ReadFile, other: ReadFile) -> Iterator[Undone]:
    """Yield what becomes of poses if one file alone has whole pixels, rounded or cut off."""
    own, theirs = one.columns.detections, other.columns.detections
    files = one.name, other.name
    are_whole = [np.array_equal(each.keypoints, np.rint(each.keypoints)) for each in (own, theirs)]
    if are_whole[0] == are_whole[1]:
        return
    said = "{} has whole pixels alone, {} has fractions"
    for whole in (np.rint, np.trunc):
        if are_whole[0]:
            yield Undone("rounding", said.format(*files), _moved(theirs, whole(theirs.keypoints)))
            continue
        pairs = nearest_pairs(own, theirs)
        poses, exact = theirs.keypoints.copy(), own.keypoints[pairs.one]
        rounded = whole(exact) == poses[pairs.other]
        poses[pairs.other] = np.where(rounded, exact, poses[pairs.other])
        yield Undone("rounding", said.format(*files[::-1]), _moved(theirs, poses))


def _moved(poses: Detections, keypoints: NDArray[np.float64]) -> Detections:
    return replace(poses, keypoints=keypoints)


def _renamed_images(one: ReadFile, other: ReadFile) -> Iterator[Undone]:
    """Yield what becomes of poses if they belong to the images that the first file has them in."""
    own, theirs = one.columns.detections, other.columns.detections
    if not len(own) or not len(theirs):
        return
    ids = np.unique(own.image_ids)
    shift = int(theirs.image_ids.min() - own.image_ids.min())
    if shift:
        text = f"the image ids of {other.name} are those of {one.name} {shift:+d}"
        yield Undone("image ids", text, replace(theirs, image_ids=theirs.image_ids - shift))
    for step in (-1, 1):
        place = np.searchsorted(ids, theirs.image_ids) + step
        known = np.isin(theirs.image_ids, ids) & (place >= 0) & (place < len(ids))
        moved = np.where(known, ids[np.clip(place, 0, len(ids) - 1)], theirs.image_ids)
        where = "after" if step < 0 else "before"
        text = f"{other.name} has each pose one image {where} that of {one.name}"
        yield Undone("image ids", text, replace(theirs, image_ids=moved))
    if len(own) == len(theirs):
        text = f"the image ids of {other.name} do not belong to its poses"
        poses = _by_equal_poses(own, theirs)
        if poses is not None:
            yield Undone("image ids", text, poses)


def _by_equal_poses(own: Detections, theirs: Detections) -> Detections | None:
    """Return poses under the image ids that equal poses have in the first file."""
    keys = [np.round(each.keypoints.reshape(len(each), -1), 1) for each in (own, theirs)]
    images = {row.tobytes(): image for row, image in zip(keys[0], own.image_ids, strict=True)}
    rows = zip(keys[1], theirs.image_ids, strict=True)
    found = [images.get(row.tobytes(), image) for row, image in rows]
    moved = np.array(found, dtype=np.int64)
    return None if np.array_equal(moved, theirs.image_ids) else replace(theirs, image_ids=moved)
