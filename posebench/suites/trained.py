"""`trained:` of a suite: checkpoints that a run trains, as arms of one base recipe. No torch.

`arms` makes recipes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posebench.datasets.choices import SYNTHETIC_LEVELS
from posebench.errors import nearest
from posebench.files.records import Place

RENDERED = "synthetic"
# Names become part of a recipe's name and of files' names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Keys of an arm that are not paths into the recipe.
LABELS, SHARE = "labels", "share"
KEYS_OF_ARM = (LABELS, SHARE)
_LARGEST_SHARE = 10
# Settings of a recipe that each training of an arm has of its own.
_OF_EACH_TRAINING = ("name", "seed")
# Labels that trained checkpoints have, which an arm cannot set.
ARM, SEED, DATA, BUDGET, TEST_SIZE = "arm", "seed", "data", "budget", "test_size"
OWN_LABELS = (ARM, SEED, DATA, BUDGET, TEST_SIZE)
# A dotted path into a recipe, and what stands there instead.
Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class EvaluationPart:
    """The part of a data set that checkpoints trained on it are evaluated on.

    `split` names it, `limit` keeps the first images only.
    """

    split: str = "val"
    limit: int | None = None


@dataclass(frozen=True)
class TrainingDataEntry:
    """Data to train on: rendered people, or a folder in COCO's layout.

    `name` is `synthetic` or `synthetic-crowd` where there is no `folder`; with one it is the
    folder's name by default. `split` and `limit` say which images of the folder; `validation` is
    the split that curves are scored on; `keypoints` is a built-in set or a YAML file, by default
    `keypoints.yaml` in the folder, or as the annotations say; `category` is a name or an id, needed
    if several have keypoints. `set` overrides the base recipe for these data, in all arms alike;
    `scales` does so at the scales that it names.
    """

    name: str | None = None
    folder: str | None = None
    split: str = "train"
    limit: int | None = None
    keypoints: str | None = None
    validation: str = "val"
    category: str | int | None = None
    evaluate: EvaluationPart = EvaluationPart()
    set: Overrides = field(default_factory=dict)
    scales: Mapping[str, Overrides] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name that results call the data by."""
        return self.name or (RENDERED if self.folder is None else Path(self.folder).name)


@dataclass(frozen=True)
class Scale:
    """How much is trained: overrides of the base recipe, for all data and arms.

    `images` keeps the first images of each evaluation, `seeds` the first seeds.
    """

    set: Overrides = field(default_factory=dict)
    images: int | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class TrainedCheckpoints:
    """Checkpoints to train: every arm on all data with every seed.

    `base` is a recipe file, relative to the suite or among those that come with posebench; its own
    `scales` and those here are the choices of `scale`. An arm is a mapping of dotted paths to what
    replaces them in the recipe, and of `labels` and `share`: how much of the recipe's samples it
    sees, whatever the scale. Nothing but what `factor` names may differ between arms. An arm of
    `plateau` is trained once more, with the first seed, for twice the samples. With `crossed`,
    every checkpoint is evaluated on all data instead of on its own.
    """

    base: str
    arms: Mapping[str, Overrides]
    factor: str | tuple[str, ...]
    data: tuple[str | TrainingDataEntry, ...] = (RENDERED,)
    seeds: tuple[int, ...] = (0,)
    scale: str | None = None
    scales: Mapping[str, Scale] = field(default_factory=dict)
    plateau: tuple[str, ...] = ()
    crossed: bool = False

    @property
    def data_entries(self) -> tuple[TrainingDataEntry, ...]:
        """The data, each as a record."""
        return tuple(TrainingDataEntry(e) if isinstance(e, str) else e for e in self.data)

    @property
    def factors(self) -> tuple[str, ...]:
        """The dotted paths in which arms may differ."""
        return (self.factor,) if isinstance(self.factor, str) else self.factor


def defects(trained: TrainedCheckpoints) -> Iterator[tuple[Place, str]]:
    """Yield place and reason of what the schema cannot say."""
    for name in ("arms", "data", "seeds"):
        if not getattr(trained, name):
            yield (name,), f"{name} is empty, which leaves nothing to train."
    for index, seed in enumerate(trained.seeds):
        if seed < 0 or seed in trained.seeds[:index]:
            yield ("seeds", index), f"seeds must be different numbers from 0, not {seed} here."
    for index, name in enumerate(trained.plateau):
        if name not in trained.arms:
            yield ("plateau", index), f"there is no arm {name!r}. {nearest(name, trained.arms)}"
    yield from _defects_of_arms(trained)
    yield from _defects_of_data(trained)
    for name, scale in trained.scales.items():
        for key in ("images", "seeds"):
            number = getattr(scale, key)
            if number is not None and number < 1:
                yield ("scales", name, key), f"{key} must be 1 or more."


def _defects_of_arms(trained: TrainedCheckpoints) -> Iterator[tuple[Place, str]]:
    for name, arm in trained.arms.items():
        if _NAME.fullmatch(name) is None:
            yield ("arms", name), f"the arm {name!r} must be of letters, digits, '_' and '-'."
        share = arm.get(SHARE, 1)
        if not isinstance(share, int | float) or not 0 < share <= _LARGEST_SHARE:
            why = f"share must be a number above 0, at most {_LARGEST_SHARE}, not {share!r}."
            yield ("arms", name, SHARE), why
        for key in _OF_EACH_TRAINING:
            if key in arm:
                why = f"{key} belongs to each training, not to an arm: `seeds` lists the seeds."
                yield ("arms", name, key), why
        labels = arm.get(LABELS, {})
        if not isinstance(labels, Mapping):
            yield ("arms", name, LABELS), "labels must be a mapping of names to texts."
            continue
        taken = next((label for label in OWN_LABELS if label in labels), None)
        if taken is not None:
            yield (
                ("arms", name, LABELS, taken),
                f"{taken!r} is a label that trained checkpoints get by themselves.",
            )


def _defects_of_data(trained: TrainedCheckpoints) -> Iterator[tuple[Place, str]]:
    labels = [entry.label for entry in trained.data_entries]
    for index, entry in enumerate(trained.data_entries):
        place: Place = ("data", index)
        if entry.label in labels[:index]:
            yield place, f"two data sets are called {entry.label!r}: give one another `name`."
        if entry.folder is None and entry.label not in SYNTHETIC_LEVELS:
            hint = nearest(entry.label, SYNTHETIC_LEVELS)
            yield place, f"{entry.label!r} has no `folder`, and is no rendered data set. {hint}"
        if _NAME.fullmatch(entry.label) is None:
            yield place, f"the name {entry.label!r} must be of letters, digits, '_' and '-'."
        for limit in (entry.limit, entry.evaluate.limit):
            if limit is not None and limit < 1:
                yield place, "limit must be 1 or more."
