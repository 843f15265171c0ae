"""`posebench bench`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posebench.cli import options
from posebench.suites.suite import MOST_CROPS

if TYPE_CHECKING:
    from posebench.results.cell import CellResult
    from posebench.running.bench.run import BenchRequest


def bench_command(
    checkpoints: options.Checkpoints = None,
    dataset: options.Dataset = "synthetic",
    data_root: options.DataRoot = None,
    split: options.Split = "val",
    images: options.Images = None,
    keypoints: options.Keypoints = None,
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
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, int8.")] = "fp32",
    device: options.Device = "cpu",
    threads: options.Threads = None,
    workers: options.Workers = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_CROPS, help="Crops per forward pass end to end; by default as in eval."
        ),
    ] = None,
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
        typer.Option(help="New run directory, for table, plot and compare.", show_default=False),
    ] = None,
    json: options.ResultsFile = None,
    format: Annotated[str, typer.Option(help="terminal or md.")] = "terminal",
) -> None:
    """Time checkpoints: latency, throughput, memory, and the AP that goes with them.

    Each cell runs in a process of its own. A number whose repeats spread too widely is called
    unstable. Without checkpoints: the embedded ones.
    """
    from posebench.cli.choices import numbers_of, one_of, several_of
    from posebench.networks.policies import POLICIES
    from posebench.prediction.execution import ENGINES, PRECISIONS, Resources
    from posebench.running.bench.cell import BenchSettings
    from posebench.running.bench.run import BenchRequest
    from posebench.running.bench.timing import Budget
    from posebench.suites.suite import BoxesEntry, CheckpointEntry, DatasetEntry, Suite
    from posebench.zoo import embedded_names

    form = one_of(format, ("terminal", "md"), "--format")
    suite = Suite(
        name="bench",
        description="posebench bench",
        checkpoints=tuple(
            CheckpointEntry(name, spec=None if spec is None else str(spec))
            for name in checkpoints or embedded_names()
        ),
        datasets=(
            DatasetEntry(
                dataset,
                root=None if data_root is None else str(data_root),
                split=split,
                images=None if images is None else str(images),
                keypoints=keypoints,
            ),
        ),
        boxes=(BoxesEntry(boxes),),
        sizes=tuple(part.strip() for part in size.split(",")),
        policies=several_of(policy, POLICIES, "--policy"),
        flip=("own" if flip is None else flip,),
        engines=several_of(engine, ("own", *ENGINES), "--engine"),
        precision=several_of(precision, PRECISIONS, "--precision"),
        batch_size=batch_size,
    )
    request = BenchRequest(
        suite=suite,
        folder=Path.cwd(),
        out=out,
        limit=limit,
        device=device,
        resources=Resources(threads, workers),
        settings=BenchSettings(
            Budget(repeats, seconds, warmup),
            numbers_of(batch_sizes, "--batch-sizes", MOST_CROPS),
            parity,
        ),
    )
    raise typer.Exit(_run(request, json, form))


def _run(request: BenchRequest, json: Path | None, form: str) -> int:
    """Measure, print, write the files asked for, and return the exit code.

    It is 3 if a cell failed, and on Ctrl-C, which leaves out what is not measured yet.
    """
    from posebench.files.writing import check_writable, naming_what_cannot_be_written
    from posebench.reporting.progress import progress_bars
    from posebench.reporting.speed_tables import bench_markdown
    from posebench.results.cell import write_results
    from posebench.running.bench.run import resources_of, run_bench
    from posebench.running.resources import share_out
    from posebench.running.run_cells import exit_code

    if json is not None:
        check_writable(json)
    results: list[CellResult] = []
    stopped = False
    with progress_bars("steps") as report:
        try:
            for result in run_bench(request, report):
                results.append(result)
        except KeyboardInterrupt:
            stopped = True
    if json is not None and results:
        _, settings = share_out(resources_of(request), request.device)
        with naming_what_cannot_be_written(json):
            write_results(json, results, settings)
    if form == "md":
        sys.stdout.write(bench_markdown(results))
    else:
        _show(results, request.out, stopped)
    return 3 if stopped else exit_code(results)


def _show(results: Sequence[CellResult], out: Path | None, stopped: bool) -> None:
    from posebench.reporting.printing import print_fitting
    from posebench.reporting.speed_tables import bench_table

    if results:
        print_fitting(bench_table(results))
    if out is not None:
        print_fitting(f"Run directory: {out}")
    if stopped:
        print_fitting("Stopped by Ctrl-C.")
