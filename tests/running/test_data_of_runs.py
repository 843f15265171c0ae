"""What runs do with images of other sizes, orientations, and annotations with gaps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from passes import run_cells

from posebench.datasets.corruptions.names import BY_BOXES
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.requests import DataRequest
from posebench.errors import DataError, UsageError
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions
from posebench.zoo import resolve

ANNOTATIONS = Path("annotations") / "person_keypoints_val.json"


@pytest.fixture
def folder(people: Path, tmp_path: Path) -> Path:
    return shutil.copytree(people, tmp_path / "people")


def edit(folder: Path, change: Callable[[Any], object]) -> None:
    raw = json.loads((folder / ANNOTATIONS).read_text())
    change(raw)
    (folder / ANNOTATIONS).write_text(json.dumps(raw))


def load(folder: Path, **options: Any) -> Workload:
    return load_workload(
        DataRequest(dataset=str(folder), **options), ScoringOptions(), lambda done, total: None
    )


def ap(folder: Path, **options: Any) -> float:
    (cell,) = run_cells([resolve("heatmap-s")], load(folder, **options))
    assert cell.result.status == "ok", cell.result.reason
    value = (cell.result.metrics or {})["AP"]
    assert value is not None
    return value


def halve(folder: Path) -> None:
    for path in (folder / "val").glob("*.[jp][pn]g"):
        image = cv2.imread(str(path))
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), half)


def test_resized_images_are_refused_or_score_nearly_the_same(people: Path, folder: Path) -> None:
    halve(folder)
    with pytest.raises(DataError, match="not the annotated one, of the same aspect ratio"):
        load(folder)
    reading = ImageReading(allow_resized=True)
    assert [item.kind for item in load(folder, reading=reading).findings] == ["images-resampled"]
    assert ap(folder, reading=reading) == pytest.approx(ap(people), abs=0.12)


def test_readings_have_predictions_of_their_own(folder: Path) -> None:
    plain = load(folder).inputs_sha256
    other = load(folder, reading=ImageReading(exif="ignore")).inputs_sha256
    assert plain != other and plain == load(folder).inputs_sha256


@pytest.mark.parametrize("kind", ["blur", "occluders", "truncation"])
def test_boxes_that_a_corruption_is_painted_by_are_part_of_the_key(folder: Path, kind: str) -> None:
    def unlabelled(raw: Any) -> None:
        first = raw["annotations"][0]
        other = {"id": 10**6, "keypoints": [0] * len(first["keypoints"]), "num_keypoints": 0}
        raw["annotations"].append({**first, **other})

    reading = ImageReading(corruption=f"{kind}-5")
    before = load(folder, reading=reading)
    first = dataset_image(before.dataset, 0)
    edit(folder, unlabelled)
    after = load(folder, reading=reading)
    assert len(after.instances) == len(before.instances)
    same_pixels = np.array_equal(first, dataset_image(after.dataset, 0))
    assert (after.inputs_sha256 == before.inputs_sha256) == same_pixels == (kind not in BY_BOXES)


def test_findings_on_the_data_are_at_hand(folder: Path) -> None:
    def clear_some(raw: Any) -> None:
        for row in raw["annotations"][::2]:
            row["bbox"] = [0, 0, 0, 0]

    edit(folder, clear_some)
    assert "box-empty" in [item.kind for item in load(folder).findings]


def test_the_area_rule_of_a_request(folder: Path) -> None:
    edit(folder, lambda raw: [row.pop("area") for row in raw["annotations"]])
    with pytest.raises(DataError, match="`area` is missing"):
        load(folder)
    assert load(folder, area_rule="box").protocol.area_rule == "box"


def test_the_category_of_a_request(folder: Path) -> None:
    def second(raw: Any) -> None:
        raw["categories"].append({**raw["categories"][0], "id": 2, "name": "dog"})
        for row in raw["annotations"][::2]:
            row["category_id"] = 2

    whole = load(folder).protocol.instances
    edit(folder, second)
    with pytest.raises(UsageError, match="keypoints of 2 categories"):
        load(folder)
    parts = [load(folder, category=name).protocol.instances for name in ("person", "dog")]
    assert sum(parts) == whole and min(parts) > 0
    assert ap(folder, category="dog") >= 0
