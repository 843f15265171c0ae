"""Suites that come with posebench, and the files that words on a command line mean. No torch."""

from __future__ import annotations

from pathlib import Path

import posebench
from posebench.errors import SpecError, nearest

_SUFFIX = ".yaml"


def shipped_folder() -> Path:
    """Return the folder of the suites that come with posebench."""
    package = Path(posebench.__file__).parent
    # In the package where it is installed, beside it in a checkout.
    places = (package / "shipped_suites", package.parent / "suites")
    return next(folder for folder in places if folder.is_dir())


def shipped_suites() -> dict[str, Path]:
    """Return the suites that come with posebench, by name: those of the lab as `lab/NAME`."""
    folder = shipped_folder()
    files = [path for place in ("", "lab/") for path in sorted(folder.glob(f"{place}*{_SUFFIX}"))]
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in files}


def find_suite(argument: str) -> Path:
    """Return the file that a command-line argument means: a path, else a shipped suite's name."""
    path, shipped = Path(argument), shipped_suites()
    if path.is_file():
        return path
    if argument in shipped:
        return shipped[argument]
    raise SpecError(
        f"There is no file {argument}, and no shipped suite of that name.",
        hint=nearest(argument.removesuffix(_SUFFIX), shipped),
    )


def source_text(path: Path) -> str:
    """Return what leads to a suite's file again by `find_suite`: a shipped one's name, a path."""
    names = (name for name, own in shipped_suites().items() if own.resolve() == path.resolve())
    return next(names, str(path.resolve()))


def folder_of(source: str) -> Path:
    """Return the folder that a suite's paths are relative to, by the `source` of its run.

    Raises `SpecError` where the suite's file is not there any more.
    """
    made_in = Path(source)
    return made_in if source and made_in.is_dir() else find_suite(source).parent
