"""Where `posebench eval` spends its time besides the network, at the size of COCO val2017.

    python benchmarks/whole_command.py                # writes the page
    python benchmarks/whole_command.py --quick --out -

5 000 images, 11 004 annotations and 104 125 detected boxes are generated as in `scoring.py`. The
command runs as it is, in a process of its own, but for the network: keypoints come from a file, so
that all that is left is start, reading, planning, scoring and writing. The first run on images
reads them all, for their hash; the others find the hash in the user's cache.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import cv2
import numpy as np
import scoring
from measuring import (
    ONE_THREAD,
    RESULTS,
    Measurement,
    add_page_options,
    machine_line,
    median_and_range,
    peak_memory,
    run_json,
    table,
    write_page,
)

HERE = Path(__file__).resolve()
PAGE = RESULTS / "whole_command.md"
MARKER = "WHOLE "
NET = "simcc-m-64x48"
TARGET = 5.0
# The steps in their order; a step within another counts for itself.
STEPS = (
    "start: Python, posebench, torch",
    "annotations: read and check",
    "boxes: read and check",
    "image files: headers, sizes, hashes",
    "plan, and the network made ready",
    "scoring: rescoring, NMS, matching, AP",
    "intervals: 1 000 resamples",
    "files: results, table of images",
    "all the rest",
)
SIDE = 640


def steps() -> Mapping[Callable[..., Any], str]:
    """Return the functions that are timed, with their step."""
    from posebench.datasets.boxes import box_findings, detected_instances
    from posebench.datasets.checks.survey import data_findings
    from posebench.datasets.images.files import image_findings
    from posebench.datasets.images.hashes import images_sha256
    from posebench.datasets.requests import load_pose_dataset
    from posebench.running.plan import plan_cells
    from posebench.running.run_pass import _networks
    from posebench.running.scored import score_cell
    from posebench.running.storing import store_cell
    from posebench.scoring.statistics.estimates import resample

    _, annotations, boxes, images, plan, score, intervals, files, _ = STEPS
    return {
        load_pose_dataset: annotations,
        data_findings: annotations,
        detected_instances: boxes,
        box_findings: boxes,
        image_findings: images,
        images_sha256: images,
        plan_cells: plan,
        _networks: plan,
        score_cell: score,
        resample: intervals,
        store_cell: files,
    }


class Clock:
    """Processor and wall-clock seconds of steps; a step within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(2))
        self._open = [STEPS[-1]]
        self._since = clocks()

    def enter(self, step: str) -> None:
        """Count for `step` from here on."""
        self._count()
        self._open.append(step)

    def leave(self) -> None:
        """Count for the step around this one again."""
        self._count()
        self._open.pop()

    def _count(self) -> None:
        now = clocks()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def around(self, function: Callable[..., Any], step: str) -> Callable[..., Any]:
        """Return a function with the clock of a step."""

        def timed(*arguments: Any, **options: Any) -> Any:
            self.enter(step)
            try:
                return function(*arguments, **options)
            finally:
                self.leave()

        return timed


def replace_everywhere(replaced: Mapping[Callable[..., Any], Callable[..., Any]]) -> None:
    """Put other functions in the place of posebench's, wherever its modules name them."""
    for module in [module for name, module in sys.modules.items() if name.startswith("posebench")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType) and value in replaced:
                setattr(module, name, replaced[value])


def answers(file: Path) -> Callable[..., Any]:
    """Return what stands for `predict`: keypoints from a results file, in its order."""
    from posebench.prediction.predict import Outcome
    from posebench.prediction.predictions import instance_predictions

    with np.load(file) as kept:
        keypoints, scores = kept["keypoints"], kept["scores"]

    def predict(runs: Any, dataset: Any, instances: Any, **_: Any) -> Any:
        rows = instances.ids
        areas = (instances.bbox_xyxy[:, 2:] - instances.bbox_xyxy[:, :2]).prod(axis=1)
        found = instance_predictions(dataset, instances, keypoints[rows], scores[rows], areas)
        return {
            key: {decoder: Outcome(found, 1.0) for decoder in run.decoders}
            for key, run in runs.items()
        }

    return predict


def measure(folder: Path) -> Measurement:
    """Run the command in this process; return processor and wall-clock seconds of its steps."""
    from posebench.cli.garbage import seldom_searched

    # What the command imports while it runs is imported here, so that it can be timed.
    with seldom_searched():
        import posebench.cli.evaluate
        import posebench.running.evaluation
        from posebench.prediction.predict import predict

    clock = Clock()
    clock.seconds[STEPS[0]] = np.array([time.process_time(), time.time() - started_at()])
    timed = {function: clock.around(function, step) for function, step in steps().items()}
    replace_everywhere({**timed, predict: answers(folder / "answers.npz")})
    printed = io.StringIO()
    arguments = ["eval", NET, "--dataset", folder / "annotations.json", "--images", folder / "val"]
    arguments += ["--boxes", folder / "a.json", "--cache", "none", "--out", folder / "run"]
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        posebench.cli.main([str(each) for each in arguments])
    clock.enter(STEPS[-1])
    if "AP" not in printed.getvalue():
        sys.exit(printed.getvalue())
    return {
        "steps": {step: clock.seconds[step].tolist() for step in STEPS},
        "peak": peak_memory(),
    }


def clocks() -> np.ndarray:
    """Return processor and wall-clock seconds."""
    return np.array([time.process_time(), time.perf_counter()])


def started_at() -> float:
    """Return when this process started, in seconds since 1970."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime")
    )
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def generate(folder: Path, seed: int = 0) -> None:
    """Write annotations, boxes, images and what stands for a network's answers."""
    scoring.generate(folder, seed)
    rows = json.loads((folder / "a.json").read_text())
    triplets = np.array([row["keypoints"] for row in rows]).reshape(len(rows), -1, 3)
    np.savez(folder / "answers.npz", keypoints=triplets[..., :2], scores=triplets[..., 2])
    boxes = [{key: row[key] for key in row if key != "keypoints"} for row in rows]
    (folder / "a.json").write_text(json.dumps(boxes))
    images = json.loads((folder / "annotations.json").read_text())["images"]
    (folder / "val").mkdir()
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, 40, (SIDE // 4, SIDE // 4, 3)).clip(0, 255).astype(np.uint8)
    pixels = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
    for index, image in enumerate(images):
        # What follows the end of a JPEG counts for its hash, and for nothing else.
        (folder / "val" / image["file_name"]).write_bytes(jpeg + index.to_bytes(4, "big"))


def measure_page(folder: Path, rounds: int) -> list[str]:
    """Measure the command, and return the lines of the page."""
    command = [sys.executable, str(HERE), "--measure", str(folder)]
    environment = {**ONE_THREAD, "XDG_CACHE_HOME": str(folder / "cache")}
    runs = []
    for _ in range(rounds + 1):
        runs.append(run_json(command, marker=MARKER, environment=environment))
        shutil.rmtree(folder / "run")
    first, *others = runs
    rows = []
    for step in (*STEPS, "together"):
        cells = [_seconds(run, step) for run in others]
        rows.append(
            [
                step,
                f"{_seconds(first, step)[0]:.2f}",
                median_and_range([cpu for cpu, _ in cells], ".2f"),
                median_and_range([wall for _, wall in cells], ".2f"),
            ]
        )
    head = ["step", "first run, processor s", "later runs, processor s", "wall-clock s"]
    together = statistics.median(_seconds(run, "together")[0] for run in others)
    verdict = "below" if together <= TARGET else "**above**"
    return [
        "# The whole command besides the network",
        "",
        f"`posebench eval {NET}` on {scoring.IMAGES} images, {scoring.ANNOTATIONS} annotations "
        f"and {scoring.DETECTIONS} detected boxes, on one thread; keypoints come from a file "
        "instead of a network. The first run reads all images for their hash.",
        "",
        *table(head, rows),
        "",
        f"{together:.1f} s of processor time are {verdict} the target of {TARGET:.0f} s. Peak "
        f"memory {max(run['peak'] for run in runs):.0f} MB.",
    ]


def _seconds(run: Measurement, step: str) -> tuple[float, float]:
    if step == "together":
        cpu, wall = np.sum([run["steps"][each] for each in STEPS], axis=0)
    else:
        cpu, wall = run["steps"][step]
    return float(cpu), float(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="little of everything, for a try")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    add_page_options(parser, PAGE)
    options = parser.parse_args()
    if options.measure is not None:
        print(MARKER + json.dumps(measure(options.measure)))
        return
    if options.quick:
        scoring.IMAGES, scoring.WITH_PERSONS = 50, 30
        scoring.ANNOTATIONS, scoring.LABELLED, scoring.CROWDS = 100, 60, 5
        scoring.DETECTIONS = 1000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder)
        lines = measure_page(folder, 1 if options.quick else options.rounds)
    lines += [
        "",
        machine_line(("torch", "numpy", "orjson")),
        "",
        "Repeat: `python benchmarks/whole_command.py --help`.",
    ]
    write_page(lines, options.out)


if __name__ == "__main__":
    main()
