"""Options that several commands take: a type with its help each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
        help="synthetic, synthetic-crowd, coco, crowdpose, a folder, or an annotation file."
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(help="Folder of COCO or CrowdPose; else the variable POSEBENCH_DATA."),
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
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; by default torch's choice.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Threads that read images and cut crops ahead of the network; by default none, or up "
        "to 8 for a GPU. No answer depends on it.",
    ),
]
ResultsFile = Annotated[Path | None, typer.Option(help="Write results with their whole protocol.")]

# What `score` and `diagnose` hold against annotations.
PredictionFiles = Annotated[
    list[Path], typer.Argument(help="COCO results files of any tool; the first is the baseline.")
]
AnnotationFile = Annotated[Path, typer.Option(help="COCO-format annotation file.")]
AnnotatedKind = Annotated[
    str | None,
    typer.Option(help="A built-in set, such as coco, or a YAML file; else by annotations."),
]
Replicates = Annotated[int, typer.Option(min=1, help="Resamples of the images.")]
ResampleSeed = Annotated[int, typer.Option(min=0, help="Seed of the resamples.")]
AreaRule = Annotated[
    str | None, typer.Option(help="annotation, or box (0.53 of it); else by data set.")
]
