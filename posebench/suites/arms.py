"""Arms to recipes: overrides are laid on the base recipe, and what differs is checked. No torch."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from posebench.datasets.choices import SYNTHETIC_LEVELS
from posebench.errors import SpecError, nearest
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.yaml_records import read_yaml
from posebench.suites.recipe import WEIGHT_SOURCES, Recipe, recipe_from_mapping
from posebench.suites.shipped import shipped_folder
from posebench.suites.trained import (
    ARM,
    BUDGET,
    DATA,
    KEYS_OF_ARM,
    LABELS,
    SEED,
    SHARE,
    Overrides,
    Scale,
    TrainedCheckpoints,
    TrainingDataEntry,
)

_SCALES = "scales"
_OF_AN_ARM = "arm:"
_TWICE = "2x"


@dataclass(frozen=True)
class Training:
    """One training run of a suite.

    `name` is that of its checkpoint. `sources` maps `initialise` and `distillation` to the names of
    the trainings whose checkpoints they take; the recipe names a stand-in there.
    """

    name: str
    recipe: Recipe
    data: TrainingDataEntry
    labels: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)

    def with_sources(self, checkpoints: Mapping[str, Path]) -> Recipe:
        """Return the recipe with the checkpoint files of other trainings, by their names."""
        recipe = self.recipe
        for section, name in self.sources.items():
            filled = replace(
                getattr(recipe, section), **{WEIGHT_SOURCES[section]: str(checkpoints[name])}
            )
            recipe = replace(recipe, **{section: filled})
        return recipe


@dataclass(frozen=True)
class _BaseRecipe:
    """The plain data of a base recipe, its scales, and the folder its paths are relative to."""

    plain: dict[str, Any]
    scales: Mapping[str, Scale]
    path: Path


def scales_of(trained: TrainedCheckpoints, folder: Path) -> dict[str, Scale]:
    """Return the scales of a suite in `folder`: those of the base recipe, and its own over them."""
    return {**_base_recipe(trained, folder).scales, **trained.scales}


def trainings_of(trained: TrainedCheckpoints, folder: Path) -> tuple[Training, ...]:
    """Return every training of a suite in `folder`, each after those that it takes weights from.

    Raises `SpecError` if an override does not fit, or if arms differ in more than the factor.
    """
    base = _base_recipe(trained, folder)
    scales = {**base.scales, **trained.scales}
    if trained.scale is not None and trained.scale not in scales:
        raise SpecError(
            f"There is no scale {trained.scale!r}.", hint=nearest(trained.scale, scales)
        )
    scale = Scale() if trained.scale is None else scales[trained.scale]
    found = []
    for entry in trained.data_entries:
        common = _common(base, scale, trained.scale, entry)
        arms = {name: _arm(name, trained, common, base) for name in _in_order(trained)}
        _check_factor(trained, entry, {name: arm.recipe for name, arm in arms.items()})
        for seed, (name, arm) in itertools.product(trained.seeds, arms.items()):
            found.append(_training(name, arm, entry, seed))
        for name in trained.plateau:
            found.append(_training(name, arms[name], entry, trained.seeds[0], twice=True))
    return tuple(found)


@dataclass(frozen=True)
class _Arm:
    """An arm on some data: its recipe, labels, and the arms that it takes weights from."""

    recipe: Recipe
    labels: Mapping[str, str]
    sources: Mapping[str, str]


def _base_recipe(trained: TrainedCheckpoints, folder: Path) -> _BaseRecipe:
    own = folder / trained.base
    path = own if own.is_file() else shipped_folder() / trained.base
    if not path.is_file():
        raise SpecError(f"There is no base recipe {trained.base}.", hint=f"Tried {own} and {path}.")
    plain = read_yaml(path)
    scales = plain.pop(_SCALES, {})
    if not isinstance(scales, Mapping):
        raise SpecError(f"{path}: scales must be a mapping of names to scales.")
    read = {
        str(name): record_from_mapping(Scale, value, where=f"{path}, scale {name}")
        for name, value in scales.items()
    }
    return _BaseRecipe({"name": "base", **plain}, read, path)


def _common(
    base: _BaseRecipe, scale: Scale, scale_name: str | None, entry: TrainingDataEntry
) -> dict[str, Any]:
    """Return the plain recipe that all arms share on some data."""
    plain = _with(base.plain, scale.set, f"{base.path}, scale {scale_name}")
    if entry.folder is None:
        data = dict(plain.get("data") or {})
        plain["data"] = {**data, "level": SYNTHETIC_LEVELS[entry.label]}
    else:
        plain["data"] = {
            "folder": entry.folder,
            "split": entry.split,
            "validation": entry.validation,
            "category": entry.category,
        }
        if entry.limit is not None:
            plain["data"]["limit"] = entry.limit
        if isinstance(plain.get("model"), dict):
            plain["model"].pop("keypoints", None)  # those of the base recipe's own data
        if entry.keypoints is not None:
            plain["data"]["keypoints"] = entry.keypoints
    where = f"data {entry.label}"
    plain = _with(plain, entry.set, where)
    return _with(plain, entry.scales.get(scale_name or "", {}), f"{where}, scale {scale_name}")


def _arm(name: str, trained: TrainedCheckpoints, common: dict[str, Any], base: _BaseRecipe) -> _Arm:
    where = f"arm {name}"
    plain = _with(common, _overrides(trained.arms[name]), where)
    sources = {}
    for section, key in WEIGHT_SOURCES.items():
        source = _arm_of(plain.get(section), key)
        if source is not None:
            sources[section] = source
            rest = {k: v for k, v in plain[section].items() if k not in (ARM, key)}
            plain[section] = {**rest, key: f"{_OF_AN_ARM}{source}"}
    recipe = recipe_from_mapping(plain, where=where, folder=base.path.parent)
    recipe = _seeing(recipe, trained.arms[name].get(SHARE, 1))
    labels = {key: str(value) for key, value in trained.arms[name].get(LABELS, {}).items()}
    return _Arm(recipe, labels, sources)


def _overrides(arm: Overrides) -> Overrides:
    """Return the paths that an arm overrides."""
    return {path: value for path, value in arm.items() if path not in KEYS_OF_ARM}


def _seeing(recipe: Recipe, share: float) -> Recipe:
    """Return a recipe that sees this many times the samples."""
    samples = round(share * recipe.optimisation.samples)
    return replace(recipe, optimisation=replace(recipe.optimisation, samples=samples))


def _arm_of(section: Any, key: str) -> str | None:
    """Return the arm that a section takes its weights from: `{arm: X}`, `{teacher: {arm: X}}`."""
    if not isinstance(section, Mapping):
        return None
    inner = section.get(key)
    found = section.get(ARM, inner.get(ARM) if isinstance(inner, Mapping) else None)
    return None if found is None else str(found)


def _training(
    name: str, arm: _Arm, entry: TrainingDataEntry, seed: int, *, twice: bool = False
) -> Training:
    end = f"{entry.label}_s{seed}"
    full = f"{name}_{end}"
    labels = {**arm.labels, ARM: name, SEED: str(seed), DATA: entry.label}
    sources = {
        section: f"{source}_{entry.label}_s{seed}" for section, source in arm.sources.items()
    }
    recipe = replace(arm.recipe, name=full, seed=seed)
    if twice:
        labels[BUDGET], full = _TWICE, f"{full}_{_TWICE}"
        recipe = replace(_seeing(recipe, 2), name=full)
    return Training(full, recipe, entry, labels, sources)


def _in_order(trained: TrainedCheckpoints) -> list[str]:
    """Return the arms, each after those that it takes weights from.

    Raises `SpecError` if there is no such arm, or if arms wait for one another.
    """
    needs = {}
    for name, arm in trained.arms.items():
        plain = _with({}, _overrides(arm), f"arm {name}")
        found = [_arm_of(plain.get(section), key) for section, key in WEIGHT_SOURCES.items()]
        needs[name] = [source for source in found if source is not None]
        for source in needs[name]:
            if source not in trained.arms:
                raise SpecError(
                    f"arm {name}: there is no arm {source!r} to take weights from.",
                    hint=nearest(source, trained.arms),
                )
    ordered: list[str] = []
    while len(ordered) < len(needs):
        ready = [n for n in needs if n not in ordered and set(needs[n]) <= set(ordered)]
        if not ready:
            circle = ", ".join(name for name in needs if name not in ordered)
            raise SpecError(f"The arms {circle} wait for one another's weights.")
        ordered += ready
    return ordered


def _with(plain: Mapping[str, Any], overrides: Overrides, where: str) -> dict[str, Any]:
    """Return a copy of plain data in which dotted paths have other values."""
    changed: dict[str, Any] = copy.deepcopy(dict(plain))
    for path, value in overrides.items():
        *parts, last = str(path).split(".")
        inner = changed
        for part in parts:
            if inner.get(part) is None:
                inner[part] = {}
            inner = inner[part]
            if not isinstance(inner, dict):
                raise SpecError(f"{where}: {path!r} leads through {part!r}, which holds {inner!r}.")
        inner[last] = copy.deepcopy(value)
    return changed


def _check_factor(
    trained: TrainedCheckpoints, entry: TrainingDataEntry, recipes: Mapping[str, Recipe]
) -> None:
    """Raise `SpecError`, with the path, if two arms differ in more than the factor."""
    leaves = {name: _leaves(mapping_from_record(recipe)) for name, recipe in recipes.items()}
    for path in dict.fromkeys(path for each in leaves.values() for path in each):
        if any(path == factor or path.startswith(f"{factor}.") for factor in trained.factors):
            continue
        values = {name: each.get(path) for name, each in leaves.items()}
        first, *others = values
        other = next((name for name in others if values[name] != values[first]), None)
        if other is not None:
            raise SpecError(
                f"The arms {first} and {other} differ in {path} ({values[first]!r} and "
                f"{values[other]!r}) on {entry.label}, which is not their factor.",
                hint=f"Let them agree, or add {path} to `factor` "
                f"({', '.join(trained.factors) or 'empty'}).",
            )


def _leaves(value: Any, path: Sequence[str] = ()) -> dict[str, Any]:
    """Return plain data by dotted path."""
    if not isinstance(value, Mapping):
        return {".".join(path): value}
    return {k: v for key, inner in value.items() for k, v in _leaves(inner, (*path, key)).items()}
