"""Options that several commands take: a type with its help each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from posebench.suites.suite import MOST_CROPS, MOST_REPLICATES

_MOST_THREADS = 128

Checkpoints = Annotated[
    list[str] | None,
    typer.Argument(
        help="Checkpoint files, or names of embedded or pulled ones; all embedded by default.",
        show_default=False,
    ),
]
Dataset = Annotated[
    str,
    typer.Option(
        help="synthetic, synthetic-crowd, coco or another of `posebench data ls`, a folder, or an "
        "annotation file."
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a known data set, or the one above; else the variable POSEBENCH_DATA."
    ),
]
Record = Annotated[
    str | None,
    typer.Option(
        help="The data set of `posebench data ls` as which a folder or annotation file is read "
        "and scored."
    ),
]
Split = Annotated[str, typer.Option(help="Part of the data set.")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images of an annotation file.")]
Keypoints = Annotated[
    str | None,
    typer.Option(
        help="A built-in set, such as coco, or a YAML file of one's own; else by annotations."
    ),
]
Boxes = Annotated[str, typer.Option(help="gt (ground truth), or a file of detected boxes.")]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Flip test; by default as the checkpoint says."),
]
Spec = Annotated[Path | None, typer.Option(help="YAML with what a checkpoint file does not say.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")]


def _bearable(threads: int | None) -> int | None:
    """Refuse more threads than any machine of this size, or a node of a cluster, makes use of."""
    cores = os.cpu_count() or 1
    most = max(_MOST_THREADS, 4 * cores)
    if threads is not None and threads > most:
        raise typer.BadParameter(f"{threads} is too many: {most} at most ({cores} cores are here).")
    return threads


Threads = Annotated[
    int | None,
    typer.Option(
        min=1, callback=_bearable, metavar="N", help="CPU threads; by default torch's choice."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        callback=_bearable,
        metavar="N",
        help="Threads that read images and cut crops ahead of the network; by default none, or up "
        "to 16 for a GPU. No answer depends on it.",
    ),
]


def _crops(text: str) -> int | None:
    """Return a number of crops; None for `auto`."""
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_CROPS:
        raise typer.BadParameter(f"{text} is neither auto nor a number from 1 to {MOST_CROPS}.")
    return int(text)


BatchSize = Annotated[
    int | None,
    typer.Option(
        parser=_crops,
        metavar="N",
        help="Crops per forward pass; by default auto: 8, and on a GPU as many as pay, which is "
        "tried for a second.",
    ),
]
ResultsFile = Annotated[Path | None, typer.Option(help="Write results with their whole protocol.")]

Category = Annotated[
    str | None,
    typer.Option(help="A category by id or name, needed where several have keypoints."),
]
Exif = Annotated[str, typer.Option(help="Turn images by their EXIF orientation: apply or ignore.")]
AllowResized = Annotated[
    bool, typer.Option("--allow-resized", help="Take resized copies of the images.")
]

# What `score` and `diagnose` hold against annotations.
PredictionFiles = Annotated[
    list[Path],
    typer.Argument(
        help="Results files of any tool, or folders with a file for each image; the first is the "
        "baseline."
    ),
]
ResultsFormat = Annotated[
    str,
    typer.Option(
        help="Who wrote the results: auto (seen in the file), coco (exactly), ultralytics, "
        "detectron2, alphapose or per-image (a folder of OpenPose, openpifpaf or MMPose)."
    ),
]
AnnotationFile = Annotated[Path, typer.Option(help="COCO-format annotation file.")]
AnnotatedKind = Annotated[
    str | None,
    typer.Option(
        help="A data set of `posebench data ls`, a built-in keypoint set or a YAML file of one; "
        "else by annotations."
    ),
]
Replicates = Annotated[
    int,
    typer.Option(
        min=0, max=MOST_REPLICATES, help="Resamples of the images behind intervals; 0 for none."
    ),
]
ResampleSeed = Annotated[int, typer.Option(min=0, help="Seed of the resamples.")]
AreaRule = Annotated[
    str | None, typer.Option(help="annotation, or box (0.53 of it); else by data set.")
]
