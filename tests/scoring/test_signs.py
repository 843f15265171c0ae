"""What was done to a copy of a results file is found from the two files alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distance_problems import distance_problem
from whole_body_problems import whole_body_problem, xtcocotools_says_of_parts

from posebench.datasets.coco import PoseDataset, load_annotations
from posebench.datasets.known.forms import joined
from posebench.errors import DataError
from posebench.judging.explaining.sides import Annotated
from posebench.networks.sizes import InputSize
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.scoring.matching.detections import Detections, ResultColumns, result_columns
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.signs.grids import grid_of
from posebench.scoring.signs.paired import mean_gap, nearest_pairs
from posebench.scoring.signs.sign import ReadFile
from posebench.scoring.signs.signs import average_precision, signs_between
from posebench.scoring.whole_body.parts import RESULT_LAYOUT, split

Change = Callable[[ResultColumns], ResultColumns]


@pytest.fixture(scope="module")
def dataset(people: Path) -> PoseDataset:
    (annotations,) = (people / "annotations").glob("*.json")
    return load_annotations(annotations, people / "val")


@pytest.fixture(scope="module")
def results(dataset: PoseDataset) -> ResultColumns:
    """Return poses two pixels or so from the labels, with boxes."""
    truth, rng = ground_truth(dataset), np.random.default_rng(3)
    keypoints = truth.keypoints + rng.normal(0, 2, truth.keypoints.shape)
    scores = rng.uniform(0.3, 0.9, len(truth))
    point_scores = rng.uniform(0.3, 0.9, keypoints.shape[:2])
    images = truth.image_ids[truth.image]
    poses = Detections(images, keypoints, point_scores, scores, truth.areas)
    return ResultColumns(poses, np.ones(len(truth), dtype=np.int64), truth.bbox_xywh)


def changed(columns: ResultColumns, **fields: Any) -> ResultColumns:
    return replace(columns, detections=replace(columns.detections, **fields))


def moved(move: Callable[[Any], Any]) -> Change:
    return lambda columns: changed(columns, keypoints=move(columns.detections.keypoints))


def one_image_on(columns: ResultColumns) -> ResultColumns:
    ids = np.unique(columns.detections.image_ids)
    at = np.searchsorted(ids, columns.detections.image_ids)
    return changed(columns, image_ids=ids[(at + 1) % len(ids)])


def shuffled(columns: ResultColumns) -> ResultColumns:
    rng = np.random.default_rng(1)
    return changed(columns, image_ids=rng.permutation(columns.detections.image_ids))


def with_duplicates(columns: ResultColumns) -> ResultColumns:
    rows = np.r_[np.arange(len(columns)), :3]
    assert columns.bbox_xywh is not None
    return ResultColumns(
        columns.detections.subset(rows), columns.category_ids[rows], columns.bbox_xywh[rows]
    )


def half_a_pixel_of_the_crop(columns: ResultColumns) -> ResultColumns:
    assert columns.bbox_xywh is not None
    width = np.maximum(columns.bbox_xywh[:, 2], 0.75 * columns.bbox_xywh[:, 3]) * 1.25
    step = np.stack([width / 48, width / 48], axis=1)[:, None] / 2
    return changed(columns, keypoints=columns.detections.keypoints + step)


def every_other(columns: ResultColumns) -> Any:
    return np.arange(len(columns)) % 2 == 0


def in_half_of_the_images(columns: ResultColumns) -> ResultColumns:
    ids = columns.detections.image_ids
    rows = np.flatnonzero(np.isin(ids, np.unique(ids)[::2]))
    assert columns.bbox_xywh is not None
    return ResultColumns(
        columns.detections.subset(rows), columns.category_ids[rows], columns.bbox_xywh[rows]
    )


SWAPPED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
PLANTED: dict[str, tuple[str, Change]] = {
    "half a pixel": ("shift", moved(lambda points: points + 0.5)),
    "half a pixel of a map": ("shift in the crop", half_a_pixel_of_the_crop),
    "twice as large": ("scale", moved(lambda points: 2 * points)),
    "left and right": ("left and right", moved(lambda points: points[:, SWAPPED])),
    "y, x": ("x and y", moved(lambda points: points[..., ::-1])),
    "whole pixels": ("rounding", moved(np.rint)),
    "cut off to whole pixels": ("rounding", moved(np.trunc)),
    "half the images": ("images without poses", in_half_of_the_images),
    "ids of the next image": ("image ids", one_image_on),
    "ids from 1": ("image ids", lambda c: changed(c, image_ids=c.detections.image_ids + 1)),
    "ids in another order": ("image ids", shuffled),
    "other scores": ("instance scores", lambda c: changed(c, scores=c.detections.scores**2)),
    "duplicates": ("NMS", with_duplicates),
    "boxes of half the people": (
        "boxes",
        lambda c: ResultColumns(c.detections.subset(every_other(c)), c.category_ids[::2], None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_what_was_done_is_named_first(
    what: str, dataset: PoseDataset, results: ResultColumns
) -> None:
    cause, change = PLANTED[what]
    other = change(results)
    if cause == "boxes":  # other poses besides, or the rest would be equal
        other = moved(lambda points: points + np.sin(points))(other)
    files = ReadFile("A", results), ReadFile("B", other)
    signs = signs_between(dataset, ground_truth(dataset), *files)
    assert signs and signs[0].cause == cause, signs


@pytest.mark.parametrize("what", ["whole pixels", "cut off to whole pixels", "half the images"])
def test_the_order_of_the_files_does_not_matter(
    what: str, dataset: PoseDataset, results: ResultColumns
) -> None:
    cause, change = PLANTED[what]
    files = ReadFile("A", change(results)), ReadFile("B", results)
    signs = signs_between(dataset, ground_truth(dataset), *files)
    assert signs and signs[0].cause == cause, signs
    assert signs[0].text.startswith("A has ")


def test_causes_that_explain_all_together_are_named_together(
    dataset: PoseDataset, results: ResultColumns
) -> None:
    change = moved(lambda points: 1.03 * points[:, SWAPPED])
    other = changed(change(results), scores=results.detections.scores**2)
    files = ReadFile("A", results), ReadFile("B", other)
    truth = ground_truth(dataset)
    first, *rest = signs_between(dataset, truth, *files)
    assert set(first.cause.split(", ")) == {"left and right", "scale"}
    assert first.explains == pytest.approx(1.0)
    assert "instance scores" in [sign.cause for sign in rest]
    equal = signs_between(dataset, truth, files[0], ReadFile("B", change(results)))
    assert average_precision(dataset, truth, results.detections) == pytest.approx(equal[0].ap)


def test_a_file_without_poses_shares_nothing(dataset: PoseDataset, results: ResultColumns) -> None:
    rows = np.zeros(0, dtype=np.int64)
    assert results.bbox_xywh is not None
    empty = ResultColumns(
        results.detections.subset(rows), results.category_ids[rows], results.bbox_xywh[rows]
    )
    for pair in ((empty, results), (results, empty)):
        files = (ReadFile(name, each) for name, each in zip("AB", pair, strict=True))
        assert [s.cause for s in signs_between(dataset, ground_truth(dataset), *files)][:1] == [
            "images without poses"
        ]


def test_undoing_the_cause_gives_the_score_of_the_first_file(
    dataset: PoseDataset, results: ResultColumns
) -> None:
    truth = ground_truth(dataset)
    other = changed(results, keypoints=results.detections.keypoints[:, SWAPPED])
    files = ReadFile("A", results), ReadFile("B", other)
    (sign, *_) = signs_between(dataset, truth, *files)
    same = signs_between(dataset, truth, files[0], files[0])
    assert same == ()
    assert sign.explains == pytest.approx(1.0)
    undone = signs_between(dataset, truth, files[1], files[0])[0]
    assert sign.ap is not None and undone.ap is not None and sign.ap > undone.ap + 0.1


@pytest.mark.parametrize(("steps", "width"), [(48, 48), (192, 384)])
def test_whole_steps_of_a_crop_are_found(
    steps: int, width: int, dataset: PoseDataset, results: ResultColumns
) -> None:
    found = grid_of(on_grid(results, lambda x: np.rint(x * steps) / steps))
    assert found is not None
    assert (found.steps, found.padding, found.between) == (steps, 1.25, False)


def test_quarter_offsets_are_found(results: ResultColumns) -> None:
    def quarters(x: Any) -> Any:
        whole = np.rint(48 * x)
        return (whole + np.where(48 * x > whole, 0.25, -0.25)) / 48

    found = grid_of(on_grid(results, quarters))
    assert found is not None
    assert (found.steps, found.between) == (96, True)
    assert "48 pixels wide" in str(found)


def test_poses_off_any_grid_have_none(results: ResultColumns) -> None:
    assert grid_of(results) is None


def on_grid(results: ResultColumns, snap: Callable[[Any], Any]) -> ResultColumns:
    """Return poses whose places in the crops of 256x192 are snapped."""
    assert results.bbox_xywh is not None
    corners = results.bbox_xywh.copy()
    corners[:, 2:] += corners[:, :2]
    center, scale = boxes_to_center_scale(corners, InputSize(256, 192), 1.25)
    center, scale = center[:, None].astype(float), scale[:, None].astype(float)
    share = (results.detections.keypoints - center) / scale + 0.5
    return changed(results, keypoints=(snap(share) - 0.5) * scale + center)


def test_the_gap_counts_poses_without_a_partner(results: ResultColumns) -> None:
    poses = results.detections
    half = poses.subset(np.arange(len(poses)) % 2 == 0)
    assert mean_gap(poses, poses) == 0
    assert mean_gap(poses, half) == pytest.approx(1 - len(half) / len(poses))
    assert len(nearest_pairs(poses, half).one) == len(half)


def test_the_ap_of_whole_bodies_is_that_of_their_own_scores() -> None:
    told = 0
    for seed in range(12):
        problem = whole_body_problem(seed)
        rows, joints = map(joined, map(split, problem.results)), len(problem.dataset.keypoints)
        columns = result_columns(list(rows), joints, RESULT_LAYOUT)
        assert columns is not None
        truth, poses = ground_truth(problem.dataset), columns.detections
        found = average_precision(problem.dataset, truth, poses)
        wanted = xtcocotools_says_of_parts(problem)["AP"]
        assert (-1 if found is None else found) == pytest.approx(wanted, abs=1e-12)
        told += bool(poses.part_scores) and wanted > 0
    assert told


def test_data_without_ap_are_refused() -> None:
    with pytest.raises(DataError, match="no AP"):
        Annotated.of(distance_problem("wflw", 0).dataset)
