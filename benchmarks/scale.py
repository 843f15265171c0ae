"""How `posebench eval` scales: with cells, sizes, checkpoints, instances, workers and images.

    python benchmarks/scale.py [--data DIR] [--checkpoints FILE FILE]   # writes the page
    python benchmarks/scale.py --quick --out -

Images are generated, as JPEG files of 640x480 with boxes; the networks are embedded ones. With
`--data`, a folder laid out as COCO, predictions are compared on real images as well, and crops of
half-size JPEG decoding with others. With `--checkpoints`, the sharing table is measured for these
two as well. Every measurement is `posebench eval` in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from generated_images import HEIGHT, WIDTH, write_images
from measuring import (
    RESULTS,
    Measurement,
    add_page_options,
    machine_line,
    median_and_range,
    run_json,
    table,
    write_page,
)
from timed_eval import MARKER

HERE = Path(__file__).resolve()
PAGE = RESULTS / "scale.md"
EMBEDDED = ("heatmap-m", "simcc-m")
SMALLEST = "heatmap-m-64x48"
SIZES = ("64x48", "128x96", "192x144", "256x192", "384x288")
BOUND_MB = 3000
OWN_DEFAULTS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"))
# Options that must not move a prediction, and batch sizes, which may move it by rounding.
SAME = {
    "workers 0": ["--workers", "0"],
    "workers 1": ["--workers", "1"],
    "workers 4": ["--workers", "4"],
    "1 lane": ["--threads", "1"],
    "workers 4, 1 lane": ["--workers", "4", "--threads", "1"],
}
BATCHES = {f"batch {size}": ["--batch-size", str(size)] for size in (1, 3, 32)}


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    images: int = 5000
    shared_images: int = 200
    # Fewer images for the checkpoints given, which are larger.
    given_images: int = 50
    limits: tuple[int, ...] = (100, 200, 400, 800, 1600)
    compared_images: int = 100
    rounds: int = 3


QUICK = Extent(60, 8, 4, (10, 20, 40), 8, 1)


@dataclass(frozen=True)
class Data:
    """A data set to evaluate on."""

    annotations: Path
    images: Path

    def evaluate(self, arguments: Sequence[str], limit: int | None = None) -> Measurement:
        """Return what `posebench eval` of some arguments took."""
        command = [sys.executable, str(HERE.with_name("timed_eval.py")), *arguments]
        command += ["--dataset", str(self.annotations), "--images", str(self.images)]
        if limit is not None:
            command += ["--limit", str(limit)]
        return run_json(command, marker=MARKER, environment=OWN_DEFAULTS)


def shared_cost(data: Data, checkpoints: Sequence[str], images: int, rounds: int) -> list[str]:
    """Return what a second size, decoder and checkpoint cost beside the first."""
    one, other = checkpoints
    # Resampled crops keep the network, so that a second size differs by its crops alone.
    second_size = ["--size", "0.75x", "--policy", "resample"]
    cases = {
        "first": [one],
        "second size alone": [one, *second_size],
        "second checkpoint alone": [other],
        "with a second size": [one, "--size", "native,0.75x", "--policy", "resample"],
        "with a second decoder": [one, "--decoder", _two_decoders(data, one)],
        "with a second checkpoint": [one, other],
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    reads = {}
    for _ in range(rounds):
        for name, arguments in cases.items():
            measured = data.evaluate(arguments, images)
            seconds[name].append(measured["loop"])
            reads[name] = measured["calls"]["read"]
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    alone = {
        "with a second size": middle["second size alone"],
        "with a second decoder": middle["first"],
        "with a second checkpoint": middle["second checkpoint alone"],
    }
    rows = []
    for name in cases:
        more = middle[name] - middle["first"]
        rows.append(
            [
                name,
                median_and_range(seconds[name], ".2f"),
                str(reads[name]),
                f"{more:.2f}" if name in alone else "–",
                f"{alone[name]:.2f}" if name in alone else "–",
                f"{1 - more / alone[name]:.0%}" if name in alone else "–",
            ]
        )
    head = ["run", "loop, s", "images decoded", "the second adds, s", "alone it takes, s", "saved"]
    named = " and ".join(Path(name).stem for name in checkpoints)
    return [
        f"{named}, {images} images, {measured['cells'][0]['instances']} instances; "
        "the second size is 0.75 of the trained one, resampled, so that the network's work is "
        "the same.",
        "",
        *table(head, rows),
    ]


def _two_decoders(data: Data, checkpoint: str) -> str:
    """Return two decoders that can decode the checkpoint's outputs."""
    cells = data.evaluate([checkpoint, "--decoder", "dark"], 1)["cells"]
    return "own,dark" if cells[0]["status"] == "ok" else "own,expectation"


def cost_by_size(data: Data, extent: Extent) -> list[str]:
    """Return what an instance costs by input size, of a heatmap network run natively."""
    rows = []
    for size in SIZES:
        measured = data.evaluate([EMBEDDED[0], "--size", size], extent.shared_images)
        cell, loop = measured["cells"][0], measured["loop"]
        lanes = measured["settings"].get("lanes", 1)
        network = measured["stages"]["network"] / lanes / cell["instances"]
        whole = loop / cell["instances"]
        rows.append(
            [
                size,
                f"{cell['gmacs']:.4f}",
                f"{1e3 * whole:.2f}",
                f"{1e3 * network:.2f}",
                f"{1e3 * (whole - network):.2f}",
                f"{2 * 2 * cell['gmacs'] / network:.0f}",
            ]
        )
    head = ["input size", "GMACs", "ms an instance", "in the network", "besides"]
    return table([*head, "GFLOP/s in the network"], rows)


def linearity(data: Data, extent: Extent) -> list[str]:
    """Return the loop's seconds by instances beside those of a straight line."""
    runs = [data.evaluate([SMALLEST], limit) for limit in extent.limits]
    counts = np.array([run["cells"][0]["instances"] for run in runs])
    seconds = np.array([run["loop"] for run in runs])
    slope, start = np.polyfit(counts, seconds, 1)
    fitted = start + slope * counts
    rows = [
        [str(limit), str(count), f"{took:.2f}", f"{line:.2f}", f"{took / line - 1:+.1%}"]
        for limit, count, took, line in zip(extent.limits, counts, seconds, fitted, strict=True)
    ]
    return [
        f"{SMALLEST}: {start:.2f} s + {1e3 * slope:.3f} ms an instance.",
        "",
        *table(["images", "instances", "loop, s", "line, s", "off by"], rows),
    ]


def sameness(data: Data, checkpoints: Sequence[str], limit: int) -> list[str]:
    """Return how far predictions differ across workers, lanes and batch sizes."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:

        def predicted(name: str, options: Sequence[str]) -> Mapping[str, np.ndarray]:
            file = Path(folder, f"{name}.npz")
            data.evaluate(["--keep", str(file), *checkpoints, *options], limit)
            with np.load(file) as kept:
                return dict(kept)

        base = predicted("base", [])
        for name, options in {"the same again": [], **SAME, **BATCHES}.items():
            found = predicted(name, options)
            apart = {key: float(np.abs(found[key] - base[key]).max()) for key in base}
            equal = all(np.array_equal(found[key], base[key]) for key in base)
            said = "yes" if equal else "no" if name in BATCHES else "**no**"
            rows.append([name, said, f"{apart['keypoints']:.1e}", f"{apart['scores']:.1e}"])
        count = base["scores"].shape[:2]
    head = ["run", "bit for bit as by default", "largest difference of keypoints, pixels"]
    return [
        f"{', '.join(Path(name).stem for name in checkpoints)}: {count[0]} cells of {count[1]} "
        "instances, every keypoint and score before rescoring and NMS.",
        "",
        *table([*head, "of keypoint scores"], rows),
    ]


def memory(data: Data, extent: Extent) -> list[str]:
    """Return the peak resident memory by number of images."""
    rows, peaks = [], []
    for limit in (extent.images // 10, extent.images):
        measured = data.evaluate([SMALLEST], limit)
        peaks.append(measured["peak"])
        count = measured["cells"][0]["instances"]
        row = [str(limit), str(count), str(measured["calls"]["read"])]
        rows.append([*row, f"{measured['loop']:.1f}", f"{measured['peak']:.0f}"])
    verdict = "below" if peaks[1] <= BOUND_MB else "**above**"
    return [
        *table(["images", "instances", "images decoded", "loop, s", "peak resident, MB"], rows),
        "",
        f"{peaks[1]:.0f} MB is {verdict} the bound of {BOUND_MB} MB; ten times the images add "
        f"{peaks[1] - peaks[0]:.0f} MB.",
    ]


def measure_page(
    data: Data, real: Data | None, checkpoints: list[str], extent: Extent
) -> list[str]:
    """Measure everything and return the lines of the page."""
    lines = ["# Scale", "", "## A second size, decoder or checkpoint of the same run", ""]
    lines += [*shared_cost(data, EMBEDDED, extent.shared_images, extent.rounds), ""]
    if checkpoints:
        lines += [*shared_cost(data, checkpoints, extent.given_images, extent.rounds), ""]
    lines += ["## Input sizes", "", f"{EMBEDDED[0]}, native, with the flip test.", ""]
    lines += [*cost_by_size(data, extent), "", "## Instances", "", *linearity(data, extent), ""]
    lines += ["## The same predictions, however they are computed", ""]
    lines += [*sameness(data, EMBEDDED, extent.compared_images), ""]
    if real is not None and checkpoints:
        lines += ["On real images:", ""]
        lines += [*sameness(real, checkpoints, extent.compared_images), ""]
    lines += ["## Memory", "", *memory(data, extent), "", "## JPEG files at half size", ""]
    if real is None:
        lines.append("Not measured: no real images were at hand.")
    else:
        from reduced_decoding import section

        checkpoint = Path(checkpoints[0]) if checkpoints else None
        lines += section(real.annotations, real.images, checkpoint)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    data_root = os.environ.get("POSEBENCH_DATA")
    parser.add_argument("--data", type=Path, default=data_root, help="folder laid out as COCO")
    parser.add_argument("--checkpoints", nargs=2, default=[], help="two of one input size")
    parser.add_argument("--quick", action="store_true", help="little of everything, for a try")
    add_page_options(parser, PAGE)
    options = parser.parse_args()
    extent = QUICK if options.quick else Extent()
    real = None
    if options.data is not None:
        root = options.data.resolve()
        real = Data(root / "annotations/person_keypoints_val2017.json", root / "val2017")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "generated")
        data = Data(write_images(folder, extent.images), folder / "val")
        lines = measure_page(data, real, options.checkpoints, extent)
    lines += [
        "",
        f"Generated JPEG files of {WIDTH}x{HEIGHT} unless said otherwise; every run is `posebench "
        "eval` in a process of its own, with its own defaults; the loop is from the first image "
        "read to the last keypoint decoded. "
        + machine_line(("torch", "numpy", "opencv-python-headless")),
        "",
        "Repeat: `python benchmarks/scale.py --help`.",
    ]
    write_page(lines, options.out)


if __name__ == "__main__":
    main()
