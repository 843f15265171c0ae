"""Collections: which suites they list, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.errors import SpecError
from posebench.suites.collection import (
    description_of,
    files_of,
    is_collection,
    load_collection,
    members_of,
)
from posebench.suites.shipped import shipped_suites


def suite(folder: Path, name: str, file: str | None = None) -> Path:
    path = folder / (file or f"{name}.yaml")
    path.write_text(f"name: {name}\ndescription: {name}\ncheckpoints: [a]\n", encoding="utf-8")
    return path


def collection(folder: Path, suites: str, name: str = "all") -> Path:
    path = folder / "all.yaml"
    text = f"name: {name}\ndescription: All.\nsuites: {suites}\n"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_suites_of_a_collection_in_its_order(tmp_path: Path) -> None:
    two, one = suite(tmp_path, "two"), suite(tmp_path, "one")
    path = collection(tmp_path, "[two.yaml, one.yaml]")
    assert [member.suite.name for member in members_of(path)] == ["two", "one"]
    assert files_of(path) == (two, one)
    assert files_of(one) == (one,)
    assert (is_collection(path), is_collection(one)) == (True, False)
    assert (description_of(path), description_of(one)) == ("All.", "one")


@pytest.mark.parametrize(
    ("suites", "said"),
    [
        ("[]", "line 3: suites is empty"),
        ("[one.yaml, gone.yaml]", "line 3: there is no file"),
        ("[one.yaml, all.yaml]", "line 3: all.yaml lists suites itself"),
        ("[one.yaml, other.yaml]", "line 3: other.yaml and one.yaml are both called one"),
        ("[one.yaml]\nsizes: [native]", "line 4: unknown key 'sizes'"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, suites: str, said: str) -> None:
    suite(tmp_path, "one")
    suite(tmp_path, "one", "other.yaml")
    with pytest.raises(SpecError) as caught:
        members_of(collection(tmp_path, suites))
    assert said in str(caught.value)


def test_a_name_that_is_no_folder(tmp_path: Path) -> None:
    suite(tmp_path, "one")
    with pytest.raises(SpecError, match=r"line 1: name '../up' must be of letters"):
        load_collection(collection(tmp_path, "[one.yaml]", name="../up"))


def test_the_whole_lab_is_every_suite_of_the_lab() -> None:
    path = shipped_suites()["lab/all"]
    listed = {each.name for each in files_of(path)}
    # COCO is for those who have it.
    others = {path.name, "coco.yaml"}
    assert listed == {each.name for each in path.parent.glob("*.yaml")} - others
