"""Print how far posebench is from MMPose and xtcocotools on further data sets, as Markdown.

PYTHONPATH=tests/material python tests/parity/datasets_report.py --mmpose FOLDER \
    --out results/parity/datasets.md

FOLDER is a checkout of MMPose, whose `tests/data` hold a few images of each data set.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from datasets_parity import SmallSetRow, category_problems, problem_rows, small_set_rows
from whole_body_problems import (
    WholeBodyProblem,
    in_val_scale,
    whole_body_problem,
    xtcocotools_says_of_parts,
)

import posebench
from posebench.files.writing import write_text
from posebench.reporting.text_tables import markdown_table
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import matched_table, scored_by, table_values
from posebench.scoring.whole_body.parts import RESULT_LAYOUT

PROBLEMS = 300
VAL_IMAGES = 5000


def whole_body_gap(problem: WholeBodyProblem) -> tuple[float, int, float, float]:
    """Return the largest difference, how many numbers there are, and the seconds of both tools."""
    start = time.perf_counter()
    found = detections_from_results(problem.results, 133, 1, RESULT_LAYOUT)
    gap, count = 0.0, 0
    ours: dict[str, float | None] = {}
    if found is not None and problem.results:
        table = matched_table(ground_truth(problem.dataset), found, "wholebody")
        ours = table_values(table, scored_by("wholebody", None))
    between = time.perf_counter()
    theirs = xtcocotools_says_of_parts(problem) if ours else {}
    end = time.perf_counter()
    for name, value in ours.items():
        other = theirs[name]
        gap = max(gap, abs((-1.0 if value is None else value) - other))
        count += value is not None
    return gap, count, between - start, end - between


def whole_body_lines() -> Iterator[str]:
    gaps = [whole_body_gap(whole_body_problem(seed)) for seed in range(PROBLEMS)]
    problem = in_val_scale(VAL_IMAGES)
    gap, count, ours, theirs = whole_body_gap(problem)
    rows = [
        (f"{PROBLEMS} random problems", "", f"{sum(row[1] for row in gaps)}",
         f"{max(row[0] for row in gaps):.1e}", ""),
        (f"generated, {VAL_IMAGES} images", f"{len(problem.persons)} / {len(problem.results)}",
         str(count), f"{gap:.1e}", f"{ours:.1f} / {theirs:.0f}"),
    ]  # fmt: skip
    yield "## COCO-WholeBody against xtcocotools"
    yield ""
    yield "AP and AR, at all thresholds, at 0.5 and 0.75, of medium and of large people, of the"
    yield "whole and of body, feet, face, left hand and right hand: 60 numbers."
    yield ""
    header = ("annotations", "persons / results", "numbers", "largest difference",
              "seconds, posebench / xtcocotools")  # fmt: skip
    yield from markdown_table(header, rows)


def problem_lines() -> Iterator[str]:
    rows = [
        (row.name, str(row.count), str(row.numbers), f"{row.gap:.1e}")
        for row in problem_rows(range(PROBLEMS))
    ]
    yield "## Distances against MMPose, random problems"
    yield ""
    yield "A few images with one to three persons each, some keypoints exactly on a threshold. EPE"
    yield "and NME are MMPose's distances averaged in double precision; MMPose adds them up in"
    yield "single, so its own are right to 6 or 7 digits."
    yield ""
    header = ("data set", "problems", "numbers", "largest difference")
    yield from markdown_table(header, rows)


def category_lines() -> Iterator[str]:
    found = category_problems(range(PROBLEMS))
    yield "## AP-10K against MMPose, all species together"
    yield ""
    yield "Random files of up to four images with up to four animals each, several species in an"
    yield "image and in one place, through MMPose's own data set, rescoring, OKS-NMS and metric."
    yield ""
    header = ("data set", "problems", "numbers", "largest difference")
    row = (found.name, str(found.count), str(found.numbers), f"{found.gap:.1e}")
    yield from markdown_table(header, [row])


def _line(row: SmallSetRow) -> tuple[str, ...]:
    return (
        row.record,
        f"{row.images} / {row.instances}",
        row.main,
        f"{row.ours:.10f}",
        f"{row.theirs:.10f}",
        str(row.numbers),
        f"{row.gap:.1e}",
        f"{row.box_gap:.0e} / {row.label_gap:.0e}",
    )


def small_set_lines(mmpose: Path) -> Iterator[str]:
    rows = [_line(row) for row in small_set_rows(mmpose / "tests" / "data")]
    yield "## MMPose's small test sets"
    yield ""
    yield "Each is read by posebench from its own file, as its record says, and by MMPose's own"
    yield "data set; both score the same perturbed labels, three times. The number shown is the"
    yield "first time's. Head boxes of MPII are made up, as the small set has none."
    yield ""
    header = ("data set", "images / instances", "number", "posebench", "MMPose", "numbers",
              "largest difference", "boxes / labels differ, px")  # fmt: skip
    yield from markdown_table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mmpose", type=Path, required=True, help="Checkout of MMPose.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    packages = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "xtcocotools")
    )
    lines = [
        "# Further data sets: posebench beside MMPose and xtcocotools",
        "",
        f"posebench {posebench.__version__}, Python {platform.python_version()}, {packages}; "
        f"MMPose 1.3.2. {datetime.date.today().isoformat()}.",
        "Made by `tests/parity/datasets_report.py`; the tests of `tests/parity` ask for the same.",
        "",
        *small_set_lines(options.mmpose),
        "",
        *problem_lines(),
        "",
        *category_lines(),
        "",
        *whole_body_lines(),
    ]
    write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
