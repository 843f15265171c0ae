"""Time and memory of scoring at val2017 scale: pycocotools and posebench in the same run.

    python benchmarks/scoring.py                # prints the table, and writes it below results/
    python benchmarks/scoring.py --rounds 1 --out -

Every measurement is a process of its own with one thread. Data are generated: as many images,
annotations and detections as COCO val2017 has with its usual person detector (5 000, 11 004 and
104 125), from a seed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import (
    ONE_THREAD,
    RESULTS,
    Measurement,
    add_page_options,
    clocks,
    machine_line,
    peak_memory,
    run_json,
    table,
    write_page,
)

IMAGES, ANNOTATIONS, DETECTIONS = 5000, 11004, 104125
LABELLED, CROWDS, WITH_PERSONS = 6352, 227, 2693
REPLICATES = 1000
PAGE = RESULTS / "scoring.md"


def generate(folder: Path, seed: int = 0) -> None:
    """Write `annotations.json` and the predictions `a.json` and `b.json` (b is worse)."""
    rng = np.random.default_rng(seed)
    image_ids = np.sort(rng.choice(600_000, IMAGES, replace=False))
    crowded = rng.choice(image_ids, WITH_PERSONS, replace=False)
    owners = np.r_[crowded, rng.choice(crowded, ANNOTATIONS - WITH_PERSONS)]
    sizes = np.exp(rng.normal([4.0, 4.7], 0.9, (ANNOTATIONS, 2))).clip(8, 480)
    corners = rng.uniform(0, 1, (ANNOTATIONS, 2)) * (640 - sizes)
    points = corners[:, None] + rng.uniform(0.05, 0.95, (ANNOTATIONS, 17, 2)) * sizes[:, None]
    flags = rng.choice([0, 1, 2], (ANNOTATIONS, 17), p=[0.35, 0.1, 0.55])
    flags[LABELLED:] = 0
    outlines = corners[:, None] + rng.uniform(0, 1, (ANNOTATIONS, 20, 2)) * sizes[:, None]
    rows = [
        {
            "id": 200_000 + int(index),
            "image_id": int(owners[index]),
            "category_id": 1,
            "iscrowd": int(LABELLED <= index < LABELLED + CROWDS),
            "bbox": corners[index].round(2).tolist() + sizes[index].round(2).tolist(),
            "area": round(float(sizes[index].prod() * 0.6), 4),
            "segmentation": [outlines[index].round(2).ravel().tolist()],
            "num_keypoints": int((flags[index] > 0).sum()),
            "keypoints": np.where(
                flags[index, :, None] > 0,
                np.c_[points[index].astype(int), flags[index]],
                0,
            )
            .ravel()
            .tolist(),
        }
        for index in rng.permutation(ANNOTATIONS)
    ]
    images = [
        {"id": key, "file_name": f"{key:012}.jpg", "width": 640, "height": 640}
        for key in image_ids.tolist()
    ]
    categories = [{"id": 1, "name": "person"}]
    document = {"images": images, "annotations": rows, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    people = (owners, corners, sizes, points)
    for name, noise in (("a", 0.04), ("b", 0.05)):
        predictions = predict(np.random.default_rng((seed, 1)), image_ids, people, noise)
        (folder / f"{name}.json").write_text(json.dumps(predictions))


def predict(
    rng: np.random.Generator, image_ids: np.ndarray, people: tuple[np.ndarray, ...], noise: float
) -> list[dict[str, Any]]:
    """Return one noisy detection of each person, and background ones, as float32 networks do."""
    owners, corners, sizes, points = people
    background = DETECTIONS - ANNOTATIONS
    extent = np.exp(rng.normal(4.0, 0.9, (background, 2))).clip(8, 480)
    origin = rng.uniform(0, 1, (background, 2)) * (640 - extent)
    elsewhere = origin[:, None] + rng.uniform(0, 1, (background, 17, 2)) * extent[:, None]
    spread = noise * np.exp(rng.normal(0, 0.8, (ANNOTATIONS, 1, 1))) * sizes[:, None]
    near = points + rng.normal(0, 1, points.shape) * spread
    keypoints = np.r_[near, elsewhere].astype(np.float32)
    scores = np.r_[rng.beta(5, 2, ANNOTATIONS), rng.beta(1, 8, background)].astype(np.float32)
    triplets = np.concatenate(
        [keypoints, rng.random((DETECTIONS, 17, 1), dtype=np.float32)], axis=2
    )
    places = np.r_[owners, rng.choice(image_ids, background)]
    boxes = np.c_[np.r_[corners, origin], np.r_[sizes, extent]].astype(np.float32)
    return [
        {
            "image_id": int(places[index]),
            "category_id": 1,
            "keypoints": triplets[index].ravel().tolist(),
            "score": float(scores[index]),
            "bbox": boxes[index].tolist(),
        }
        for index in np.argsort(places, kind="stable")
    ]


def run_pycocotools(folder: Path) -> Measurement:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = clocks()
        truth = COCO(str(folder / "annotations.json"))
        found = truth.loadRes(str(folder / "a.json"))
        loaded = clocks()
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return _measured(start, loaded, evaluation.stats.tolist())


def run_posebench(folder: Path) -> Measurement:
    from posebench.datasets.coco import load_annotations
    from posebench.scoring.matching.accumulate import summarise
    from posebench.scoring.matching.matching import match
    from posebench.scoring.matching.metrics import MATCH_METRICS
    from posebench.scoring.matching.truth import ground_truth
    from posebench.scoring.results_file import read_detections

    start = clocks()
    truth = ground_truth(load_annotations(folder / "annotations.json", folder))
    found = read_detections(folder / "a.json", 17).detections
    loaded = clocks()
    values = summarise(match(truth, found), MATCH_METRICS["coco"]).values()
    return _measured(start, loaded, [value for value in values if value is not None])


def run_bootstrap(folder: Path) -> Measurement:
    """Measure what 1 000 replicates of two models add, for all ten numbers of both."""
    from posebench.datasets.coco import load_annotations
    from posebench.scoring.matching.matching import match
    from posebench.scoring.matching.metrics import MATCH_METRICS
    from posebench.scoring.matching.truth import ground_truth
    from posebench.scoring.results_file import read_detections
    from posebench.scoring.statistics.bootstrap import resampled_images, weighted_metrics

    start = clocks()
    truth = ground_truth(load_annotations(folder / "annotations.json", folder))
    tables = [
        match(truth, read_detections(folder / f"{name}.json", 17).detections) for name in "ab"
    ]
    loaded = clocks()
    weights = resampled_images(np.random.default_rng(0), IMAGES, REPLICATES)
    first, second = weighted_metrics(tables, MATCH_METRICS["coco"], weights)
    return _measured(start, loaded, (first - second).std(axis=0).tolist())


CONTENDERS: dict[str, Callable[[Path], Measurement]] = {
    "pycocotools": run_pycocotools,
    "posebench": run_posebench,
    "bootstrap": run_bootstrap,
}


def _measured(start: np.ndarray, loaded: np.ndarray, values: list[float]) -> Measurement:
    end = clocks()
    peak = peak_memory()
    (load, load_cpu), (work, work_cpu) = (loaded - start).tolist(), (end - loaded).tolist()
    return {
        "load": load_cpu,
        "work": work_cpu,
        "cpu": load_cpu + work_cpu,
        "wall": load + work,
        "peak": peak,
        "values": values,
    }


def measure(name: str, folder: Path) -> Measurement:
    """Run one contender in a process of its own."""
    command = [sys.executable, __file__, "--contender", name, "--folder", str(folder)]
    return run_json(command, environment=ONE_THREAD)


def report(runs: dict[str, list[Measurement]], bytes_read: int) -> list[str]:
    """Return the lines of the page."""

    def middle(name: str, key: str) -> float:
        return float(statistics.median(run[key] for run in runs[name]))

    ours, theirs = runs["posebench"][0]["values"], runs["pycocotools"][0]["values"]
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    columns = ("load", "work", "cpu", "wall")
    rows = [
        [name, *(f"{middle(name, key):.2f}" for key in columns), f"{middle(name, 'peak'):.0f}"]
        for name in ("pycocotools", "posebench")
    ]
    ratio = {key: middle("pycocotools", key) / middle("posebench", key) for key in ("cpu", "wall")}
    return [
        "# Scoring at val2017 scale",
        "",
        f"{IMAGES} images, {ANNOTATIONS} annotations ({LABELLED} labelled, {CROWDS} crowds), "
        f"{DETECTIONS} detections with boxes; {bytes_read / 1e6:.0f} MB of JSON, generated.",
        "",
        *table(
            ["scorer", "load, s", "score, s", "together, s", "on the wall, s", "peak memory, MB"],
            rows,
        ),
        "",
        f"posebench takes 1/{ratio['cpu']:.1f} of the processor time (1/{ratio['wall']:.1f} on "
        "the wall) and "
        f"{middle('posebench', 'peak') / middle('pycocotools', 'peak'):.2f} of the memory; the "
        f"ten numbers differ by at most {apart:.1e}.",
        "",
        f"Bootstrap of a pair, {REPLICATES} replicates of all ten numbers of both: "
        f"{middle('bootstrap', 'work'):.2f} s of processor time after loading, peak "
        f"{middle('bootstrap', 'peak'):.0f} MB.",
        "",
        f"Median of {len(runs['posebench'])} rounds, each contender in a process of its own with "
        "one thread; seconds are of the processor except on the wall, import time is not "
        f"counted. {machine_line(('numpy', 'pycocotools'))}",
        "",
        "Repeat: `python benchmarks/scoring.py`.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    add_page_options(parser, PAGE)
    parser.add_argument("--folder", type=Path, help="folder of generated files, to use again")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(CONTENDERS[options.contender](options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "b.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            generate(folder)
        runs: dict[str, list[Measurement]] = {name: [] for name in CONTENDERS}
        for _ in range(options.rounds):
            for name in CONTENDERS:
                runs[name].append(measure(name, folder))
        size = sum((folder / name).stat().st_size for name in ("annotations.json", "a.json"))
    write_page(report(runs, size), options.out)


if __name__ == "__main__":
    main()
