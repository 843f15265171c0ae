"""The hash of the code covers everything that can change a prediction, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

import posebench
from posebench.files.hashing import PREDICTING_ROOMS, code_sha256


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a package with a module in every room of posebench, and data in one."""
    for room in Path(posebench.__file__).parent.iterdir():
        if room.is_dir():
            (tmp_path / room.name / "inner").mkdir(parents=True)
            (tmp_path / room.name / "inner" / "module.py").write_text("x = 1")
    (tmp_path / "datasets" / "names.json").write_text("[]")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "moves"),
    [
        ("prediction/inner/module.py", True),
        ("networks/inner/module.py", True),
        ("checkpoints/inner/module.py", True),
        ("datasets/inner/module.py", True),
        ("datasets/names.json", True),
        ("datasets/names.pyc", False),
        ("reporting/inner/module.py", False),
        ("running/inner/module.py", True),
        ("scoring/inner/module.py", False),
        ("files/inner/module.py", True),
    ],
)
def test_an_edit_moves_the_hash_where_it_can_move_a_prediction(
    package: Path, file: str, moves: bool
) -> None:
    before = code_sha256.__wrapped__(package)
    (package / file).write_text("x = 2")
    assert (code_sha256.__wrapped__(package) != before) == moves


def test_the_hashed_rooms_exist() -> None:
    root = Path(posebench.__file__).parent
    assert all((root / room / "__init__.py").is_file() for room in PREDICTING_ROOMS)
    assert code_sha256() == code_sha256.__wrapped__(root)
