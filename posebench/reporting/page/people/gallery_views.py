"""The gallery: chosen instances of each pair, drawn, with what the networks answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from posebench.datasets.images.files import dataset_image
from posebench.errors import PosebenchError
from posebench.reporting.figures.style import Looks
from posebench.reporting.page.contents import series_class
from posebench.reporting.page.pairs import CellPair, pair_title
from posebench.reporting.page.people.gallery import Choice, chosen_instances
from posebench.reporting.page.people.instances import PairInstances, RunData, pair_instances
from posebench.reporting.page.people.pictures import (
    Pose,
    crop_view,
    draw_heatmap,
    draw_poses,
    draw_profiles,
)
from posebench.results.cell import CellResult
from posebench.results.store import Run, StoredCell

Outputs = tuple[NDArray[np.float32], ...]
Answer = Callable[[StoredCell, PairInstances, int, Sequence[int]], Outputs]
"""Returns a cell's network outputs for rows of its side (0, 1) of a pair.

Raises `PosebenchError` if the network cannot run.
"""

KINDS = {"changed": "most changed", "worst": "worst"}


@dataclass(frozen=True)
class Tile:
    """One drawing with its caption."""

    caption: str
    drawing: Markup


@dataclass(frozen=True)
class GalleryItem:
    """One instance: which, why it is shown, and its drawings."""

    pair: str
    kind: str
    heading: str
    note: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Gallery:
    """All items, and in words what is missing and why."""

    items: tuple[GalleryItem, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class GalleryWish:
    """How many instances of each kind of each pair to draw, and how: in the page's `looks`.

    `answer` asks networks again; None leaves out what they answered.
    """

    count: int
    looks: Looks
    answer: Answer | None


def make_gallery(run: Run, data: RunData, pairs: Sequence[CellPair], wish: GalleryWish) -> Gallery:
    """Draw instances of each pair; missing data is a problem."""
    items: list[GalleryItem] = []
    problems = list(data.problems)
    failed: dict[str, list[str]] = {}
    for pair in pairs:
        try:
            found = pair_instances(run, data, pair)
            choices = chosen_instances(found, wish.count)
            outputs = _answers(pair, found, choices, wish.answer, problems)
            for index, choice in enumerate(choices):
                answers = [None if o is None else tuple(part[index] for part in o) for o in outputs]
                items.append(_item(pair, found, choice, answers, wish.looks))
        except PosebenchError as error:
            failed.setdefault(str(error), []).append(pair_title(pair))
    # What is wrong with every pair is said once.
    problems += [
        error if len(titles) == len(pairs) else f"{'; '.join(titles)}: {error}"
        for error, titles in failed.items()
    ]
    return Gallery(tuple(items), tuple(dict.fromkeys(problems)))


def _answers(
    pair: CellPair,
    found: PairInstances,
    choices: Sequence[Choice],
    answer: Answer | None,
    problems: list[str],
) -> list[Outputs | None]:
    outputs: list[Outputs | None] = []
    for side, cell in enumerate(pair.cells):
        try:
            rows = [choice.row for choice in choices]
            outputs.append(None if answer is None else answer(cell, found, side, rows))
            if answer is not None and (note := _other_execution(cell.result)) is not None:
                problems.append(note)
        except PosebenchError as error:
            problems.append(f"No heatmaps or profiles of {cell.result.checkpoint.name}: {error}")
            outputs.append(None)
    return outputs


def _other_execution(result: CellResult) -> str | None:
    """Return what to know of maps that were not made as the cell's poses were."""
    protocol = result.protocol
    if result.unusual_execution is None and protocol.device == "cpu":
        return None
    return (
        f"Heatmaps or profiles of {result.checkpoint.name} were made in fp32 on the CPU; its poses "
        f"were predicted by {protocol.engine} in {protocol.precision} on {protocol.device}."
    )


def _item(
    pair: CellPair,
    found: PairInstances,
    choice: Choice,
    answers: Sequence[Outputs | None],
    looks: Looks,
) -> GalleryItem:
    row, keypoints = choice.row, found.dataset.keypoints
    image_id = int(found.predictions[0].image_ids[row])
    ids = [image.id for image in found.dataset.images]
    image = dataset_image(found.dataset, ids.index(image_id))
    keypoint = keypoints.keypoints[choice.keypoint].replace("_", " ")
    tiles = []
    for side, cell in enumerate(pair.cells):
        tiles += _tiles(found, choice, (side, cell), image, answers[side], looks)
    first, second = pair.names
    gap = round(100 * float(found.oks[1, row] - found.oks[0, row]))
    return GalleryItem(
        pair=pair_title(pair),
        kind=KINDS[choice.kind],
        heading=f"Image {image_id}, person {int(found.truth.ids[found.persons[row]])}",
        note=f"{second} − {first}: {gap:+d} points of OKS. Keypoint looked at: {keypoint}.",
        tiles=tuple(tiles),
    )


def _tiles(
    found: PairInstances,
    choice: Choice,
    own: tuple[int, StoredCell],
    image: NDArray[np.uint8],
    answer: Outputs | None,
    looks: Looks,
) -> list[Tile]:
    """Return the poses of one side's cell, and its answer if there is one."""
    side, cell = own
    row, person = choice.row, found.persons[choice.row]
    predictions, result = found.predictions[side], cell.result
    view = crop_view(image, predictions.bbox_xyxy[row], result)
    labelled = found.truth.visibility[person] > 0
    name, paradigm = result.checkpoint.name, result.checkpoint.paradigm
    look = series_class(looks, name)
    truth = Pose(found.truth.keypoints[person], labelled, "truth")
    predicted = Pose(predictions.keypoints[row], np.ones_like(labelled), look)
    oks = 100 * found.oks[side, row]
    caption = f"{name}: OKS {oks:.0f}"
    spoken = f"Ground truth and the pose of {result.checkpoint.name}, OKS {oks:.0f}"
    tiles = [Tile(caption, draw_poses(view, spoken, found.dataset.keypoints, truth, predicted))]
    if answer is None:
        return tiles
    k = choice.keypoint
    marks = {"truth": truth.keypoints[k], look: predicted.keypoints[k]}
    off = float(np.linalg.norm(predicted.keypoints[k] - truth.keypoints[k]))
    joint = found.dataset.keypoints.keypoints[k].replace("_", " ")
    spoken = f"What {result.checkpoint.name} answers for the {joint}, {off:.0f} pixels off"
    where = f"of {joint}, {off:.0f} px off"
    if paradigm == "heatmap":
        drawing = draw_heatmap(view, spoken, answer[0][k], _is_udp(result), marks)
        tiles.append(Tile(f"heatmap {where}", drawing))
    elif paradigm == "simcc":
        drawing = draw_profiles(view, spoken, (answer[0][k], answer[1][k]), marks)
        tiles.append(Tile(f"x and y bins {where}", drawing))
    # The coordinates that a regression network answers with are its pose.
    return tiles


def _is_udp(result: CellResult) -> bool:
    """Tell whether a heatmap's corner cells lie on the corners of the box."""
    return bool((result.checkpoint.spec or {}).get("codec", {}).get("decoder") == "udp")
