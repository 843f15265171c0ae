r"""Instances per second end to end: MMPose's own test loop and posebench, by turns in one run.

    python benchmarks/throughput.py --data DIR --checkpoints DIR \
        --reference-python PYTHON --reference-script SCRIPT     # writes the page below results/
    python benchmarks/throughput.py ... --nets rtmpose-t --quick --out -

Both read the same checkpoint, images and file of boxes, with the flip test, each run in a process
of its own with its own defaults for threads. SCRIPT times MMPose 1.3.2's test loop
(`bench CHECKPOINT CONFIG --images --ann --bbox-file --batch --workers`, one line of JSON after
`BENCH `); without it posebench alone is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from measuring import (
    RESULTS,
    FailedRunError,
    Measurement,
    add_page_options,
    matmul_gflops,
    run_json,
    write_page,
)
from throughput_page import page
from throughput_runs import DEFAULT, Run
from timed_eval import MARKER

HERE = Path(__file__).resolve()
PAGE = RESULTS / "throughput.md"
ANNOTATIONS, IMAGES = "annotations/person_keypoints_val2017.json", "val2017"
# A benchmark of defaults: the shell's settings of threads are removed.
OWN_DEFAULTS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"))
REFERENCE_BATCH = 32
CONTENDERS = (
    DEFAULT,
    "torch/bf16",
    "openvino/bf16",
    "openvino/fp32",
    "onnxruntime/fp32",
    "onnxruntime/int8",
)
# Trained networks, whose AP means something, to see how contenders move it.
TRAINED = ("heatmap-m", "simcc-m")
# The others are run once: in a round they would come between those that are compared.
EVERY_ROUND = (DEFAULT, "torch/bf16", "openvino/bf16")
_COCO = "body_2d_keypoint"
_HEATMAP = f"{_COCO}/topdown_heatmap/coco"


@dataclass(frozen=True)
class Net:
    """A checkpoint's config, and how many instances it is run on (a multiple of the batch)."""

    config: str
    instances: int


NETS = {
    "rtmpose-t": Net(f"{_COCO}/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py", 512),
    "rtmpose-m": Net(f"{_COCO}/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py", 512),
    "td-hm_res50": Net(f"{_HEATMAP}/td-hm_res50_8xb64-210e_coco-256x192.py", 96),
    "simcc_res50": Net(f"{_COCO}/simcc/coco/simcc_res50_8xb64-210e_coco-256x192.py", 96),
    "td-hm_hrnet-w32": Net(f"{_HEATMAP}/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py", 96),
    "vitpose-s": Net(f"{_HEATMAP}/td-hm_ViTPose-small_8xb64-210e_coco-256x192.py", 96),
}


def write_boxes(annotations: Path, count: int, file: Path) -> None:
    """Write the ground-truth boxes as detections, over and over, until there are `count`."""
    from posebench.datasets.coco import ground_truth_instances, load_annotations

    dataset = load_annotations(annotations, annotations.parent)
    truth = ground_truth_instances(dataset)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        row = index % len(truth)
        left, top, right, bottom = truth.bbox_xyxy[row].tolist()
        image = dataset.images[int(truth.image_index[row])]
        box = [left, top, right - left, bottom - top]
        rows.append({"image_id": image.id, "category_id": 1, "bbox": box, "score": 1.0})
    rows.sort(key=lambda row: row["image_id"])
    file.write_text(json.dumps(rows), encoding="utf-8")


@dataclass(frozen=True)
class Bench:
    """What every run shares: the data, the checkpoints, and the reference, if there is one.

    `workers` are the numbers of worker processes that the reference is tried with.
    """

    data: Path
    checkpoints: Path
    reference: tuple[str, ...]
    workers: tuple[int, ...]
    instances: int | None = None

    def run_reference(self, name: str, boxes: Path, workers: int) -> Run:
        """Time MMPose's test loop."""
        command = [*self.reference, "bench", str(self._checkpoint(name)), NETS[name].config]
        command += ["--images", str(self.data / IMAGES), "--ann", str(self.data / ANNOTATIONS)]
        command += ["--bbox-file", str(boxes), "--batch", str(REFERENCE_BATCH)]
        command += ["--workers", str(workers), "--data-only"]
        return reference_run(run_json(command, marker="BENCH ", environment=OWN_DEFAULTS))

    def run_posebench(self, name: str, boxes: Path, contender: str) -> Run:
        """Time `posebench eval`."""
        data = ["--dataset", str(self.data / ANNOTATIONS), "--images", str(self.data / IMAGES)]
        checkpoint = str(self._checkpoint(name))
        return run_posebench([checkpoint, *data, "--boxes", str(boxes)], contender)

    def _checkpoint(self, name: str) -> Path:
        """Return a net's file; if there is none, the reference makes a seeded and fitted one."""
        path = self.checkpoints / f"{name}.pth"
        if not path.is_file():
            fit = ["--fit-ann", str(self.data / ANNOTATIONS)]
            fit += ["--fit-images", str(self.data / IMAGES)]
            command = [*self.reference, "make", NETS[name].config, str(path), "--seed", "1", *fit]
            run_json(command, environment=OWN_DEFAULTS)
        return path


def run_posebench(arguments: Sequence[str], contender: str) -> Run:
    """Time `posebench eval` with the flip test."""
    command = [sys.executable, str(HERE.with_name("timed_eval.py")), "--flip", *arguments]
    if contender != DEFAULT:
        engine, _, precision = contender.partition("/")
        command += ["--engine", engine, "--precision", precision]
    return posebench_run(run_json(command, marker=MARKER, environment=OWN_DEFAULTS))


def reference_run(measured: Measurement) -> Run:
    """Return what MMPose's loop took; its network runs on all cores at once."""
    loop, network = measured["loop_s"], measured["backbone_s"] + measured["head_s"]
    return Run(
        instances=measured["instances"],
        loop=loop,
        whole=measured["whole"],
        memory=measured["tree"],
        ap=measured["metric"]["coco/AP"],
        data_cpu=measured["pipeline_ms_per_inst_1proc"] * measured["instances"] / 1e3,
        network=network,
        shares={
            "network": network / loop,
            "waiting for data": measured["data_wait_s"] / loop,
            "decoding": measured["decode_s"] / loop,
        },
    )


def posebench_run(measured: Measurement) -> Run:
    """Return what `posebench eval` took; its lanes run their batches side by side."""
    cell, stages, cpu = measured["cells"][0], measured["stages"], measured["cpu"]
    if cell["status"] != "ok":
        raise FailedRunError(f"{cell['status']}: {cell['reason']}")
    loop, lanes = measured["loop"], measured["settings"].get("lanes", 1)
    data_cpu = sum(cpu.get(stage, 0.0) for stage in ("read", "crop", "normalise"))
    network, cores = stages["network"] / lanes, os.cpu_count() or 1
    return Run(
        instances=cell["instances"],
        loop=loop,
        whole=measured["whole"],
        memory=measured["tree"],
        ap=cell["AP"],
        data_cpu=data_cpu,
        network=network,
        shares={
            "network": network / loop,
            "data": data_cpu / cores / loop,
            "decoding": cpu["decode"] / cores / loop,
        },
        reported=cell["reported"],
        gmacs=cell["gmacs"],
        settings={key: measured["settings"][key] for key in sorted(measured["settings"])},
    )


def last_words(message: str) -> str:
    """Return the last line with a word in it, without what it is framed by."""
    found = [line.strip(" │|") for line in message.splitlines() if re.search(r"\w", line)]
    return found[-1] if found else "it said nothing"


class Log:
    """Runs by net, contender and round; with a file, those that worked are not run again."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.runs: dict[tuple[str, str, int], Run] = {}
        if file is not None and file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                key, fields = json.loads(line)
                self.runs[tuple(key)] = Run(**fields)

    def add(self, net: str, contender: str, turn: int, measure: Callable[[], Run]) -> Run:
        """Return a run that is known, or measure it; one that fails is kept with its reason."""
        key = (net, contender, turn)
        if key not in self.runs:
            try:
                self.runs[key] = measure()
            except FailedRunError as error:
                self.runs[key] = Run(failure=last_words(str(error)))
            if self._file is not None and self.runs[key].failure is None:
                with self._file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps([key, vars(self.runs[key])]) + "\n")
        run = self.runs[key]
        said = run.failure or f"{run.speed:.2f} instances/s"
        print(f"{net}, {contender}, round {turn + 1}: {said}", file=sys.stderr, flush=True)
        return run


def measure_net(bench: Bench, name: str, contenders: Sequence[str], rounds: int, log: Log) -> None:
    """Run MMPose and posebench by turns.

    In the first round MMPose runs with every number of workers, then with the best one only.
    """
    with tempfile.TemporaryDirectory() as folder:
        boxes = Path(folder, "boxes.json")
        write_boxes(bench.data / ANNOTATIONS, bench.instances or NETS[name].instances, boxes)
        workers = bench.workers if bench.reference else ()
        for turn in range(rounds):
            runs = {}
            for count in workers:
                label = f"MMPose, {count} workers"
                run = log.add(name, label, turn, partial(bench.run_reference, name, boxes, count))
                if run.failure is None:
                    runs[count] = run
            for contender in contenders:
                if turn == 0 or contender in EVERY_ROUND:
                    log.add(
                        name,
                        contender,
                        turn,
                        partial(bench.run_posebench, name, boxes, contender),
                    )
            workers = tuple(sorted(runs, key=lambda count: -runs[count].speed)[:1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    environment = os.environ.get
    data = environment("POSEBENCH_DATA")
    parser.add_argument("--data", type=Path, default=data, help="folder laid out as COCO")
    parser.add_argument("--checkpoints", type=Path, help="folder of NET.pth; missing ones are made")
    parser.add_argument("--reference-python", default=environment("POSEBENCH_PEER_PYTHON"))
    parser.add_argument("--reference-script", default=environment("POSEBENCH_PEER_SCRIPT"))
    parser.add_argument("--reference-workers", type=int, nargs="+", default=[2, 0])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one batch and round, for a try")
    parser.add_argument("--runs", type=Path, help="file to keep runs in, which are not run again")
    parser.add_argument("--matmul", action="store_true", help=argparse.SUPPRESS)
    add_page_options(parser, PAGE)
    options = parser.parse_args()
    if options.matmul:
        print(json.dumps(matmul_gflops()))
        return
    if options.data is None or options.checkpoints is None:
        parser.error("--data and --checkpoints are needed")
    both = options.reference_python and options.reference_script
    reference = (options.reference_python, options.reference_script) if both else ()
    instances = REFERENCE_BATCH if options.quick else None
    bench = Bench(
        options.data.resolve(),
        options.checkpoints.resolve(),
        reference,
        tuple(options.reference_workers),
        instances,
    )
    rounds = 1 if options.quick else options.rounds
    log, limits = Log(options.runs), []
    for name in options.nets:
        command = [sys.executable, str(HERE), "--matmul"]
        limits.append(run_json(command, environment=OWN_DEFAULTS))
        measure_net(bench, name, options.contenders, rounds, log)
    for name in TRAINED:
        for contender in options.contenders:
            log.add(name, contender, 0, partial(run_posebench, [name], contender))
    write_page(page(log.runs, options.nets, TRAINED, limits), options.out)


if __name__ == "__main__":
    main()
