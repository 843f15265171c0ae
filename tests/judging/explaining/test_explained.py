"""A cause planted in a run of an embedded network, or in its results file, is named first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import posebench
from posebench.datasets.keypoints import COCO
from posebench.errors import UsageError
from posebench.files.records import mapping_from_record
from posebench.judging.explaining.explained import ExplainRequest, explained
from posebench.judging.explaining.published import published_effect
from posebench.reporting.explaining.table import explanation_table
from posebench.reporting.figures.explaining.waterfall import write_waterfall
from posebench.reporting.printing import text_of
from posebench.results.explaining.explanation import Explanation
from posebench.results.store import read_run
from posebench.running.switches.measure import NetworkSwitches
from posebench.scoring.evaluate import ScoringOptions, chosen_results
from posebench.scoring.statistics.estimates import Resampling

NETWORK = "heatmap-s"


def evaluated(people: Path, out: Path, spec: Path | None = None, **fields: Any) -> Path:
    data = fields.pop("data", {"name": str(people)})
    posebench.evaluate(NETWORK, data, out=out, spec=spec, **fields)
    return out


@pytest.fixture(scope="module")
def right(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluated(people, tmp_path_factory.mktemp("right"))


def why(mine: object, theirs: object, **options: Any) -> Explanation:
    options = {"resampling": Resampling(50), **options}
    own = {name: options.pop(name) for name in ("may_run", "raw", "shared") if name in options}
    switches = NetworkSwitches(lambda _label, _done, _total: None, **own)
    return explained(ExplainRequest(str(mine), str(theirs), **options), switches)


def spec_file(folder: Path, **crop: Any) -> Path:
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({"crop": crop}))
    return path


def planted(name: str, people: Path, folder: Path) -> Path:
    """Return a run in which one thing is wrong."""
    out = folder / "run"
    if name == "flip_test":
        return evaluated(people, out, flip=False)
    if name == "padding":
        return evaluated(people, out, spec_file(folder, padding=1.0))
    if name == "channels":
        return evaluated(people, out, spec_file(folder, channels="bgr"))
    if name == "crop":
        return evaluated(people, out, spec_file(folder, udp=True))
    if name == "sigmas":
        wide = [2 * sigma for sigma in COCO.sigmas]
        plain = {**mapping_from_record(COCO), "name": "wide", "sigmas": wide}
        path = folder / "wide.yaml"
        path.write_text(yaml.safe_dump(plain))
        return evaluated(people, out, data={"name": str(people), "keypoints": str(path)})
    if name == "boxes":
        return evaluated(people, out, boxes=str(detected(people, folder)))
    return evaluated(people, out, scoring={name: {"nms": "none", "rescoring": "bbox"}[name]})


def detected(people: Path, folder: Path) -> Path:
    """Return boxes as a detector might find them: a tenth of a side off."""
    (annotations,) = (people / "annotations").glob("*.json")
    rng, rows = np.random.default_rng(0), []
    for row in json.loads(annotations.read_text())["annotations"]:
        x, y, w, h = row["bbox"]
        dx, dy = rng.uniform(-0.15, 0.15, 2)
        box = [x + dx * w, y + dy * h, w * 1.1, h * 0.9]
        rows.append(
            {"image_id": row["image_id"], "category_id": 1, "bbox": box, "score": 0.9 - 0.1 * dx}
        )
    path = folder / "detected.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize(
    "cause", ["flip_test", "padding", "channels", "crop", "sigmas", "boxes", "rescoring"]
)
def test_a_planted_cause_is_named_first_and_explains_all(
    cause: str, people: Path, right: Path, tmp_path: Path
) -> None:
    mine = planted(cause, people, tmp_path)
    found = why(mine, right, may_run=True)
    assert found.cause == cause
    assert found.steps[0].how == "measured"
    assert found.rest is not None and found.total is not None
    assert found.rest.value == pytest.approx(0, abs=1e-9)
    assert found.rest.low == pytest.approx(0, abs=1e-9)
    assert found.steps[0].effect is not None
    assert found.steps[0].effect.value == pytest.approx(found.total.value)


def test_other_boxes_bring_their_own_filters(people: Path, right: Path, tmp_path: Path) -> None:
    file = str(detected(people, tmp_path))
    theirs = evaluated(people, tmp_path / "run", boxes={"file": file, "min_score": 0.905})
    for mine, other in ((right, theirs), (theirs, right)):
        found = why(mine, other, may_run=True)
        assert found.cause == "boxes"
        assert found.rest is not None and found.rest.value == pytest.approx(0, abs=1e-9)


def test_what_needs_the_network_is_not_measured_without_run(
    people: Path, right: Path, tmp_path: Path
) -> None:
    found = why(planted("channels", people, tmp_path), right)
    (step,) = found.steps
    assert (step.field, step.how, step.effect) == ("channels", "not measured", None)
    assert "--run" in step.source
    assert found.rest == found.total


def test_a_switch_whose_predictions_are_kept_needs_no_network(people: Path, tmp_path: Path) -> None:
    both = evaluated(people, tmp_path / "both", flip=[True, False])
    cells = [f"{both}/cells/{cell.id}.json" for cell in read_run(both).cells]
    found = why(*cells)
    assert found.steps[0].how == "measured"
    assert "kept" in found.steps[0].source
    assert found.rest is not None and found.rest.value == pytest.approx(0, abs=1e-9)


def test_a_run_of_several_cells_must_be_told_which(people: Path, tmp_path: Path) -> None:
    both = evaluated(people, tmp_path / "both", flip=[True, False], scoring={"replicates": 0})
    with pytest.raises(UsageError, match="2 results") as raised:
        why(both, both)
    assert "cells/ID.json" in (raised.value.hint or "")


def results_of(run: Path, path: Path) -> Path:
    (cell,) = read_run(run).cells
    predictions = read_run(run).predictions(cell)
    assert predictions is not None
    path.write_text(json.dumps(chosen_results(predictions, COCO.sigmas, ScoringOptions(), 1)))
    return path


@pytest.mark.parametrize("cause", ["flip_test", "padding", "channels", "crop"])
def test_a_colleagues_file_is_made_again_by_the_planted_switch(
    cause: str, people: Path, right: Path, tmp_path: Path
) -> None:
    theirs = results_of(planted(cause, people, tmp_path), tmp_path / "theirs.json")
    found = why(right, theirs, may_run=True)
    assert found.signs[0].cause == cause
    assert found.signs[0].explains == pytest.approx(1.0, abs=1e-3)
    assert found.signs[0].ap == pytest.approx(found.theirs.ap)


def test_a_shift_by_half_a_pixel_between_two_files(
    people: Path, right: Path, tmp_path: Path
) -> None:
    mine = results_of(right, tmp_path / "mine.json")
    rows = json.loads(mine.read_text())
    for row in rows:
        row["keypoints"] = [v + 0.5 * (i % 3 < 2) for i, v in enumerate(row["keypoints"])]
    (tmp_path / "theirs.json").write_text(json.dumps(rows))
    (annotations,) = (people / "annotations").glob("*.json")
    found = why(mine, tmp_path / "theirs.json", annotations=annotations)
    assert found.cause == "shift"
    assert found.signs[0].ap == pytest.approx(found.mine.ap)
    with pytest.raises(UsageError, match="needs the annotations"):
        why(mine, tmp_path / "theirs.json")


def test_a_published_number_brings_its_pairs(right: Path, tmp_path: Path) -> None:
    found = why(right, "mmpose/rtmpose-m_aic+coco_256x192")
    fields = {step.field: step for step in found.steps}
    assert fields["boxes"].how == "published"
    assert "mmpose:" in fields["boxes"].source
    assert fields["checkpoint"].effect is None
    assert found.theirs.ap == pytest.approx(0.758)
    assert "nms" in found.not_said
    known = sum((s.effect.value or 0) for s in found.steps if s.effect is not None)
    assert found.total is not None and found.rest is not None
    assert found.rest.value == pytest.approx((found.total.value or 0) - known)
    text = text_of(explanation_table(found))
    assert "unexplained" in text and "published pair" in text
    for suffix in ("svg", "png"):
        write_waterfall(found, tmp_path / f"why.{suffix}")
    assert "boxes" in (tmp_path / "why.svg").read_text()


def test_a_decoder_comes_with_the_network_of_another_paradigm(
    people: Path, right: Path, tmp_path: Path
) -> None:
    posebench.evaluate("simcc-s", {"name": str(people)}, out=tmp_path / "simcc")
    assert [step.field for step in why(right, tmp_path / "simcc").steps] == ["checkpoint"]


def test_a_file_beside_a_published_number_says_that_its_images_are_others(
    people: Path, right: Path, tmp_path: Path
) -> None:
    mine = results_of(right, tmp_path / "mine.json")
    (annotations,) = (people / "annotations").glob("*.json")
    found = why(mine, "mmpose/rtmpose-m_aic+coco_256x192", annotations=annotations)
    assert any("5000 images of coco, the results file of 4" in note for note in found.notes)


def test_pairs_of_the_zoo_have_the_sign_of_the_way_they_are_gone() -> None:
    gain = published_effect("boxes", "det56.4", "gt")
    loss = published_effect("boxes", "gt", "det56.4")
    assert gain is not None and loss is not None
    assert gain.value > 0.01
    assert (
        loss.value == pytest.approx(-gain.value)
        and loss.source.split(",")[0] == gain.source.split(",")[0]
    )
    on, off = (published_effect("flip_test", not way, way) for way in (True, False))
    assert on is not None and off is not None and on.value == pytest.approx(-off.value)
    assert published_effect("boxes", "gt", "gt") is None
    assert published_effect("channels", "bgr", "rgb") is None
