"""Keypoint names as files spell them, and the built-in set that fits a category."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from posebench.datasets.categories import Category, annotation_rows
from posebench.datasets.checks.findings import Finding
from posebench.datasets.keypoints import KEYPOINT_SETS, SETS_BY_NUMBER, KeypointSet
from posebench.errors import DataError

# Categories whose 17 keypoints are COCO's even if the file does not name them.
_PEOPLE = ("person", "people", "human", "unnamed")
# What animals' sides and legs are short for.
_WORDS = {"l": "left", "r": "right", "f": "front", "b": "back"}
_SAME_NAME = {"head": "tophead", "headtop": "tophead"}


class KeypointNames:
    """Names of a category's keypoints, in any spelling, to compare with a `KeypointSet`.

    "Left Eye", "left-eye" and "left_eye" are one name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = [_plain(name) for name in names]

    def __len__(self) -> int:
        return len(self.names)

    def fit(self, keypoints: KeypointSet) -> bool:
        """Tell whether these names begin with the set's names, in its order."""
        return self.names[: len(keypoints)] == _names_of(keypoints)

    def permute(self, keypoints: KeypointSet) -> bool:
        """Tell whether these are the set's names in another order."""
        return not self.fit(keypoints) and sorted(self.names) == sorted(_names_of(keypoints))


def _names_of(keypoints: KeypointSet) -> list[str]:
    return [_plain(name) for name in keypoints.keypoints]


def _plain(name: str) -> str:
    words = re.split(r"[\W_]+", name.casefold())
    plain = "".join(_WORDS.get(word, word) for word in words)
    return _SAME_NAME.get(plain, plain)


def guess_keypoints(path: Path, raw: Mapping[str, Any], category: Category) -> KeypointSet:
    """Find the built-in keypoint set that fits a category of the file.

    Annotations give their number; names, if the category lists them, tell which they are. Raises
    `DataError` if no set fits.
    """
    names = None if category.keypoints is None else KeypointNames(category.keypoints)
    counts = _annotated_counts(annotation_rows(raw, category.id))
    usual = max(counts, key=lambda number: (counts[number], number), default=0)
    count = len(names) if names and (not counts or len(names) in counts) else usual
    for keypoint_set in (SETS_BY_NUMBER if names is None else KEYPOINT_SETS).values():
        if len(keypoint_set) == count and (names is None or names.fit(keypoint_set)):
            return keypoint_set
    if count == 0:
        raise DataError(
            f"{path} has no keypoints.", hint="Is it an instances file? Name a keypoints file."
        )
    raise DataError(
        f"{path} has {count} keypoints per person, which fit no built-in set.",
        hint="Name the data set, if `posebench data ls` lists it (--record; --dataset in score). "
        "Or describe them in a YAML file (name, keypoints, sigmas, flip_pairs) and name it with "
        "--keypoints (--dataset in score and diagnose; trainings find keypoints.yaml in the data's "
        "folder); `posebench data sigmas` estimates sigmas"
        + (
            f". {sets_with({count})[:-1]}, if the names alone differ."
            if sets_with({count})
            else "."
        ),
    )


def _annotated_counts(rows: Sequence[Mapping[str, Any]]) -> Counter[int]:
    """Return how many annotations hold each number of keypoints."""
    lists = [row.get("keypoints") for row in rows]
    return Counter(len(value) // 3 for value in lists if isinstance(value, list) and value)


def sets_with(counts: set[int]) -> str:
    """Name the built-in keypoint sets of these numbers of keypoints, as a hint; "" for none."""
    names = [name for name, item in KEYPOINT_SETS.items() if len(item) in counts]
    return f"Built-in keypoint sets that would fit: {', '.join(names)}." if names else ""


def guess_findings(category: Category, keypoints: KeypointSet) -> list[Finding]:
    """Return a finding if a set was chosen by its number of keypoints alone and may be wrong."""
    fitting = [name for name, item in SETS_BY_NUMBER.items() if len(item) == len(keypoints)]
    if category.keypoints is not None or (len(fitting) == 1 and category.name in _PEOPLE):
        return []
    what = (
        f"Category {category} does not name its keypoints; {len(keypoints)} of them are taken for "
        f"keypoint set {keypoints.name!r} (built-in ones of that number: {', '.join(fitting)})"
    )
    hint = "Name the set (--keypoints; --dataset in score and diagnose), or list its names."
    return [Finding("names-missing", what, hint=hint)]


def name_findings(category: Category, keypoints: KeypointSet) -> list[Finding]:
    """Return findings on keypoint names that differ from those of the set used for scoring."""
    if category.keypoints is None:
        return []
    names, count = KeypointNames(category.keypoints), len(category.keypoints)
    if names.fit(keypoints):
        more = ", ".join(category.keypoints[len(keypoints) :][:5])
        what = f"The category names {count} keypoints, annotations have {len(keypoints)}; "
        extra = [Finding("names-more", f"{what}these are left aside: {more}")]
        return extra if count > len(keypoints) else []
    if count != len(keypoints):
        what = f"The category lists {count} keypoints, keypoint set {keypoints.name!r} has "
        hint = sets_with({count}) or None
        return [Finding("names-count", f"{what}{len(keypoints)}", hint=hint)]
    if names.permute(keypoints):
        what = f"The category lists the keypoints of {keypoints.name!r} in another order"
        hint = "Write a keypoint set YAML in the file's order."
        return [Finding("names-order", what, hint=hint)]
    what = f"The category's keypoint names are not those of {keypoints.name!r}"
    return [Finding("names-other", what)]
