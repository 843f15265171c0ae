"""Cells, run records, match tables and predictions of runs, damaged with and without a checksum."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzzed_files import damaged
from small_speed import SPEED
from small_store import made_up_table, result, run_folder

from posebench.cli import main
from posebench.errors import PosebenchError
from posebench.judging import DEFAULT_GATES, compare_runs, parse_gate, verdicts_of
from posebench.prediction.kept.predictions import (
    CachedPredictions,
    cached_file,
    load_predictions,
    write_predictions,
)
from posebench.prediction.predictions import Predictions
from posebench.results.cell import Intervals
from posebench.results.checksums import with_checksum
from posebench.results.frames import load_results
from posebench.results.store import read_run
from posebench.suites.claims import Claim

CLAIM = Claim(
    id="c",
    statement="heatmap is better",
    treatment={"paradigm": "heatmap"},
    control={"paradigm": "simcc"},
    match_by=("dataset",),
)
# One of so many cases is shown as a table, by the command line.
SHOWN = 5
GATES = tuple(map(parse_gate, DEFAULT_GATES))


def made_up_predictions(count: int = 20) -> Predictions:
    """Return predictions that nothing computed."""
    rng = np.random.default_rng(1)
    return Predictions(
        image_ids=np.arange(count, dtype=np.int64),
        ids=np.arange(count, dtype=np.int64) + 100,
        keypoints=rng.uniform(0, 200, (count, 17, 2)),
        keypoint_scores=rng.uniform(0, 1, (count, 17)).astype(np.float32),
        bbox_xyxy=rng.uniform(0, 200, (count, 4)).astype(np.float32),
        bbox_scores=rng.uniform(0, 1, count).astype(np.float32),
        areas=rng.uniform(0, 9000, count).astype(np.float32),
    )


@functools.cache
def _whole(folder: Path) -> Path:
    """Return a run of two cells with tables, claims and predictions."""
    sure = Intervals(0.95, "percentile", 200, 0, {"AP": 0.4}, {"AP": 0.6})
    cells = {"a": result(speed=SPEED, intervals=sure), "b": result("simcc-s", ap=0.4)}
    run = run_folder(
        folder / "whole",
        cells,
        {"a": made_up_table(0.5), "b": made_up_table(0.4, 1)},
        (CLAIM,),
        {"a": {"pair": "s"}},
        keypoints={"nose": 0.5},
        replicates=20,
    )
    identity = {"checkpoint_sha256": "c" * 64, "size": "64x48"}
    file = cached_file(run / "predictions", identity)
    write_predictions(file, CachedPredictions(made_up_predictions(), 0.5))
    return run


def try_run(folder: Path, seed: int) -> tuple[str, ...]:
    """Damage one file of a run, then read, judge, compare and show it."""
    rng = np.random.default_rng(seed)
    whole, run = _whole(folder), folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    victims = sorted(path for path in run.rglob("*") if path.suffix in (".json", ".yaml", ".npz"))
    victim = victims[rng.integers(len(victims))]
    _damage(rng, victim)
    done = [_tried(lambda: [load_predictions(path) for path in run.glob("predictions/*")])]
    done += [_tried(lambda: verdicts_of(read_run(run)))]
    done += [_tried(lambda: compare_runs(whole, run, GATES))]
    done += [_tried(lambda: load_results(run))]
    if seed % SHOWN == 0:
        _show(run)
    return ("used",) if all(done) else ()


def _tried(use: Any) -> bool:
    try:
        use()
    except PosebenchError as error:
        assert len(str(error)) < 20_000
        return False
    return True


def _show(run: Path) -> None:
    """Run the command that shows a run, which may refuse it but must not crash."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main(["table", str(run), "--format", "md"])
        except SystemExit as exited:
            assert exited.code in (0, None, 2), exited.code


def _damage(rng: np.random.Generator, path: Path) -> None:
    times = int(rng.integers(1, 4))
    if path.suffix == ".npz":
        _damage_arrays(rng, path)
    elif path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(damaged(rng, yaml.safe_load(path.read_text()), times)))
    else:
        document = damaged(rng, json.loads(path.read_text()), times)
        if isinstance(document, dict) and rng.random() < 0.9:
            document.pop("sha256", None)
            if rng.random() < 0.7:
                with contextlib.suppress(ValueError):
                    document = with_checksum(document)
        path.write_text(json.dumps(document))


def _damage_arrays(rng: np.random.Generator, path: Path) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if rng.random() < 0.8:
        arrays.pop("sha256", None)
    for _ in range(int(rng.integers(1, 3))):
        name = str(rng.choice(sorted(arrays)))
        value = arrays[name]
        way = rng.integers(6)
        if way == 0 and len(arrays) > 1:
            del arrays[name]
        elif way == 1 and value.dtype.kind in "fiub":
            arrays[name] = value.astype(rng.choice(["<f8", "<i8", "<i2", "<U20", "?", "<c16"]))
        elif way == 2:
            arrays[name] = value[..., :-1] if value.ndim else np.array([value, value])
        elif way == 3:
            arrays[name] = value[None]
        elif value.dtype.kind in "fiu" and value.size:
            value = value.copy()
            odd = [-1, 2**31 - 1, -(2**31)] if value.dtype.kind in "iu" else [np.nan, np.inf, -1e30]
            value.flat[rng.integers(value.size)] = np.array(odd[rng.integers(3)]).astype(
                value.dtype
            )
            arrays[name] = value
        else:
            arrays[name] = np.array(["x" * 50, "{}"][rng.integers(2)])
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)
