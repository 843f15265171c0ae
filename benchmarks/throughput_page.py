"""The page of `throughput.py`: how fast each contender is, at which AP, and what bounds it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measuring import machine_line, median_and_range, table
from throughput_runs import DEFAULT, REFERENCE, NetRuns, Run, Runs, net_runs

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


def page(
    runs: Runs, names: Sequence[str], trained: Sequence[str], limits: Sequence[Mapping[str, float]]
) -> list[str]:
    """Return the lines of the page; `limits` are GFLOP/s by precision, measured along the way."""
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
        "in the first round with other numbers of workers; it is compared at the fastest. "
        if compared
        else "MMPose was not at hand, so that nothing is compared. "
    )
    return [
        f"{beside}Both sides read the same checkpoint, images and boxes (the annotated persons', "
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
        "Networks are seeded and fitted to these images, so that their AP does not rate them: it "
        "only shows whether both sides agree.",
    ]


def _targets(nets: Sequence[NetRuns], limits: Sequence[Mapping[str, float]]) -> list[str]:
    rows, missed = [], []
    for net in nets:
        fp32, fast = TARGETS[net.name]
        base = str(net.best_reference)
        row = [net.name, f"{net.speed(base):.1f}"]
        best = _best_harmless(net)
        for contender, target, kind in ((DEFAULT, fp32, "/fp32"), (best, fast, "")):
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
                others = _beyond(net, target, kind)
                missed.append(
                    f"- {net.name}, {contender}: {ratio:.2f} of {target} times. {bound}{others}"
                )
        rows.append(row)
    head = ["net", "MMPose, instances/s", "posebench, fp32", "×", "target", "reached"]
    head += ["fastest that moves AP by < 0.1", "×", "target", "reached"]
    return [*table(head, rows), "", *missed]


def _beyond(net: NetRuns, target: float, kind: str) -> str:
    """Say which contenders whose name ends in `kind` reach a target, and how they move AP."""
    found = [
        f"{name} {statistics.median(net.ratios(name)):.2f} times (AP {net.ap_moved(name):+.2f})"
        for name in net.runs
        if not name.startswith(REFERENCE) and name.endswith(kind)
        if statistics.median(net.ratios(name)) >= target
    ]
    return f" Beyond the target: {', '.join(found)}." if found else ""


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
    """Return how much a contender computes, or None if that is not known."""
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
    """Return how each contender moves the AP of trained networks."""
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
        "The embedded networks, which are trained, on the embedded synthetic people. coco-mini has "
        "so few persons that one of them passing one more threshold is 0.15 points.",
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
