"""What the cases are made of: twelve rendered scenes, and a network's results on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from posebench.datasets.synthetic import write_dataset

RESULTS = Path(__file__).parent / "inputs" / "results.json"


@dataclass(frozen=True)
class Files:
    """Annotations and results as parsed JSON, to be changed and written."""

    folder: Path
    annotations: Any
    results: Any

    def write(self) -> tuple[Path, Path]:
        """Write both files; return the paths of results and annotations."""
        paths = self.folder / "dt.json", self.folder / "gt.json"
        for path, content in zip(paths, (self.results, self.annotations), strict=True):
            path.write_text(json.dumps(content))
        return paths


@pytest.fixture(scope="session")
def twelve_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with twelve rendered scenes, 22 people; copy it to change it."""
    folder = tmp_path_factory.mktemp("twelve")
    write_dataset(folder, split="val", count=12)
    return folder


@pytest.fixture
def scenes(twelve_scenes: Path, tmp_path: Path) -> Path:
    """Return a copy of the twelve scenes that a test may change."""
    return shutil.copytree(twelve_scenes, tmp_path / "scenes")


@pytest.fixture
def annotation_file(scenes: Path) -> Path:
    """Return the annotation file of the copied scenes."""
    (path,) = scenes.glob("annotations/*.json")
    return path


@pytest.fixture
def files(twelve_scenes: Path, tmp_path: Path) -> Files:
    """Return sound annotations and results."""
    (path,) = twelve_scenes.glob("annotations/*.json")
    return Files(tmp_path, json.loads(path.read_text()), json.loads(RESULTS.read_text()))


@pytest.fixture
def average_precision(run: Any, tmp_path: Path) -> Callable[..., float]:
    """Return a function that gives the AP which `posebench eval` finds, in points."""

    def evaluate(*arguments: object) -> float:
        out = tmp_path / "evaluated.json"
        done = run("eval", *arguments, "--replicates", 0, "--json", out)
        assert done.code == 0, done
        (result,) = json.loads(out.read_text())["results"]
        return float(100 * result["metrics"]["AP"])

    return evaluate
