"""Small files that once got a wrong number or a false reason, as people really have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.datasets.images.rules import ImageReading
from posebench.datasets.rules import LoadOptions
from posebench.errors import PosebenchError
from posebench.scoring.data_check import CheckOptions, CheckReport, check_dataset, check_path
from posebench.scoring.files import ScoreReport, ScoreRequest, score_files
from posebench.scoring.statistics.estimates import Resampling

# AP of the sound files.
REFERENCE = 0.47473461053451


def score(folder: Path, official: bool = True) -> ScoreReport:
    request = ScoreRequest(
        (folder / "dt.json",),
        folder / "gt.json",
        official=official,
        resampling=Resampling(replicates=0),
    )
    return score_files(request)


@pytest.mark.parametrize(
    ("case", "expected", "said"),
    [
        ("00-reference", REFERENCE, ""),
        ("03-area-larger-than-box", 1.0, "[area-above-box]"),
        ("05-category-id-0", REFERENCE, ""),
        ("06-two-categories-official", 0.122020586674, "[results-none-of-category]"),
        ("07-results-normalised", 0.0, "fractions of the image"),
        ("14-more-names-than-keypoints", REFERENCE, "[names-more]"),
        ("15-names-in-other-spelling", REFERENCE, ""),
    ],
)
def test_the_number_is_pycocotools_own_and_what_is_odd_is_said(
    shared_dir: Path, case: str, expected: float, said: str
) -> None:
    report = score(shared_dir / "cases" / case)
    (one,) = report.scores
    assert one.metrics["AP"].value == pytest.approx(expected, abs=1e-10)
    for name, estimate in one.metrics.items():
        assert one.official is not None
        assert estimate.value == pytest.approx(one.official[name], abs=1e-12)
    findings = "\n".join((*report.data.findings, *one.findings))
    assert said in findings and bool(said) == bool(findings)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("01-area-zero", "areas of 22 of 22 labelled persons"),
        ("04-results-category-0", r"category_id 0, the annotations 1 \(person\)"),
        ("08-results-negative-box", "negative width or height"),
        ("10-image-ids-uint64", "integer id"),
        ("13-results-text-image-id", "`image_id` is text.*file_name of image 1"),
    ],
)
def test_what_would_mislead_is_refused(shared_dir: Path, case: str, message: str) -> None:
    with pytest.raises(PosebenchError, match=f"(?s){message}"):
        score(shared_dir / "cases" / case, official=False)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("20-images-reference", None),
        ("21-images-of-half-size", "images-resized"),
        ("23-exif-3-annotated-as-stored", "images-orientation"),
        ("24-some-boxes-zero", "box-empty"),
        ("25-boxes-xyxy", "box-reading"),
        ("26-no-area", "area-missing"),
        ("50-single-person-size-range", None),
        ("57-long-file-name/c-name-long", "images-unchecked"),
        ("58-image-of-another-size/c-1x1.png", "images-other-size"),
    ],
)
def test_folders_of_images(shared_dir: Path, case: str, kind: str | None) -> None:
    (report,) = check_path(shared_dir / "cases" / case)
    assert (kind in kinds(report)) if kind else (report.sound and not report.findings)


def test_options_that_make_folders_sound(shared_dir: Path) -> None:
    for case, options in (
        ("21-images-of-half-size", LoadOptions(reading=ImageReading(allow_resized=True))),
        ("23-exif-3-annotated-as-stored", LoadOptions(reading=ImageReading(exif="ignore"))),
        ("26-no-area", LoadOptions(area_rule="box")),
    ):
        (report,) = check_path(shared_dir / "cases" / case, CheckOptions(load=options))
        assert report.sound, case


def test_annotations_of_every_type(shared_dir: Path) -> None:
    for folder in sorted((shared_dir / "cases" / "56-annotation-types").iterdir()):
        if folder.is_dir():
            check_dataset(folder / "ann.json")
            request = ScoreRequest((folder / "det.json",), folder / "ann.json")
            try:
                score_files(request)
            except PosebenchError as error:
                assert len(str(error)) < 1000


def kinds(report: CheckReport) -> list[str]:
    return [item.kind for item in report.findings]
