"""YAML files written by hand: errors name the line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from posebench.errors import SpecError
from posebench.files.yaml_records import read_yaml, record_from_yaml


@dataclass(frozen=True)
class Wheel:
    inches: int


@dataclass(frozen=True)
class Bicycle:
    name: str
    wheels: tuple[int | Wheel, ...] = ()


def written(folder: Path, text: str) -> Path:
    path = folder / "bicycle.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_fits(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\nwheels:\n  - 26\n  - {inches: 28}\n")
    bicycle, file = record_from_yaml(Bicycle, path)
    assert bicycle == Bicycle("a", (26, Wheel(28)))
    assert [file.line(("wheels", i)) for i in (0, 1)] == [3, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nwhels: []\n", "line 2: unknown key 'whels'. Did you mean 'wheels'"),
        ("name: a\nwheels:\n- 26\n- inch: 28\n", "line 4: unknown key 'wheels.1.inch'"),
        ("name: a\nwheels:\n- 26\n- wood\n", "line 4: wheels.1"),
        ("name: a\nname: b\n", "line 2: the key 'name' comes twice"),
        ("name: [a\nwheels: }\n", "line 2: "),
        ("- a\n- b\n", "must hold a mapping"),
        ("", "must hold a mapping"),
        ("name: !!python/object/apply:os.system [true]\n", "line 1: could not determine a"),
        ("? [a, b]\n: 3\n", "line 1: found unhashable key"),
        ("name: a\0b\n", "cannot be read as YAML"),
        ("name: 2001-99-99\n", "cannot be read as YAML"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        record_from_yaml(Bicycle, path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    with pytest.raises(SpecError, match="stands for more than"):
        record_from_yaml(Bicycle, written(tmp_path, "\n".join(lines)))


def test_a_node_that_holds_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="stands for more than"):
        record_from_yaml(Bicycle, written(tmp_path, "name: a\nwheels: &w [*w]\n"))


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no file"):
        record_from_yaml(Bicycle, tmp_path / "absent.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        record_from_yaml(Bicycle, tmp_path)
    with pytest.raises(SpecError, match="larger than"):
        record_from_yaml(Bicycle, written(tmp_path, "# " + "x" * 2**20))


def test_aliases_that_double_and_deep_nesting_are_refused_in_bounded_time(tmp_path: Path) -> None:
    bomb = ["a0: &a0 [x, x]", *(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]" for n in range(60))]
    with pytest.raises(SpecError, match="stands for more than"):
        read_yaml(written(tmp_path, "\n".join(bomb)))
    with pytest.raises(SpecError, match="nested too deeply"):
        read_yaml(written(tmp_path, "a: " + "[" * 40_000))
    with pytest.raises(SpecError, match="stands for more than"):
        read_yaml(written(tmp_path, "a: &a [*a]"))
    with pytest.raises(SpecError, match="it is a device"):
        read_yaml(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [.nan]\n", "line 2: .nan is not a finite number"),
        ("a: {b: -.inf}\n", "line 1: -.inf is not a finite number"),
        ("a: 1.0e+400\n", "line 1: 1.0e"),
        ("a: 1\nb: 1:30\n", "line 2: 1:30 is a number to base 60"),
    ],
)
def test_numbers_that_nobody_means(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=re.escape(said)):
        read_yaml(path)
    path.write_text('a: ".nan"\nb: "1:30"\n')
    assert read_yaml(path) == {"a": ".nan", "b": "1:30"}
