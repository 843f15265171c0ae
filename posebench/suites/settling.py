"""What a run's options decide in `trained:`: the scale, and where data lie. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.errors import SpecError, UsageError, nearest
from posebench.files.inputs import in_home
from posebench.suites.arms import scales_of
from posebench.suites.suite import Suite
from posebench.suites.trained import Scale, TrainedCheckpoints, TrainingDataEntry
from posebench.suites.training_data import KEYPOINTS_FILE


@dataclass(frozen=True)
class Settled:
    """A suite in which nothing about its data is left open, and the data sets that are not here."""

    suite: Suite
    absent: tuple[str, ...] = ()


def settled(
    suite: Suite,
    folder: Path,
    scale: str | None = None,
    roots: Mapping[str, Path] | None = None,
) -> Settled:
    """Return a suite of `folder` at a scale, with the folders of its training data.

    `roots` maps data sets to the folders that take the place of the suite's. Data whose folder is
    not there are left out. Raises `UsageError` for options that do not suit the suite and for a
    folder of `roots` that is not there, and `SpecError` if nothing is left to train on.
    """
    roots = roots or {}
    trained = suite.trained
    if trained is None:
        if scale is not None or roots:
            raise UsageError("--scale and --data-root are for suites that have `trained:`.")
        return Settled(suite)
    chosen = _scale(trained, folder, scale)
    labels = [entry.label for entry in trained.data_entries if entry.folder is not None]
    for name in roots:
        if name not in labels:
            raise UsageError(
                f"--data-root {name}=…: the suite trains on no folder {name!r}.",
                hint=nearest(name, labels),
            )
    placed, absent = list[TrainingDataEntry](), list[str]()
    for entry in trained.data_entries:
        found = _placed(entry, folder, roots.get(entry.label))
        if found is None:
            absent.append(
                f"{entry.label} is left out: there is no folder {entry.folder}. Name it with "
                f"--data-root {entry.label}=FOLDER."
            )
        else:
            limit = _least(found.evaluate.limit, chosen.images)
            placed.append(replace(found, evaluate=replace(found.evaluate, limit=limit)))
    if not placed:
        raise SpecError(f"{suite.name} has no data to train on. {' '.join(absent)}")
    settled_trained = replace(
        trained,
        data=tuple(placed),
        seeds=trained.seeds[: chosen.seeds],
        scale=scale or trained.scale,
    )
    return Settled(replace(suite, trained=settled_trained), tuple(absent))


def roots_of_each(suites: Sequence[Suite], roots: Mapping[str, Path]) -> list[dict[str, Path]]:
    """Return for each suite the folders of `roots` whose data it trains on.

    Raises `UsageError` for a name that no suite trains on.
    """
    labels = [
        [entry.label for entry in suite.trained.data_entries] if suite.trained is not None else []
        for suite in suites
    ]
    known = list(dict.fromkeys(label for own in labels for label in own))
    for name in roots:
        if name not in known:
            raise UsageError(
                f"--data-root {name}=…: no suite trains on {name!r}.", hint=nearest(name, known)
            )
    return [{name: roots[name] for name in roots if name in own} for own in labels]


def _scale(trained: TrainedCheckpoints, folder: Path, asked: str | None) -> Scale:
    name = asked or trained.scale
    if name is None:
        return Scale()
    scales = scales_of(trained, folder)
    if name not in scales:
        what = f"There is no scale {name!r}; there are {', '.join(scales) or 'none'}."
        raise SpecError(what, hint=nearest(name, scales))
    return scales[name]


def _placed(entry: TrainingDataEntry, folder: Path, root: Path | None) -> TrainingDataEntry | None:
    """Return data with the absolute path of their folder, None if it is not there."""
    if entry.folder is None:
        return entry
    place = root.absolute() if root is not None else (folder / in_home(entry.folder)).absolute()
    if not place.is_dir():
        if root is not None:
            raise UsageError(f"--data-root {entry.label}={root}: there is no such folder.")
        return None
    keypoints = entry.keypoints
    if keypoints is not None and (folder / keypoints).is_file():
        keypoints = str((folder / keypoints).absolute())
    if keypoints is None and (place / KEYPOINTS_FILE).is_file():
        keypoints = str(place / KEYPOINTS_FILE)
    return replace(entry, name=entry.label, folder=str(place), keypoints=keypoints)


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)
