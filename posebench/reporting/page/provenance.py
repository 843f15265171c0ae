"""Where a run's numbers come from: protocols, inputs, loads, versions, machine, command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.files.environment import flat_environment
from posebench.reporting.page.contents import DataTable, plain_table
from posebench.reporting.page.pairs import ProtocolGroup
from posebench.reporting.texts import NO_VALUE
from posebench.results.store import Run
from posebench.suites.suite import Suite

Facts = tuple[tuple[str, str], ...]
_LOAD = ("mapped", "dropped", "missing", "unexpected", "mismatched")


@dataclass(frozen=True)
class ProtocolView:
    """A protocol's fields; if `differs`, only those that differ from the first protocol's."""

    letter: str
    cells: int
    facts: Facts
    differs: bool


def protocol_views(groups: Sequence[ProtocolGroup]) -> list[ProtocolView]:
    """Return the whole first protocol, and the fields of others that differ from it."""
    views = []
    for group in groups:
        first = groups[0].identity
        facts = tuple(
            (name.replace("_", " "), _shown(value))
            for name, value in group.identity.items()
            if group is groups[0] or value != first.get(name)
        )
        views.append(ProtocolView(group.letter, len(group.cells), facts, group is not groups[0]))
    return views


def environment_facts(run: Run) -> Facts:
    """Return versions, machine and date as flat pairs, each with all that cells were made with."""
    cells = [_environment(run.environment(cell)) for cell in run.cells]
    facts = []
    for name, value in _environment(run.record.environment).items():
        found = Counter(cell[name] for cell in cells if name in cell)
        if name == "date" and found:
            facts.append((name, " to ".join(dict.fromkeys((min(found), max(found))))))
        elif len(found) > 1:
            facts.append((name, ", ".join(f"{each} ({n} cells)" for each, n in found.items())))
        else:
            facts.append((name, next(iter(found), value)))
    return tuple(facts)


def environments_table(run: Run) -> DataTable | None:
    """Return what each cell was made with, as far as cells differ in it; None if in nothing."""
    cells = {cell.id: _environment(run.environment(cell)) for cell in run.cells}
    names = dict.fromkeys(name for each in cells.values() for name in each)
    differing = [
        name
        for name in names
        if name != "date" and len({each.get(name) for each in cells.values()}) > 1
    ]
    if not differing:
        return None
    rows = [
        (cell, *(facts.get(name, NO_VALUE) for name in differing)) for cell, facts in cells.items()
    ]
    headers = [("cell", False), *((name, False) for name in differing)]
    return plain_table("Cells made with other versions or on other machines", headers, rows)


def _environment(facts: Mapping[str, Any]) -> dict[str, str]:
    return {name: _shown(value) for name, value in flat_environment(facts).items()}


def inputs_table(run: Run) -> DataTable:
    """Return every file that moved a number, with its SHA-256."""
    rows: dict[tuple[str, str, str], None] = {}
    for cell in run.cells:
        protocol, facts = cell.result.protocol, cell.result.checkpoint
        rows["annotations", protocol.dataset, protocol.annotations_sha256] = None
        if protocol.boxes_sha256:
            rows["boxes", protocol.boxes, protocol.boxes_sha256] = None
        if facts.sha256:
            rows["checkpoint", facts.name, facts.sha256] = None
    headers = [("input", False), ("name", False), ("SHA-256", False)]
    return plain_table("Inputs", headers, sorted(rows))


def loads_table(run: Run) -> DataTable:
    """Return what became of each checkpoint's tensors, and the decoder and crop it brings."""
    rows: dict[str, tuple[str, ...]] = {}
    for cell in run.cells:
        result, report = cell.result, cell.load_report
        if report is None or result.checkpoint.name in rows:
            continue
        protocol = result.protocol
        counts = [_count(report.get(name)) for name in _LOAD]
        own = (protocol.crop or NO_VALUE, _shown(protocol.crop_padding))
        publisher = result.checkpoint.publisher or NO_VALUE
        rows[result.checkpoint.name] = (result.checkpoint.name, publisher, *own, *counts)
    headers = [("checkpoint", False), ("publisher", False), ("crop", False), ("padding", True)]
    return plain_table(
        "What became of the tensors of each checkpoint, and the crop that it asks for",
        [*headers, *((name, True) for name in _LOAD)],
        list(rows.values()),
    )


def command_to_repeat(run: Run) -> str:
    """Return the command that makes this run again; where training data lie is left to fill in."""
    record, trained = run.record, run.record.suite.trained
    if Path(record.source).is_dir() and record.source:  # posebench eval, which has no suite's file
        parts = ["posebench", "eval", *_evaluated(record.suite)]
    else:
        parts = ["posebench", "run", record.source or f"{record.suite.name}.yaml"]
    parts += [] if record.limit is None else ["--limit", str(record.limit)]
    if trained is not None:
        parts += [] if trained.scale is None else ["--scale", trained.scale]
        folders = [each.label for each in trained.data_entries if each.folder is not None]
        parts += [part for name in folders for part in ("--data-root", f"{name}=FOLDER")]
    parts += ["--threads", str(record.threads), "--out", run.folder.name]
    return shlex.join(parts)


def _evaluated(suite: Suite) -> list[str]:
    """Return the arguments of `posebench eval`: checkpoints, and the axes that were asked for."""
    parts = [entry.file for entry in suite.checkpoint_entries]
    axes = {
        "--dataset": [entry.name for entry in suite.dataset_entries],
        "--boxes": [entry.file for entry in suite.boxes_entries],
        "--size": suite.sizes,
        "--policy": suite.policies,
        "--decoder": suite.decoders,
        "--transform": suite.transforms,
        "--corruption": suite.corruptions,
    }
    left_out = {"--boxes": "gt", "--size": "native", "--policy": "native", "--decoder": "own"}
    for option, values in axes.items():
        text = ",".join(values)
        if text not in (left_out.get(option), "none"):
            parts += [option, text]
    return parts


def _count(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    total = 0
    for item in value or ():
        # `dropped` lists rules with their names.
        total += len(item[1]) if isinstance(item, list | tuple) and len(item) == 2 else 1
    return str(total)


def _shown(value: Any) -> str:
    if value is None:
        return NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NO_VALUE
    return str(value)
