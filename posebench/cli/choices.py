"""Options that take one or several of a few names."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from posebench.errors import UsageError, nearest
from posebench.files.inputs import in_home

Name = TypeVar("Name", bound=str)


def one_of(value: str, valid: tuple[Name, ...], option: str) -> Name:
    """Return `value` if it is valid, else raise `UsageError` naming the nearest."""
    for name in valid:
        if value == name:
            return name
    raise UsageError(f"{option} {value!r} is not known.", hint=nearest(value, valid))


def several_of(text: str, valid: tuple[Name, ...], option: str) -> tuple[Name, ...]:
    """Return the names of a comma-separated list, each once."""
    names = (one_of(part.strip(), valid, option) for part in text.split(","))
    return tuple(dict.fromkeys(names))


def count_or_all(text: str, option: str) -> int | None:
    """Return a count of 0 or more, None for `all`; raise `UsageError` for anything else."""
    if text == "all":
        return None
    if not (text.isdecimal() and len(text) < 10):
        raise UsageError(f"{option} {text!r} is neither a number nor all.", hint="Such as 24.")
    return int(text)


def numbers_of(text: str, option: str, most: int) -> tuple[int, ...]:
    """Return the numbers of a comma-separated list, from 1 to `most`, each once."""
    parts = [part.strip() for part in text.split(",")]
    # Python refuses to read numbers of thousands of digits.
    if not all(part.isdecimal() and len(part) < 20 and 0 < int(part) <= most for part in parts):
        raise UsageError(
            f"{option} {text!r} is no list of numbers from 1 to {most}.", hint="Such as 1,8,32."
        )
    return tuple(dict.fromkeys(map(int, parts)))


def roots_of(texts: list[str]) -> dict[str, Path]:
    """Return the folders of data sets from texts such as `lsp14=/data/lsp14`.

    Raises `UsageError` if one is of another form.
    """
    found = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UsageError(
                f"--data-root {text} does not say which data are where.",
                hint="Write NAME=FOLDER, such as lsp14=/data/lsp14.",
            )
        found[name] = in_home(folder)
    return found
