"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from outside_files import NO_TEST_DATA, real_data_folder

from posebench.cli import main

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is loaded, here and in the processes that tests start: side by side, threads
    # of several workers wait for each other longer than they compute.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: object
    out: str
    err: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Return a function that runs `posebench` with its arguments in this process."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments])
        return Outcome(exited.value.code, *capsys.readouterr())

    return command


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a GPU where torch finds none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(scope="session", autouse=True)
def no_kept_predictions() -> Iterator[None]:
    """Let networks run even where an earlier session, or the user, has kept their predictions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSEBENCH_PREDICTIONS", "none")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_terminal_width() -> Iterator[None]:
    """Let output be as wide as in a file: readline tells pytest-xdist's workers a width of 80."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of real test data, or skip."""
    folder = real_data_folder()
    if folder is None:
        pytest.skip(NO_TEST_DATA)
    return folder


@pytest.fixture(scope="session")
def coco_mini(shared_dir: Path) -> Path:
    """Return the root of 79 real COCO images in COCO's own layout, or skip."""
    return shared_dir / "data" / "coco-mini"


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with four rendered scenes in COCO's layout; copy it to change it."""
    from posebench.datasets.synthetic import write_dataset

    folder = tmp_path_factory.mktemp("people")
    write_dataset(folder, split="val", count=4)
    return folder
