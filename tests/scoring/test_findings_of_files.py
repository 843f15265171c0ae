"""Files written in another way than COCO's: every kind is told, and sound files have no finding."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.boxes import box_findings, detected_instances
from posebench.datasets.coco import load_annotations, load_categories, load_dataset
from posebench.datasets.keypoints import COCO, KEYPOINT_SETS
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError, PosebenchError, UsageError
from posebench.scoring.data_check import CheckOptions, check_dataset
from posebench.scoring.diagnosis.files import DiagnosisRequest, diagnose_files
from posebench.scoring.files import ScoreReport, ScoreRequest, score_files
from posebench.scoring.statistics.estimates import MOST_REPLICATES, Resampling

Json = Any
Change = Callable[[Json], None]
WIDTH, HEIGHT = 400, 300


def people(joints: int = 17) -> tuple[Json, Json, Json]:
    """Return annotations of 10 images with two persons each, near results, and their boxes."""
    rng = np.random.default_rng(11)
    persons, results, boxes = [], [], []
    for number in range(20):
        size = rng.integers(60, 140, 2)
        corner = np.array([200 * (number % 2), 0]) + rng.integers(5, 50, 2)
        points = corner + rng.uniform(0.05, 0.95, (joints, 2)) * size
        row = {"image_id": 1 + number // 2, "category_id": 1}
        box = [*corner.tolist(), *size.tolist()]
        persons.append(
            {
                **row,
                "id": number + 1,
                "bbox": box,
                "area": float(size.prod()) * 0.5,
                "iscrowd": 0,
                "num_keypoints": joints,
                "keypoints": np.c_[points, np.full(joints, 2)].ravel().tolist(),
            }
        )
        seen = np.c_[points + rng.normal(0, 3, (joints, 2)), rng.uniform(0.3, 0.9, joints)]
        score = float(rng.uniform(0.2, 0.9))
        results.append({**row, "keypoints": seen.ravel().tolist(), "score": score, "bbox": box})
        boxes.append({**row, "score": score, "bbox": box})
    images = [
        {"id": key, "file_name": f"{key:04}.png", "width": WIDTH, "height": HEIGHT}
        for key in range(1, 11)
    ]
    names = list(COCO.keypoints) if joints == 17 else None
    category = {"id": 1, "name": "person", **({"keypoints": names} if names else {})}
    annotations = {"images": images, "annotations": persons, "categories": [category]}
    return annotations, results, boxes


def written(folder: Path, name: str, value: Json) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(value))
    return path


def score(folder: Path, annotations: Json, results: Json, **options: Any) -> ScoreReport:
    request = ScoreRequest(
        (written(folder, "dt", results),),
        written(folder, "gt", annotations),
        resampling=Resampling(replicates=0),
        **options,
    )
    return score_files(request)


def ap(report: ScoreReport) -> float:
    value = report.scores[0].metrics["AP"].value
    assert value is not None
    return value


def said(report: ScoreReport) -> str:
    return "\n".join((*report.data.findings, *report.scores[0].findings))


def each(field: str, change: Callable[[Json], Json]) -> Change:
    """Return a change of one field of every row."""

    def apply(rows: Json) -> None:
        for row in rows:
            row[field] = change(row[field])

    return apply


def triplets(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def changed(values: Json) -> Json:
        return change(np.reshape(values, (-1, 3)).astype(float)).ravel().tolist()

    return each("keypoints", changed)


def corners(box: Json) -> Json:
    x, y, w, h = box
    return [x, y, x + w, y + h]


def centred(box: Json) -> Json:
    x, y, w, h = box
    return [x + w / 2, y + h / 2, w, h]


def fractions(box: Json) -> Json:
    x, y, w, h = box
    return [x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT]


BOXES = [
    (corners, "x1, y1, x2, y2"),
    (centred, "centre x, centre y, w, h"),
    (fractions, "fractions of the image"),
    (lambda box: fractions(centred(box)), "centre x, centre y, w, h as fractions"),
]
POSES = [
    (lambda points: points[:, [1, 0, 2]], "y, x"),
    (lambda points: points.T, "all x, then all y"),
    (lambda points: points / [WIDTH, HEIGHT, 1], "fractions of the image"),
]


def test_sound_files_have_no_findings(tmp_path: Path) -> None:
    annotations, results, boxes = people()
    report = score(tmp_path, annotations, results)
    assert said(report) == "" and ap(report) > 0.5
    dataset = load_annotations(tmp_path / "gt.json", tmp_path)
    found = detected_instances(dataset, written(tmp_path, "boxes", boxes))
    assert box_findings(dataset, found) == []


@pytest.mark.parametrize(("change", "reading"), BOXES)
def test_boxes_in_another_form(tmp_path: Path, change: Any, reading: str) -> None:
    annotations, results, boxes = people()
    sound = copy.deepcopy(annotations)
    each("bbox", change)(annotations["annotations"])
    told = said(score(tmp_path, annotations, results, area_rule="annotation"))
    assert f"read as {reading}" in told and "[box-reading]" in told
    each("bbox", change)(results)
    told = said(score(tmp_path, sound, results))
    assert f"read as {reading}" in told and "[results-box-reading]" in told
    each("bbox", change)(boxes)
    dataset = load_annotations(written(tmp_path, "gt", sound), tmp_path)
    found = box_findings(dataset, detected_instances(dataset, written(tmp_path, "b", boxes)))
    assert [item.kind for item in found] == ["boxes-reading"]
    assert f"read as {reading}" in str(found[0])


@pytest.mark.parametrize(("change", "reading"), POSES)
def test_keypoints_in_another_form(tmp_path: Path, change: Any, reading: str) -> None:
    annotations, results, _ = people()
    sound = copy.deepcopy(annotations)
    triplets(change)(annotations["annotations"])
    told = said(score(tmp_path, annotations, results))
    assert f"read as {reading}" in told and "[keypoints-reading]" in told
    triplets(change)(results)
    for row in results:
        del row["bbox"]
    told = said(score(tmp_path, sound, results))
    assert reading in told and "[results-reading]" in told


def in_crops(row: Json) -> None:
    points = np.reshape(row["keypoints"], (-1, 3))
    x, y, width, height = row["bbox"]
    points = (points - [x, y, 0]) * [192 / width, 256 / height, 1]
    row["keypoints"] = points.ravel().tolist()


def of_the_next_image(row: Json) -> None:
    row["image_id"] = row["image_id"] % 10 + 1


def score_first(row: Json) -> None:
    row["keypoints"] = np.reshape(row["keypoints"], (-1, 3))[:, [2, 0, 1]].ravel().tolist()


@pytest.mark.parametrize("change", [in_crops, of_the_next_image, score_first])
def test_results_that_resemble_nobody(tmp_path: Path, change: Any) -> None:
    annotations, results, _ = people()
    for row in results:
        change(row)
    assert "[results-unlike]" in said(score(tmp_path, annotations, results))


def test_few_sound_results_do_not_resemble_nobody(tmp_path: Path) -> None:
    annotations, results, _ = people()
    told = said(score(tmp_path, annotations, results[:2]))
    assert "[results-unlike]" not in told and "[results-reading]" not in told


def test_annotations_that_are_fractions_throughout(tmp_path: Path) -> None:
    annotations, results, _ = people()
    for row in annotations["annotations"]:
        points = np.reshape(row["keypoints"], (-1, 3)) / [WIDTH, HEIGHT, 1]
        row["keypoints"] = points.ravel().tolist()
        row["bbox"] = (np.array(row["bbox"]) / [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()
    with pytest.raises(DataError, match="look like fractions of the image"):
        score(tmp_path, annotations, results)


def test_a_category_written_as_text_is_the_reason_given(tmp_path: Path) -> None:
    annotations, results, _ = people()
    for row in annotations["annotations"]:
        row["category_id"] = "1"
    with pytest.raises(DataError, match="category_id is not a whole number"):
        score(tmp_path, annotations, results)


@pytest.mark.parametrize(("factor", "kind"), [(1, "areas-of-boxes"), (0.13, "areas-small")])
def test_areas_of_boxes_and_of_smaller_images(tmp_path: Path, factor: float, kind: str) -> None:
    annotations, results, _ = people()
    for row in annotations["annotations"]:
        row["area"] = factor * row["bbox"][2] * row["bbox"][3]
    assert f"[{kind}]" in said(score(tmp_path, annotations, results))


@pytest.mark.parametrize("area", [0, 1, 0.04])
def test_areas_that_are_none(tmp_path: Path, area: float) -> None:
    annotations, results, _ = people()
    sound = ap(score(tmp_path, annotations, results, area_rule="box"))
    annotations["annotations"][3]["area"] = area
    assert "[area-tiny]" in said(score(tmp_path, annotations, results))
    each("area", lambda _: area)(annotations["annotations"])
    with pytest.raises(DataError, match="20 of 20 labelled persons") as caught:
        score(tmp_path, annotations, results)
    assert "--area-rule box" in str(caught.value.hint)
    assert ap(score(tmp_path, annotations, results, area_rule="box")) == sound


def test_areas_above_their_boxes(tmp_path: Path) -> None:
    annotations, results, _ = people()
    each("area", lambda area: 40 * area)(annotations["annotations"])
    report = score(tmp_path, annotations, results)
    assert "[area-above-box]" in said(report)
    assert "[area-above-box]" not in said(score(tmp_path, annotations, results, area_rule="box"))


def test_files_without_area(tmp_path: Path) -> None:
    annotations, results, _ = people()
    for row in annotations["annotations"]:
        del row["area"]
    with pytest.raises(DataError, match="`area` is missing") as caught:
        score(tmp_path, annotations, results)
    assert "--area-rule box" in str(caught.value.hint)
    check = check_dataset(tmp_path / "gt.json", CheckOptions(load=LoadOptions(area_rule="box")))
    assert check.sound


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (lambda index: 0.5, "results-scores-equal"),
        (lambda index: 1.0 + index, "results-scores-range"),
        (lambda index: -1.0 - index, "results-scores-range"),
        (lambda index: 0.5 if index % 4 < 2 else 0.2, "results-scores-tied"),
    ],
)
def test_scores(tmp_path: Path, scores: Any, kind: str) -> None:
    annotations, results, _ = people()
    for index, row in enumerate(results):
        row["score"] = scores(index)
    assert f"[{kind}]" in said(score(tmp_path, annotations, results))


def test_result_boxes_of_negative_size(tmp_path: Path) -> None:
    annotations, results, _ = people()
    x, y, w, h = results[4]["bbox"]
    results[4]["bbox"] = [x + w, y, -w, h]
    with pytest.raises(DataError, match=r"negative width or height .*: entry 4"):
        score(tmp_path, annotations, results)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("image_id", "0001.png", "`image_id` is text"),
        ("image_id", "1", "`image_id` is text"),
        ("image_id", 1.0, "`image_id` is a number with a decimal point"),
        ("score", None, "`score` is not a finite number"),
        ("bbox", None, "`bbox` is null"),
        ("keypoints", [[1, 2, 0.5]] * 17, "`keypoints` are a list of lists"),
        ("keypoints", [1.0] * 34, "`keypoints` are a list of 34 numbers, not 51"),
    ],
)
def test_a_fault_names_field_row_and_reading(
    tmp_path: Path, field: str, value: Json, message: str
) -> None:
    annotations, results, _ = people()
    results[2][field] = value
    with pytest.raises(DataError, match=message) as caught:
        score(tmp_path, annotations, results, format="coco")
    assert "entry 2" in caught.value.message
    if value == "0001.png":
        assert "file_name of image 1" in str(caught.value.hint)


def other_category(annotations: Json, results: Json, category: int, name: str) -> None:
    annotations["categories"][0] |= {"id": category, "name": name}
    each("category_id", lambda _: category)(annotations["annotations"])
    each("category_id", lambda _: category)(results)


@pytest.mark.parametrize("category", [0, 7])
def test_the_only_category_is_evaluated_whatever_its_id(tmp_path: Path, category: int) -> None:
    annotations, results, boxes = people()
    expected = ap(score(tmp_path, annotations, results))
    rows = copy.deepcopy(results)
    other_category(annotations, results, category, "cat")
    report = score(tmp_path, annotations, results, official=True)
    assert ap(report) == expected and report.data.categories == (f"{category} (cat)",)
    assert report.scores[0].official is not None
    assert report.scores[0].official["AP"] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(DataError, match="category_id 1, the annotations"):
        score(tmp_path, annotations, rows)
    dataset = load_dataset(tmp_path / "gt.json", tmp_path, LoadOptions(category="cat"))
    with pytest.raises(DataError, match=rf"no box of category {category} \(cat\)"):
        detected_instances(dataset, written(tmp_path, "b", boxes))
    assert check_dataset(tmp_path / "gt.json").sound


def two_categories() -> tuple[Json, Json]:
    annotations, results, _ = people()
    annotations["categories"].append({**annotations["categories"][0], "id": 2, "name": "dog"})
    for rows in (annotations["annotations"], results):
        for index, row in enumerate(rows):
            row["category_id"] = 1 + index % 2
    for row in results[1::2]:
        row["keypoints"] = [value + 4 for value in row["keypoints"]]
    return annotations, results


def test_several_categories_as_evaluators_count_them(tmp_path: Path) -> None:
    annotations, results = two_categories()
    request = ScoreRequest(
        (written(tmp_path, "dt", results),),
        written(tmp_path, "gt", annotations),
        official=True,
        resampling=Resampling(100),
    )
    report = score_files(request)
    (one,) = report.scores
    for name, estimate in one.metrics.items():
        assert one.official is not None
        assert estimate.value == pytest.approx(one.official[name], abs=1e-12)
        if estimate.value is not None:
            assert estimate.low is not None and estimate.low <= estimate.value + 1e-9
    person, dog = (one.categories[name]["AP"].value for name in ("1 (person)", "2 (dog)"))
    assert person is not None and dog is not None and person > dog
    assert one.metrics["AP"].value == pytest.approx((person + dog) / 2)
    for wanted in ("dog", "2"):
        alone = score(tmp_path, annotations, results, category=wanted, official=True)
        assert ap(alone) == dog
        assert alone.scores[0].official is not None
        assert alone.scores[0].official["AP"] == pytest.approx(dog, abs=1e-12)
        assert "[categories-left-out]" in said(alone) and "[results-categories]" in said(alone)
    with pytest.raises(UsageError, match="'cow'"):
        score(tmp_path, annotations, results, category="cow")
    with pytest.raises(UsageError, match="keypoints of 2 categories"):
        load_annotations(tmp_path / "gt.json", tmp_path)
    with pytest.raises(UsageError, match="2 categories"):
        diagnose_files(DiagnosisRequest((tmp_path / "dt.json",), tmp_path / "gt.json"))
    check = check_dataset(tmp_path / "gt.json")
    assert check.sound and check.instance_count == 20
    assert check.oracle is not None and check.oracle.values["AP"] == 1.0


def test_a_category_without_results_is_said(tmp_path: Path) -> None:
    annotations, results = two_categories()
    report = score(tmp_path, annotations, results[::2], official=True)
    assert "Annotated categories without results: 2 (dog). [results-none-of-category]" in said(
        report
    )
    assert report.scores[0].official is not None
    assert ap(report) == pytest.approx(report.scores[0].official["AP"], abs=1e-12)


def test_ai_challengers_own_file(tmp_path: Path) -> None:
    annotations, results, _ = people(joints=14)
    names = [name.replace("_", " ").title() for name in KEYPOINT_SETS["aic"].keypoints]
    annotations["categories"][0]["keypoints"] = names
    for row in annotations["annotations"]:
        del row["area"]
    report = score(tmp_path, annotations, results)
    assert (report.data.keypoints, report.data.area_rule) == ("aic", "box")
    assert check_dataset(tmp_path / "gt.json").sound


@pytest.mark.parametrize("spelling", ["Left Eye", "leftEye", "LEFT-EYE", "left eye"])
def test_names_in_other_spellings(tmp_path: Path, spelling: str) -> None:
    annotations, results, _ = people()
    annotations["categories"][0]["keypoints"][1] = spelling
    assert said(score(tmp_path, annotations, results)) == ""


def test_names_that_are_missing_where_they_matter(tmp_path: Path) -> None:
    annotations, results, _ = people(joints=14)
    told = said(score(tmp_path, annotations, results))
    assert "[names-missing]" in told and "crowdpose, aic" in told
    assert "[names-missing]" not in said(score(tmp_path, annotations, results, dataset="aic"))
    annotations, results, _ = people()
    del annotations["categories"][0]["keypoints"]
    assert said(score(tmp_path, annotations, results)) == ""
    annotations["categories"][0]["name"] = "horse"
    assert "[names-missing]" in said(score(tmp_path, annotations, results))


def test_more_names_than_keypoints(tmp_path: Path) -> None:
    annotations, results, _ = people()
    expected = ap(score(tmp_path, annotations, results))
    annotations["categories"][0]["keypoints"] += ["left_palm", "right_palm", "l", "r"]
    for dataset in (None, "coco"):
        report = score(tmp_path, annotations, results, dataset=dataset)
        assert ap(report) == expected and "[names-more]" in said(report)


def test_images_listed_twice_and_empty_keypoints(tmp_path: Path) -> None:
    annotations, results, _ = people()
    annotations["images"].append(dict(annotations["images"][0]))
    annotations["annotations"].append(
        {**annotations["annotations"][0], "id": 77, "keypoints": [], "num_keypoints": 0}
    )
    report = score(tmp_path, annotations, results, official=True)
    assert report.data.images == 10
    assert "[image-twice]" in said(report) and "[keypoints-empty]" in said(report)
    assert report.scores[0].official is not None
    assert report.scores[0].official["AP"] == pytest.approx(ap(report), abs=1e-12)
    assert check_dataset(tmp_path / "gt.json").sound
    annotations["images"][-1]["width"] += 1
    with pytest.raises(DataError, match="Image ids used more than once"):
        score(tmp_path, annotations, results)


def test_annotations_without_anybody(tmp_path: Path) -> None:
    annotations, results, _ = people()
    for rows in ([], [{**row, "iscrowd": 1} for row in annotations["annotations"]]):
        with pytest.raises(DataError, match="no person with labelled keypoints"):
            score(tmp_path, {**annotations, "annotations": rows}, results)


@pytest.mark.parametrize("value", [2**63, 10**30, [1], {"a": 1}])
@pytest.mark.parametrize("place", ["image", "annotation", "owner", "category", "listed"])
def test_ids_that_are_none(tmp_path: Path, value: Json, place: str) -> None:
    annotations, results, _ = people()
    rows = {"image": "images", "listed": "categories"}.get(place, "annotations")
    field = {"owner": "image_id", "category": "category_id"}.get(place, "id")
    annotations[rows][0][field] = value
    check_dataset(written(tmp_path, "gt", annotations))
    try:
        score(tmp_path, annotations, results)
    except PosebenchError as error:
        assert place != "listed" and len(error.message) < 1000


@pytest.mark.parametrize("count", [-1, MOST_REPLICATES + 1, 1_000_000_000])
def test_replicates_are_bounded(count: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        Resampling(count)
    with pytest.raises(UsageError, match="out of range"):
        DiagnosisRequest((), Path("x"), replicates=count)


def test_each_category_is_a_data_set(tmp_path: Path) -> None:
    annotations, _ = two_categories()
    one, two = load_categories(written(tmp_path, "gt", annotations), tmp_path)
    assert (len(one.persons), len(two.persons)) == (10, 10)
    assert (str(one.category), str(two.category)) == ("1 (person)", "2 (dog)")
