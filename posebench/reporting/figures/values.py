"""What figures read from results: AP with its interval, and how cells are named and grouped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from posebench.networks.sizes import InputSize
from posebench.reporting.figures.svg import clean
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell, ap_bounds

_NAME_CHARACTERS = 24
_FLIP = {True: "flip test", False: "no flip test", None: "flip test unknown"}


def ap_points(result: CellResult) -> float | None:
    """Return a result's AP in points, or None if it has none."""
    ap = (result.metrics or {}).get("AP")
    return None if ap is None else 100 * ap


def known_ap(result: CellResult) -> float:
    """Return the AP in points of a result that has one."""
    ap = ap_points(result)
    assert ap is not None
    return ap


def top_of(results: Sequence[CellResult]) -> float:
    """Return the end of an AP axis that holds every result's AP and interval."""
    ends = [ap for result in results if (ap := ap_points(result)) is not None]
    ends += [bounds[1] for result in results if (bounds := ap_bounds(result)) is not None]
    return 1.06 * max(ends, default=0.0) or 1.0


def ap_said(result: CellResult) -> str:
    """Say which cell a mark is, and its AP with the interval."""
    where = f"{result.checkpoint.name}, {result.size} {way_of(result)}"
    ap, bounds = ap_points(result), ap_bounds(result)
    if ap is None:
        return f"{where}: {result.status}"
    interval = "" if bounds is None else f" ({bounds[0]:.1f}–{bounds[1]:.1f})"
    return f"{where}: AP {ap:.1f}{interval}"


def way_of(result: CellResult) -> str:
    """Return a result's policy, and its transform and corruption if it has one."""
    ways = (result.policy, result.transform, result.corruption)
    return " ".join(each for each in ways if each is not None)


def has_own_settings(result: CellResult) -> bool:
    """Tell whether a cell has its checkpoint's own size, policy and decoder."""
    own = result.has_own_decoder is not False
    return own and result.policy == "native" and result.size == result.checkpoint.trained_size


def is_as_trained(result: CellResult) -> bool:
    """Tell whether a cell has its checkpoint's own settings; network and images are unchanged."""
    return has_own_settings(result) and _is_unchanged(result)


def _is_unchanged(result: CellResult) -> bool:
    return result.transform is None and result.corruption is None


def with_own_decoders(cells: Sequence[ReadCell]) -> list[ReadCell]:
    """Return the cells with their checkpoints' own decoders, or all if there are none.

    Of these, transformed networks and corrupted images are left out if there are others.
    """
    own = [cell for cell in cells if cell.result.has_own_decoder is not False] or list(cells)
    return [cell for cell in own if _is_unchanged(cell.result)] or own


def short_name(name: str) -> str:
    """Return a name that fits beside a mark."""
    name = clean(name)
    return name if len(name) <= _NAME_CHARACTERS else f"{name[:_NAME_CHARACTERS]}…"


def measured_by(result: CellResult) -> str:
    """Return the parts of a protocol that a suite may vary."""
    protocol = result.protocol
    return f"{protocol.dataset}, boxes {protocol.boxes}, {_FLIP[protocol.flip_test]}"


def protocol_line(results: Sequence[CellResult]) -> str:
    """Say in one line what some results were measured on and how."""
    protocols = [result.protocol for result in results]
    facts = (
        (f"{p.dataset}: {p.images} images, {p.instances} instances" for p in protocols),
        (f"boxes {p.boxes}" for p in protocols),
        sorted({_FLIP[p.flip_test] for p in protocols}),
        (p.evaluator for p in protocols),
    )
    return clean(" · ".join(" / ".join(dict.fromkeys(texts)) for texts in facts))


def matched_panels(cells: Sequence[ReadCell]) -> list[list[ReadCell]]:
    """Group cells by protocol and pair, with at most one checkpoint of a paradigm in each group.

    Cells are a pair by their label, or else by backbone and trained size.
    """
    panels: dict[tuple[Any, ...], list[ReadCell]] = {}
    rivals: dict[tuple[Any, ...], list[tuple[str, str | None]]] = {}
    for cell in cells:
        facts = cell.result.checkpoint
        pair: tuple[str | None, InputSize | None] = (facts.backbone, facts.trained_size)
        key = (cell.labels.get("pair") or pair, measured_by(cell.result))
        checkpoint = (facts.name, facts.sha256)
        known = rivals.setdefault((*key, facts.paradigm), [])
        if checkpoint not in known:
            known.append(checkpoint)
        panels.setdefault((*key, known.index(checkpoint)), []).append(cell)
    return list(panels.values())


def panel_title(cells: Sequence[ReadCell], with_protocol: bool) -> str:
    """Return what the cells of a panel share, and which checkpoints they are."""
    facts = [cell.result.checkpoint for cell in cells]
    names = " and ".join(dict.fromkeys(short_name(one.name) for one in facts))
    backbones = ", ".join(dict.fromkeys(one.backbone or "unknown backbone" for one in facts))
    title = f"{names} · {backbones} · trained at {facts[0].trained_size}"
    return clean(f"{title} · {measured_by(cells[0].result)}" if with_protocol else title)
