"""Collections: files that list suites, which run one after the other. Never loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from posebench.files.yaml_records import YamlFile, record_from_yaml
from posebench.suites.suite import Suite, check_name, load_suite

SUITES = "suites"


@dataclass(frozen=True)
class Collection:
    """Suites that belong together: files, relative to the collection's own folder."""

    name: str
    suites: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True)
class Member:
    """A suite of a collection, and its file."""

    suite: Suite
    path: Path


def is_collection(path: Path) -> bool:
    """Tell whether a YAML file lists suites.

    Raises `SpecError` if it cannot be read.
    """
    return SUITES in YamlFile(path).value


def load_collection(path: Path) -> Collection:
    """Read a collection; raise `SpecError` that names the line of what is wrong."""
    collection, file = record_from_yaml(Collection, path)
    problem = check_name(collection.name)
    if problem is not None:
        raise file.misfit(("name",), problem)
    if not collection.suites:
        raise file.misfit((SUITES,), "suites is empty, which leaves nothing to run.")
    for index, name in enumerate(collection.suites):
        if not (path.parent / name).is_file():
            raise file.misfit((SUITES, index), f"there is no file {path.parent / name}.")
        if is_collection(path.parent / name):
            what = f"{name} lists suites itself: list those here."
            raise file.misfit((SUITES, index), what)
    return collection


def description_of(path: Path) -> str:
    """Return what a suite or a collection says of itself."""
    return (load_collection if is_collection(path) else load_suite)(path).description


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files of a collection's suites, or a suite's own."""
    return tuple(each.path for each in members_of(path)) if is_collection(path) else (path,)


def members_of(path: Path) -> tuple[Member, ...]:
    """Return the suites of a collection in its order.

    Raises `SpecError` if one cannot be read, or if two have one name.
    """
    collection, found = load_collection(path), dict[str, Member]()
    for index, name in enumerate(collection.suites):
        member = Member(load_suite(path.parent / name), path.parent / name)
        other = found.setdefault(member.suite.name, member)
        if other is not member:
            what = f"{name} and {other.path.name} are both called {member.suite.name}."
            raise YamlFile(path).misfit((SUITES, index), what)
    return tuple(found.values())
