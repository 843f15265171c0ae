"""In what the trainings of a pair differ besides the factor that a claim declares. No torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from posebench.judging.pairs.cells import BySeed, ClaimCell
from posebench.suites.recipe import WEIGHT_SOURCES

# Parts of a recipe that do not change its weights.
_WITHOUT_EFFECT = ("name", "pair", "evaluations", "test_sizes", "model.flip", "data.validation")
# What each seed of an arm has of its own: files that other seeds were trained to are among it.
_OF_THE_SEED = ("seed", *(f"{section}.{field}" for section, field in WEIGHT_SOURCES.items()))
# Differences are named by two parts, such as `model.head`, however many settings lie below.
_SHOWN_PARTS = 2
# A hash is told from another by its beginning.
_HASH, _BEGINNING = re.compile("[0-9a-f]{64}"), 12


def flat_training(recipe: Mapping[str, Any] | None, prefix: str = "") -> dict[str, Any]:
    """Return the settings of a recipe by dotted names, lists as one setting."""
    flat: dict[str, Any] = {}
    for name, value in (recipe or {}).items():
        place = f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= flat_training(value, f"{place}.")
        else:
            flat[place] = value
    return flat


def training_differences(
    treated: BySeed, controls: BySeed, factor: Sequence[str]
) -> tuple[str, ...]:
    """Return what differs in training besides `factor`, with the values on either side.

    The seeds of one side must be trained alike in everything, and sides that share seeds must have
    started from the same ones. Nothing is known of cells that do not say how they were trained.
    """
    sides = (treated, controls)
    cells = [cell for side in sides for group in side.values() for cell in group]
    if not all(cell.training for cell in cells):
        return ()
    found: dict[str, list[list[str]]] = {}
    for name in dict.fromkeys(name for cell in cells for name in cell.training):
        if _lies_in(name, _WITHOUT_EFFECT):
            continue
        values = [{seed: _values(side[seed], name) for seed in side} for side in sides]
        if _differ(name, values, is_factor=_lies_in(name, factor)):
            shown = ".".join(name.split(".")[:_SHOWN_PARTS])
            texts = [_listed(each) for each in values]
            found.setdefault(shown, []).append(texts if shown == name else [])
    return tuple(
        f"{name} ({' / '.join(texts[0])})" if texts[0] else name for name, texts in found.items()
    )


def _differ(name: str, values: Sequence[Mapping[str, frozenset[str]]], *, is_factor: bool) -> bool:
    if name in _OF_THE_SEED:
        shared = [seed for seed in values[0] if seed in values[1]]
        return not is_factor and any(values[0][seed] != values[1][seed] for seed in shared)
    apart = [{*side.values()} for side in values]
    return any(len(side) > 1 for side in apart) or (not is_factor and apart[0] != apart[1])


def _values(cells: Sequence[ClaimCell], name: str) -> frozenset[str]:
    return frozenset(json.dumps(cell.training.get(name), sort_keys=True) for cell in cells)


def _lies_in(name: str, parts: Sequence[str]) -> bool:
    """Tell whether a setting is one of these or lies below one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _listed(values: Mapping[str, frozenset[str]]) -> str:
    texts = sorted({text for each in values.values() for text in each})
    return ", ".join("not said" if text == "null" else _short(text.strip('"')) for text in texts)


def _short(text: str) -> str:
    return text[:_BEGINNING] if _HASH.fullmatch(text) else text
