"""`posebench eval`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posebench.cli import options
from posebench.datasets.corruptions.names import NO_CORRUPTION
from posebench.suites.transforms import NO_TRANSFORM

if TYPE_CHECKING:
    from posebench.running.network_plans import Storage

# Sizes of the embedded checkpoints' grid: the two they were trained at, and one above.
EMBEDDED_SIZES = "64x48,128x96,192x144"
EMBEDDED_POLICIES = "native,resample,interpolate"


def evaluate_command(
    checkpoints: options.Checkpoints = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint that the others are compared with; by default the first.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            help="synthetic, synthetic-crowd, coco or another of `posebench data ls`, a folder, or "
            "an annotation file; or several: coco,crowdpose."
        ),
    ] = "synthetic",
    data_root: options.DataRoot = None,
    split: options.Split = "val",
    images: options.Images = None,
    keypoints: options.Keypoints = None,
    category: options.Category = None,
    area_rule: options.AreaRule = None,
    exif: options.Exif = "apply",
    allow_resized: options.AllowResized = False,
    record: options.Record = None,
    boxes: Annotated[
        str,
        typer.Option(
            help="gt (ground truth), or a file of detected boxes; or several: gt,detected.json."
        ),
    ] = "gt",
    min_box_score: Annotated[float, typer.Option(help="Leave out boxes scored below.")] = 0.0,
    box_nms: Annotated[
        float | None, typer.Option(help="IoU above which the lower-scored box goes.")
    ] = None,
    max_boxes: Annotated[int | None, typer.Option(help="Most boxes of an image.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N images.")] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Input sizes HxW, native, or factors: native,192x144,0.5x."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="Resize policies: native, resample, pool, interpolate."),
    ] = None,
    flip: options.Flip = None,
    decoder: Annotated[
        str,
        typer.Option(
            help="Decoders, the network running once for all: own, classic (heatmap: quarter), "
            "argmax, quarter, dark, udp, expectation."
        ),
    ] = "own",
    spec: options.Spec = None,
    rescoring: Annotated[
        str, typer.Option(help="Instance score: bbox_keypoint, bbox_rle, bbox or keypoint.")
    ] = "bbox_keypoint",
    keypoint_threshold: Annotated[
        float, typer.Option(help="Keypoint scores up to this do not count in rescoring.")
    ] = 0.2,
    nms: Annotated[str, typer.Option(help="OKS-NMS: hard, soft or none.")] = "hard",
    nms_threshold: Annotated[float, typer.Option(help="OKS above which OKS-NMS acts.")] = 0.9,
    replicates: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Resamples of the images behind intervals; 0 for none."
        ),
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the resamples.")] = 0,
    interval: Annotated[str, typer.Option(help="percentile or bca.")] = "percentile",
    official: Annotated[
        bool, typer.Option("--official", help="Score with pycocotools or xtcocotools as well.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            help="torch, eager (the network as published), compile, onnxruntime or openvino; by "
            "default torch, and an exported file's own runtime.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, tf32 (a GPU's), bf16, fp16 or int8.")
    ] = "fp32",
    transform: Annotated[
        str,
        typer.Option(
            help="Fewer bits or weights: none, w8, w4a8, head-w4, answers-w4, tokens-a4, prune-50, "
            "prune-50-layer, prune-50-channel."
        ),
    ] = NO_TRANSFORM,
    corruption: Annotated[
        str,
        typer.Option(
            help="What is done to the images, at levels 1 to 5: none, noise-3, blur-3, fog-3, "
            "jpeg-3, bright-3, dark-3, occluders-3, truncation-3; blur-3@7 sets a seed."
        ),
    ] = NO_CORRUPTION,
    device: options.Device = "cpu",
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    workers: options.Workers = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            help="Images to leave out, such as those that training has seen (data overlap --out): "
            "shows the main number on all and without them."
        ),
    ] = None,
    json: options.ResultsFile = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Write COCO-results JSON: a .json file for a single cell, or a folder that gets "
            "a file for each cell."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory, for table, claims, compare, report and plot; what it has is kept.",
            show_default=False,
        ),
    ] = None,
    save_raw: Annotated[
        Path | None,
        typer.Option(
            help="Folder to keep raw outputs in, as float16; where they are there, to decode and "
            "score them again without running the network."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="POSEBENCH_PREDICTIONS",
            help="Folder of predictions, which are scored again without running the network; "
            "none to run it. By default in the user's cache.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Evaluate checkpoints over data, boxes and input sizes, and tell which is better.

    Of several checkpoints it also prints their paired differences in AP, with 95 % intervals.
    Without checkpoints: the embedded ones, at 64x48, 128x96 and 192x144. Without --dataset: the
    embedded synthetic people.
    """
    from posebench.cli.choices import one_of, several_of
    from posebench.cli.differences import asked_baseline, show_differences
    from posebench.cli.exclusions import check_plan, show_excluded
    from posebench.cli.memory_suite import (
        boxes_entries,
        dataset_entry,
        paths_of,
        suite_of,
        words_of,
    )
    from posebench.datasets.overlap.exclusion import read_exclusion
    from posebench.networks.codecs import DECODER_CHOICES
    from posebench.networks.policies import POLICIES
    from posebench.prediction.execution import ENGINES, PRECISIONS, Resources
    from posebench.reporting.progress import progress_bars
    from posebench.reporting.tables.results_table import by_data, print_results
    from posebench.running.evaluation import run_directory, run_results
    from posebench.running.request import ProgressDisplay, RunRequest
    from posebench.running.resources import device_names
    from posebench.scoring.nms import NMS_RULES
    from posebench.scoring.rescoring import RESCORING_RULES
    from posebench.scoring.statistics.intervals import INTERVALS
    from posebench.suites.suite import ScoringEntry

    suite = suite_of(
        "eval",
        checkpoints,
        spec,
        datasets=tuple(
            dataset_entry(
                name,
                data_root,
                images,
                area_rule,
                exif,
                split=split,
                keypoints=keypoints,
                category=category,
                allow_resized=allow_resized,
                record=record,
            )
            for name in paths_of(dataset)
        ),
        boxes=boxes_entries(boxes, min_box_score, box_nms, max_boxes),
        sizes=words_of(size or ("native" if checkpoints else EMBEDDED_SIZES)),
        policies=several_of(
            policy or ("native" if checkpoints else EMBEDDED_POLICIES), POLICIES, "--policy"
        ),
        flip=("own" if flip is None else flip,),
        decoders=several_of(decoder, DECODER_CHOICES, "--decoder"),
        engines=("own" if engine is None else one_of(engine, ENGINES, "--engine"),),
        precision=(one_of(precision, PRECISIONS, "--precision"),),
        transforms=words_of(transform),
        corruptions=words_of(corruption),
        scoring=ScoringEntry(
            rescoring=one_of(rescoring, RESCORING_RULES, "--rescoring"),
            keypoint_threshold=keypoint_threshold,
            nms=one_of(nms, NMS_RULES, "--nms"),
            nms_threshold=nms_threshold,
            replicates=replicates,
            seed=seed,
            interval=one_of(interval, INTERVALS, "--interval"),
            official=official,
        ),
    )
    base = asked_baseline(suite, baseline, checkpoints or (), out)
    exclusion = None if exclude is None else read_exclusion(exclude)
    with run_directory(out) as folder:
        request = RunRequest(
            suite=suite,
            claims=(),
            folder=Path(),
            out=folder,
            limit=limit,
            devices=device_names(device),
            resources=Resources(threads, workers, batch_size),
            source=str(Path.cwd()),
            storage=_storage(out, save_raw, cache),
            coco_results=predictions,
            only_adds=True,
        )
        with progress_bars("instances") as report:
            check = None if exclusion is None else partial(check_plan, exclusion)
            done = run_results(request, ProgressDisplay(report), json, check=check)
        for group in by_data(done.results):
            print_results(group)
        more = {} if exclusion is None else show_excluded(folder, done, exclusion, json)
        if checkpoints or baseline is not None:
            show_differences(folder, done, base, json, more)
    raise typer.Exit(done.exit_code)


def _storage(out: Path | None, raw: Path | None, cache: Path | None) -> Storage:
    """Return where what networks answer is kept: in the run directory, if there is one."""
    from posebench.files.cache import predictions_directory
    from posebench.results.store import PREDICTIONS
    from posebench.running.network_plans import Storage

    kept = None if raw is not None or str(cache) == "none" else cache or predictions_directory()
    return Storage(raw, kept) if out is None else Storage(raw, out / PREDICTIONS, kept)
