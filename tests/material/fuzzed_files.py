"""Sound annotations, boxes and results, and random damage to them, from a seed."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np

from posebench.datasets.keypoints import COCO

Json = Any
# What people and tools really write in place of a number, a list or a name.
ODD: tuple[Json, ...] = (
    None, True, "", "7", "person", "x" * 5000, "\x1b[31m\n", -1, 0, 1, 2, 0.5, 7.0, -3.25, 1e-30,
    1e9, 1e30, 1e308, float("nan"), float("inf"), 2**31, 2**63, 2**64 + 1, 10**30, 10**400,
    [], {}, [[]], [None] * 4, [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], {"id": 1},
)  # fmt: skip


def sound_files(rng: np.random.Generator) -> dict[str, Json]:
    """Return `annotations`, `boxes` and `results` of three images, one or two categories."""
    images = [
        {"id": key, "file_name": f"{key}.png", "width": 200, "height": 150} for key in (1, 2, 5)
    ]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}]
    if rng.random() < 0.3:
        categories.append({"id": 2, "name": "dog", "keypoints": list(COCO.keypoints)})
    persons: list[Json] = []
    results: list[Json] = []
    boxes: list[Json] = []
    for number in range(int(rng.integers(2, 7))):
        corner, size = rng.integers(0, 80, 2), rng.integers(20, 70, 2)
        points = corner + rng.uniform(0.1, 0.9, (17, 2)) * size
        owner = {
            "image_id": int(rng.choice([1, 2, 5])),
            "category_id": int(rng.integers(1, len(categories) + 1)),
        }
        box = [*corner.tolist(), *size.tolist()]
        flags = rng.choice([0, 1, 2], 17)
        persons.append(
            {
                **owner,
                "id": number + 1,
                "bbox": box,
                "area": float(size.prod()) * 0.6,
                "iscrowd": int(rng.random() < 0.1),
                "num_keypoints": int((flags > 0).sum()),
                "keypoints": np.c_[points.round(1), flags].ravel().tolist(),
            }
        )
        for _ in range(int(rng.integers(0, 3))):
            seen = np.c_[points + rng.normal(0, 2, (17, 2)), rng.random(17)]
            score = float(rng.choice([0.2, 0.5, 0.9]))
            results.append({**owner, "keypoints": seen.ravel().tolist(), "score": score})
            boxes.append({**owner, "bbox": box, "score": score})
    if rng.random() < 0.5:
        for row, other in zip(results, boxes, strict=True):
            row["bbox"] = other["bbox"]
    annotations = {"images": images, "annotations": persons, "categories": categories}
    return {"annotations": annotations, "boxes": boxes, "results": results}


def damaged(rng: np.random.Generator, value: Json, times: int) -> Json:
    """Return a copy of parsed JSON with `times` random changes."""
    value = copy.deepcopy(value)
    for _ in range(times):
        places = list(_places(value))
        if not places:
            return value
        # Rows have many numbers and few fields: both kinds of place get their share.
        depth = rng.choice(sorted({depth for depth, _, _ in places}))
        chosen = [(holder, key) for found, holder, key in places if found == depth]
        _change(rng, *chosen[rng.integers(len(chosen))])
    return value


def _places(value: Json, depth: int = 0) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield depth, value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key], depth + 1)


def _change(rng: np.random.Generator, holder: Json, key: Json) -> None:
    kind = rng.integers(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == 2 and isinstance(holder[key], list):
        del holder[key][int(rng.integers(len(holder[key]) + 1)) :]
    elif kind == 3 and type(holder[key]) in (int, float) and abs(holder[key]) < 2**64:
        holder[key] = holder[key] * float(rng.choice([-1, 0.001, 1000, 1e200]))
    else:
        holder[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])


def pycocotools_says(annotations: Any, results: Any) -> list[float] | None:
    """Return what pycocotools makes of the very files, None where it fails."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = copy.deepcopy(annotations)
    for number, row in enumerate(truth.dataset["annotations"], start=1):
        row["id"] = number  # it takes id 0 for unmatched
    with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        try:
            truth.createIndex()
            evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(results)), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        except Exception:  # whatever it stumbles over
            return None
    return list(evaluation.stats)
