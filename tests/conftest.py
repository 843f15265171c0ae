"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def no_kept_predictions() -> Iterator[None]:
    """Let networks run even where an earlier session, or the user, has kept their predictions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POSEBENCH_PREDICTIONS", "none")
        yield


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of real test material beside the checkout, or skip."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of real test data beside the checkout")
    return SHARED


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
