"""What `gpu.py` measures on a device: networks alone, evaluations, precisions, compiled ones."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from gpu_networks import network_run

from posebench.datasets.boxes import instances_at
from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import first_line
from posebench.prediction.devices import synchronise
from posebench.prediction.engines.batch_probe import probed_batch
from posebench.prediction.engines.cuda_graphs import recorded, seconds_of
from posebench.prediction.execution import Parallelism, Resources
from posebench.prediction.flip import predict_outputs
from posebench.prediction.predict import NetworkRun, Outcome, predict
from posebench.running.resources import share_out

TARGET = 0.9
# A whole evaluation takes as many of the boxes as the network alone would run in so many seconds.
SECONDS_EACH = 5.0


@dataclass(frozen=True)
class Extent:
    """How much is measured: files and images that repeat them, boxes of each, batches, rounds."""

    nets: tuple[str, ...]
    files: int
    images: int
    boxes: int
    batches: tuple[int, ...]
    workers: tuple[int, ...]
    compiles: bool = True


@dataclass(frozen=True)
class Bench:
    """What all sections share."""

    device: torch.device
    extent: Extent
    data: tuple[PoseDataset, Instances]

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU to measure."""
        return self.device.type == "cuda"


def reason(error: Exception) -> str:
    """Return what a table says of a failure; standard error has all of it."""
    traceback.print_exception(error)
    kind, said = type(error).__name__, first_line(error).replace("|", "/")
    return f"**failed**: {kind}" + (f": {said}" if said != kind else "")


def networks_alone(bench: Bench) -> Iterator[str]:
    """Yield crops per second of networks alone, started one by one and as CUDA graphs."""
    yield "| network, bf16 | batch | eager, crops/s | CUDA graph, crops/s | equal |"
    yield "| --- | --- | --- | --- | --- |"
    for name in bench.extent.nets:
        for batch in bench.extent.batches:
            try:
                yield f"| {name} | {batch} | {alone(bench, name, batch)} |"
            except Exception as error:
                yield f"| {name} | {batch} | {reason(error)} | – | – |"


def alone(bench: Bench, name: str, batch: int) -> str:
    """Return crops per second of a network without and with a CUDA graph, and if they are equal."""
    run = network_run(name, "bf16", bench.device)
    network = run.network.network
    plain = getattr(getattr(network, "run", network), "plain", network)
    crops = blank(bench, run, batch)
    with torch.inference_mode():
        eager = f"{batch / seconds_of(plain, crops):.0f}"
        if not bench.on_gpu:
            return f"{eager} | – | –"
        try:
            replay = recorded(plain, crops)
            graph = f"{batch / seconds_of(replay, crops):.0f}"
            pairs = zip(plain(crops), replay(crops), strict=True)
            equal = "yes" if all(torch.equal(*pair) for pair in pairs) else "**no**"
        except RuntimeError as error:
            return f"{eager} | {reason(error)} | –"
    return f"{eager} | {graph} | {equal}"


def blank(bench: Bench, run: NetworkRun, batch: int) -> torch.Tensor:
    """Return a batch of noise as the network takes it."""
    sides = run.network.input_size.height, run.network.input_size.width
    crops = torch.randn(batch, 3, *sides, device=bench.device)
    return crops.contiguous(memory_format=torch.channels_last)


def evaluated(bench: Bench, run: NetworkRun, parallelism: Parallelism) -> tuple[Outcome, float]:
    """Predict all instances once, and return the outcome and the seconds."""
    start = time.perf_counter()
    found = predict({"": run}, *bench.data, parallelism=parallelism, progress=lambda _done: None)
    synchronise(bench.device)
    ((outcome,),) = [own.values() for own in found.values()]
    return outcome, time.perf_counter() - start


def default_parallelism(bench: Bench, run: NetworkRun) -> tuple[Parallelism, float]:
    """Return the settings that `posebench eval` takes, and the seconds that the trial took."""
    parallelism, _ = share_out(Resources(), str(bench.device))
    start = time.perf_counter()
    if bench.on_gpu:
        batch = probed_batch([(run.network, run.flip_test)], bench.device)
        parallelism = replace(parallelism, batch_size=batch)
    return parallelism, time.perf_counter() - start


def end_to_end(bench: Bench) -> Iterator[str]:
    """Yield instances per second of whole evaluations beside those of the network alone."""
    yield (
        f"{bench.extent.boxes} boxes on each image, flip test, default settings; so many boxes as "
        f"the network alone runs in {SECONDS_EACH:.0f} s, {len(bench.data[1])} at most."
    )
    yield ""
    yield "| network | precision | batch | trial, s | boxes | inst/s | alone | share | target |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for precision in ("bf16", "fp32"):
        for name in bench.extent.nets:
            try:
                row = whole_evaluation(bench, network_run(name, precision, bench.device))
            except Exception as error:
                row = f"– | – | – | {reason(error)} | – | – | –"
            yield f"| {name} | {precision} | {row} |"


def whole_evaluation(bench: Bench, run: NetworkRun) -> str:
    """Return the cells of a table on one network, evaluated at the default settings."""
    parallelism, trial = default_parallelism(bench, run)
    batch = parallelism.batch_size
    rate = alone_rate(bench, run, batch)
    few, many = (
        replace(bench, data=(bench.data[0], instances_at(bench.data[1], slice(count))))
        for count in (4 * batch, max(8 * batch, int(SECONDS_EACH * rate)))
    )
    evaluated(few, run, parallelism)  # libraries choose their kernels
    outcome, seconds = evaluated(many, run, parallelism)
    if outcome.failure is not None:
        raise outcome.failure
    count = len(many.data[1])
    share = count / seconds / rate
    return (
        f"{batch} | {trial:.1f} | {count} | {count / seconds:.0f} | {rate:.0f} | {share:.0%} | "
        f"{'yes' if share >= TARGET else '**no**'}"
    )


def alone_rate(bench: Bench, run: NetworkRun, batch: int) -> float:
    """Return instances per second of the network alone, flip test included."""
    crops = blank(bench, run, batch)

    def forward(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return predict_outputs(run.network, x, run.flip_test, apart=run.network.flips_apart)

    with torch.inference_mode():
        for _ in range(3):  # a graph is recorded
            forward(crops)
        return batch / seconds_of(forward, crops)


def workers_and_images(bench: Bench) -> Iterator[str]:
    """Yield what threads that decode and cut are worth, without and with the network."""
    name = bench.extent.nets[0]
    run = network_run(name, "bf16", bench.device)
    parallelism, _ = default_parallelism(bench, run)
    count = int(SECONDS_EACH * alone_rate(bench, run, parallelism.batch_size))
    bench = replace(bench, data=(bench.data[0], instances_at(bench.data[1], slice(max(count, 8)))))
    yield f"| workers | {name}, inst/s | Python's share of one core |"
    yield "| --- | --- | --- |"
    for workers in bench.extent.workers:
        start = time.process_time()
        _, seconds = evaluated(bench, run, replace(parallelism, workers=workers))
        cores = (time.process_time() - start) / seconds
        yield f"| {workers} | {len(bench.data[1]) / seconds:.0f} | {cores:.1f} cores busy |"


def precisions(bench: Bench) -> Iterator[str]:
    """Yield how far each precision moves keypoints from those of the CPU in fp32."""
    small = replace(bench, data=(bench.data[0], instances_at(bench.data[1], slice(128))))
    yield "| network | precision | median, pixels | 99 % | largest |"
    yield "| --- | --- | --- | --- | --- |"
    for name in bench.extent.nets:
        wanted, _ = evaluated(small, network_run(name, "fp32", torch.device("cpu")), Parallelism(8))
        for precision in ("fp32", "tf32", "bf16", "fp16") if bench.on_gpu else ("fp32", "bf16"):
            try:
                run = network_run(name, precision, bench.device)
                found, _ = evaluated(small, run, Parallelism(64))
                if found.failure is not None:
                    raise found.failure
            except Exception as error:
                yield f"| {name} | {precision} | {reason(error)} | – | – |"
                continue
            assert wanted.predictions is not None and found.predictions is not None
            steps = found.predictions.keypoints - wanted.predictions.keypoints
            moved = np.linalg.norm(steps, axis=-1)
            said = [f"{each:.2g}" for each in (*np.quantile(moved, (0.5, 0.99)), moved.max())]
            yield f"| {name} | {precision} | {' | '.join(said)} |"


def compiled(bench: Bench) -> Iterator[str]:
    """Yield what torch.compile makes of the first network."""
    name = bench.extent.nets[0]
    if not bench.extent.compiles:
        yield "Not tried: it takes minutes."
        return
    start = time.perf_counter()
    run = network_run(name, "bf16", bench.device, engine="compile")
    rate = alone_rate(bench, run, bench.extent.batches[-1])
    yield f"{name}, bf16: {time.perf_counter() - start:.0f} s to compile, {rate:.0f} inst/s."
