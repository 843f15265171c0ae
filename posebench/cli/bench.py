"""`posebench bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posebench.cli import options
from posebench.suites.suite import MOST_CROPS

if TYPE_CHECKING:
    from posebench.running.bench.cell import BenchSettings
    from posebench.running.evaluation import RunResults
    from posebench.running.request import RunRequest


def bench_command(
    checkpoints: options.Checkpoints = None,
    dataset: options.Dataset = "synthetic",
    data_root: options.DataRoot = None,
    split: options.Split = "val",
    images: options.Images = None,
    keypoints: options.Keypoints = None,
    category: options.Category = None,
    area_rule: options.AreaRule = None,
    exif: options.Exif = "apply",
    allow_resized: options.AllowResized = False,
    record: options.Record = None,
    boxes: options.Boxes = "gt",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N images.")] = None,
    size: Annotated[
        str, typer.Option(help="Input sizes HxW, native, or factors: native,192x144,0.5x.")
    ] = "native",
    policy: Annotated[
        str, typer.Option(help="Resize policies: native, resample, pool, interpolate.")
    ] = "native",
    flip: options.Flip = None,
    spec: options.Spec = None,
    engine: Annotated[
        str,
        typer.Option(
            help="own (torch, or an exported file's runtime), torch, eager, compile, onnxruntime, "
            "openvino."
        ),
    ] = "own",
    precision: Annotated[
        str, typer.Option(help="fp32, tf32 (a GPU's), bf16, fp16, int8.")
    ] = "fp32",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    workers: options.Workers = None,
    batch_size: options.BatchSize = None,
    batch_sizes: Annotated[
        str, typer.Option(help="Batch sizes of the network alone.")
    ] = "1,2,4,8,16,32",
    repeats: Annotated[
        int, typer.Option(min=1, max=1000, help="Times that each number is measured.")
    ] = 5,
    seconds: Annotated[
        float, typer.Option(min=0.01, max=3600, help="Time for each number, all repeats together.")
    ] = 2.0,
    warmup: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds of warm-up for each.")
    ] = 0.5,
    parity: Annotated[
        bool, typer.Option("--parity", help="Also show what each moves beside eager fp32.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run directory, for table, plot and compare; what was measured stays.",
            show_default=False,
        ),
    ] = None,
    json: options.ResultsFile = None,
    format: Annotated[str, typer.Option(help="terminal or md.")] = "terminal",
) -> None:
    """Time checkpoints: latency, throughput, memory, and the AP that goes with them.

    Each cell runs in a process of its own. A number whose repeats spread too widely is called
    unstable. Without checkpoints: the embedded ones.
    """
    from posebench.cli.choices import numbers_of, one_of, several_of
    from posebench.cli.memory_suite import dataset_entry, suite_of, words_of
    from posebench.networks.policies import POLICIES
    from posebench.prediction.execution import ENGINES, PRECISIONS, Resources
    from posebench.reporting.tables.speed_tables import bench_markdown
    from posebench.running.bench.cell import BenchSettings
    from posebench.running.bench.timing import Budget
    from posebench.running.evaluation import run_directory
    from posebench.running.network_plans import Storage
    from posebench.running.request import RunRequest
    from posebench.suites.suite import BoxesEntry

    form = one_of(format, ("terminal", "md"), "--format")
    suite = suite_of(
        "bench",
        checkpoints,
        spec,
        datasets=(
            dataset_entry(
                dataset,
                data_root,
                images,
                area_rule,
                exif,
                split=split,
                keypoints=keypoints,
                category=category,
                allow_resized=allow_resized,
                record=record,
            ),
        ),
        boxes=(BoxesEntry(boxes),),
        sizes=words_of(size),
        policies=several_of(policy, POLICIES, "--policy"),
        flip=("own" if flip is None else flip,),
        engines=several_of(engine, ("own", *ENGINES), "--engine"),
        precision=several_of(precision, PRECISIONS, "--precision"),
        batch_size=batch_size,
    )
    numbers = numbers_of(batch_sizes, "--batch-sizes", MOST_CROPS)
    settings = BenchSettings(Budget(repeats, seconds, warmup), numbers, parity)
    with run_directory(out) as folder:
        request = RunRequest(
            suite=suite,
            claims=(),
            folder=Path(),
            out=folder,
            limit=limit,
            devices=(device,),
            resources=Resources(threads, workers),
            source=str(Path.cwd()),
            storage=Storage(),
        )
        done = _measured(request, settings, json)
    if form == "md":
        sys.stdout.write(bench_markdown(done.results))
    else:
        _show(done, out)
    raise typer.Exit(done.exit_code)


def _measured(request: RunRequest, settings: BenchSettings, json: Path | None) -> RunResults:
    from posebench.reporting.progress import print_line, progress_bars
    from posebench.running.bench.run import StepDisplay, measurement
    from posebench.running.evaluation import run_results

    with progress_bars("steps", lines=True) as report:
        display = StepDisplay(settings, report, print_line)
        return run_results(request, display, json, measurement(settings))


def _show(done: RunResults, out: Path | None) -> None:
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.tables.speed_tables import bench_table

    print_fitting(bench_table(done.results))
    if out is not None:
        print_fitting(f"Run directory: {out}")
    if done.stopped:
        print_fitting("Stopped by Ctrl-C.")
