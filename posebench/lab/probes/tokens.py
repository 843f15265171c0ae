"""C16: whether a network's tokens match keypoints across people, with one or five examples.

The token at a point of one to five support people is compared with every token of another person;
the nearest one by cosine is the match. Controls: the same network untrained, patches of pixels, and
the support's own place in the crop, which a match must beat because people stand alike in crops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.episodes import SHOTS, Episodes, Points, draw_episodes, points_of
from posebench.lab.probes.examples import example_arrays
from posebench.lab.probes.people import People
from posebench.lab.probes.sampling import grid_places, tokens_at
from posebench.lab.probes.subject import Look, Subject
from posebench.networks.sizes import InputSize
from posebench.results.probes import Arm, ProbeReading, ReadingRow, Sums
from posebench.suites.probes import ProbeSettings

ReadMaps = Callable[[Tensor], Mapping[str, Tensor]]
"""Maps normalised crops (N, 3, H, W) to maps (N, C, h, w) by the name of their layer."""
LIMITS = (0.1, 0.2)
PIXELS = "pixels"
# Matches are sought on a grid of this step, in input pixels, whatever the stride of the tokens.
_STEP = 4
_PATCHES_ACROSS = 8


@dataclass(frozen=True, eq=False)
class Task:
    """What is sought: points, and episodes of a number of shots."""

    points: Points
    episodes: Episodes
    where: Mapping[str, str]


def tokens(subject: Subject, settings: ProbeSettings) -> ProbeReading:
    """Return the share of points that are matched, by layer, shots and kind of points."""
    people, size = subject.people, subject.spec.input_size
    tasks = make_tasks(people, settings.seed)
    if not tasks:
        raise UnsupportedProbeError("There are too few people on different images to match.")
    readers: list[tuple[Arm, ReadMaps]] = [
        (arm, _feature_maps(look)) for arm, look in subject.arms()
    ]
    readers.append(("pixels", lambda x: {PIXELS: pixel_patches(x)}))
    rows, matches = list[ReadingRow](), dict[tuple[Arm, str], list[NDArray[np.float64]]]()
    for arm, read in readers:
        for layer, stride, found in match(read, people, tasks, size):
            matches[arm, layer] = found
            where = {"layer": layer, "stride": str(stride)}
            rows += [
                _row(arm, {**where, **task.where}, found[place], task, people)
                for place, task in enumerate(tasks)
            ]
    rows += [_row("place", dict(task.where), _same_place(task), task, people) for task in tasks]
    if not any(row.arm == "trained" for row in rows):
        raise UnsupportedProbeError("No tokens can be read off this exported graph.")
    arrays: dict[str, NDArray[Any]] = {}
    last = [layer for arm, layer in matches if arm == "trained"][-1]
    shown = {last: matches["trained", last][0], PIXELS: matches["pixels", PIXELS][0]}
    arrays |= example_arrays(people, tasks[0].points, tasks[0].episodes, shown)
    return ProbeReading(tuple(rows), arrays, subject.notes(), "images")


def make_tasks(people: People, seed: int) -> list[Task]:
    """Return what is sought of people; the same seed gives every network the same episodes."""
    found = []
    for word, points in points_of(people).items():
        for shots in SHOTS:
            rng = np.random.default_rng([seed, shots, len(word)])
            episodes = draw_episodes(people, points, shots, rng)
            if len(episodes.person):
                found.append(Task(points, episodes, {"points": word, "shots": str(shots)}))
    return found


def match(
    read: ReadMaps, people: People, tasks: list[Task], size: InputSize
) -> Iterator[tuple[str, int, list[NDArray[np.float64]]]]:
    """Yield each layer, its stride, and for each task where its points are matched (E, 2)."""
    layers = _supports(read, people, tasks, size)
    places = grid_places(size, _STEP)
    found = {name: [np.zeros((len(t.episodes.person), 2)) for t in tasks] for name in layers}
    with torch.no_grad():
        for part in people.batches():
            for name, maps in read(people.crops[part]).items():
                support = layers[name]
                everywhere = places[None].expand(len(maps), -1, -1)
                cells = _unit(tokens_at(maps, everywhere, size) - support.mean)
                for place, task in enumerate(tasks):
                    wanted = task.episodes.person
                    chosen = np.flatnonzero((wanted >= part.start) & (wanted < part.stop))
                    for person in np.unique(wanted[chosen]):
                        of_person = chosen[wanted[chosen] == person]
                        scores = support.tokens[place][of_person] @ cells[person - part.start].T
                        found[name][place][of_person] = places[scores.argmax(dim=1)].numpy()
    for name, support in layers.items():
        yield name, support.stride, found[name]


@dataclass(frozen=True, eq=False)
class _Support:
    """A layer's stride, the mean of all its tokens (C,), and each task's support tokens (E, C)."""

    stride: int
    mean: Tensor
    tokens: list[Tensor]


def _supports(
    read: ReadMaps, people: People, tasks: list[Task], size: InputSize
) -> dict[str, _Support]:
    """Return the support tokens of all layers: the mean of unit tokens, less the mean of all."""
    kinds = {id(task.points): task.points for task in tasks}
    parts: dict[str, dict[int, list[Tensor]]] = {}
    totals: dict[str, Tensor] = {}
    strides: dict[str, int] = {}
    with torch.no_grad():
        for part in people.batches():
            for name, maps in read(people.crops[part]).items():
                strides[name] = round(size.height / maps.shape[2])
                own = maps.mean(dim=(2, 3)).sum(dim=0)
                totals[name] = totals[name] + own if name in totals else own
                for key, points in kinds.items():
                    at = torch.from_numpy(points.places[part])
                    kept = parts.setdefault(name, {}).setdefault(key, [])
                    kept.append(tokens_at(maps, at, size))
    result = {}
    for name, by_kind in parts.items():
        mean = totals[name] / len(people)
        units = {key: _unit(torch.cat(found) - mean) for key, found in by_kind.items()}
        of_tasks = [
            _unit(
                units[id(task.points)][
                    torch.from_numpy(task.episodes.support),
                    torch.from_numpy(task.episodes.point)[:, None],
                ].mean(dim=1)
            )
            for task in tasks
        ]
        result[name] = _Support(strides[name], mean, of_tasks)
    return result


def pixel_patches(x: Tensor) -> Tensor:
    """Return patches of normalised pixels as maps (N, C, h, w): an eighth of the height wide."""
    side = max(_STEP, x.shape[2] // _PATCHES_ACROSS // 2 * 2)
    pad = (side - _STEP) // 2
    patches = functional.unfold(x, side, padding=pad, stride=_STEP)
    rows = (x.shape[2] + 2 * pad - side) // _STEP + 1
    return patches.unflatten(2, (rows, patches.shape[2] // rows))  # type: ignore[no-untyped-call, no-any-return]


def _feature_maps(look: Look) -> ReadMaps:
    return lambda x: look.features(x).maps


def _unit(values: Tensor) -> Tensor:
    return functional.normalize(values, dim=-1)


def _same_place(task: Task) -> NDArray[np.float64]:
    """Return the mean place (E, 2) that the support people have their points at."""
    episodes = task.episodes
    return np.asarray(task.points.places[episodes.support, episodes.point[:, None]].mean(axis=1))


def _row(
    arm: Arm,
    where: dict[str, str],
    matched: NDArray[np.float64],
    task: Task,
    people: People,
) -> ReadingRow:
    episodes = task.episodes
    truth = task.points.places[episodes.person, episodes.point]
    errors = np.linalg.norm(matched - truth, axis=1) / people.sides[episodes.person]
    image = people.image[episodes.person]
    sums = {
        f"match PCK@{limit:g}": Sums.of(errors <= limit, image, people.images) for limit in LIMITS
    }
    return ReadingRow(arm, where, sums)
