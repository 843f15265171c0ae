"""What a run of 1 000 cells costs before and after its networks run: planning, and reading.

    python benchmarks/large_runs.py            # writes the page
    python benchmarks/large_runs.py --quick --out -

Checkpoints are small networks at their initial weights, and results are made up: what is measured
does not depend on them. Every measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from generated_images import write_images
from measuring import (
    ONE_THREAD,
    RESULTS,
    add_page_options,
    machine_line,
    peak_memory,
    run_json,
    table,
    write_page,
)

HERE = Path(__file__).resolve()
PAGE = RESULTS / "large_runs.md"
SIZES = (64, 96, 128, 160)
PARADIGMS = ("heatmap", "simcc")
SHARDS = 100
MARKER = "measured: "
# A claim on eight pairs of cells, and one on every pair.
CLAIMS = {
    "eight": "treatment: {paradigm: simcc, labels.of: few, size: 64x48}\n"
    "    control: {paradigm: heatmap, labels.of: few, size: 64x48}",
    "all": "treatment: {paradigm: simcc}\n    control: {paradigm: heatmap}",
}
PAIRS_OF_A_CLAIM = 8


@dataclass(frozen=True)
class Extent:
    """How much is measured: pairs of checkpoints, images of the data, rounds."""

    pairs: int = 125
    images: int = 200
    rounds: int = 2

    @property
    def cells(self) -> int:
        """The cells of a run."""
        return self.pairs * len(PARADIGMS) * len(SIZES)


QUICK = Extent(4, 8, 1)


def write_suite(folder: Path, extent: Extent) -> Path:
    """Write checkpoints of two paradigms, data, and their suite."""
    import torch

    from posebench.checkpoints.native import save_checkpoint
    from posebench.lab.training.initial_weights import initialise
    from posebench.networks.codecs import CODECS
    from posebench.networks.heads import HEADS
    from posebench.networks.model import build_model
    from posebench.networks.sizes import InputSize
    from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

    backbone = BackboneSpec("resnet", {"depth": 18, "base_channels": 8, "out_stage": 3})
    for paradigm in PARADIGMS:
        codec = CODECS[HEADS[paradigm].codec.kind]()
        model = build_model(ModelSpec(backbone, HeadSpec(paradigm), codec, InputSize(128, 96)))
        for index in range(extent.pairs):
            initialise(model, index)
            path = folder / f"{paradigm}-{index}.safetensors"
            save_checkpoint(path, model.eval(), {}, dtype=torch.float32)
    annotations = write_images(folder / "images", extent.images)
    suite = folder / "suite.yaml"
    declared = {
        "name": "large",
        "description": "1 000 cells",
        "checkpoints": ["*.safetensors"],
        "datasets": [{"name": str(annotations), "images": str(folder / "images" / "val")}],
        "sizes": [f"{size}x{size * 3 // 4}" for size in SIZES],
        "policies": ["resample"],
    }
    suite.write_text(json.dumps(declared), encoding="utf-8")
    return suite


def measure_plan(path: Path) -> dict[str, Any]:
    """Return the seconds and the memory that a suite's plan takes in this process."""
    from posebench.running.loading import LoadedCheckpoints
    from posebench.running.network_plans import Storage
    from posebench.running.plan import Place, plan_suite
    from posebench.running.sharing.dealing import deal
    from posebench.suites.suite import load_suite

    before = peak_memory()
    start, cpu = time.perf_counter(), time.process_time()
    place = Place(path.parent, Storage(predictions=path.parent / "predictions"))
    plan = plan_suite(load_suite(path), place, LoadedCheckpoints(), lambda *_: None)
    planned, planned_cpu = time.perf_counter(), time.process_time()
    deal(plan.cells, SHARDS, {})
    return {
        "cells": len(plan.cells),
        "seconds": planned - start,
        "cpu": planned_cpu - cpu,
        "dealing": time.perf_counter() - planned,
        "before": before,
        "memory": peak_memory(),
    }


def write_run(folder: Path, extent: Extent, claim: str) -> None:
    """Write a run directory whose results nothing computed."""
    from posebench.networks.sizes import InputSize
    from posebench.results.cell import CellResult, CheckpointFacts
    from posebench.results.store import SCHEMA_VERSION, RunRecord, StoredCell, start_run, write_cell
    from posebench.scoring.metrics import METRICS
    from posebench.suites.claims import load_claims
    from posebench.suites.suite import Suite

    rng = np.random.default_rng(list(CLAIMS).index(claim))
    cells = {}
    for index in range(extent.pairs):
        for paradigm in PARADIGMS:
            for size in SIZES:
                name = f"{paradigm}-{index}"
                own = InputSize(size, size * 3 // 4)
                facts = CheckpointFacts(name, "b" * 64, "posebench", paradigm, "ResNet", own, 10**6)
                result = CellResult(facts, own, "native", "ok", _protocol(extent), gflops=0.05)
                of = "few" if index < PAIRS_OF_A_CLAIM else "many"
                cells[f"{name}_{own}"] = (result, {"pair": str(index), "of": of})
    claims_file = folder.with_suffix(".yaml")
    claims_file.write_text(
        f"claims:\n  - id: {claim}\n    statement: SimCC is ahead.\n    {CLAIMS[claim]}\n"
        "    match_by: [dataset, labels.pair, size]\n",
        encoding="utf-8",
    )
    claims = tuple(load_claims(claims_file))
    suite = Suite("large", "d", ("a",))
    record = RunRecord(SCHEMA_VERSION, suite, claims, tuple(cells), {"posebench": "0"}, 1)
    start_run(folder, record)
    for name, (result, labels) in cells.items():
        values: dict[str, float | None] = {each: float(rng.uniform(0.3, 0.7)) for each in METRICS}
        cell = StoredCell(name, replace(result, metrics=values), labels, environment={})
        write_cell(folder, cell, _table(rng, extent.images))


def _protocol(extent: Extent) -> Any:
    from posebench.datasets.keypoints import COCO
    from posebench.results.cell import Protocol

    return Protocol(
        engine="torch", dataset="people", annotations_sha256="a" * 64, keypoints="coco",
        sigmas=COCO.sigmas, area_rule="annotation", boxes="gt", boxes_sha256=None,
        min_box_score=None, box_nms=None, max_boxes=None, boxes_left_out=(), images=extent.images,
        instances=extent.images, flip_test=True, decoder="quarter", crop="classic",
        crop_padding=1.25, rescoring="bbox_keypoint", keypoint_threshold=0.2, nms="hard",
        nms_threshold=0.9, evaluator="posebench, COCO rules",
    )  # fmt: skip


def _table(rng: np.random.Generator, images: int) -> Any:
    """Return the table of one person and one detection an image."""
    from posebench.scoring.matching.matching import MatchRules, MatchTable
    from posebench.scoring.statistics.image_table import ImageTable

    rules, every = MatchRules(), np.arange(images, dtype=np.int64)
    person = np.where(rng.random(images) < 0.5, every, -1).astype(np.int32)
    shape = (len(rules.thresholds), len(rules.area_ranges), images)
    matches = MatchTable(
        rules=rules, image_ids=every, crowd_index=None, detection=every, image=every,
        rank=np.zeros(images, dtype=np.int64), scores=np.linspace(1, 0.5, images),
        person=np.broadcast_to(person, shape).copy(), ignored=np.zeros(shape, dtype=bool),
        person_count=np.ones((len(rules.area_ranges), images), dtype=np.int64),
    )  # fmt: skip
    return ImageTable(matches, None, None)


def timed_command(arguments: Sequence[object]) -> tuple[float, float]:
    """Return the seconds that a command takes, by the clock and of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "posebench", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):  # 1: a gate failed
        raise RuntimeError(done.stderr[-2000:])
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def page(extent: Extent, folder: Path) -> list[str]:
    """Return the page's lines."""
    suite = write_suite(folder, extent)
    command = [sys.executable, str(HERE), "--plan", str(suite)]
    plans = [run_json(command, marker=MARKER, environment=ONE_THREAD) for _ in range(extent.rounds)]
    plan = min(plans, key=lambda each: each["cpu"])
    runs = {claim: folder / claim for claim in CLAIMS}
    for claim, run in runs.items():
        write_run(run, extent, claim)
    few, every = runs["eight"], runs["all"]
    # What is resampled is kept, so that the same command is quicker the second time.
    commands = (
        ("`posebench status`", ("status", few)),
        ("`posebench table`", ("table", few)),
        ("`posebench claims`, one claim on eight pairs", ("claims", few)),
        ("`posebench claims`, one claim on every pair, nothing kept", ("claims", every)),
        ("`posebench claims`, one claim on every pair", ("claims", every)),
        ("`posebench compare`, one of the runs keeps nothing", ("compare", few, every)),
        ("`posebench compare`", ("compare", few, every)),
    )
    rows: list[list[str]] = []
    for name, arguments in commands:
        seconds, cpu = timed_command(arguments)
        rows.append([name, f"{seconds:.1f}", f"{cpu:.1f}"])
    return [
        f"# A run of {extent.cells} cells",
        "",
        "Made by `python benchmarks/large_runs.py`. Least of "
        f"{extent.rounds} rounds of planning, one of reading; seconds by the clock count whatever "
        "else the machine did, CPU seconds do not.",
        "",
        machine_line(("torch", "numpy")),
        "",
        "## Planning",
        "",
        f"{extent.pairs * len(PARADIGMS)} checkpoints at {len(SIZES)} sizes on {extent.images} "
        "images. Every checkpoint is loaded once; the multiply-accumulates of each architecture "
        "are counted once.",
        "",
        *table(
            ["cells", "seconds", "CPU seconds", "memory before, MB", "peak, MB", "dealt to"],
            [
                [
                    str(plan["cells"]),
                    f"{plan['seconds']:.1f}",
                    f"{plan['cpu']:.1f}",
                    f"{plan['before']:.0f}",
                    f"{plan['memory']:.0f}",
                    f"{SHARDS} shards in {1000 * plan['dealing']:.0f} ms",
                ]
            ],
        ),
        "",
        "## Reading",
        "",
        f"Run directories of {extent.cells} cells with per-image tables of {extent.images} images. "
        "An interval of a difference takes 1 000 resamples of the images of both cells. Where "
        "nothing is kept they are made of 1 000 cells, which is what these commands take their "
        "time for; the others find them kept, as after a run of this version on one data set.",
        "",
        *table(["command", "seconds", "CPU seconds"], rows),
    ]


def main() -> None:
    """Write the page, or measure one plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_page_options(parser, PAGE)
    parser.add_argument("--quick", action="store_true", help="little of everything, for a try")
    parser.add_argument("--plan", type=Path, help="measure the plan of this suite only")
    options = parser.parse_args()
    if options.plan is not None:
        print(MARKER + json.dumps(measure_plan(options.plan)))
        return
    with tempfile.TemporaryDirectory() as folder:
        lines = page(QUICK if options.quick else Extent(), Path(folder))
    write_page(lines, options.out)


if __name__ == "__main__":
    main()
