"""Records from and to files: schema, strictness."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from posebench.errors import SpecError
from posebench.files.records import mapping_from_record, record_from_mapping
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
