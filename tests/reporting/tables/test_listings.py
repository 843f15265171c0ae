"""What `inspect` and `data check` print, from records made up here."""

from __future__ import annotations

from pathlib import Path

from posebench.checkpoints import Inspection
from posebench.datasets.checks.findings import Finding
from posebench.reporting.tables.listings import check_listing, inspection_listing
from posebench.scoring.data_check import CheckReport
from posebench.scoring.matching.metrics import Metrics


def test_an_inspection_without_a_network() -> None:
    inspection = Inspection(
        name="net",
        path=Path("net.pth"),
        sha256="ab" * 32,
        publisher="mmpose",
        evidence=(("codec.kind", "simcc", "meta.cfg"), ("input_size", "256x192", "meta.cfg")),
        provenance={
            "epoch": 3,
            "note": "x" * 101,
            "recipe": {"name": "a", "keypoints": {"name": "cat", "sigmas": [1]}, "loss": {"b": 2}},
        },
        checkpoint=None,
        problem="the head is unknown",
    )
    assert (
        inspection_listing(inspection)
        == f"""\
net.pth
  publisher   mmpose
  sha256      {"ab" * 32}

  found, and why:
    codec.kind  simcc  (meta.cfg)
    input_size  256x192  (meta.cfg)
    provenance.epoch: 3
    provenance.note: {"x" * 100}…
    provenance.recipe.name: a
    provenance.recipe.keypoints: cat
    provenance.recipe.loss.b: 2

  cannot be loaded: the head is unknown"""
    )


def test_a_data_check() -> None:
    report = CheckReport(
        annotations=Path("a.json"),
        images=Path("val"),
        findings=(
            Finding("images-missing", "Missing image files", hint="Get them."),
            Finding("images-unchecked", "x"),
        ),
        keypoint_set="coco",
        image_count=4,
        person_count=9,
        instance_count=8,
        images_read=3,
        oracle=Metrics({"AP": 0.98765}, "pycocotools 2"),
    )
    lines = check_listing(report).splitlines()
    assert lines[:3] == [
        "a.json: NOT sound",
        "  4 images (3 files read), 9 persons, 8 to evaluate, keypoints coco",
        "  ground truth as prediction: AP 98.8 points (pycocotools 2)",
    ]
    assert lines[3].startswith("  error: Missing image files")
    assert lines[4] == "      Get them."
    assert lines[5].startswith("  note: x")
