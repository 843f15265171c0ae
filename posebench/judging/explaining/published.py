"""What the zoo states of a published number's protocol, and what its rows say a field is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from posebench.networks.names import UNSTATED_DECODERS
from posebench.results.explaining.fields import GROUND_TRUTH
from posebench.results.numbers import AP
from posebench.zoo.published import (
    PublishedCheckpoint,
    PublishedResult,
    published_checkpoints,
)

# Images of the sets that published numbers are measured on.
_IMAGES = {("coco", "val2017"): 5000, ("crowdpose", "test"): 8000, ("crowdpose", "val"): 2000}
_USUAL_DATA = "coco"
# In published rows, the fields in which two of one file may differ.
_OF_ROWS = ("boxes", "flip_test", "decoder")


def published_fields(entry: PublishedCheckpoint, result: PublishedResult) -> dict[str, Any]:
    """Return what is stated of a published number, by the names of `FIELDS`; None is not said."""
    crop = entry.crop
    udp = result.udp if result.udp is not None else (None if crop is None else crop.udp)
    return {
        "checkpoint": entry.sha256_prefix,
        "images": _IMAGES.get((result.dataset, result.split)),
        "boxes": result.boxes,
        "flip_test": result.flip_test if result.flip_test is not None else _own_flip(entry),
        "decoder": result.decoder or _own_decoder(entry),
        "size": str(entry.input_size),
        "crop": None if udp is None else ("udp" if udp else "classic"),
        "padding": None if crop is None else crop.padding,
        "channels": None if crop is None else crop.channels,
        "mean": None if crop is None else [float(value) for value in crop.mean],
        "std": None if crop is None else [float(value) for value in crop.std],
    }


def _own_flip(entry: PublishedCheckpoint) -> bool | None:
    return None if entry.flip is None else entry.flip.test


def _own_decoder(entry: PublishedCheckpoint) -> str | None:
    return entry.codec.decoder or UNSTATED_DECODERS.get(entry.codec.kind)


@dataclass(frozen=True)
class PublishedEffect:
    """What published rows say of a change from one value to another: the median of several.

    `value` is a difference of AP as a fraction.
    """

    value: float
    source: str


def published_effect(
    field: str, theirs: Any, mine: Any, data: str = _USUAL_DATA
) -> PublishedEffect | None:
    """Return what going from their value of a field to mine did to AP in published rows.

    The rows are of one file on this data set and differ in that field alone. None without any.
    """
    if field not in _OF_ROWS:
        return None
    values = tuple(_word(field, value) for value in (theirs, mine))
    if values[0] == values[1]:
        return None
    found = [
        (two.metrics[AP] - one.metrics[AP], f"{entry.id} ({_sources(one, two)})")
        for entry in published_checkpoints()
        for one, two in _pairs(entry, field, values)
        if one.dataset == data
    ]
    if not found:
        return None
    found.sort()
    middle = [found[(len(found) - 1) // 2], found[len(found) // 2]]
    names = sorted({name for _, name in middle})
    source = f"published pair{'s' * (len(names) > 1)} of {' and '.join(names)}"
    if len(found) > 1:
        low, high = found[0][0], found[-1][0]
        source += f", the middle of {len(found)} from {low:+.1f} to {high:+.1f}"
    return PublishedEffect(sum(gain for gain, _ in middle) / 200, source)


def _sources(*rows: PublishedResult) -> str:
    return " and ".join(sorted({row.sources[0] for row in rows}))


def _word(field: str, value: Any) -> Any:
    """Return a field's value as rows are compared by it: boxes are labelled or detected."""
    if field != "boxes":
        return value
    return GROUND_TRUTH if value == GROUND_TRUTH else "detected"


def _pairs(
    entry: PublishedCheckpoint, field: str, values: tuple[Any, ...]
) -> Iterator[tuple[PublishedResult, PublishedResult]]:
    rows = [(_said(entry, result), result) for result in entry.results if AP in result.metrics]
    for one, first in rows:
        for two, second in rows:
            others = all(one[name] == two[name] for name in one if name != field)
            wanted = tuple(_word(field, said[field]) for said in (one, two)) == values
            if others and wanted and first is not second:
                yield first, second


def _said(entry: PublishedCheckpoint, result: PublishedResult) -> Mapping[str, Any]:
    return {
        "data": (result.dataset, result.split),
        "boxes": result.boxes,
        "flip_test": result.flip_test,
        "decoder": result.decoder or _own_decoder(entry),
        "udp": result.udp,
    }
