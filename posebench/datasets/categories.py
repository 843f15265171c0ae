"""Which categories of a COCO-format file are evaluated: those that have annotated keypoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posebench.datasets.checks.findings import Finding, finding, is_integer, shown
from posebench.errors import UsageError

# The category id of people in COCO; also taken for annotations without one.
PERSON = 1
# Stands for the id where all categories of a file are evaluated together.
EVERY = -1


@dataclass(frozen=True)
class Category:
    """One entry of a file's `categories`; `keypoints` are their names as listed there."""

    id: int = PERSON
    name: str = "person"
    keypoints: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.name if self.id == EVERY else f"{self.id} ({self.name})"


def every_category(count: int) -> Category:
    """Return what stands for all categories of a file."""
    return Category(EVERY, f"all {count} categories")


def category_of(row: Mapping[str, Any]) -> Any:
    """Return the category id of an annotation, or that of a person if it has none."""
    return row.get("category_id", PERSON)


def annotation_rows(raw: Mapping[str, Any], *categories: int) -> list[dict[str, Any]]:
    """Return the annotations of some categories, in file order."""
    rows = (row for row in raw["annotations"] if isinstance(row, dict))
    return [row for row in rows if category_of(row) in categories]


def choose_categories(raw: Mapping[str, Any], wanted: str | None) -> tuple[Category, ...]:
    """Return the categories to evaluate, by id: all with keypoints, or the wanted one.

    `wanted` is an id or a name. If the file lists categories with keypoints, unlisted ones are left
    out, as evaluators do. Raises `UsageError` if the wanted one has no annotated keypoints.
    """
    listed = _listed(raw)
    counts = _counts(raw)
    found = {key: listed.get(key, Category(key, "unnamed")) for key in sorted(counts)}
    if wanted is not None:
        chosen = [
            category
            for category in found.values()
            if wanted == str(category.id) or wanted.casefold() == category.name.casefold()
        ]
        if not chosen:
            raise UsageError(
                f"No annotation with keypoints is of category {wanted!r}.",
                hint=f"Categories with keypoints: {', '.join(map(str, found.values())) or 'none'}.",
            )
        exact = [category for category in chosen if wanted == str(category.id)]
        return tuple(exact or chosen)
    known = [category for key, category in found.items() if key in listed]
    if known or found:
        return tuple(known or found.values())
    return (listed.get(PERSON) or next(iter(listed.values()), Category()),)


def only_category(categories: Sequence[Category], place: object) -> Category:
    """Return the only category.

    Raises `UsageError` if there are several.
    """
    if len(categories) == 1:
        return categories[0]
    names = [str(category) for category in categories[:8]] + ["…"] * (len(categories) > 8)
    raise UsageError(
        f"{place} has keypoints of {len(categories)} categories: {', '.join(names)}.",
        hint="Name one with --category NAME or --category ID (posebench score takes all); suites "
        "and recipes have `category`.",
    )


def category_findings(raw: Mapping[str, Any], chosen: Sequence[Category]) -> list[Finding]:
    """Return findings on a file's categories: odd entries, and those that are not evaluated."""
    rows = [row for row in raw["annotations"] if isinstance(row, dict)]
    listed, counts = _listed(raw), _counts(raw)
    evaluated = [category.id for category in chosen]  # a list: an odd id may not be hashable
    others = Counter(shown(category_of(row)) for row in rows if category_of(row) not in evaluated)
    unlisted = [key for key in evaluated if key not in listed]
    found = finding(
        "category-missing",
        f"Annotations without a category_id are taken for category {PERSON}",
        (f"annotation {shown(row.get('id'))}" for row in rows if "category_id" not in row),
    )
    found += finding(
        "category-id",
        "Annotations whose category_id is not a whole number",
        (
            f"annotation {shown(row.get('id'))} ({shown(row['category_id'])})"
            for row in rows
            if not is_integer(row.get("category_id", PERSON)) and row["category_id"] is not True
        ),
    )
    if unlisted:
        what = f"`categories` does not list category {', '.join(map(str, unlisted))}"
        found.append(Finding("category-unlisted", what))
    posed = {shown(key) for key in counts}
    for kind, what, keys in (
        ("categories-left-out", "Categories with keypoints that are not evaluated", posed),
        ("annotations-left-out", "Annotations of other categories are not evaluated", None),
    ):
        left = {key: n for key, n in others.items() if (key in posed) == (keys is posed)}
        names = (f"category {key} ({n} times)" for key, n in left.items())
        found += finding(kind, what, names)
    return found


def _listed(raw: Mapping[str, Any]) -> dict[int, Category]:
    rows = raw.get("categories")
    found: dict[int, Category] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and is_integer(row.get("id")):
            names = row.get("keypoints")
            named = tuple(map(str, names)) if isinstance(names, list) and names else None
            found[row["id"]] = Category(row["id"], str(row.get("name", "unnamed")), named)
    return found


def _counts(raw: Mapping[str, Any]) -> Counter[int]:
    """Count the annotations with keypoints by category, or all annotations if none has any."""
    rows = [row for row in raw["annotations"] if isinstance(row, dict)]
    owners = [category_of(row) for row in rows if row.get("keypoints")]
    owners = owners or [category_of(row) for row in rows]
    return Counter(int(owner) for owner in owners if is_integer(owner) or owner is True)
