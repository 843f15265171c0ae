"""Matched pairs of any two paradigms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from small_store import result, run_folder

from posebench.networks.names import Paradigm
from posebench.reporting.figures.style import PARADIGMS, bar_look, mark_look
from posebench.reporting.page.contents import paradigm_css
from posebench.reporting.page.pairs import (
    incomparable_pairs,
    matched_pairs,
    pair_title,
    protocol_groups,
)
from posebench.reporting.page.result_tables import pairs_table
from posebench.results.cell import CellResult
from posebench.results.store import read_run


def of(paradigm: str, ap: float, **changes: object) -> CellResult:
    made = result(f"{paradigm}-s", ap, **changes)
    return replace(made, checkpoint=replace(made.checkpoint, paradigm=paradigm, spec=None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cells = {"c": of("regression", 0.3), "a": of("heatmap", 0.5), "b": of("simcc", 0.4)}
    return run_folder(tmp_path, cells, labels={name: {"pair": "s"} for name in cells})


def test_each_two_of_three_paradigms_are_a_pair(folder: Path) -> None:
    run = read_run(folder)
    groups = protocol_groups(run.cells)
    pairs = matched_pairs(groups)
    assert [pair.paradigms for pair in pairs] == [
        ("heatmap", "simcc"),
        ("heatmap", "regression"),
        ("simcc", "regression"),
    ]
    assert pair_title(pairs[0]) == "s · heatmap and SimCC · 64x48 native · protocol A"
    assert incomparable_pairs(groups) == ()
    table = pairs_table(run, pairs, ())
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [row[3:8] for row in rows] == [
        ["heatmap", "50.0", "SimCC", "40.0", "-10.0"],
        ["heatmap", "50.0", "regression", "30.0", "-20.0"],
        ["SimCC", "40.0", "regression", "30.0", "-10.0"],
    ]


def test_every_paradigm_looks_like_no_other() -> None:
    looks = {name: (mark_look(name), bar_look(name)) for name in PARADIGMS}
    for part in (0, 1):
        plain = [look[part] for look in looks.values()]
        assert all(plain.count(look) == 1 for look in plain)
    assert set(PARADIGMS) == set(get_args(Paradigm))
    # Apart from colour too.
    assert len({look.fill for look in PARADIGMS.values()}) == len(PARADIGMS)
    for name, look in PARADIGMS.items():
        assert f"--{name}: {look.colour};" in paradigm_css()
        assert f".swatch.{name} " in paradigm_css()
