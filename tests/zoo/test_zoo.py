"""Embedded checkpoints and command-line arguments that name them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posebench import zoo
from posebench.errors import CheckpointError


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "embedded"
    folder.mkdir()
    for name in ("heatmap-s.safetensors", "simcc-s.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"")
    monkeypatch.setattr(zoo.importlib.resources, "files", lambda _package: tmp_path)
    return folder


def test_names_and_paths(embedded: Path, tmp_path: Path) -> None:
    assert zoo.embedded_names() == ("heatmap-s", "simcc-s")
    assert zoo.resolve("simcc-s") == embedded / "simcc-s.safetensors"
    file = tmp_path / "own.pth"
    file.write_bytes(b"x")
    assert zoo.resolve(str(file)) == file


def test_unknown_names_get_the_nearest(embedded: Path) -> None:
    for ask in (zoo.resolve, zoo.load_embedded):
        with pytest.raises(CheckpointError, match="Did you mean 'simcc-s'"):
            ask("simc-s")
    with pytest.raises(CheckpointError, match="folder"):
        zoo.resolve(str(embedded))


def test_the_listing_does_not_load_torch() -> None:
    code = "import sys, posebench.zoo as z; z.embedded_names(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", zoo.embedded_names())
def test_every_embedded_checkpoint_loads(name: str) -> None:
    checkpoint = zoo.load_embedded(name)
    assert checkpoint.publisher == "posebench"
    assert checkpoint.provenance
