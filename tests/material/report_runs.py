"""Runs to report on: a small real one of both paradigms, and hostile ones that nothing computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from small_run import small_checkpoint
from small_store import made_up_table, result, run_folder

from posebench.datasets.synthetic import write_dataset
from posebench.prediction.kept.predictions import (
    CachedPredictions,
    cached_file,
    write_predictions,
)
from posebench.reporting.figures.values import is_as_trained
from posebench.reporting.page.people.instances import load_run_data
from posebench.reporting.page.people.persons import Persons, all_persons
from posebench.results.store import PREDICTIONS, read_run, write_cell
from posebench.running.request import RunRequest
from posebench.running.run_suite import run_suite
from posebench.scoring.matching.truth import ground_truth
from posebench.suites.claims import Claim
from posebench.suites.shipped import source_text
from posebench.suites.suite import load_suite

HOSTILE = "<script>alert(1)</script>"
CLAIM = Claim(
    id="beats",
    statement="SimCC is better.",
    treatment={"paradigm": "simcc"},
    control={"paradigm": "heatmap"},
    match_by=("size", "policy"),
)


class Silence:
    """A display that shows nothing."""

    def progress(self, *_: Any) -> None: ...

    def planned(self, *_: Any) -> None: ...

    def started(self, *_: Any) -> None: ...

    def finished(self, *_: Any) -> None: ...


def small_real_run(folder: Path, people: Path) -> Path:
    """Run two tiny untrained networks on four rendered scenes; return the run directory."""
    for paradigm in ("heatmap", "simcc"):
        small_checkpoint(folder / f"{paradigm}.safetensors", paradigm)
    suite = {
        "name": "tiny",
        "description": "Two tiny networks.",
        "checkpoints": [
            {"file": f"{name}.safetensors", "labels": {"pair": "a"}}
            for name in ("heatmap", "simcc")
        ],
        "datasets": [str(people)],
        "sizes": ["native", "96x80"],
        "policies": ["native", "resample"],
        "scoring": {"replicates": 50},
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(suite))
    out = folder / "run"
    loaded = load_suite(path)
    run_suite(RunRequest(loaded, (CLAIM,), folder, out, source=source_text(path)), Silence())
    return out


def two_perturbed(folder: Path) -> Path:
    """Run as `small_real_run`, on 30 persons, with poses near the truth for predictions.

    Every third person of the first checkpoint is left-right inverted, every seventh of the second
    is not found; the second is less exact.
    """
    people = folder / "people"
    write_dataset(people, split="val", count=16)
    out = small_real_run(folder, people)
    run = read_run(out)
    data = load_run_data(run)
    rng = np.random.default_rng(0)
    for place, cell in enumerate(cell for cell in run.cells if is_as_trained(cell.result)):
        dataset, kept = data.of(cell), run.predictions(cell)
        assert dataset is not None and kept is not None
        truth = ground_truth(dataset)
        rows = {int(name): row for row, name in enumerate(truth.ids)}
        own = np.array([rows[int(name)] for name in kept.ids])
        noise = rng.normal(size=kept.keypoints.shape) * np.sqrt(truth.areas[own])[:, None, None]
        keypoints = truth.keypoints[own] + (0.01 + 0.03 * place) * noise
        flip = np.asarray(dataset.keypoints.flip_indices)
        if place:
            keypoints[::7] += 10_000
        else:
            keypoints[::3] = keypoints[::3, flip]
        scores = np.full_like(kept.keypoint_scores, 0.9)
        made = replace(kept, keypoints=keypoints, keypoint_scores=scores)
        file = cached_file(out / PREDICTIONS, {"made-up": place})
        write_predictions(file, CachedPredictions(made, None))
        write_cell(out, replace(cell, predictions=file.path.stem), run.table(cell))
    return out


def persons_of(run: Path) -> Persons:
    """Return the persons of a run that has one set of them, all found."""
    read = read_run(run)
    (found,), problems = all_persons(read, load_run_data(read))
    assert problems == []
    return found


def hostile_run(folder: Path) -> Path:
    """Write a run whose every text is markup."""
    markup = f"\"'>{HOSTILE}<img src=x onerror=alert(2)>"
    one, other = result("heatmap-s", 0.5), result("simcc-s", 0.4)
    cells = {
        "one": replace(one, checkpoint=replace(one.checkpoint, name=HOSTILE, backbone=markup)),
        "other": replace(other, checkpoint=replace(other.checkpoint, name=markup)),
        "bad": replace(result("heatmap-x", None), reason=markup, policy=markup),
    }
    claim = replace(CLAIM, id=markup, statement=markup, caveat=markup, source=markup)
    tables = {"one": made_up_table(0.6), "other": made_up_table(0.5, seed=1)}
    labels = {"one": {"pair": markup}, "other": {"pair": markup}}
    keypoints = {markup: 0.5}
    return run_folder(
        folder, cells, tables, (claim,), labels, keypoints=keypoints, absent=(f"left {markup}",)
    )
