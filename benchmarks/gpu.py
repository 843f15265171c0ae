"""What a GPU reaches: networks alone, whole evaluations, precisions and engines, in six minutes.

    python benchmarks/gpu.py                          # writes the page
    python benchmarks/gpu.py --device cpu --quick --out -

It needs torch, numpy and OpenCV. Where orjson and pydantic are missing, stand-ins take their place;
the whole command and the embedded networks are then left out, and the page says so. (To have
them: `pip install --target DIR orjson pydantic pycocotools xtcocotools pyyaml`, and DIR in
PYTHONPATH.)
Networks have seeded weights, images are generated. Sections that the time does not suffice for are
named at the end.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from bare_machine import is_there, stand_in

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
MISSING = stand_in()

import torch  # noqa: E402
from generated_images import HEIGHT, WIDTH, write_images  # noqa: E402
from gpu_networks import NETS, TINY, network_run  # noqa: E402
from measuring import RESULTS, add_page_options, run_json, write_page  # noqa: E402

from posebench.datasets.coco import ImageRecord, Instances, PoseDataset  # noqa: E402
from posebench.datasets.keypoints import COCO  # noqa: E402
from posebench.prediction.devices import device_text, peak_memory, synchronise  # noqa: E402
from posebench.prediction.engines.batch_probe import probed_batch  # noqa: E402
from posebench.prediction.engines.cuda_graphs import recorded, seconds_of  # noqa: E402
from posebench.prediction.execution import Parallelism  # noqa: E402
from posebench.prediction.flip import predict_outputs  # noqa: E402
from posebench.prediction.predict import NetworkRun, Outcome, predict  # noqa: E402

PAGE = RESULTS / "gpu.md"
SECONDS = 350.0
TARGET = 0.9
MARKER = "COMMAND "
Lines = list[str]


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


WHOLE = Extent(NETS, 400, 2500, 20, (64, 256), (4, 8, 16))
QUICK = Extent(TINY, 2, 4, 3, (2,), (1,), compiles=False)


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


def generate(folder: Path, extent: Extent) -> tuple[PoseDataset, Instances]:
    """Return images that repeat some files, with boxes like those of a detector."""
    annotations = write_images(folder / "data", extent.files)
    files = sorted((folder / "data" / "val").iterdir())
    records = tuple(
        ImageRecord(index, files[index % len(files)], WIDTH, HEIGHT)
        for index in range(extent.images)
    )
    raw: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    dataset = PoseDataset("generated", "coco", annotations, "", records, COCO, "annotation", raw)
    rng = np.random.default_rng(0)
    count = extent.images * extent.boxes
    sides = np.exp(rng.normal([4.2, 4.9], 0.7, (count, 2))).clip(8, (WIDTH, HEIGHT))
    corners = rng.uniform(0, 1, (count, 2)) * ((WIDTH, HEIGHT) - sides)
    instances = Instances(
        image_index=np.repeat(np.arange(extent.images), extent.boxes),
        ids=np.arange(count),
        bbox_xyxy=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        bbox_scores=np.ones(count, dtype=np.float32),
    )
    return dataset, instances


def networks_alone(bench: Bench) -> Iterator[str]:
    """Yield crops per second of networks alone, started one by one and as CUDA graphs."""
    yield "| network, bf16 | batch | eager, crops/s | CUDA graph, crops/s | equal |"
    yield "| --- | --- | --- | --- | --- |"
    for name in bench.extent.nets:
        run = network_run(name, "bf16", bench.device)
        network = run.network.network
        plain = getattr(getattr(network, "run", network), "plain", network)
        sides = run.network.input_size.height, run.network.input_size.width
        for batch in bench.extent.batches:
            crops = torch.randn(batch, 3, *sides, device=bench.device)
            crops = crops.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                eager = f"{batch / seconds_of(plain, crops):.0f}"
                graph, equal = "–", "–"
                if bench.on_gpu:
                    try:
                        replay = recorded(plain, crops)
                        graph = f"{batch / seconds_of(replay, crops):.0f}"
                        pairs = zip(plain(crops), replay(crops), strict=True)
                        equal = "yes" if all(torch.equal(*pair) for pair in pairs) else "**no**"
                    except RuntimeError as error:
                        graph = str(error).partition("\n")[0]
            yield f"| {name} | {batch} | {eager} | {graph} | {equal} |"


def evaluated(bench: Bench, run: NetworkRun, parallelism: Parallelism) -> tuple[Outcome, float]:
    """Predict all instances once, and return the outcome and the seconds."""
    start = time.perf_counter()
    found = predict({"": run}, *bench.data, parallelism=parallelism, progress=lambda _done: None)
    synchronise(bench.device)
    ((outcome,),) = [own.values() for own in found.values()]
    return outcome, time.perf_counter() - start


def default_parallelism(bench: Bench, run: NetworkRun) -> tuple[Parallelism, float]:
    """Return the settings that `posebench eval` takes, and the seconds that the trial took."""
    from posebench.prediction.execution import Resources
    from posebench.running.resources import share_out

    parallelism, _ = share_out(Resources(), str(bench.device))
    start = time.perf_counter()
    if bench.on_gpu:
        batch = probed_batch([(run.network, run.flip_test)], bench.device)
        parallelism = replace(parallelism, batch_size=batch)
    return parallelism, time.perf_counter() - start


def end_to_end(bench: Bench) -> Iterator[str]:
    """Yield instances per second of whole evaluations beside those of the network alone."""
    count = len(bench.data[1])
    yield f"{count} boxes on {bench.extent.images} images, flip test, default settings."
    yield ""
    yield "| network | precision | batch | trial, s | inst/s | network alone | share | target |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name in bench.extent.nets:
        for precision in ("fp32", "bf16"):
            run = network_run(name, precision, bench.device)
            parallelism, trial = default_parallelism(bench, run)
            evaluated(bench, run, parallelism)  # libraries choose their kernels
            outcome, seconds = evaluated(bench, run, parallelism)
            if outcome.failure is not None:
                yield f"| {name} | {precision} | – | – | {outcome.failure.message} | – | – | – |"
                continue
            alone = alone_rate(bench, run, parallelism.batch_size)
            share = count / seconds / alone
            reached = "yes" if share >= TARGET else "**no**"
            yield (
                f"| {name} | {precision} | {parallelism.batch_size} | {trial:.1f} | "
                f"{count / seconds:.0f} | {alone:.0f} | {share:.0%} | {reached} |"
            )


def alone_rate(bench: Bench, run: NetworkRun, batch: int) -> float:
    """Return instances per second of the network alone, flip test included."""
    sides = run.network.input_size.height, run.network.input_size.width
    crops = torch.randn(batch, 3, *sides, device=bench.device)
    crops = crops.contiguous(memory_format=torch.channels_last)

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
    yield f"| workers | {name}, inst/s | Python's share of one core |"
    yield "| --- | --- | --- |"
    for workers in bench.extent.workers:
        start = time.process_time()
        _, seconds = evaluated(bench, run, replace(parallelism, workers=workers))
        cores = (time.process_time() - start) / seconds
        yield f"| {workers} | {len(bench.data[1]) / seconds:.0f} | {cores:.1f} cores busy |"


def precisions(bench: Bench) -> Iterator[str]:
    """Yield how far each precision moves keypoints from those of the CPU in fp32."""
    dataset, every = bench.data
    few = slice(0, 256)
    instances = Instances(
        every.image_index[few], every.ids[few], every.bbox_xyxy[few], every.bbox_scores[few]
    )
    small = replace(bench, data=(dataset, instances))
    yield "| network | precision | median, pixels | 99 % | largest |"
    yield "| --- | --- | --- | --- | --- |"
    for name in bench.extent.nets:
        wanted, _ = evaluated(small, network_run(name, "fp32", torch.device("cpu")), Parallelism(8))
        for precision in ("fp32", "tf32", "bf16", "fp16") if bench.on_gpu else ("fp32", "bf16"):
            found, _ = evaluated(small, network_run(name, precision, bench.device), Parallelism(64))
            if found.failure is not None or found.predictions is None:
                yield f"| {name} | {precision} | {found.failure} | – | – |"
                continue
            assert wanted.predictions is not None
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
    try:
        start = time.perf_counter()
        run = network_run(name, "bf16", bench.device, engine="compile")
        rate = alone_rate(bench, run, bench.extent.batches[-1])
        yield f"{name}, bf16: {time.perf_counter() - start:.0f} s to compile, {rate:.0f} inst/s."
    except Exception as error:  # a failure is what is measured
        yield f"{name}: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def whole_command(bench: Bench) -> Iterator[str]:
    """Yield what `posebench eval` and `bench --parity` take on the embedded networks."""
    if MISSING or not is_there("pycocotools"):
        missing = [*MISSING, *([] if is_there("pycocotools") else ["pycocotools"])]
        yield f"Not measured: {', '.join(missing)} missing."
        return
    limit = str(min(200, bench.extent.images))
    common = ["--device", str(bench.device), "--limit", limit]
    commands = {
        "eval": ["eval", "simcc-m-64x48", "--cache", "none", *common],
        "bench --parity": [
            *("bench", "simcc-m-64x48", "heatmap-m-64x48", "--parity", *common),
            *("--precision", "fp32,bf16", "--batch-sizes", "8"),
            *("--seconds", "0.3", "--warmup", "0.1", "--repeats", "2"),
        ],
    }
    for name, words in commands.items():
        found = run_json([sys.executable, str(HERE), "--command", *words], marker=MARKER)
        yield f"`posebench {name}`: {found['whole']:.1f} s, exit code {found['code']}."
        yield ""
        yield "```text"
        yield from (line[:160] for line in found["out"].splitlines()[:12])
        yield "```"


def run_command(words: Sequence[str]) -> None:
    """Run posebench in this process and print what it says as JSON."""
    import contextlib
    import io

    import posebench.cli

    printed, code = io.StringIO(), 0
    with contextlib.redirect_stdout(printed):
        try:
            posebench.cli.main(list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
    print(MARKER + json.dumps({"out": printed.getvalue(), "code": code}))


SECTIONS: dict[str, Callable[[Bench], Iterator[str]]] = {
    "Networks alone": networks_alone,
    "Whole evaluations": end_to_end,
    "Threads that read and cut": workers_and_images,
    "Precisions, against the CPU in fp32": precisions,
    "torch.compile": compiled,
    "Commands, on embedded networks": whole_command,
}


def measure_page(bench: Bench, seconds: float) -> Lines:
    """Measure section by section as long as there is time, and return the lines of the page."""
    start, lines = time.monotonic(), ["# On a GPU", ""]
    left = []
    for name, section in SECTIONS.items():
        if time.monotonic() - start > seconds:
            left.append(name)
            continue
        print(f"{time.monotonic() - start:.0f} s: {name}", file=sys.stderr, flush=True)
        lines += [f"## {name}", ""]
        for line in section(bench):
            lines.append(line)
            print(line, file=sys.stderr, flush=True)
            if time.monotonic() - start > seconds:
                lines += ["", "The time ran out here."]
                break
        lines.append("")
    taken = time.monotonic() - start
    memory = (peak_memory(bench.device) or 0) / 2**30
    gpus = torch.cuda.device_count() if bench.on_gpu else 0
    lines += [
        f"{device_text(bench.device)}, {gpus} GPUs (one is used), torch {torch.__version__}, "
        f"Python {platform.python_version()}; {taken:.0f} s; at most {memory:.1f} GiB of a GPU.",
        *([f"No time was left for: {', '.join(left)}."] if left else []),
        *([f"Stand-ins for {', '.join(MISSING)}."] if MISSING else []),
        "",
        "Repeat: `python benchmarks/gpu.py --help`.",
    ]
    return lines


def main() -> None:
    if sys.argv[1:2] == ["--command"]:
        run_command(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="little of everything, for a try")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="when to begin no more")
    add_page_options(parser, PAGE)
    options = parser.parse_args()
    from posebench.prediction.devices import check_device

    device = check_device(options.device)
    extent = QUICK if options.quick else WHOLE
    with tempfile.TemporaryDirectory() as folder:
        data = generate(Path(folder), extent)
        lines = measure_page(Bench(device, extent, data), options.seconds)
    write_page(lines, options.out)


if __name__ == "__main__":
    main()
