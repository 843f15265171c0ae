"""From two sides and what was measured to an explanation: steps, signs, and what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.judging.contrasts import short_text
from posebench.judging.explaining.published import published_effect
from posebench.judging.explaining.sides import Annotated, Side
from posebench.results.explaining.explanation import Explanation, Step
from posebench.results.explaining.fields import (
    FIELDS,
    GROUND_TRUTH,
    OF_CHECKPOINT,
    FieldDifference,
)
from posebench.results.explaining.measured import Measured
from posebench.results.numbers import AP, number_named
from posebench.scoring.signs.sign import Sign
from posebench.scoring.signs.signs import signs_between
from posebench.scoring.statistics.estimates import Estimate, Resampling, estimate_of, resample
from posebench.scoring.statistics.image_table import ImageTable

_FILTERS = ("min_box_score", "box_nms", "max_boxes")
# How the zoo calls the boxes of 56.4 AP, and a part of the name of their usual file.
_DET56 = ("det56.4", "AP_H_56")


def differing_fields(mine: Side, theirs: Side) -> tuple[FieldDifference, ...]:
    """Return the fields that both sides state and that differ, in the order of `FIELDS`."""
    one, other = theirs.fields, mine.fields
    both = [name for name in FIELDS if None not in (one.get(name), other.get(name))]
    names = [name for name in both if not _same(name, theirs, mine)]
    if "checkpoint" in names:
        names = [name for name in names if name not in OF_CHECKPOINT]
        if mine.paradigm != theirs.paradigm and None not in (mine.paradigm, theirs.paradigm):
            names = [name for name in names if name != "decoder"]
    if "images" in names and "annotations" in names:
        names.remove("images")
    if "image_files" in names and ("images" in names or "annotations" in names):
        names.remove("image_files")
    if "boxes" in names:
        names = [name for name in names if name not in _FILTERS]
    return tuple(FieldDifference(name, one[name], other[name]) for name in names)


def _same(name: str, theirs: Side, mine: Side) -> bool:
    one, other = theirs.fields[name], mine.fields[name]
    if name == "checkpoint":
        shorter, longer = sorted((str(one), str(other)), key=len)
        return longer.startswith(shorter)
    if name == "boxes" and one != other and GROUND_TRUTH not in (one, other):
        labels = [_boxes_label(side) for side in (theirs, mine)]
        return all(any(part in label for part in _DET56) for label in labels)
    return bool(one == other)


def _boxes_label(side: Side) -> str:
    if side.cell is not None:
        return side.cell.result.protocol.boxes
    return str(side.fields.get("boxes"))


def explain(
    mine: Side,
    theirs: Side,
    measured: Mapping[str, Measured],
    resampling: Resampling,
    signs: Sequence[Sign] = (),
) -> Explanation:
    """Return the way from their AP to mine.

    `measured` has fields of `base_of` the two, switched to the other's value.
    """
    base = base_of(mine, theirs)
    differing = differing_fields(mine, theirs)
    found = {d.field: measured[d.field] for d in differing if d.field in measured}
    usable = {name: each for name, each in found.items() if _is_comparable(base, each)}
    draws = _Draws(mine, theirs, base, usable, resampling)
    steps = sorted(
        (_step(each, draws, found.get(each.field), (theirs, mine)) for each in differing),
        key=lambda step: -abs(_value(step.effect)),
    )
    total, rest = draws.total_and_rest(steps)
    unsaid = [name for name in FIELDS if None in (mine.fields.get(name), theirs.fields.get(name))]
    asked = bool(mine.fields and theirs.fields)
    return Explanation(
        mine.facts,
        theirs.facts,
        tuple(steps),
        total,
        rest,
        tuple(signs),
        tuple(_unsaid(unsaid, mine, theirs)) if asked else (),
        tuple(_notes(mine, theirs, draws)),
    )


def base_of(mine: Side, theirs: Side) -> Side | None:
    """Return the side whose cell is switched: mine if it is of a run, else theirs, else None."""
    return next((side for side in (mine, theirs) if side.cell is not None), None)


def signs_of(mine: Side, theirs: Side, annotated: Annotated) -> tuple[Sign, ...]:
    """Return what would make the poses of one side those of the other."""
    if mine.file is None or theirs.file is None:
        return ()
    return signs_between(annotated.dataset, annotated.truth, mine.file, theirs.file)


def _is_comparable(base: Side | None, measured: Measured) -> bool:
    if base is None or base.table is None or measured.table is None:
        return False
    ids = base.table.matches.image_ids, measured.table.matches.image_ids
    return measured.ap is not None and np.array_equal(*ids)


class _Draws:
    """Paired resamples of the images: of the sides, and of the base with a field switched."""

    def __init__(
        self,
        mine: Side,
        theirs: Side,
        base: Side | None,
        measured: Mapping[str, Measured],
        resampling: Resampling,
    ) -> None:
        self._sides = mine, theirs
        self._base_is_mine = base is mine
        self._base = None if base is None else base.facts.ap
        self._measured = measured
        self.paired = _share_images(mine.table, theirs.table)
        tables: dict[str, ImageTable] = {}
        if mine.table is not None:
            tables["mine"] = mine.table
        if theirs.table is not None and (self.paired or mine.table is None):
            tables["theirs"] = theirs.table
        for name, each in measured.items():
            assert each.table is not None
            tables[f"field {name}"] = each.table
        self._draws: dict[str, NDArray[np.float64]] = {}
        recipe = number_named(AP).recipe
        if tables and recipe is not None and resampling.replicates:
            values = resample(list(tables.values()), [recipe], resampling).replicates[..., 0]
            self._draws = dict(zip(tables, values, strict=True))

    def effect(self, field: str) -> Estimate | None:
        """Return what going from their value to mine changes, None if it was not measured."""
        measured = self._measured.get(field)
        if measured is None or self._base is None or measured.ap is None:
            return None
        sign = 1 if self._base_is_mine else -1
        gain = sign * (self._base - measured.ap)
        return estimate_of(gain, self._effect_draws(field), with_p=True)

    def _effect_draws(self, field: str) -> NDArray[np.float64] | None:
        base = self._draws.get("mine" if self._base_is_mine else "theirs")
        other = self._draws.get(f"field {field}")
        if base is None or other is None:
            return None
        return base - other if self._base_is_mine else other - base

    def total_and_rest(self, steps: Sequence[Step]) -> tuple[Estimate | None, Estimate | None]:
        """Return mine minus theirs, and what remains of it without the effects of steps."""
        mine, theirs = (side.facts.ap for side in self._sides)
        if mine is None or theirs is None:
            return None, None
        draws = self._total_draws(mine, theirs)
        known = sum(_value(step.effect) for step in steps)
        rest = draws
        for step in steps:
            if rest is not None and step.effect is not None:
                own = self._effect_draws(step.field) if step.how == "measured" else None
                rest = rest - (_value(step.effect) if own is None else own)
        total = mine - theirs
        return (
            estimate_of(total, draws, with_p=True),
            estimate_of(total - known, rest, with_p=True),
        )

    def _total_draws(self, mine: float, theirs: float) -> NDArray[np.float64] | None:
        one, other = self._draws.get("mine"), self._draws.get("theirs")
        tables = [side.table for side in self._sides]
        if all(table is not None for table in tables):
            return None if one is None or other is None else one - other
        if one is not None:
            return one - theirs
        return None if other is None else mine - other


def _share_images(one: ImageTable | None, other: ImageTable | None) -> bool:
    if one is None or other is None:
        return False
    return bool(np.array_equal(one.matches.image_ids, other.matches.image_ids))


def _step(
    each: FieldDifference, draws: _Draws, measured: Measured | None, sides: tuple[Side, Side]
) -> Step:
    one, two = (_words(side, each.field) for side in sides)
    effect = draws.effect(each.field)
    if effect is not None and measured is not None:
        return Step(each.field, one, two, effect, "measured", measured.how)
    told = published_effect(each.field, each.theirs, each.mine, *_data(sides))
    if told is not None:
        return Step(each.field, one, two, Estimate(told.value), "published", told.source)
    reason = "" if measured is None else measured.reason
    return Step(each.field, one, two, None, "not measured", reason)


def _data(sides: tuple[Side, Side]) -> list[str]:
    """Return the data set of the published number, if one of the two is."""
    return [side.result.dataset for side in sides if side.result is not None][:1]


def _words(side: Side, field: str) -> str:
    if field == "boxes":
        return _boxes_label(side)
    value: Any = side.fields[field]
    if field == "image_files":
        return str(side.fields[field])[:8]
    if field in ("checkpoint", "annotations"):
        name = side.facts.name if field == "checkpoint" else side.facts.about.partition(",")[0]
        return f"{Path(name).name} {str(value)[:8]}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short_text(value)


def _value(effect: Estimate | None) -> float:
    return 0.0 if effect is None or effect.value is None else effect.value


def _unsaid(names: Sequence[str], mine: Side, theirs: Side) -> list[str]:
    """Return the fields that one side alone states; labelled boxes have no filters to state."""
    one, other = mine.fields, theirs.fields
    if GROUND_TRUTH in (one.get("boxes"), other.get("boxes")):
        names = [name for name in names if name not in _FILTERS]
    return [name for name in names if (one.get(name) is None) != (other.get(name) is None)]


def _notes(mine: Side, theirs: Side, draws: _Draws) -> list[str]:
    notes = []
    kinds = {side.facts.kind for side in (mine, theirs)}
    if "published" in kinds:
        notes += _other_images(mine, theirs)
        notes.append("a published number is taken as exact: intervals are those of the images here")
    elif not draws.paired:
        notes.append("the two are of other images, so what remains has no interval")
    return notes


def _other_images(mine: Side, theirs: Side) -> list[str]:
    """Return a note if a results file is of another number of images than a published number."""
    files = [side for side in (mine, theirs) if side.file is not None and side.images is not None]
    published = [side for side in (mine, theirs) if side.result is not None]
    if not files or not published or published[0].images in (None, files[0].images):
        return []
    row = published[0].result
    assert row is not None
    what = f"the published number is of {published[0].images} images of {row.dataset}"
    return [f"{what}, the results file of {files[0].images}: they are of other data"]
