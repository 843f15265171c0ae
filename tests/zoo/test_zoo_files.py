"""Embedded checkpoints, pulled ones, and command-line arguments that name them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from posebench.checkpoints import load_checkpoint
from posebench.errors import CheckpointError
from posebench.zoo import embedded_names, files, find_published, resolve
from posebench.zoo.pulling import pulled_path


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "embedded"
    folder.mkdir()
    for name in ("heatmap-s.safetensors", "simcc-s.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"")
    monkeypatch.setattr(files, "embedded_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_names_and_paths(embedded: Path, tmp_path: Path) -> None:
    assert embedded_names() == ("heatmap-s", "simcc-s")
    assert resolve("simcc-s") == embedded / "simcc-s.safetensors"
    file = tmp_path / "own.pth"
    file.write_bytes(b"x")
    assert resolve(str(file)) == file


def test_unknown_names_get_the_nearest(embedded: Path) -> None:
    with pytest.raises(CheckpointError, match="Did you mean 'simcc-s'"):
        resolve("simc-s")
    with pytest.raises(CheckpointError, match="Did you mean mmpose/rtmpose-m_body7_256x192"):
        resolve("mmpose/rtmpose-m_body7_256x19")
    with pytest.raises(CheckpointError, match="folder"):
        resolve(str(embedded))


def test_a_pulled_file_goes_by_its_id_and_by_its_name(cache: Path) -> None:
    entry = find_published("mmpose/rtmpose-m_body7_256x192")
    path = pulled_path(entry)
    assert path == cache / "zoo" / entry.file_name
    with pytest.raises(CheckpointError, match=f"posebench zoo pull {entry.id}"):
        resolve(entry.id)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    names = (entry.id, "rtmpose-m_body7_256x192", entry.file_name, path.stem)
    assert {resolve(name) for name in names} == {path}


def test_a_file_that_no_program_can_fetch_is_asked_for() -> None:
    entry = find_published("simcc/hrnet-w48_simdr_coco_64x64")
    with pytest.raises(CheckpointError) as raised:
        resolve(entry.id)
    for said in (entry.page, "coco/simdr/pose_hrnet_w48_64x64.pth", str(pulled_path(entry))):
        assert said is not None and said in str(raised.value)


def test_the_zoo_does_not_load_torch() -> None:
    code = (
        "import sys, posebench.zoo as z, posebench.reporting.tables.zoo_listing\n"
        "z.embedded_names(); z.published_checkpoints()\n"
        "assert not {'torch', 'pydantic'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", embedded_names())
def test_every_embedded_checkpoint_loads(name: str) -> None:
    checkpoint = load_checkpoint(resolve(name))
    assert checkpoint.publisher == "posebench"
    assert checkpoint.provenance
