"""What `posebench bench` shows: speeds, batch sizes, conditions and doubts. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.files.environment import environment
from posebench.reporting.escaping import for_markdown
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE, doubted, number_text
from posebench.results.cell import CellResult
from posebench.results.findings import finding_lines
from posebench.results.numbers import NUMBERS
from posebench.results.speed import STABLE_RULE, Conditions, Latency, Measured, Speed
from posebench.scoring.units import Unit

# Other processes that take this part of a core may be why a number is unstable.
_BUSY = 0.1
_FLOPS = (
    "GFLOPs: of one crop, multiply-adds of convolutions and matrix products counted once, as in "
    "papers; % of limit: twice that, of the FLOP/s that matrix products reach on the same lanes"
)
_WHAT = (
    "latency: one crop, network alone (and from a decoded image to keypoints); crops/s: network "
    "alone; data: instances/s of all but the network; inst/s: files to keypoints; all with the "
    "flip test where flip says yes; peak: memory of a process that evaluates, at its batch size"
)


@dataclass(frozen=True)
class Sheet:
    """A table as texts; its first `left` columns are words."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int


def bench_table(results: Sequence[CellResult]) -> RenderableType:
    """Return the tables and notes for the terminal."""
    parts: list[RenderableType] = [*map(cell_text, finding_lines(results))]
    for sheet in _sheets(results):
        parts += [terminal_table(sheet.header, sheet.rows, sheet.left), Text("")]
    return Group(*parts, *map(cell_text, _notes(results)))


def bench_markdown(results: Sequence[CellResult]) -> str:
    """Return the tables and notes as Markdown."""
    found = finding_lines(results)
    lines = [*(f"- {for_markdown(line)}" for line in found), *([""] if found else [])]
    for sheet in _sheets(results):
        header, *rows = ([*map(for_markdown, row)] for row in (sheet.header, *sheet.rows))
        lines += [*markdown_table(header, rows, sheet.left), ""]
    lines += [f"- {for_markdown(note)}" for note in _notes(results)]
    return "\n".join(lines) + "\n"


def _sheets(results: Sequence[CellResult]) -> list[Sheet]:
    sheets = [_speeds(results)]
    measured = [result for result in results if result.speed is not None]
    return [*sheets, _batches(measured)] if measured else sheets


_NAMES = ("checkpoint", "size", "policy", "engine", "precision")
_SPEEDS = (
    "flip", "AP", "params M", "GFLOPs", "latency ms p50", "p90", "p99", "with pixels p50", "data",
    "inst/s", "% of limit", "peak MB",
)  # fmt: skip


def _speeds(results: Sequence[CellResult]) -> Sheet:
    with_parity = any(result.speed and result.speed.parity for result in results)
    header = (*_NAMES, *_SPEEDS, *(("moves px", "> 0.1 px", "moves AP") if with_parity else ()))
    rows = [(*_named(result), *_numbers(result)) for result in results]
    if with_parity:
        rows = [(*row, *_parity(each.speed)) for row, each in zip(rows, results, strict=True)]
    return Sheet(header, tuple(rows), len(_NAMES))


def _named(result: CellResult) -> tuple[str, ...]:
    protocol = result.protocol
    size, policy = str(result.size or NO_VALUE), result.policy or NO_VALUE
    engine = protocol.engine or NO_VALUE
    return (result.checkpoint.name, size, policy, engine, protocol.precision)


def _numbers(result: CellResult) -> tuple[str, ...]:
    speed = result.speed
    flip = {True: "yes", False: "no", None: NO_VALUE}[result.protocol.flip_test]
    known = (
        flip,
        *(_number(result, name) for name in ("AP", "params M", "GFLOPs")),
    )
    if speed is None:
        return (*known, result.status, *(NO_VALUE,) * (len(_SPEEDS) - len(known) - 1))
    return (
        *known,
        *(_number(result, name) for name in ("latency ms", "p90 ms", "p99 ms")),
        _sure(speed.latency_with_pixels.p50, NUMBERS["latency ms"].unit),
        *(_number(result, name) for name in ("data inst/s", "inst/s", "% of limit", "peak MB")),
    )


def _parity(speed: Speed | None) -> tuple[str, str, str]:
    """Return the largest difference from eager fp32, the share of keypoints moved, AP's change."""
    if speed is None or speed.parity is None:
        return NO_VALUE, NO_VALUE, NO_VALUE
    parity, ap = speed.parity, speed.parity.ap
    moved = f"{100 * parity.moved_share:.2f} %"
    return f"{parity.keypoints:.1e}", moved, NO_VALUE if ap is None else f"{100 * ap:+.2f}"


def _batches(results: Sequence[CellResult]) -> Sheet:
    """Return crops per second by batch size."""
    sizes = list(
        dict.fromkeys(each.batch_size for r in results if r.speed for each in r.speed.batches)
    )
    rows = []
    for result in results:
        assert result.speed is not None
        rates = {each.batch_size: each.crops_per_second for each in result.speed.batches}
        rows.append(
            (*_named(result), *(_sure(rates.get(size), NUMBERS["crops/s"].unit) for size in sizes))
        )
    header = (*_NAMES, *(f"crops/s, batch {size}" for size in sizes))
    return Sheet(header, tuple(rows), len(_NAMES))


def _number(result: CellResult, name: str) -> str:
    number = NUMBERS[name]
    text, repeats = number_text(number.read(result), number.unit), number.repeats
    return text if repeats is None else _sure(repeats(result), number.unit)


def _sure(value: Measured | None, unit: Unit) -> str:
    """Show a number, and its spread if that is too wide for a stable number."""
    return NO_VALUE if value is None else doubted(unit.text(value.value), value.doubt)


def _notes(results: Sequence[CellResult]) -> list[str]:
    speeds = [(result, result.speed) for result in results if result.speed is not None]
    reasons = [
        f"{result.status}: {result.checkpoint.name} {result.size}: {result.reason}"
        for result in results
        if result.reason is not None
    ]
    reasons += [
        f"no crops/s at batch size {each.batch_size}: {result.checkpoint.name}: {each.reason}"
        for result, speed in speeds
        for each in speed.batches
        if each.reason is not None
    ]
    shared = _conditions([speed for _, speed in speeds])
    doubtful = [speed.conditions for _, speed in speeds if _is_doubtful(speed)]
    calls = [each.calls for _, speed in speeds for each in _latencies(speed)]
    said = [_WHAT, _FLOPS] if speeds else []
    if calls:
        said.append(f"latencies of {min(calls)} calls or more; p99 of at least 100")
        said.append(STABLE_RULE)
        said.append(_versions())
    return [*reasons, *([_cause(doubtful)] if doubtful else []), *shared, *said]


def _versions() -> str:
    here = environment()
    packages = {"posebench": here["posebench"], **here["packages"], "Python": here["python"]}
    return ", ".join(f"{name} {version}" for name, version in packages.items() if version)


def _latencies(speed: Speed) -> tuple[Latency, Latency]:
    return speed.latency, speed.latency_with_pixels


def _conditions(speeds: Sequence[Speed]) -> list[str]:
    """Return where the cells were measured, a line for each place."""
    places: dict[str, list[Conditions]] = {}
    for speed in speeds:
        c = speed.conditions
        place = (
            f"{c.processor}, {c.cores} cores, device {c.device}, {c.threads} threads in {c.lanes}"
            f" lanes (in one for latency), {c.workers} workers, batch size {c.batch_size}"
        )
        places.setdefault(place, []).append(c)
    return [f"{place}; {_measured_conditions(found)}" for place, found in places.items()]


def _measured_conditions(found: Sequence[Conditions]) -> str:
    clocks = [mhz for c in found for mhz in c.clock_mhz or ()]
    limits = ", ".join(
        f"{precision} {_range([c.limits[precision] for c in found])}"
        for precision in found[0].limits
    )
    clock = f"{_range(clocks)} MHz" if clocks else "unknown"
    return f"clock {clock}; matrix products reach {limits} GFLOP/s"


def _range(values: Sequence[float], digits: int = 0) -> str:
    ends = dict.fromkeys(f"{end:.{digits}f}" for end in (min(values), max(values)))
    return "–".join(ends)


def _is_doubtful(speed: Speed) -> bool:
    numbers = (
        *(each.p50 for each in _latencies(speed)),
        speed.without_network,
        speed.end_to_end,
        *(each.crops_per_second for each in speed.batches),
    )
    return any(number is not None and not number.stable for number in numbers)


def _cause(found: Sequence[Conditions]) -> str:
    """Return what else the machine did while unstable numbers were measured."""
    others = [c.other_cores for c in found if c.other_cores is not None]
    loads = [c.load_average for c in found if c.load_average is not None]
    if not others or not loads:
        return "unstable: this system does not tell what other processes did"
    busy = (
        f"other processes used {_range(others, 1)} of {found[0].cores} cores; the load average"
        f" was {_range(loads, 1)} before"
    )
    if max(others) >= _BUSY:
        return f"unstable, most likely because {busy}"
    return f"unstable, though {busy}: try more --repeats and --seconds"
