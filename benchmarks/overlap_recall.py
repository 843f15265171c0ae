"""Print how many planted copies `posebench data overlap` finds, and what else it takes for copies.

python benchmarks/overlap_recall.py --work FOLDER --real FOLDER --real FOLDER \
    --out results/benchmarks/overlap.md

Scenes that posebench renders, and pictures of the folders `--real`, are a training set; copies of
some of them, made in five ways and encoded anew, are a validation set.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import posebench
from posebench.datasets.overlap.find import find_overlap
from posebench.datasets.synthetic.scene import render_scene
from posebench.files.writing import write_text
from posebench.reporting.text_tables import markdown_table

Image = NDArray[Any]
RENDERED = "rendered scenes"
LONGER_SIDE = 320
_Z = 1.96


def resized(image: Image, factor: float) -> Image:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=how)


def cropped(image: Image, rng: np.random.Generator) -> Image:
    """Return nine tenths of the height and of the width, from any place."""
    height, width = (round(0.9 * side) for side in image.shape[:2])
    y, x = (int(rng.integers(image.shape[i] - side + 1)) for i, side in enumerate((height, width)))
    return image[y : y + height, x : x + width]


def any_size(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(math.log(0.5), math.log(2))))


COPIES: Mapping[str, Callable[[Image, np.random.Generator], Image]] = {
    "encoded anew": lambda image, _: image,
    "resized": lambda image, rng: resized(image, any_size(rng)),
    "mirrored": lambda image, _: image[:, ::-1],
    "cropped": cropped,
    "cropped, resized and mirrored": lambda image, rng: resized(cropped(image, rng), any_size(rng))[
        :, ::-1
    ],
}


@dataclass(frozen=True)
class Copy:
    """A copy's file, the position of what it is of, where that comes from, and how it was made."""

    path: Path
    original: int
    source: str
    kind: str


def rendered(folder: Path, count: int, seed: int) -> list[Path]:
    """Render scenes; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        if not path.is_file():
            image = render_scene(seed, index, "standard").image[..., ::-1]
            small = resized(np.ascontiguousarray(image), LONGER_SIDE / max(image.shape[:2]))
            cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def copies(
    folder: Path, train: Sequence[tuple[str, Path]], chosen: Sequence[int], rng: np.random.Generator
) -> list[Copy]:
    """Write every kind of copy of the chosen pictures, in JPEG of quality 30 to 95."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for place in chosen:
        source, path = train[place]
        image = cv2.imread(str(path))
        for number, (kind, change) in enumerate(COPIES.items()):
            file = folder / f"{place:06}-{number}.jpg"
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 96))]
            cv2.imwrite(str(file), np.ascontiguousarray(change(image, rng)), quality)
            found.append(Copy(file, place, source, kind))
    return found


def least_recall(found: int, of: int) -> float:
    """Return the lower end of Wilson's 95 % interval."""
    share, add = found / of, _Z**2 / of
    root = math.sqrt(add * share * (1 - share) + add**2 / 4)
    return (share + add / 2 - root) / (1 + add)


def page(train: Sequence[tuple[str, Path]], planted: Sequence[Copy]) -> str:
    start, cpu = time.perf_counter(), time.process_time()
    overlap = find_overlap(
        [path for _, path in train], [copy.path for copy in planted], lambda *_: None
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    pairs = {(pair.train, pair.val) for pair in overlap.pairs}
    truth = {(copy.original, place) for place, copy in enumerate(planted)}
    kinds: dict[tuple[str, str], list[bool]] = {}
    for place, copy in enumerate(planted):
        hit = (copy.original, place) in pairs
        kinds.setdefault((copy.source, copy.kind), []).append(hit)
    rows = [(source, kind, f"{sum(hits)} of {len(hits)}") for (source, kind), hits in kinds.items()]
    others = Counter(
        f"{train[one][1].name} = {train[planted[two].original][1].name}"
        for one, two in pairs - truth
    )
    hits = len(pairs & truth)
    said = [
        f"- {name} ({count} {'copy' if count == 1 else 'copies'} of it)"
        for name, count in sorted(others.items())
    ]
    counts = Counter(source for source, _ in train)
    return "\n".join(
        [
            "# Copies that `posebench data overlap` finds",
            "",
            f"posebench {posebench.__version__}, Python {platform.python_version()}, "
            f"numpy {np.__version__}, OpenCV {cv2.__version__}. Made by "
            "`benchmarks/overlap_recall.py`.",
            "",
            f"{', '.join(f'{count} {source}' for source, count in counts.items())} against "
            f"{len(planted)} copies of some of them: {len(train) * len(planted):,} pairs, in "
            f"{seconds:.0f} s ({cpu:.0f} s of processor). Copies are JPEG of quality 30 to 95; "
            "resized by 0.5 to 2; cropped by a tenth of both sides at any place.",
            "",
            *markdown_table(("pictures", "copies", "found"), rows, 2),
            "",
            f"Found: {hits} of {len(truth)}, at least {100 * least_recall(hits, len(truth)):.2f} % "
            "(95 %, Wilson).",
            "Other pairs that were taken for copies:"
            if said
            else "No other pair was taken for one.",
            *(["", *said] if said else []),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="Folder for scenes and copies.")
    parser.add_argument("--real", type=Path, action="append", default=[], help="More pictures.")
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--originals", type=int, default=500, help="Of each source, at most.")
    parser.add_argument("--seed", type=int, default=990_001)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    scenes = rendered(options.work / "rendered", options.scenes, options.seed)
    train = [(RENDERED, path) for path in scenes]
    for folder in options.real:
        train += [(folder.parent.name, path) for path in sorted(folder.glob("*.jpg"))]
    chosen = [
        int(place)
        for source in dict.fromkeys(source for source, _ in train)
        for own in [[at for at, (name, _) in enumerate(train) if name == source]]
        for place in rng.choice(own, min(options.originals, len(own)), replace=False)
    ]
    write_text(options.out, page(train, copies(options.work / "copies", train, chosen, rng)))


if __name__ == "__main__":
    main()
