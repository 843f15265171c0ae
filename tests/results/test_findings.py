"""Findings of results as lines: each once, worst first, with what it is of."""

from __future__ import annotations

from small_store import result

from posebench.results.cell import CellFinding
from posebench.results.findings import finding_lines

EMPTY = CellFinding("data", "warning", "box-empty", "Boxes of no size: annotation 1.")
LOST = CellFinding("data", "error", "images-unreadable", "Images that cannot be read: a.png.")
ASSUMED = CellFinding("checkpoint", "note", "settings-assumed", "assumed: crop.udp")


def test_each_finding_comes_once_and_the_worst_first() -> None:
    cells = [result(findings=(EMPTY, LOST, ASSUMED)), result(findings=(EMPTY, LOST, ASSUMED))]
    assert finding_lines(cells) == [
        "error: Images that cannot be read: a.png. [images-unreadable]",
        "warning: Boxes of no size: annotation 1. [box-empty]",
        "note: heatmap-s: assumed: crop.udp [settings-assumed]",
    ]
    assert finding_lines([result()]) == []


def test_several_data_sets_are_named() -> None:
    cells = [result(findings=(EMPTY,)), result(findings=(EMPTY,), boxes="detector")]
    assert finding_lines(cells) == [
        "warning: people, boxes gt, category 1: Boxes of no size: annotation 1. [box-empty]",
        "warning: people, boxes detector, category 1: Boxes of no size: annotation 1. [box-empty]",
    ]
