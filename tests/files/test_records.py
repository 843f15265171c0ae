"""Records from and to files: schema, strictness, atomic writes."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from posebench.errors import SpecError
from posebench.files.records import (
    mapping_from_record,
    record_from_mapping,
    write_json,
    write_text,
)
from posebench.files.yaml_records import read_yaml


@dataclass(frozen=True)
class Cat:
    lives: int
    kind: Literal["cat"] = "cat"


@dataclass(frozen=True)
class Dog:
    tricks: tuple[str, ...] = ()
    kind: Literal["dog"] = "dog"


@dataclass(frozen=True)
class House:
    name: str
    pet: Cat | Dog = field(default_factory=Dog)


def test_round_trip() -> None:
    house = House("a", Cat(9))
    plain = mapping_from_record(house)
    assert json.loads(json.dumps(plain)) == {"name": "a", "pet": {"lives": 9, "kind": "cat"}}
    assert record_from_mapping(House, plain, where="x") == house


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"name": "a", "pett": {}}, "unknown key 'pett'. Did you mean 'pet'"),
        ({"name": "a", "pet": {"kind": "cat", "live": 3}}, r"'pet\.live'. Did you mean 'lives'"),
        ({"name": 3}, r"name: .*string \(got 3\)"),
        ({}, "name: Field required"),
        ({"name": "a", "pet": {"kind": "cow"}}, "pet"),
    ],
)
def test_a_record_that_does_not_fit(plain: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=f"(?s)house.yaml: .*{said}"):
        record_from_mapping(House, plain, where="house.yaml")


@pytest.mark.parametrize(
    "text", ["a: [1", "- 1\n- 2\n", "", "\x00", "!!python/object:os.system {}"]
)
def test_yaml_that_is_no_mapping(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"x\.yaml"):
        read_yaml(path)


def test_yaml_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\xfe\xff")
    with pytest.raises(SpecError, match="cannot be read"):
        read_yaml(tmp_path / "latin.yaml")


def test_json_is_strict_and_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert os.listdir(path.parent) == ["x.json"]  # noqa: PTH208


def test_a_write_that_is_interrupted_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def interrupt(_self: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
    assert path.read_text() == "old"


def test_files_get_the_usual_mode(tmp_path: Path) -> None:
    path, plain = tmp_path / "x", tmp_path / "y"
    write_text(path, "")
    plain.write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
