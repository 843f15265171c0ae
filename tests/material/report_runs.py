"""Runs to report on: a small real one of both paradigms, and hostile ones that nothing computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from small_run import small_checkpoint
from small_store import made_up_table, result, run_folder

from posebench.running.request import RunRequest
from posebench.running.run_suite import run_suite
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
