"""Faults that make a row of a boxes or results file unusable: the field, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from posebench.datasets.checks.findings import (
    Finding,
    are_numbers,
    finding,
    has_length,
    is_integer,
    is_number,
    shown,
)
from posebench.datasets.keypoints import KEYPOINT_SETS

# A field's name, its fault, and what the value may mean.
Fault = tuple[str, str, str | None]
_LARGEST_ID = 2.0**63
LARGEST_SCORE = 3e38


def fault_findings(
    kind: str, what: str, faults: Iterable[tuple[int, Any, Fault]], first: int = 0
) -> list[Finding]:
    """Return one finding for each kind of fault; `what` names the rows.

    `faults` are positions counted from `first`, the rows and their faults.
    """
    groups: dict[Fault, list[str]] = {}
    for index, row, fault in faults:
        field, wrong, _ = fault
        value = row.get(field) if isinstance(row, dict) else row
        told = f" ({shown(value)})" if "missing" not in wrong and "list" not in wrong else ""
        groups.setdefault(fault, []).append(f"entry {first + index}{told}")
    found = []
    for (field, wrong, reading), names in groups.items():
        subject = f"{what} whose `{field}` {wrong}" if field else f"{what} that {wrong}"
        found += finding(kind, subject, names, reading)
    return found


def box_fault(row: Any) -> Fault | None:
    """Return the fault of a detected box, or None."""
    fault = _ids_fault(row) or _number_fault(row, "score") or _box_fault(row, "bbox", needed=True)
    if fault is None and abs(row["score"]) > LARGEST_SCORE:
        return "score", "does not fit 32 bits", None
    return fault


def result_fault(row: Any, keypoint_count: int) -> Fault | None:
    """Return the fault of a result of K keypoints, or None."""
    return (
        _ids_fault(row)
        or _number_fault(row, "score")
        or _keypoints_fault(row, keypoint_count)
        or _box_fault(row, "bbox", needed=False)
    )


def name_hint(values: Sequence[Any], file_names: Mapping[str, int]) -> str | None:
    """Say that image ids are file names, if they are, with the right id of the first."""
    for value in values:
        if isinstance(value, str):
            stems = {name.rpartition(".")[0]: key for name, key in file_names.items()}
            known = file_names.get(value, stems.get(value.rpartition(".")[0] or value))
            if known is not None:
                return f"{value!r} is the file_name of image {known}: write that image's id."
    return None


def _ids_fault(row: Any) -> Fault | None:
    if not isinstance(row, dict):
        return "", "are not objects", None
    for field in ("image_id", "category_id"):
        if field not in row:
            return field, "is missing", None
        value = row[field]
        if is_integer(value):
            continue
        if isinstance(value, str):
            hint = "Write the number without quotes." if value.strip().isdigit() else None
            return field, "is text, not a whole number", hint
        # The JSON parser reads a number beyond any integer as one with a decimal point.
        if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_ID:
            return field, "is a number with a decimal point", "Write 7 for 7.0."
        if type(value) is int or (isinstance(value, float) and value.is_integer()):
            return field, "does not fit 64 bits", "Number the images from 1."
        return field, "is not a whole number", None
    return None


def _number_fault(row: Mapping[str, Any], field: str) -> Fault | None:
    if field not in row:
        return field, "is missing", "AP ranks by it: evaluators need one for each."
    return None if is_number(row[field]) else (field, "is not a finite number", None)


def _keypoints_fault(row: Mapping[str, Any], count: int) -> Fault | None:
    value, field, wanted = row.get("keypoints"), "keypoints", 3 * count
    if "keypoints" not in row:
        return field, "are missing", None
    if not isinstance(value, list):
        return field, f"are not a list of {wanted} numbers", None
    if value and all(isinstance(item, list) for item in value):
        return field, "are a list of lists", "Write x, y, score of each keypoint one after another."
    if len(value) == 2 * count:
        hint = "Are they x, y without scores? Write 1 for each score."
        return field, f"are a list of {len(value)} numbers, not {wanted}", hint
    if not has_length(value, wanted):
        hint = f"{count} keypoints are wanted."
        if names := sets_of(len(value) / 3):
            hint += f" Are they {names}? Name the data set with --dataset."
        return field, f"are a list of {len(value)} numbers, not {wanted}", hint
    if not are_numbers(value, wanted):
        return field, "are a list with text, null, NaN or infinite numbers", None
    return None


def sets_of(count: float) -> str:
    """Name the built-in keypoint sets of a number of keypoints, "" for none."""
    return " or ".join(name for name, each in KEYPOINT_SETS.items() if len(each) == count)


def _box_fault(row: Mapping[str, Any], field: str, *, needed: bool) -> Fault | None:
    if field not in row:
        return (field, "is missing", None) if needed else None
    value = row[field]
    if value is None:
        hint = "Leave `bbox` out of every result, or write one in each."
        return field, "is null", None if needed else hint
    # Some detectors write the score as a fifth number.
    numbers = value[:4] if needed and isinstance(value, list) else value
    return None if are_numbers(numbers, 4) else (field, "is not a list of 4 finite numbers", None)
