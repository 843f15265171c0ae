"""`posebench data ls`, `show`, `make`, `check`, `sigmas` and `overlap`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options
from posebench.cli.examples import epilog_of

app = typer.Typer(help="Known data sets; make, check and compare data sets.", no_args_is_help=True)
make_app = typer.Typer(help="Make a data set.", no_args_is_help=True)
app.add_typer(make_app, name="make")


@app.command("ls", epilog=epilog_of("data ls"))
def ls_command() -> None:
    """List the data sets that `--dataset` knows by name, and what each is scored by."""
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.listings import known_table

    print_fitting(known_table())


@app.command("show", epilog=epilog_of("data show"))
def show_command(
    name: Annotated[str, typer.Argument(help="A name that `posebench data ls` lists.")],
) -> None:
    """Show a data set's record: protocol, keypoints, where its files lie and whose they are."""
    from posebench.datasets.known.record import known_dataset
    from posebench.reporting.messages import say
    from posebench.reporting.tables.listings import known_listing

    say(known_listing(known_dataset(name)))


@make_app.command("synthetic", epilog=epilog_of("data make synthetic"))
def make_synthetic_command(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    split: Annotated[str, typer.Option(help="val or train.")] = "val",
    level: Annotated[str, typer.Option(help="standard or crowd.")] = "standard",
    keypoints: Annotated[str, typer.Option(help="coco or crowdpose.")] = "coco",
    count: Annotated[
        int | None, typer.Option(min=1, help="Scenes; by default as many as the split has.")
    ] = None,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Also write a picture of the first 24 scenes.")
    ] = None,
) -> None:
    """Write the synthetic people as a COCO-format folder."""
    from posebench.datasets.keypoints import load_keypoint_set
    from posebench.datasets.synthetic import write_dataset
    from posebench.datasets.synthetic.contact_sheet import write_contact_sheet
    from posebench.reporting.messages import say
    from posebench.reporting.progress import progress_bars

    with progress_bars("scenes") as report:
        annotations = write_dataset(
            out,
            split=split,
            level=level,
            count=count,
            keypoints=load_keypoint_set(keypoints),
            progress=lambda done, total: report("rendering", done, total),
        )
    say(str(annotations))
    if contact_sheet is not None:
        write_contact_sheet(contact_sheet, level=level, split=split)
        say(str(contact_sheet))


@app.command("check", epilog=epilog_of("data check"))
def check_command(
    path: Annotated[Path, typer.Argument(help="Annotation file, or the folder of a data set.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    boxes: Annotated[Path | None, typer.Option(help="File of detected boxes to check.")] = None,
    keypoints: Annotated[
        str | None, typer.Option(help="A built-in set, such as coco, or a YAML file of one's own.")
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="One category by id or name; else all with keypoints.")
    ] = None,
    area_rule: options.AreaRule = None,
    exif: options.Exif = "apply",
    allow_resized: options.AllowResized = False,
    record: options.Record = None,
) -> None:
    """Check annotations, images and boxes; ground truth as prediction must score best."""
    from posebench.cli.choices import one_of
    from posebench.datasets.choices import AREA_RULES
    from posebench.datasets.images.rules import EXIF_RULES, ImageReading
    from posebench.datasets.keypoints import load_keypoint_set
    from posebench.datasets.known.record import known_dataset
    from posebench.datasets.rules import LoadOptions
    from posebench.reporting.messages import say
    from posebench.reporting.tables.listings import check_listing
    from posebench.scoring.data_check import CheckOptions, check_path

    loading = LoadOptions(
        keypoints=load_keypoint_set(keypoints) if keypoints else None,
        category=category,
        area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
        reading=ImageReading(one_of(exif, EXIF_RULES, "--exif"), allow_resized),
        known=known_dataset(record) if record else None,
    )
    reports = check_path(path, CheckOptions(images, boxes, loading))
    for report in reports:
        say(check_listing(report))
    raise typer.Exit(0 if all(report.sound for report in reports) else 2)


@app.command("sigmas", epilog=epilog_of("data sigmas"))
def sigmas_command(
    annotations: Annotated[
        list[Path], typer.Argument(help="Annotation files of the same images, one per annotator.")
    ],
    keypoints: Annotated[
        str | None,
        typer.Option(
            help="A built-in set or a YAML file; by default as the first file names them."
        ),
    ] = None,
    category: Annotated[str | None, typer.Option(help="One category by id or name.")] = None,
    area_rule: options.AreaRule = None,
    replicates: options.Replicates = 1000,
    seed: options.ResampleSeed = 0,
    out: Annotated[
        Path | None, typer.Option(help="Write the keypoint set, a YAML file for --keypoints.")
    ] = None,
) -> None:
    """Estimate OKS sigmas from persons that several annotators labelled, as COCO did."""
    from posebench.cli.choices import one_of
    from posebench.datasets.choices import AREA_RULES
    from posebench.datasets.keypoints import keypoint_set_text, load_keypoint_set
    from posebench.datasets.repeats import load_repeats
    from posebench.datasets.rules import LoadOptions
    from posebench.reporting.printing import print_fitting, write_out
    from posebench.reporting.tables.listings import sigma_table
    from posebench.scoring.statistics.sigmas import estimate_sigmas, estimated_set

    loading = LoadOptions(
        keypoints=load_keypoint_set(keypoints) if keypoints else None,
        category=category,
        area_rule=one_of(area_rule, AREA_RULES, "--area-rule") if area_rule else None,
    )
    found = estimate_sigmas(load_repeats(annotations, loading), replicates, seed)
    print_fitting(sigma_table(found, annotations))
    if out is not None:
        write_out(out, keypoint_set_text(estimated_set(found, out.stem)))
        print_fitting(f"{out}: for --keypoints, or keypoints.yaml in the data set's folder")


@app.command("overlap", epilog=epilog_of("data overlap"))
def overlap_command(
    train: Annotated[
        Path, typer.Argument(help="Training set: annotations, their folder, or one of images.")
    ],
    val: Annotated[Path, typer.Argument(help="Set that is evaluated on; it is held in memory.")],
    train_images: Annotated[
        Path | None, typer.Option(help="Folder of the training set's images.")
    ] = None,
    val_images: Annotated[Path | None, typer.Option(help="Folder of the other set's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write all pairs as JSON, for `eval --exclude`.")
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Pairs to list.")] = 20,
) -> None:
    """Find images of a training set that are also in the set that is evaluated on."""
    from posebench.datasets.overlap.report import image_set, overlap_report, write_overlap
    from posebench.files.writing import check_writable
    from posebench.reporting.explaining.overlap import overlap_text
    from posebench.reporting.messages import say
    from posebench.reporting.progress import progress_bars

    if out is not None:
        check_writable(out)
    sides = image_set(train, train_images), image_set(val, val_images)
    with progress_bars("images") as report:
        found = overlap_report(*sides, report)
    say(overlap_text(found, show))
    if out is not None:
        write_overlap(out, found)
