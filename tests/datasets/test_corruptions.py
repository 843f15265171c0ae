"""Corruptions: the words, what they do to pixels, and that chance is the same for an image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset, load_annotations
from posebench.datasets.corruptions.applying import CORRUPTIONS, corrupted
from posebench.datasets.corruptions.names import (
    BY_BOXES,
    KINDS,
    LEVELS,
    Corruption,
    parse_corruption,
)
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.rules import ImageReading
from posebench.errors import SpecError

BOXES = np.array([[20.0, 30.0, 60.0, 100.0], [150.0, 10.0, 40.0, 80.0]])


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    """Return a picture with gradients and edges."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (12, 16, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((15, 15, 1), dtype=np.uint8))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("none", None),
        ("blur-3", Corruption("blur", 3)),
        ("occluders-5@7", Corruption("occluders", 5, 7)),
    ],
)
def test_a_text_means_one_corruption(text: str, wanted: Corruption | None) -> None:
    assert parse_corruption(text) == wanted
    assert wanted is None or str(wanted) == text


@pytest.mark.parametrize("text", ["blur", "blur-6", "blur-0", "haze-1", "blur-3@", "blur-3@0", ""])
def test_other_texts_are_refused_with_the_nearest(text: str) -> None:
    with pytest.raises(SpecError):
        parse_corruption(text)


def test_a_slip_of_the_hand_is_understood() -> None:
    with pytest.raises(SpecError) as raised:
        parse_corruption("occluder-3")
    assert "occluders-3" in (raised.value.hint or "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_level_does_more_and_the_same_each_time(kind: str, image: NDArray[np.uint8]) -> None:
    assert set(CORRUPTIONS) == {*KINDS}
    before, changes = image.copy(), []
    for level in LEVELS:
        corruption = Corruption(kind, level)  # type: ignore[arg-type]
        made = corrupted(image, corruption, 5, BOXES)
        assert made.shape == image.shape and made.dtype == np.uint8
        np.testing.assert_array_equal(made, corrupted(image, corruption, 5, BOXES))
        changes.append(float(np.abs(made.astype(float) - image).mean()))
    assert changes == sorted(changes)
    assert changes[0] > 0
    assert changes[-1] > 1.3 * changes[0]
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("kind", ["noise", "fog", "occluders"])
def test_chance_depends_on_seed_and_image(kind: str, image: NDArray[np.uint8]) -> None:
    first = corrupted(image, Corruption(kind, 3), 5, BOXES)  # type: ignore[arg-type]
    other_seed = corrupted(image, Corruption(kind, 3, 1), 5, BOXES)  # type: ignore[arg-type]
    other_image = corrupted(image, Corruption(kind, 3), 6, BOXES)  # type: ignore[arg-type]
    assert (first != other_seed).any()
    assert (first != other_image).any()


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_move_pixels_of_the_kinds_that_are_said_to(
    kind: str, image: NDArray[np.uint8]
) -> None:
    corruption = Corruption(kind, 3)  # type: ignore[arg-type]
    one, other = (corrupted(image, corruption, 5, boxes) for boxes in (BOXES, BOXES[:1]))
    assert (one != other).any() == (kind in BY_BOXES)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["occluders", "truncation"])
def test_a_tenth_of_each_box_per_level_is_hidden(
    kind: str, level: int, image: NDArray[np.uint8]
) -> None:
    made = corrupted(image, Corruption(kind, level), 1, BOXES[:1])  # type: ignore[arg-type]
    changed = (made != image).any(axis=2)
    x, y, w, h = BOXES[0].astype(int)
    inside = changed[y : y + h, x : x + w]
    assert inside.sum() == changed.sum()
    assert inside.mean() == pytest.approx(0.1 * level, abs=0.02)


def test_noise_has_the_deviation_of_its_level() -> None:
    grey = np.full((200, 200, 3), 128, dtype=np.uint8)
    noise = corrupted(grey, Corruption("noise", 1), 1, BOXES).astype(float) - 128
    assert noise.std() == pytest.approx(0.08 * 255, rel=0.02)


def test_a_data_set_gives_corrupted_images_of_its_persons(people: Path) -> None:
    (annotations,) = (people / "annotations").glob("*.json")
    clean = load_annotations(annotations, people / "val")
    dataset: PoseDataset = replace(clean, reading=ImageReading(corruption="truncation-5"))
    boxes = dataset.boxes_of(dataset.images[0].id)
    owner = dataset.images[0].id
    assert len(boxes) == sum(row["image_id"] == owner for row in dataset.persons)
    one, other = dataset_image(clean, 0), dataset_image(dataset, 0)
    wanted = corrupted(one, Corruption("truncation", 5), owner, boxes)
    np.testing.assert_array_equal(other, wanted)
    assert (one != other).any()


def test_the_key_of_kept_predictions_is_as_before_without_a_corruption() -> None:
    assert str(ImageReading("ignore")) == "ImageReading(exif='ignore', allow_resized=False)"
    assert "corruption='blur-3'" in str(ImageReading(corruption="blur-3"))
