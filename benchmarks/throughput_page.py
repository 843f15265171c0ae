"""The page of `throughput.py`: who is how fast, at which AP, and what bounds it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from measuring import machine_line, median_and_range, table

REFERENCE = "MMPose"
DEFAULT = "default"
# How many times as fast as MMPose: fp32 at equal AP, and whatever moves AP by less than `HARMLESS`.
TARGETS = {
    "rtmpose-t": (2.4, 4.0),
    "rtmpose-m": (2.4, 3.0),
    "td-hm_res50": (1.6, 3.0),
    "simcc_res50": (1.6, 3.0),
    "td-hm_hrnet-w32": (1.6, 3.0),
    "vitpose-s": (1.4, 3.0),
}
HARMLESS = 0.1


@dataclass(frozen=True)
class Run:
    """One measured run, or the reason there is none. Seconds, MB, fractions; `ap` 0-1.

    `loop` is from the first image read to the last keypoint decoded, `whole` the process;
    `network` are the loop's seconds in the network, `data_cpu` those that one core takes to read,
    crop and normalise all instances; `shares` are parts of the loop.
    """

    instances: int = 0
    loop: float = 0.0
    whole: float = 0.0
    memory: float | None = None
    ap: float | None = None
    data_cpu: float = 0.0
    network: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    reported: float | None = None
    gmacs: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def speed(self) -> float:
        """Instances per second of the loop."""
        return self.instances / self.loop


Runs = Mapping[tuple[str, str, int], Run]


@dataclass(frozen=True)
class NetRuns:
    """The runs of one net: those that worked by contender and round, and why others did not."""

    name: str
    runs: Mapping[str, Mapping[int, Run]]
    failures: Mapping[str, str]

    @property
    def best_reference(self) -> str | None:
        """The fastest setting of MMPose, which is the one that every round has."""
        found = [name for name in self.runs if name.startswith(REFERENCE)]
        return max(found, key=lambda name: (len(self.runs[name]), self.speed(name)), default=None)

    def speed(self, contender: str) -> float:
        """Return the median instances per second."""
        return statistics.median(run.speed for run in self.runs[contender].values())

    def ratios(self, contender: str) -> list[float]:
        """Return how many times as fast as MMPose a contender was, round by round."""
        if self.best_reference is None:
            return []
        theirs = self.runs[self.best_reference]
        ours = self.runs[contender]
        return [run.speed / theirs[turn].speed for turn, run in ours.items() if turn in theirs]

    def first(self, contender: str) -> Run:
        """Return the first run, for what does not change from run to run."""
        return next(iter(self.runs[contender].values()))

    def ap_moved(self, contender: str) -> float | None:
        """Return by how many points AP differs from MMPose's, or else from the default's."""
        base = self.best_reference or DEFAULT
        one, other = self.first(contender).ap, self.first(base).ap if base in self.runs else None
        return None if one is None or other is None else 100 * (one - other)

    def equal_ap(self, contender: str) -> bool:
        """Whether AP is MMPose's to four decimals."""
        assert self.best_reference is not None
        one, other = self.first(contender).ap, self.first(self.best_reference).ap
        return one is not None and other is not None and f"{one:.4f}" == f"{other:.4f}"


def net_runs(runs: Runs, name: str) -> NetRuns:
    """Return what was measured of one net."""
    found: dict[str, dict[int, Run]] = {}
    failures: dict[str, str] = {}
    for (net, contender, turn), run in runs.items():
        if net == name and run.failure is not None:
            failures[contender] = run.failure
        elif net == name:
            found.setdefault(contender, {})[turn] = run
    return NetRuns(name, found, failures)


def page(
    runs: Runs, names: Sequence[str], trained: Sequence[str], limits: Sequence[Mapping[str, float]]
) -> list[str]:
    """Return the lines of the page; `limits` are GFLOP/s by precision, as measured by the way."""
    nets = [net_runs(runs, name) for name in names]
    compared = all(net.best_reference for net in nets)
    title = "Throughput beside MMPose's own loop" if compared else "Throughput of posebench alone"
    lines = [f"# {title}", "", *_introduction(compared), ""]
    if compared:
        lines += [*_targets(nets, limits), ""]
    lines += [*_limits(nets, limits), "", *_trained([net_runs(runs, name) for name in trained]), ""]
    for net in nets:
        lines += [f"## {net.name}", "", *_details(net), ""]
    packages = ("torch", "numpy", "opencv-python-headless")
    return [*lines, machine_line(packages), "", "Repeat: `python benchmarks/throughput.py --help`."]


def _introduction(compared: bool) -> list[str]:
    beside = (
        "MMPose 1.3.2's test loop runs with its own defaults (batch 32, 2 worker processes), and "
        "with 0 and 1 workers in the first round; it is compared at whichever is fastest. "
        if compared
        else "MMPose was not at hand, so that nothing is compared. "
    )
    return [
        f"{beside}Both sides read the same checkpoint, images and boxes (coco-mini's ground truth, "
        "over and over), with the flip test, by turns, each run in a process of its own and with "
        "its own default threads. "
        "Instances/s are those of the loop, timed on both sides from the first image asked for to "
        "the last keypoint decoded: starting workers counts; importing, loading the checkpoint, "
        "converting it for an engine and scoring do not. `whole` is the process with all of these. "
        "Ratios are taken round by round. `data only` is what all cores would do at the processor "
        "time of reading, cropping and normalising, `network only` what the network would do at "
        "the seconds it took in the loop. Memory is of the process and its children, pages they "
        "share counted once, asked for every second.",
        "",
        "Networks are seeded and fitted to these images, which is why their AP is no measure of "
        "them: it is there to be equal.",
    ]


def _targets(nets: Sequence[NetRuns], limits: Sequence[Mapping[str, float]]) -> list[str]:
    rows, missed = [], []
    for net in nets:
        fp32, fast = TARGETS[net.name]
        base = str(net.best_reference)
        row = [net.name, f"{net.speed(base):.1f}"]
        best = _best_harmless(net)
        for contender, target in ((DEFAULT, fp32), (best, fast)):
            if contender is None or contender not in net.runs:
                row += ["–"] * 4
                continue
            ratio = statistics.median(net.ratios(contender))
            equal = net.equal_ap(contender)
            moved = "AP equal" if equal else f"AP {net.ap_moved(contender):+.2f}"
            reached = ratio >= target and (equal or contender != DEFAULT)
            shown = f"{contender}: {net.speed(contender):.1f}"
            row += [shown, f"{ratio:.2f} ({moved})", f"{target}", "yes" if reached else "**no**"]
            if not reached:
                bound = _what_bounds(net, contender, limits)
                missed.append(f"- {net.name}, {contender}: {ratio:.2f} of {target} times. {bound}")
        rows.append(row)
    head = ["net", "MMPose, instances/s", "posebench, fp32", "×", "target", "reached"]
    head += ["fastest that moves AP by < 0.1", "×", "target", "reached"]
    return [*table(head, rows), "", *missed]


def _best_harmless(net: NetRuns) -> str | None:
    """Return the fastest contender that moves AP by less than `HARMLESS` points."""
    ours = [name for name in net.runs if not name.startswith(REFERENCE)]
    harmless = [name for name in ours if abs(net.ap_moved(name) or 0.0) < HARMLESS]
    return max(harmless, key=net.speed, default=None)


def _what_bounds(net: NetRuns, contender: str, limits: Sequence[Mapping[str, float]]) -> str:
    """Say what takes most of the loop, and how near the network is to the machine's limit."""
    name, share = max(net.first(contender).shares.items(), key=lambda pair: pair[1])
    said = (
        f"{share:.0%} of the loop is {name}: without all the rest it would be "
        f"{1 / max(share, 1e-9):.2f} times as fast."
    )
    compute = compute_of(net, contender, limits)
    if compute is None:
        return said
    part = compute.network / compute.limit
    return f"{said} The network runs at {part:.0%} of the speed of multiplying matrices."


@dataclass(frozen=True)
class Compute:
    """GFLOP of an instance, and GFLOP/s: end to end, in the network, multiplying matrices."""

    instance: float
    end_to_end: float
    network: float
    limit: float


def compute_of(
    net: NetRuns, contender: str, limits: Sequence[Mapping[str, float]]
) -> Compute | None:
    """Return how much a contender computes, None where that is not known."""
    gmacs = net.first(contender).gmacs
    if gmacs is None or contender.endswith("int8"):
        return None
    precision = "bf16" if contender.endswith("bf16") else "fp32"
    instance = 2 * gmacs * 2  # a multiply and an add, with the mirrored crop
    runs = net.runs[contender].values()
    return Compute(
        instance,
        end_to_end=net.speed(contender) * instance,
        network=statistics.median(run.instances / run.network for run in runs) * instance,
        limit=statistics.median(each[precision] for each in limits),
    )


def _limits(nets: Sequence[NetRuns], limits: Sequence[Mapping[str, float]]) -> list[str]:
    """Return how near the networks come to the speed of multiplying matrices."""
    said = ", ".join(
        f"{precision} {median_and_range([limit[precision] for limit in limits], '.0f')}"
        for precision in ("fp32", "bf16")
    )
    rows = []
    for net in nets:
        for contender in net.runs:
            compute = compute_of(net, contender, limits)
            if compute is not None:
                parts = (compute.end_to_end, compute.network)
                shown = [f"{part:.0f} ({part / compute.limit:.0%})" for part in parts]
                rows.append([net.name, contender, f"{compute.instance:.2f}", *shown])
    head = ["net", "contender", "GFLOP an instance", "GFLOP/s end to end", "in the network"]
    return [
        "## The machine's limit",
        "",
        f"Multiplying matrices of 2048 × 2048 with torch, GFLOP/s: {said}; measured before each "
        "net. An instance is two forward passes, a multiply-accumulate two operations.",
        "",
        *table(head, rows),
    ]


def _trained(nets: Sequence[NetRuns]) -> list[str]:
    """Return what each contender moves in networks that are trained."""
    rows = []
    for net in nets:
        for contender, runs in net.runs.items():
            run, moved = next(iter(runs.values())), net.ap_moved(contender)
            shown = ["–" if run.ap is None else f"{100 * run.ap:.2f}"]
            shown.append("–" if moved is None else f"{moved:+.2f}")
            rows.append([net.name, contender, str(run.instances), *shown])
    return [
        "## What moves AP",
        "",
        "The embedded networks, which are trained, on the embedded synthetic people. With the few "
        "persons of coco-mini, one that passes one threshold more or less is 0.15 points.",
        "",
        *table(["net", "contender", "instances", "AP", "moved, points"], rows),
    ]


def _details(net: NetRuns) -> list[str]:
    rows = []
    cores = os.cpu_count() or 1
    for contender, by_round in net.runs.items():
        runs = list(by_round.values())
        run, ratios, moved = runs[0], net.ratios(contender), net.ap_moved(contender)
        memory = [each.memory for each in runs if each.memory is not None]
        rows.append(
            [
                contender + (" (compared with)" if contender == net.best_reference else ""),
                median_and_range([each.speed for each in runs], ".2f"),
                median_and_range(ratios, ".2f") if ratios else "–",
                median_and_range([each.instances * cores / each.data_cpu for each in runs], ".0f"),
                median_and_range([each.instances / each.network for each in runs]),
                f"{max(memory):.0f}" if memory else "–",
                "–" if run.ap is None else f"{run.ap:.4f}",
                "–" if moved is None else f"{moved:+.2f}",
                "–" if run.reported is None else f"{run.reported:.2f}",
                median_and_range([each.loop for each in runs]),
                median_and_range([each.whole for each in runs]),
                _profile(run),
            ]
        )
    head = ["contender", "instances/s", "× MMPose", "data only", "network only"]
    head += ["memory, MB", "AP", "AP moved, points", "instances/s by its own report"]
    head += ["loop, s", "whole, s", "the loop's time"]
    instances = max(
        (run.instances for runs in net.runs.values() for run in runs.values()), default=0
    )
    settings = next((net.first(name).settings for name in net.runs if net.first(name).settings), {})
    return [
        f"{instances} instances. posebench's own settings: "
        f"{', '.join(f'{name} {value}' for name, value in settings.items())}.",
        "",
        *table(head, rows),
        "",
        *(f"- {contender} did not run: {why}" for contender, why in net.failures.items()),
    ]


def _profile(run: Run) -> str:
    rest = max(0.0, 1 - sum(run.shares.values()))
    parts = [*run.shares.items(), ("the rest", rest)]
    return ", ".join(f"{name} {share:.0%}" for name, share in parts)
