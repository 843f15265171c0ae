"""Find a data set's annotations and images in the folder layouts that people use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from posebench.datasets.known.record import known_dataset, known_names
from posebench.errors import DataError, UsageError, nearest

DATA_ROOT_VARIABLE = "POSEBENCH_DATA"
_COCO_YEAR = "2017"


@dataclass(frozen=True)
class Location:
    """An annotation file and the folder of its images."""

    annotations: Path
    images: Path


def _files_of(dataset: str, split: str) -> tuple[list[str], list[str]]:
    """Return the paths of a known data set's annotations and images, in the order to try."""
    layout = known_dataset(dataset).layout
    part = layout.splits.get(split, split)
    words = {"split": part, "year": part if part[-4:].isdigit() else part + _COCO_YEAR}
    return (
        [pattern.format(**words) for pattern in layout.annotations],
        [pattern.format(**words) for pattern in layout.images],
    )


def _folder_files(split: str) -> tuple[list[str], list[str]]:
    """Return the paths tried in a user's folder, such as a written synthetic set."""
    coco_annotations, coco_images = _files_of("coco", split)
    crowd_annotations, _ = _files_of("crowdpose", split)
    own = [f"annotations/person_keypoints_{split}.json", f"annotations/{split}.json"]
    return own + coco_annotations + crowd_annotations, [split, f"images/{split}", *coco_images]


def locate(
    dataset: str,
    data_root: Path | None = None,
    split: str = "val",
    images: Path | None = None,
    record: str | None = None,
) -> Location:
    """Find the annotations and images of a data set.

    `dataset` is the name of a known data set (below `data_root`, else below the folder that the
    environment variable POSEBENCH_DATA names; either the data set's own folder or its parent), a
    user's folder, which may be laid out like the data set `record`, or an annotation file. `images`
    names the folder of images if it cannot be guessed. Raises `DataError`, with every path tried,
    if nothing is found.
    """
    if dataset in known_names():
        root = _data_root(data_root, dataset)
        roots = [root, *(root / name for name in known_dataset(dataset).layout.folders)]
        annotation_names, image_names = _files_of(dataset, split)
        annotations = _first_file(
            [base / name for base in roots for name in annotation_names], dataset
        )
        base = next(base for base in reversed(roots) if base in annotations.parents)
        return Location(annotations, images or _first_folder(base, image_names, annotations))
    path = Path(dataset)
    if path.is_dir():
        of_record = ([], []) if record is None else _files_of(record, split)
        annotation_names, image_names = map(list.__add__, of_record, _folder_files(split))
        annotations = _first_file([path / name for name in annotation_names], dataset)
        return Location(annotations, images or _first_folder(path, image_names, annotations))
    if path.is_file():
        return Location(path, images or images_for(path) or path.parent)
    raise UsageError(
        f"There is no data set, folder or annotation file {dataset!r}.",
        hint=nearest(dataset, known_names()) + " Or name a folder or a COCO-format .json file.",
    )


def annotation_files(folder: Path) -> list[Path]:
    """Return every annotation file of a folder in the usual layouts, sorted by name."""
    places = (folder, folder / "annotations", folder / "json")
    named = ("person_keypoints_*.json", "*crowdpose_*.json")
    found = {path for place in places for name in named for path in place.glob(name)}
    if not found:
        found = set((folder / "annotations").glob("*.json"))
    return sorted(found)


def images_for(annotations: Path) -> Path | None:
    """Return the folder that should hold the images of an annotation file, or None."""
    split = annotations.stem.rsplit("_", 1)[-1]
    names = _folder_files(split)[1]
    in_subfolder = annotations.parent.name in ("annotations", "json")
    base = annotations.parent.parent if in_subfolder else annotations.parent
    return next((base / name for name in names if (base / name).is_dir()), None)


def _data_root(data_root: Path | None, dataset: str) -> Path:
    named = os.environ.get(DATA_ROOT_VARIABLE)
    root = data_root or (Path(named) if named else None)
    if root is None:
        raise UsageError(
            f"Where is {dataset}? No data root is given.",
            hint=f"Use --data-root DIR, or set the environment variable {DATA_ROOT_VARIABLE}.",
        )
    if not root.is_dir():
        raise DataError(f"The data root {root} is not a folder.")
    return root


def _first_file(candidates: list[Path], dataset: str) -> Path:
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise DataError(
            f"No annotations of {dataset} found.",
            hint="Name the folder that holds `annotations/`, or the annotation file itself. "
            f"Tried:\n{_listing(candidates)}",
        )
    return found


def _first_folder(base: Path, names: Iterable[str], annotations: Path) -> Path:
    candidates = [base / name for name in names]
    found = next((path for path in candidates if path.is_dir()), None)
    if found is None:
        raise DataError(
            f"No folder of images found for {annotations}.",
            hint=f"Name the folder of images. Tried:\n{_listing(candidates)}",
        )
    return found


def _listing(paths: Iterable[Path]) -> str:
    return "\n".join(f"  {path}" for path in paths)
