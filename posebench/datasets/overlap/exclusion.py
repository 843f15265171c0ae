"""Images that numbers are made without: the file that lists them, and the data that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posebench.datasets.overlap.report import OverlapReport
from posebench.errors import DataError
from posebench.files.hashing import sha256_of
from posebench.files.json_file import read_json
from posebench.files.records import record_from_mapping


@dataclass(frozen=True)
class Exclusion:
    """Images that numbers are made without: their ids, and the file that lists them."""

    file: str
    sha256: str
    images: frozenset[int]
    annotations_sha256: str | None = None

    def is_of(self, data: ListedImages) -> bool:
        """Tell whether data are what the images are of, or have some of them."""
        if self.annotations_sha256 is not None:
            return self.annotations_sha256 == data.annotations_sha256
        return not self.images or not self.images.isdisjoint(data.ids)


@dataclass(frozen=True)
class ListedImages:
    """The images of a data set: its name, the SHA-256 of its annotations, and their ids."""

    name: str
    annotations_sha256: str
    ids: frozenset[int]


def read_exclusion(path: Path) -> Exclusion:
    """Read the images to leave out: what `data overlap` wrote, or a JSON list of image ids.

    Raises `DataError` if the file is neither, or is of a validation set without annotations.
    """
    value, _ = read_json(path, "list of images to leave out")
    annotations = None
    ids = value
    if isinstance(value, dict):
        ids = value.get("images")
        if isinstance(value.get("overlap"), dict):
            report = record_from_mapping(OverlapReport, value["overlap"], where=str(path))
            annotations = report.annotations_sha256
            if annotations is None:
                raise DataError(
                    f"{path} is of a folder of images, {report.val}: it has no image ids to leave "
                    "out, only positions.",
                    hint="`posebench data overlap TRAIN VAL --out FILE` with VAL's annotations.",
                )
    if not isinstance(ids, list) or not all(type(each) is int for each in ids):
        raise DataError(
            f"{path} lists no images to leave out.",
            hint="`posebench data overlap --out FILE` writes such a file; a list of ids will do.",
        )
    return Exclusion(str(path), sha256_of(path), frozenset(ids), annotations)


def check_exclusion(exclusion: Exclusion, data: Sequence[ListedImages]) -> None:
    """Check that an exclusion leaves something of what it is of.

    Raises `DataError` if it is of none of the data, has none of their images, or all of them.
    """
    names = ", ".join(dict.fromkeys(each.name for each in data))
    own = [each for each in data if exclusion.is_of(each)]
    if not own and exclusion.annotations_sha256 is not None:
        raise DataError(
            f"{exclusion.file} is of other annotations than {names}.",
            hint="`posebench data overlap TRAIN VAL --out FILE` with the annotations evaluated on.",
        )
    if not any(exclusion.images & each.ids for each in own) and exclusion.images:
        raise DataError(
            f"{exclusion.file} lists {len(exclusion.images)} images, none of which is in {names}.",
            hint="Is it of another split? --limit keeps the first images alone.",
        )
    for each in own:
        if exclusion.images >= each.ids:
            raise DataError(f"{exclusion.file} leaves out all images of {each.name}.")
