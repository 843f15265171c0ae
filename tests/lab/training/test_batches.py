from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_runs import SIZE, rendered_store, store_of, tiny_recipe, without_augmentation

from posebench.datasets.boxes import BoxChange, changed_boxes
from posebench.datasets.keypoints import COCO
from posebench.lab.training.batches import cut_batch
from posebench.lab.training.plans import batch_plans
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.crops import crop_image, normalise
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.suites.recipe import Augmentation

# One colour (blue, green, red) for each dot, so that a dot tells which keypoint it is.
DOTS = {5: (250, 0, 0), 6: (0, 250, 0), 9: (0, 0, 250), 16: (250, 250, 0), 0: (250, 0, 250)}
PLACES = {5: (150, 100), 6: (110, 100), 9: (160, 160), 16: (115, 240), 0: (130, 60)}


@pytest.fixture(scope="module")
def store():
    return rendered_store(3)


@pytest.fixture(scope="module")
def dotted_store():
    """Return a black picture of one person with a coloured disc on five keypoints."""
    image = np.zeros((300, 260, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:300, :260]
    keypoints = np.zeros((17, 3), dtype=np.float32)
    for index, (x, y) in PLACES.items():
        image[(columns - x) ** 2 + (rows - y) ** 2 <= 8**2] = DOTS[index]
        keypoints[index] = x, y, 2
    person = SimpleNamespace(bbox_xywh=(90, 40, 90, 220), keypoints=keypoints)
    return store_of([image], [(0, person)] * 4)


def batches(store, recipe, first_step=0):
    """Return plans with their crops: pixels (N, H, W, 3) of whole values, BGR."""
    plain = CropSpec(recipe.model.crop.padding, channels="bgr", mean=(0,) * 3, std=(1,) * 3)
    return [
        SimpleNamespace(
            **vars(plan), crops=cut_batch(store, plan, plain).permute(0, 2, 3, 1).numpy()
        )
        for plan in batch_plans(store, recipe, first_step)
    ]


def assert_equal(one, other):
    for name in ("crops", "keypoints", "visible"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_both_models_of_a_pair_see_the_same_batches(store):
    pairs = zip(
        batches(store, tiny_recipe("heatmap", 5)),
        batches(store, tiny_recipe("simcc", 5)),
        strict=True,
    )
    for one, other in pairs:
        assert_equal(one, other)


def test_batches_do_not_depend_on_where_a_run_goes_on(store):
    recipe = tiny_recipe("simcc", 7)
    whole = batches(store, recipe)
    assert len(whole) == 7
    assert whole[0].crops.shape == (8, SIZE.height, SIZE.width, 3)
    for first in (1, 4, 6, 7):
        rest = batches(store, recipe, first)
        assert len(rest) == 7 - first
        for one, other in zip(whole[first:], rest, strict=True):
            assert_equal(one, other)


def test_samples_do_not_depend_on_the_batch_size(store):
    recipe = tiny_recipe("simcc", 5)
    halves = replace(recipe, optimisation=replace(recipe.optimisation, batch_size=4))
    assert halves.steps == 2 * recipe.steps
    for name in ("crops", "keypoints", "visible"):
        whole = np.concatenate([getattr(batch, name) for batch in batches(store, recipe)])
        split = np.concatenate([getattr(batch, name) for batch in batches(store, halves)])
        np.testing.assert_array_equal(whole, split)


def test_another_seed_gives_other_batches(store):
    recipe = tiny_recipe("simcc", 1)
    (one,), (other,) = batches(store, recipe), batches(store, replace(recipe, seed=1))
    assert not np.array_equal(one.crops, other.crops)


def with_model(recipe, **changes):
    return replace(recipe, model=replace(recipe.model, **changes))


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_without_augmentation_inputs_are_those_of_an_evaluation(store, udp, channels):
    crop = CropSpec(udp=udp, channels=channels)
    recipe = with_model(without_augmentation(tiny_recipe("simcc", 1)), crop=crop)
    (plan,) = batch_plans(store, recipe, 0)
    found = cut_batch(store, plan, crop).numpy()
    center, scale = boxes_to_center_scale(store.bbox_xyxy[plan.persons], SIZE, crop.padding)
    crops = [
        crop_image(store.image(person), center[row], scale[row], SIZE, udp)
        for row, person in enumerate(plan.persons)
    ]
    # Matrices in float32, or solved for, differ by 1/32 pixel now and then.
    off = np.abs(found - normalise(np.stack(crops), crop))
    assert off.mean() < 2e-3
    labelled = store.keypoints[plan.persons][..., :2]
    fraction = (labelled - (center - scale / 2)[:, None]) / scale[:, None]
    np.testing.assert_allclose(plan.keypoints, fraction * (SIZE.width, SIZE.height), atol=1e-3)


def test_crops_beside_their_people_are_those_of_moved_boxes(store):
    recipe = without_augmentation(tiny_recipe("simcc", 1))
    beside = replace(recipe.augmentation, offset=(0.25, 0.25), scale=(1.5, 1.5))
    (plan,) = batch_plans(store, replace(recipe, augmentation=beside), 0)
    moved = replace(store, bbox_xyxy=changed_boxes(store.bbox_xyxy, BoxChange((0.25, 0.25), 1.5)))
    (expected,) = batch_plans(moved, recipe, 0)
    np.testing.assert_allclose(plan.matrices, expected.matrices, atol=1e-4)
    np.testing.assert_allclose(plan.keypoints, expected.keypoints, atol=1e-3)


def test_an_offset_changes_nothing_else_that_is_drawn(store):
    recipe = tiny_recipe("simcc", 3)
    beside = replace(recipe, augmentation=replace(recipe.augmentation, offset=(0.3, 0.2)))
    for one, other in zip(
        batch_plans(store, recipe, 0), batch_plans(store, beside, 0), strict=True
    ):
        for name in ("persons", "visible", "gain", "offset"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        # Turned, scaled and mirrored alike.
        np.testing.assert_allclose(one.matrices[:, :, :2], other.matrices[:, :, :2], atol=1e-6)
        # People lie towards the corner; where a crop is mirrored, towards the other one.
        left = np.sign(other.matrices[:, 0, 2] - one.matrices[:, 0, 2])
        upright = np.abs(one.matrices[:, 0, 1]) < 1e-9
        mirrored = one.matrices[upright, 0, 0] < 0
        np.testing.assert_array_equal(left[upright], np.where(mirrored, 1, -1))


@pytest.mark.parametrize("udp", [False, True])
def test_a_mirrored_crop_is_the_mirror_image(store, udp):
    recipe = with_model(without_augmentation(tiny_recipe("simcc", 1)), crop=CropSpec(udp=udp))
    mirrors = replace(recipe.augmentation, flip_probability=1.0)
    (plain,), (mirrored,) = (
        batches(store, recipe),
        batches(store, replace(recipe, augmentation=mirrors)),
    )
    off = np.abs(plain.crops[:, :, ::-1] - mirrored.crops)
    assert off.mean() < 0.5
    last = SIZE.width if udp else SIZE.width - 1
    expected = plain.keypoints[:, list(COCO.flip_indices)] * (-1, 1) + (last, 0)
    np.testing.assert_allclose(mirrored.keypoints, expected, atol=1e-4)


def test_sizes_are_drawn_from_seed_and_step(store):
    recipe = replace(tiny_recipe("heatmap", 40), train_sizes=(1.0, 0.75, 1.5))
    sizes = [plan.size for plan in batch_plans(store, recipe, 0)]
    assert sizes == [plan.size for plan in batch_plans(store, replace(recipe, pair="other"), 0)]
    assert sizes[7:] == [plan.size for plan in batch_plans(store, recipe, 7)]
    assert set(sizes) == {SIZE, InputSize(48, 36), InputSize(96, 72)}
    other = [plan.size for plan in batch_plans(store, replace(recipe, seed=1), 0)]
    assert sizes != other


def test_crops_of_another_size_show_the_same(store):
    recipe = tiny_recipe("heatmap", 1)
    (own,) = batch_plans(store, recipe, 0)
    (double,) = batch_plans(store, replace(recipe, train_sizes=(2.0,)), 0)
    np.testing.assert_array_equal(own.persons, double.persons)
    # The middle of the crop stays, up to half a pixel of mirrored ones.
    off = double.keypoints / 2 - own.keypoints
    assert np.abs(off).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(own.gain, double.gain)


def test_every_person_comes_once_an_epoch(store):
    persons = len(store)
    recipe = without_augmentation(tiny_recipe("simcc", steps=persons))
    rows = np.concatenate([batch.keypoints for batch in batches(store, recipe)])
    epochs = rows.reshape(8, persons, -1)
    for epoch in epochs:
        assert len(np.unique(epoch, axis=0)) == persons
    assert len(np.unique(epochs.reshape(8, -1), axis=0)) > 1


def centroid(crop, colour):
    """Return where the disc of `colour` is, weighing pixels by how much of it they hold."""
    lit = np.array(colour) > 0
    share = crop.astype(float)[..., lit].min(axis=-1) - crop.astype(float)[..., ~lit].max(axis=-1)
    share = np.clip(share, 0, None)
    rows, columns = np.mgrid[: crop.shape[0], : crop.shape[1]]
    return np.array([(columns * share).sum(), (rows * share).sum()]) / share.sum()


@pytest.mark.parametrize("flip", [0.0, 1.0], ids=["as is", "flipped"])
@pytest.mark.parametrize("turned", [False, True], ids=["still", "turned"])
def test_keypoints_land_on_what_they_label(dotted_store, flip, turned):
    recipe = tiny_recipe("simcc", 5)
    still = without_augmentation(recipe).augmentation
    moving = replace(Augmentation(), rotation_probability=1.0, brightness=0.0, contrast=0.0)
    augmentation = replace(moving if turned else still, flip_probability=flip)
    mirrored = COCO.flip_indices if flip else tuple(range(17))
    checked = 0
    for batch in batches(dotted_store, replace(recipe, augmentation=augmentation)):
        for crop, keypoints, visible in zip(
            batch.crops, batch.keypoints, batch.visible, strict=True
        ):
            assert sorted(np.flatnonzero(visible)) == sorted(mirrored[index] for index in DOTS)
            for index, colour in DOTS.items():
                x, y = keypoints[mirrored[index]]
                # A disc that the crop's edge cuts has its centre elsewhere.
                if 4 < x < SIZE.width - 5 and 4 < y < SIZE.height - 5:
                    np.testing.assert_allclose(centroid(crop, colour), (x, y), atol=0.25)
                    checked += 1
    assert checked > 100


def test_light_changes_pixels_but_no_keypoint(store):
    recipe = without_augmentation(tiny_recipe("simcc", 1))
    (plain,) = batches(store, recipe)
    lit = replace(recipe.augmentation, brightness=0.25, contrast=0.25)
    (changed,) = batches(store, replace(recipe, augmentation=lit))
    np.testing.assert_array_equal(plain.keypoints, changed.keypoints)
    difference = np.abs(plain.crops.astype(int) - changed.crops).mean(axis=(1, 2, 3))
    assert (difference > 0.5).all()
