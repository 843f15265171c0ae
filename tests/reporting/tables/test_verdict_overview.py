"""Verdicts as one Markdown table."""

from __future__ import annotations

from dataclasses import replace

from trained_cells import CLAIM, replicates_of_cells, trained_cells

from posebench.judging.verdicts import Verdict, judge
from posebench.reporting.tables.verdict_overview import verdict_overview

SEEDS = {"s": [0.02, 0.03, 0.025]}


def rows_of(text: str) -> list[list[str]]:
    table = text.split("\n\n", maxsplit=1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_a_column_for_each_data_set() -> None:
    cells = trained_cells(SEEDS) + trained_cells(SEEDS, fields={"dataset": "lsp"})
    verdicts = judge([replace(CLAIM, source="C10")], cells, replicates_of_cells(cells, 0.001))
    alone = [cell for cell in cells if cell.fields["dataset"] == "lsp"]
    verdicts += judge([replace(CLAIM, source="C2")], alone, replicates_of_cells(alone, 0.001))
    verdicts += (
        Verdict(replace(CLAIM, source="C9"), "untested"),
        Verdict(replace(CLAIM, evidence="published", source=None), "refuted", effect=-0.004),
    )
    head, _, *rows = rows_of(verdict_overview(verdicts))
    assert head[3:] == ["published figures", "lsp", "people", "not judged"]
    assert [row[0] for row in rows] == ["–", "C2", "C9", "C10"]
    published, second, _, both = (row[3:] for row in rows)
    assert published == ["refuted, -0.4 AP", "–", "–", "–"]
    assert second[1].startswith("supported, +2.5 AP (+") and second[1].endswith("), 3 seeds")
    assert second[2:] == ["–", "–"]
    assert both[1].startswith("supported, +2.5 AP") and both[2].startswith("supported, +2.5 AP")


def test_what_two_runs_answer_alike_is_one_row() -> None:
    published = Verdict(replace(CLAIM, evidence="published"), "refuted", effect=-0.004)
    other = replace(published, effect=-0.005)
    _, _, *rows = rows_of(verdict_overview((published, other, published)))
    assert [row[-1] for row in rows] == ["refuted, -0.4 AP", "refuted, -0.5 AP"]
