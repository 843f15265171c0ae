"""The browser of persons: what the page's script filters and sorts, and a picture of each.

Its data are bounded, however large the data set: `MOST_PERSONS` persons, and `MOST_VALUES` poses.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from posebench.datasets.images.files import dataset_image
from posebench.errors import PosebenchError
from posebench.files.writing import naming_what_cannot_be_written, write_text
from posebench.reporting.figures.style import Looks
from posebench.reporting.page.contents import series_class
from posebench.reporting.page.people.persons import CROWDING, ERRORS, Persons, by_interest
from posebench.reporting.page.people.pictures import Pose, crop_view, person_picture
from posebench.scoring.diagnosis.strata import SIZES

# With these the data stay below 2 MB.
MOST_PERSONS, MOST_VALUES = 20_000, 200_000
# So many pictures lie in the page itself; more lie in a folder beside it.
MOST_INLINE = 24


@dataclass(frozen=True)
class BrowserWish:
    """How many persons get a picture (None: all), and the page beside which they may lie."""

    pictures: int | None
    page: Path
    looks: Looks

    @property
    def folder(self) -> Path:
        """The folder of pictures beside the page."""
        return self.page.with_name(f"{self.page.stem}_people")


@dataclass(frozen=True)
class Browser:
    """The browser as the page holds it: the script's data, choices, and what is said of it.

    `folder` is the one that pictures lie in, None if they are in the page or there are none.
    """

    data: Markup
    models: tuple[str, ...]
    data_names: tuple[str, ...]
    shown: int
    of: int
    pictures: int
    folder: str | None
    problems: tuple[str, ...]
    errors: tuple[str, ...] = ERRORS
    sizes: tuple[str, ...] = tuple(SIZES)
    crowding: tuple[str, ...] = tuple(CROWDING)


def make_browser(
    groups: Sequence[Persons], first: Sequence[str], wish: BrowserWish, problems: Sequence[str]
) -> Browser:
    """Return the browser of persons; `first` are the two checkpoints that it shows at first.

    Writes pictures into the folder beside the page if there are more than fit into it. Raises
    `DataError` if they cannot be written.
    """
    models = list(dict.fromkeys(name for persons in groups for name in persons.found))
    ranked = by_interest(groups)
    kept = sorted(ranked[: most_persons(len(models))])
    wanted = ranked[: wish.pictures]
    pictures, lost = _pictures(groups, wanted, models, wish)
    document = _document(groups, kept, models, pictures, wish)
    document["first"] = [models.index(name) for name in first if name in models]
    # `<` would end the element that holds the data.
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Browser(
        data=Markup(text),
        models=tuple(models),
        data_names=tuple(persons.name for persons in groups),
        shown=len(kept),
        of=len(ranked),
        pictures=len(pictures),
        folder=wish.folder.name if _lie_in_folder(wanted) and pictures else None,
        problems=tuple(dict.fromkeys((*problems, *lost))),
    )


def most_persons(models: int) -> int:
    """Return how many persons the page holds with so many checkpoints."""
    return min(MOST_PERSONS, MOST_VALUES // max(models, 1))


def _lie_in_folder(wanted: Sequence[tuple[int, int]]) -> bool:
    return len(wanted) > MOST_INLINE


def _document(
    groups: Sequence[Persons],
    kept: Sequence[tuple[int, int]],
    models: Sequence[str],
    pictures: Mapping[tuple[int, int], str],
    wish: BrowserWish,
) -> dict[str, Any]:
    """Return columns of persons, and of each checkpoint OKS in points and bits of errors."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("data", "image", "person", "size", "crowding", "labelled", "picture")
    }
    own: list[dict[str, list[int | None]]] = [{"oks": [], "errors": []} for _ in models]
    for place, row in kept:
        persons = groups[place]
        truth, person = persons.truth, persons.rows[row]
        columns["data"].append(place)
        columns["image"].append(int(truth.image_ids[truth.image[person]]))
        columns["person"].append(int(truth.ids[person]))
        columns["size"].append(int(persons.size[row]))
        columns["crowding"].append(int(persons.crowding[row]))
        columns["labelled"].append(int(np.count_nonzero(truth.visibility[person] > 0)))
        columns["picture"].append(pictures.get((place, row), 0))
        for name, values in zip(models, own, strict=True):
            found = persons.found.get(name)
            values["oks"].append(None if found is None else round(100 * float(found.oks[row])))
            values["errors"].append(None if found is None else int(found.errors[row]))
    named = [
        {"name": name, "look": series_class(wish.looks, name), **values}
        for name, values in zip(models, own, strict=True)
    ]
    words = {
        "data": [persons.name for persons in groups],
        "errors": ERRORS,
        "sizes": tuple(SIZES),
        "crowding": tuple(CROWDING),
    }
    return {"words": words, "persons": columns, "models": named}


def _pictures(
    groups: Sequence[Persons],
    wanted: Sequence[tuple[int, int]],
    models: Sequence[str],
    wish: BrowserWish,
) -> tuple[dict[tuple[int, int], str], list[str]]:
    """Draw persons; return where each picture is, and in words which images cannot be read."""
    found: dict[tuple[int, int], str] = {}
    problems: list[str] = []
    inline = not _lie_in_folder(wanted)
    for place, persons in enumerate(groups):
        rows = sorted(row for own, row in wanted if own == place)
        for row, drawn in _drawings(persons, rows, models, wish.looks):
            if isinstance(drawn, PosebenchError):
                problems.append(str(drawn))
            elif inline:
                text = base64.b64encode(drawn.encode()).decode("ascii")
                found[place, row] = f"data:image/svg+xml;base64,{text}"
            else:
                name = f"{place}-{int(persons.truth.ids[persons.rows[row]])}.svg"
                with naming_what_cannot_be_written(wish.folder / name):
                    write_text(wish.folder / name, drawn)
                found[place, row] = f"{quote(wish.folder.name)}/{name}"
    return found, problems


def _drawings(
    persons: Persons, rows: Sequence[int], models: Sequence[str], looks: Looks
) -> Iterator[tuple[int, str | PosebenchError]]:
    """Yield rows with their pictures, or why there is none; each image is read once."""
    truth = persons.truth
    places = {image.id: index for index, image in enumerate(persons.dataset.images)}
    owners = truth.image[persons.rows]
    # Rows come ordered by image.
    for image, own in groupby(rows, key=lambda row: int(owners[row])):
        try:
            pixels = dataset_image(persons.dataset, places[int(truth.image_ids[image])])
        except PosebenchError as error:
            yield from ((row, error) for row in own)
            continue
        yield from ((row, _drawn(persons, row, pixels, models, looks)) for row in own)


def _drawn(
    persons: Persons,
    row: int,
    image: NDArray[np.uint8],
    models: Sequence[str],
    looks: Looks,
) -> str:
    """Return the picture of a person with the pose of every checkpoint, as an SVG file."""
    truth, person = persons.truth, persons.rows[row]
    low, size = truth.bbox_xywh[person, :2], np.maximum(truth.bbox_xywh[person, 2:], 1.0)
    cell = next(iter(persons.cells.values()))
    view = crop_view(image, np.concatenate([low, low + size]), cell.result)
    labelled = truth.visibility[person] > 0
    meant = Pose(truth.keypoints[person], labelled, "truth")
    poses = []
    for index, name in enumerate(models):
        found = persons.found.get(name)
        if found is not None and np.isfinite(found.keypoints[row]).all():
            pose = Pose(found.keypoints[row], np.ones_like(labelled), f"m{index}")
            poses.append((pose, looks.colour(name).on_photo))
    return person_picture(view, persons.dataset.keypoints, meant, poses)
