"""The figure of a diagnosis: its bars and curves have the report's numbers, files are letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn import collisions

from posebench.reporting.figures.diagnosis import diagnosis_drawing
from posebench.reporting.figures.drawing import composed
from posebench.scoring.diagnosis.files import DiagnosisReport, DiagnosisRequest, diagnose_files


@pytest.fixture(scope="module")
def report(people: Path, tmp_path_factory: pytest.TempPathFactory) -> DiagnosisReport:
    """Return a diagnosis of the ground truth itself, and of half of it, moved."""
    annotations = people / "annotations" / "person_keypoints_val.json"
    truth = json.loads(annotations.read_text(encoding="utf-8"))["annotations"]
    folder = tmp_path_factory.mktemp("results")
    for name, shift, step in (("exact", 0.0, 1), ("moved_half", 9.0, 2)):
        rows = [
            {
                "image_id": person["image_id"],
                "category_id": 1,
                "keypoints": [
                    value + shift * (place % 3 == 0)
                    for place, value in enumerate(person["keypoints"])
                ],
                "score": 0.5 + index / 100,
            }
            for index, person in enumerate(truth[::step])
        ]
        (folder / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    files = (folder / "exact.json", folder / "moved_half.json")
    return diagnose_files(DiagnosisRequest(files, annotations, replicates=2))


def test_bars_and_curves_are_the_reports(report: DiagnosisReport) -> None:
    drawing = diagnosis_drawing(report)
    assert "A: exact · B: moved_half" in drawing.heading
    figure: Any
    with composed(drawing) as figure:
        states, costs, precision, reliability = figure.axes
        assert states.patches[0].get_width() == 100
        ap = [bar.get_width() for bar in costs.patches[:2]]
        assert ap == pytest.approx([100 * (model.ap or 0) for model in report.models])
        assert ap[0] == pytest.approx(100)
        assert len(precision.lines) == sum(len(model.curves) for model in report.models)
        texts = [text.get_text() for text in reliability.get_legend().get_texts()]
        assert [text[0] for text in texts] == ["A", "B"]
        assert [label.get_text() for label in states.get_yticklabels()] == ["A", "B"]
        assert collisions(figure) == []
