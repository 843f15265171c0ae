"""`posebench run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from posebench.cli import options


def run_command(
    suite: Annotated[str, typer.Argument(help="Suite file, or a shipped suite's name.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Run directory; by default runs/NAME.", show_default=False),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only cells whose id fits a pattern.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N images of each data set.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run failed cells again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells and what they cost; run nothing.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(help="cpu, cuda or cuda:N; or several, a process each: cuda:0,cuda:1."),
    ] = "cpu",
    threads: options.Threads = None,
    workers: options.Workers = None,
    scale: Annotated[
        str | None,
        typer.Option(help="How much a suite trains, such as tiny, small or medium."),
    ] = None,
    data_root: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: where data to train on lie. May be given several times."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Checkpoints trained side by side, one thread each; by default one per core, or "
            "one per GPU.",
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Only one of several like parts, each run by a process of its own: 2/7, or auto "
            "in a SLURM array, or auto/7 in a Kubernetes indexed job.",
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            help="Who runs the jobs: local (processes), slurm or ray. --jobs says how many at a "
            "time, 8 by default on a cluster.",
            show_default=False,
        ),
    ] = None,
    slurm: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=VALUE: a parameter of the SLURM jobs, such as partition=gpu, timeout_min=240 "
            "or gpus_per_node=1; cluster=local tries them as processes of this machine. May be "
            "given several times.",
            show_default=False,
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Submit SLURM jobs and leave; `posebench status` shows how far they are, and the "
            "same command without --detach waits for them and judges.",
        ),
    ] = False,
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray cluster to use, such as auto; by default Ray is started on this machine.",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        Path | None,
        typer.Option(
            help="Folder on a node's own disk that images are copied to, to be read from there.",
            show_default=False,
        ),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option(
            help="URL that keeps a copy of the run directory, such as s3://bucket/run; what is "
            "there already is fetched first.",
            show_default=False,
        ),
    ] = None,
    training: Annotated[
        bool,
        typer.Option(
            "--training/--no-training", help="Train what is not trained yet, or do without it."
        ),
    ] = True,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write COCO-results JSON in, a file for each cell; a .json file for a "
            "single cell.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train what a suite needs, run it, or what is left of it, and print its table and verdicts.

    A file that lists suites runs them one after the other, each in a folder of its own.
    """
    from posebench.cli.choices import roots_of
    from posebench.cli.run_collection import run_collection
    from posebench.cli.run_options import ExecutorWords, RunOptions
    from posebench.cli.run_suite import run_command_line
    from posebench.prediction.execution import Resources
    from posebench.running.sharing.shards import shard_of
    from posebench.suites.collection import is_collection
    from posebench.suites.shipped import find_suite

    resources = Resources(threads, workers)
    words = ExecutorWords(executor, slurm or (), address, detach)
    roots = roots_of(data_root or [])
    asked = RunOptions(
        out,
        only,
        limit,
        retry_failed,
        dry_run,
        device,
        resources,
        scale,
        roots,
        jobs,
        training,
        predictions,
        None if shard is None else shard_of(shard, os.environ),
        *words.settle(threads),
        stage,
        mirror,
    )
    path = find_suite(suite)
    run_file = run_collection if is_collection(path) else run_command_line
    raise typer.Exit(run_file(path, asked))
