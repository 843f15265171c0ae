"""What a GPU reaches: networks alone, whole evaluations, precisions and engines, in six minutes.

    python benchmarks/gpu.py                          # writes the page
    python benchmarks/gpu.py --device cpu --quick --out -

It needs torch, numpy and OpenCV. Where lazy_loader, orjson and pydantic are missing, stand-ins
take their place; the whole command and the embedded networks are then left out, and the page says
so. (To have them: `pip install --target DIR lazy_loader orjson pydantic pycocotools xtcocotools
pyyaml`, and DIR in PYTHONPATH.)

Networks have seeded weights, images are generated. The page is written line by line, so that a run
that is cut off leaves what it has measured. A part that fails says why, and the others go on;
sections that the time does not suffice for are named at the end.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bare_machine import is_there, stand_in

BEGAN = time.monotonic()
HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
MISSING = stand_in()

import torch  # noqa: E402
from generated_images import HEIGHT, WIDTH, write_images  # noqa: E402
from gpu_networks import NETS, TINY  # noqa: E402
from gpu_sections import (  # noqa: E402
    Bench,
    Extent,
    compiled,
    end_to_end,
    networks_alone,
    precisions,
    reason,
    workers_and_images,
)
from measuring import RESULTS, add_page_options, page_text, run_json  # noqa: E402

from posebench.datasets.coco import ImageRecord, Instances, PoseDataset  # noqa: E402
from posebench.datasets.keypoints import COCO  # noqa: E402
from posebench.prediction.devices import device_text, peak_memory  # noqa: E402

PAGE = RESULTS / "gpu.md"
SECONDS = 330.0
TESTS_SECONDS = 90.0
MARKER = "COMMAND "
Lines = list[str]


WHOLE = Extent(NETS, 400, 2500, 20, (64, 256), (4, 8, 16))
QUICK = Extent(TINY, 2, 4, 3, (2,), (1,), compiles=False)


def generate(folder: Path, extent: Extent) -> tuple[PoseDataset, Instances]:
    """Return images that repeat some files, with boxes like those of a detector."""
    annotations = write_images(folder / "data", extent.files)
    files = sorted((folder / "data" / "val").iterdir())
    records = tuple(
        ImageRecord(index, files[index % len(files)], WIDTH, HEIGHT)
        for index in range(extent.images)
    )
    raw: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    dataset = PoseDataset("generated", "coco", annotations, "", records, COCO, "annotation", raw)
    rng = np.random.default_rng(0)
    count = extent.images * extent.boxes
    sides = np.exp(rng.normal([4.2, 4.9], 0.7, (count, 2))).clip(8, (WIDTH, HEIGHT))
    corners = rng.uniform(0, 1, (count, 2)) * ((WIDTH, HEIGHT) - sides)
    instances = Instances(
        image_index=np.repeat(np.arange(extent.images), extent.boxes),
        ids=np.arange(count),
        bbox_xyxy=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        bbox_scores=np.ones(count, dtype=np.float32),
    )
    return dataset, instances


def whole_command(bench: Bench) -> Iterator[str]:
    """Yield what `posebench eval` and `bench --parity` take on the embedded networks."""
    if MISSING or not is_there("pycocotools"):
        missing = [*MISSING, *([] if is_there("pycocotools") else ["pycocotools"])]
        yield f"Not measured: {', '.join(missing)} missing."
        return
    limit = str(min(200, bench.extent.images))
    common = ["--device", str(bench.device), "--limit", limit]
    commands = {
        "eval": ["eval", "simcc-m-64x48", "--cache", "none", *common],
        "bench --parity": [
            *("bench", "simcc-m-64x48", "heatmap-m-64x48", "--parity", *common),
            *("--precision", "fp32,bf16", "--batch-sizes", "8"),
            *("--seconds", "0.3", "--warmup", "0.1", "--repeats", "2"),
        ],
    }
    for name, words in commands.items():
        found = run_json([sys.executable, str(HERE), "--command", *words], marker=MARKER)
        yield f"`posebench {name}`: {found['whole']:.1f} s, exit code {found['code']}."
        yield ""
        yield "```text"
        yield from (line[:160] for line in found["out"].splitlines()[:12])
        yield "```"


def run_command(words: Sequence[str]) -> None:
    """Run posebench in this process and print what it says as JSON."""
    import contextlib
    import io

    import posebench.cli

    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed):
        try:
            posebench.cli.main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    print(MARKER + json.dumps({"out": printed.getvalue(), "code": code}))


def marked_tests(bench: Bench) -> Iterator[str]:
    """Yield how the tests end that need a GPU."""
    missing = [*MISSING, *(name for name in ("pytest", "yaml") if not is_there(name))]
    if missing or not bench.on_gpu:
        yield f"Not run: {', '.join(missing) or 'no GPU'} missing."
        return
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            command,
            cwd=HERE.parents[1],
            capture_output=True,
            text=True,
            timeout=TESTS_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield f"`pytest -m gpu` was stopped after {TESTS_SECONDS:.0f} s."
        return
    yield from ("```text", *done.stdout.splitlines()[-12:], "```")


SECTIONS: dict[str, Callable[[Bench], Iterator[str]]] = {
    "Networks alone": networks_alone,
    "Whole evaluations": end_to_end,
    "Threads that read and cut": workers_and_images,
    "Precisions, against the CPU in fp32": precisions,
    "Commands, on embedded networks": whole_command,
    "torch.compile": compiled,
    "Tests": marked_tests,
}


class Page:
    """The page so far, in a file that is complete after every line; `-` stands for none."""

    def __init__(self, bench: Bench, out: str) -> None:
        self._bench, self._out = bench, out
        self._lines: Lines = ["# On a GPU", ""]
        self.left: Lines = []

    def add(self, *lines: str) -> None:
        """Add lines, show them, and write the file."""
        self._lines += lines
        print(*lines, sep="\n", flush=True)
        if self._out != "-":
            Path(self._out).write_text(page_text([*self._lines, "", *self._end()]), "utf-8")

    def finish(self) -> None:
        """Add the end."""
        self.add("", *self._end())

    def _end(self) -> Lines:
        bench, taken = self._bench, time.monotonic() - BEGAN
        memory = (peak_memory(bench.device) or 0) / 2**30
        gpus = torch.cuda.device_count() if bench.on_gpu else 0
        return [
            f"{device_text(bench.device)}, {gpus} GPUs (one is used), torch {torch.__version__}, "
            f"Python {platform.python_version()}; {taken:.0f} s; at most {memory:.1f} GiB of a GPU "
            "were held.",
            *([f"Not measured: {', '.join(self.left)}."] if self.left else []),
            *([f"Stand-ins for {', '.join(MISSING)}."] if MISSING else []),
            "",
            "Repeat: `python benchmarks/gpu.py --help`.",
        ]


def measure_page(bench: Bench, seconds: float, page: Page) -> None:
    """Measure section by section as long as there is time, and keep what is measured."""
    page.left = list(SECTIONS)
    for name, section in SECTIONS.items():
        if time.monotonic() - BEGAN > seconds:
            break
        page.add(f"## {name}", "")
        try:
            for line in section(bench):
                page.add(line)
                if time.monotonic() - BEGAN > seconds:
                    page.add("", "The time ran out here.")
                    break
        except Exception as error:
            page.add("", f"This section {reason(error)}")
        page.left.remove(name)
        page.add("")
    page.finish()


def main() -> None:
    if sys.argv[1:2] == ["--command"]:
        run_command(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="little of everything, for a try")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="when to begin no more")
    add_page_options(parser, PAGE)
    options = parser.parse_args()
    from posebench.prediction.devices import check_device

    device = check_device(options.device)
    extent = QUICK if options.quick else WHOLE
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(device, extent, generate(Path(folder), extent))
        measure_page(bench, options.seconds, Page(bench, options.out))


if __name__ == "__main__":
    main()
