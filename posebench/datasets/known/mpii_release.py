"""MPII's own release, `mpii_human_pose_v1_u12_1.mat`: images, persons, joints and head boxes.

Its structure is that of the data set's page: `RELEASE.annolist(i).annorect(k)` has `annopoints`,
`scale`, `objpos` and the corners of the head box, `img_train` says whether joints are published,
and `single_person` which persons stand by themselves, as the evaluation of single persons takes
them. Pixels count from 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError

RELEASE_NAME = "mpii_human_pose_v1_u12_1.mat"
_JOINTS = 16
# Joints of one person in two files differ by no more than the digits of either.
_SAME = 1.0


@dataclass(frozen=True, eq=False)
class ReleasedPerson:
    """A person: image, joints (16, 2) with flags (16,), centre and scale, head box x1, y1, x2, y2.

    Pixels count from 1; a joint without annotation is 0. `is_alone` tells whether the person is
    among those of `single_person`.
    """

    image: str
    joints: NDArray[np.float64]
    annotated: NDArray[np.float64]
    center: tuple[float, float]
    scale: float
    head: tuple[float, float, float, float]
    is_alone: bool

    @property
    def row(self) -> dict[str, Any]:
        """The person as MMPose's `mpii_val.json` lists it."""
        return {
            "image": self.image,
            "joints": self.joints.tolist(),
            "joints_vis": self.annotated.tolist(),
            "center": list(self.center),
            "scale": self.scale,
        }


def load_mat(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Read variables of a .mat file, structs as objects and single elements as themselves.

    Raises `DataError` if scipy is not installed, or the file has no such variables.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError(
            f"Reading {file} needs scipy.", hint="pip install 'posebench-pose[mpii]'"
        ) from None
    try:
        found = loadmat(
            str(file), variable_names=list(names), struct_as_record=False, squeeze_me=True
        )
        return {name: found[name] for name in names}
    except Exception as error:  # scipy raises many kinds of error
        raise DataError(
            f"{file} cannot be read as a .mat file with {', '.join(names)}: {error}."
        ) from None


def released_persons(path: Path) -> list[ReleasedPerson]:
    """Return the persons whose joints the release has, in its order.

    Raises `DataError` if the file has another structure.
    """
    release = load_mat(path, ["RELEASE"])["RELEASE"]
    try:
        images = np.atleast_1d(release.annolist)
        alone = np.atleast_1d(release.single_person)
        trained = np.atleast_1d(release.img_train)
        if not len(images) == len(alone) == len(trained):
            raise ValueError("annolist, img_train and single_person are not equally long")
        found = [
            person
            for image, is_train, numbers in zip(images, trained, alone, strict=True)
            if is_train
            for person in _persons(image, numbers)
        ]
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise DataError(
            f"{path} is not MPII's release: {error}.",
            hint=f"{RELEASE_NAME} of the data set's page is read, and MMPose's mpii_val.json.",
        ) from None
    if not found:
        raise DataError(f"{path} has no person with joints.")
    return found


def _persons(image: Any, numbers: Any) -> Iterator[ReleasedPerson]:
    """Yield the persons of an image; `numbers` count from 1 those that stand by themselves."""
    alone = {int(number) for number in np.ravel(numbers)}
    for number, each in enumerate(_structs(getattr(image, "annorect", ())), start=1):
        points = _structs(getattr(getattr(each, "annopoints", None), "point", ()))
        if not points or not np.size(getattr(each, "scale", ())):
            continue
        joints, annotated = np.zeros((_JOINTS, 2)), np.zeros(_JOINTS)
        for point in points:
            joints[int(point.id)] = float(point.x), float(point.y)
            annotated[int(point.id)] = 1
        yield ReleasedPerson(
            image=str(image.image.name),
            joints=joints,
            annotated=annotated,
            center=(float(each.objpos.x), float(each.objpos.y)),
            scale=float(each.scale),
            head=(float(each.x1), float(each.y1), float(each.x2), float(each.y2)),
            is_alone=number in alone,
        )


def _structs(value: Any) -> list[Any]:
    """Return a struct, an array of them or an empty matrix as a list."""
    return [each for each in np.atleast_1d(value) if hasattr(each, "_fieldnames")]


def heads_of(rows: Sequence[Any], release: Path, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the head boxes (N, 4) that a release has of persons of other files.

    `rows` are joints (16, 2), 0 or below where there is none, and `names` their images. Raises
    `DataError` if the release lacks one of them.
    """
    by_image: dict[str, list[ReleasedPerson]] = {}
    for person in released_persons(release):
        by_image.setdefault(person.image, []).append(person)
    found = []
    for number, (joints, name) in enumerate(zip(rows, names, strict=True)):
        points = np.asarray(joints, dtype=np.float64)
        gaps = [_gap(points, person) for person in by_image.get(name, [])]
        if not gaps or min(gaps) > _SAME:
            raise DataError(f"{release} has no person with the joints of person {number} ({name}).")
        found.append(by_image[name][int(np.argmin(gaps))].head)
    return np.asarray(found, dtype=np.float64).reshape(-1, 4)


def _gap(points: NDArray[np.float64], person: ReleasedPerson) -> float:
    """Return how far the joints that both have lie apart at most; infinite without any."""
    both = (points > 0).all(axis=1) & (person.annotated > 0)
    gaps = np.abs(points - person.joints)[both]
    return float(gaps.max()) if gaps.size else float("inf")
