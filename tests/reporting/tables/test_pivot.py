"""Tables over any fields: places, best values, differences that protocols forbid, formats."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_speed import SPEED, speed
from small_store import made_up_table, result, run_folder

from posebench.errors import UsageError
from posebench.networks.sizes import InputSize
from posebench.reporting.printing import text_of
from posebench.reporting.tables.pivot import Pivot, PivotRequest, pivot_runs
from posebench.reporting.tables.pivot_formats import TEXT_FORMATS, pivot_table, value_text
from posebench.results.cell import Intervals
from posebench.results.speed import measured


def shown(pivot: Pivot, ci: bool = False) -> dict[tuple[str, ...], list[str]]:
    return {row.keys: [value_text(entry, ci) for entry in row.entries] for row in pivot.rows}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    def sized(name: str, size: str, ap: float | None, **more: Any) -> Any:
        from posebench.networks.sizes import InputSize

        return result(name, ap, size=InputSize.parse(size), **more)

    bounds = Intervals(0.95, "percentile", 200, 0, {"AP": 0.25}, {"AP": 0.351})
    return run_folder(
        tmp_path / "r",
        {
            "a": sized("heatmap-s", "128x96", 0.6),
            "b": sized("heatmap-s", "64x48", 0.3, intervals=bounds),
            "c": sized("simcc-s", "64x48", 0.5),
            "d": sized("simcc-s", "128x96", None),
        },
    )


def test_rows_by_columns(run: Path) -> None:
    pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",)))
    assert pivot.columns == ("64x48", "128x96")
    assert shown(pivot, ci=True) == {
        ("heatmap-s",): ["30.0 [25.0, 35.1]", "60.0"],
        ("simcc-s",): ["50.0", "failed"],
    }
    best = [[entry is not None and entry.best for entry in row.entries] for row in pivot.rows]
    assert best == [[False, False], [True, False]]
    assert ("boxes", "gt") in pivot.shared


def test_rows_are_what_varies_by_default(run: Path) -> None:
    assert pivot_runs([run], PivotRequest()).row_fields == ("checkpoint",)


def test_metrics_side_by_side_and_sorted(run: Path) -> None:
    request = PivotRequest(
        rows=("checkpoint", "size"), columns=(), metrics=("AP", "inst/s"), sort="best"
    )
    pivot = pivot_runs([run], request)
    assert pivot.columns == ("AP", "inst/s")
    assert [row.keys for row in pivot.rows][:3] == [
        ("heatmap-s", "128x96"), ("simcc-s", "64x48"), ("heatmap-s", "64x48"),
    ]  # fmt: skip
    assert shown(pivot)["simcc-s", "64x48"] == ["50.0", "248.0"]


def test_differences_to_a_baseline(run: Path) -> None:
    pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",), baseline="heatmap-s"))
    assert shown(pivot)["simcc-s",] == ["50.0 (+20.0)", "failed"]


def test_differences_have_intervals_and_a_mark(tmp_path: Path) -> None:
    cells = {"a": result("A", 0.3), "b": result("B", 0.9), "c": result("C", 0.3)}
    tables = {
        "a": made_up_table(0.3),
        "b": made_up_table(0.9, seed=1),
        "c": made_up_table(0.3, seed=2),
    }
    run = run_folder(tmp_path / "run", cells, tables)
    request = PivotRequest(rows=("checkpoint",), baseline="A", intervals=True)
    pivot = pivot_runs([run], request)
    texts = shown(pivot, ci=True)
    assert re.fullmatch(r"90\.0 \(\+60\.0 \[\+\d+\.\d, \+\d+\.\d\]\*\)", texts["B",][0])
    assert re.fullmatch(r"30\.0 \(\+0\.0 \[-\d+\.\d, \+\d+\.\d\]\)", texts["C",][0])
    assert "* told apart from the baseline" in text_of(pivot_table(pivot, True))
    rows = list(csv.DictReader(io.StringIO(TEXT_FORMATS["csv"](pivot, True))))
    assert float(rows[1]["64x48 difference"]) == pytest.approx(0.6)
    assert 0 < float(rows[1]["64x48 difference low"]) < 0.6
    # The same over two runs, of which each has one.
    one, two = (
        run_folder(tmp_path / name, {name: cells[name]}, {name: tables[name]}) for name in "ab"
    )
    (entry,) = pivot_runs([one, two], request).rows[1].entries
    assert entry is not None and entry.told_apart
    assert entry.difference_low == pivot.rows[1].entries[0].difference_low


def test_a_table_that_is_too_wide_leaves_out_what_tells_no_rows_apart(tmp_path: Path) -> None:
    names = ("a-checkpoint-of-a-long-name", "another-of-a-long-name")
    sizes = ("64x48", "96x80", "128x96")
    cells = {
        f"{name}-{size}": result(name, 0.5, size=InputSize.parse(size), decoder=decoder)
        for name, decoder in zip(names, ("quarter", "dark"), strict=True)
        for size in sizes
    }
    pivot = pivot_runs([run_folder(tmp_path, cells)], PivotRequest())
    assert pivot.row_fields == ("checkpoint", "decoder")

    def lines(width: int) -> list[str]:
        console = Console(width=width, file=io.StringIO())
        console.print(pivot_table(pivot, False, width))
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().splitlines()

    assert lines(120)[0].split() == ["checkpoint", "decoder", *sizes]
    narrow = lines(50)
    assert max(map(len, narrow)) <= 50
    assert narrow[0].split() == ["checkpoint", *sizes]
    assert [line.split() for line in narrow[1:3]] == [[name, *["50.0"] * 3] for name in names]
    assert "No room for decoder." in narrow


def test_a_value_without_one_of_the_baseline_is_not_comparable(tmp_path: Path) -> None:
    run = run_folder(tmp_path, {"a": result("A", None), "b": result("B", 0.5)})
    pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",), baseline="A"))
    assert shown(pivot)["B",] == ["50.0 (n/c: no baseline here)"]
    assert "n/c: no baseline here" in TEXT_FORMATS["csv"](pivot, False)


def test_the_baseline_at_its_trained_size_stands_for_every_policy(tmp_path: Path) -> None:
    cells = {
        "a": result("A", 0.5),
        "b": result("B", 0.6, policy="pool"),
        "c": result("B", 0.7, policy="resample"),
    }
    pivot = pivot_runs(
        [run_folder(tmp_path, cells)],
        PivotRequest(rows=("checkpoint", "policy"), baseline="A"),
    )
    assert shown(pivot)["B", "pool"] == ["60.0 (+10.0)"]
    assert shown(pivot)["B", "resample"] == ["70.0 (+20.0)"]


def test_policies_show_the_value_of_the_trained_size_where_they_are_the_same(
    tmp_path: Path,
) -> None:
    cells: dict[str, Any] = {}
    tables: dict[str, Any] = {}
    for place, name in enumerate("AB"):
        for size, policy in (("64x48", "native"), ("128x96", "native"), ("128x96", "pool")):
            key = f"{name}-{size}-{policy}"
            cells[key] = result(name, 0.5, size=InputSize.parse(size), policy=policy)
            tables[key] = made_up_table(0.3 + 0.4 * place, seed=len(tables))
    folder = run_folder(tmp_path, cells, tables)
    request = PivotRequest(("checkpoint", "policy"), baseline="A", intervals=True)
    pivot = pivot_runs([folder], request)
    rows = {row.keys: row.entries for row in pivot.rows}
    native, pooled = rows["B", "native"], rows["B", "pool"]
    assert native[0] is not None and pooled[0] is not None
    assert pooled[0] == replace(native[0], is_native=True)
    assert pooled[1] is not None and not pooled[1].is_native
    # Each difference is tested once, in however many rows it is shown.
    assert "Holm over 3 differences" in TEXT_FORMATS["md"](pivot, True)
    single = [native[0], native[1], pooled[1]]
    alone = pivot_runs([folder], replace(request, rows=("checkpoint",), columns=("size", "policy")))
    (others,) = [row.entries for row in alone.rows if row.keys == ("B",)]
    assert [e.p_holm for e in single if e] == [e.p_holm for e in others if e]


def test_a_metric_names_its_first_column(run: Path) -> None:
    by_metric = pivot_runs([run], PivotRequest(("checkpoint",), sort="AP"))
    by_best = pivot_runs([run], PivotRequest(("checkpoint",), sort="best"))
    assert by_metric.rows == by_best.rows
    assert [row.keys for row in by_metric.rows] == [("simcc-s",), ("heatmap-s",)]


def test_rows_are_sorted_by_any_column(run: Path) -> None:
    def names(sort: str, **more: Any) -> list[tuple[str, ...]]:
        pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",), sort=sort, **more))
        return [row.keys for row in pivot.rows]

    assert names("64x48") == [("simcc-s",), ("heatmap-s",)]
    assert names("128x96") == [("heatmap-s",), ("simcc-s",)]
    assert names("checkpoint") == [("heatmap-s",), ("simcc-s",)]
    with pytest.raises(UsageError, match="no column 'AQ'"):
        names("AQ")
    by_size = pivot_runs([run], PivotRequest(("checkpoint", "size"), (), sort="size"))
    assert [row.keys[1] for row in by_size.rows] == ["64x48", "64x48", "128x96", "128x96"]


def test_reasons_that_sizes_share_are_one_line(tmp_path: Path) -> None:
    why = "its grid is fixed."
    cells = {
        size: replace(
            result("B", None, size=InputSize.parse(size)),
            status="unsupported",
            reason=f"{size} under native: {why}",
        )
        for size in ("96x80", "128x96")
    }
    cells["64x48"] = result("B")
    pivot = pivot_runs([run_folder(tmp_path, cells)], PivotRequest(rows=("checkpoint",)))
    text = text_of(pivot_table(pivot, False))
    assert "unsupported: 96x80 native, 128x96 native: its grid is fixed." in text


def test_other_protocols_are_not_subtracted_nor_rivals(tmp_path: Path) -> None:
    run = run_folder(
        tmp_path, {"a": result("heatmap-s"), "b": result("simcc-s", boxes="x", images=3)}
    )
    pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",), baseline="heatmap-s"))
    assert shown(pivot)["simcc-s",] == ["50.0 (n/c: boxes, images)"]
    assert not any(entry.best for row in pivot.rows for entry in row.entries if entry)


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / name, {"a": result()}) for name in ("old", "new")]
    pivot = pivot_runs(runs, PivotRequest(rows=("checkpoint",), columns=("run",)))
    assert pivot.columns == ("old", "new")


def test_two_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [run_folder(tmp_path / name / "quickstart", {"a": result()}) for name in ("old", "new")]
    pivot = pivot_runs(runs, PivotRequest(rows=("checkpoint",), columns=("run",)))
    assert pivot.columns == tuple(map(str, runs))
    with pytest.raises(UsageError, match="comes twice"):
        pivot_runs([runs[0], runs[0]], PivotRequest(rows=("checkpoint",)))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (PivotRequest(rows=("chekpoint",)), "Did you mean 'checkpoint'"),
        (PivotRequest(metrics=("AQ",)), "Did you mean 'AR'"),
        (PivotRequest(baseline="heatmap"), "Did you mean 'heatmap-s'"),
        (PivotRequest(rows=("boxes",)), "--rows or --columns: checkpoint"),
    ],
)
def test_what_cannot_be_shown(run: Path, request_: PivotRequest, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        pivot_runs([run], request_)
    assert said in str(caught.value)


def test_a_run_without_results(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results yet"):
        pivot_runs([run_folder(tmp_path, {}, absent=("a",))], PivotRequest())


def test_text_formats_escape_what_they_must(tmp_path: Path) -> None:
    run = run_folder(tmp_path, {"a": result("a_b|<i>&"), "b": result("simcc-s", 0.4)})
    pivot = pivot_runs([run], PivotRequest(rows=("checkpoint",)))
    texts = {name: write(pivot, True) for name, write in TEXT_FORMATS.items()}
    assert "| a_b\\|&lt;i>&amp; | **50.0** |" in texts["md"]
    assert r"a\_b|<i>\& & \textbf{50.0} \\" in texts["latex"]
    assert r"\toprule" in texts["latex"] and texts["latex"].count("tabular") == 2
    assert '<th scope="row">a_b|&lt;i&gt;&amp;</th><td><strong>50.0</strong></td>' in texts["html"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert [float(row["64x48"]) for row in rows] == [0.5, 0.4]
    plain = json.loads(texts["json"])
    assert plain["rows"][0]["entries"][0]["value"] == 0.5
    assert "a_b|<i>&" in text_of(pivot_table(pivot, False))


def test_the_terminal_shows_brackets_as_they_are(tmp_path: Path) -> None:
    run = run_folder(tmp_path, {"a": result("[/x]")}, labels={"a": {"[/f]": "[/y]"}})
    request = PivotRequest(rows=("checkpoint",), columns=("labels.[/f]",))
    text = text_of(pivot_table(pivot_runs([run], request), True))
    assert "[/y]" in text and "[/x]" in text


def test_speeds_of_a_bench_and_which_of_them_to_doubt(tmp_path: Path) -> None:
    slow = speed([100.0, 120.0, 140.0, 160.0, 180.0])
    run = run_folder(
        tmp_path / "r",
        {
            "a": result("heatmap-s", speed=slow, instances_per_second=140.0),
            "b": result("simcc-s", speed=SPEED, instances_per_second=151.0),
            "c": result("other"),
        },
    )
    metrics = ("latency ms", "inst/s", "crops/s", "p99 ms", "peak MB", "% of limit")
    pivot = pivot_runs([run], PivotRequest(("checkpoint",), (), metrics, sort="best"))
    assert shown(pivot) == {
        ("heatmap-s",): ["10.10", "140.0 (unstable, 29 %)", "201.0", "–", "300", "25"],
        ("simcc-s",): ["10.10", "151.0", "201.0", "–", "300", "25"],
        ("other",): ["–", "248.0", "–", "–", "–", "–"],
    }


def test_the_lowest_latency_is_sorted_first(tmp_path: Path) -> None:
    late = replace(SPEED, latency=replace(SPEED.latency, p50=measured([20.0] * 5)))
    run = run_folder(
        tmp_path / "r",
        {
            "a": result("none"),
            "b": result("late", speed=late),
            "c": result("early", speed=SPEED),
        },
    )
    pivot = pivot_runs([run], PivotRequest(("checkpoint",), (), ("latency ms",), sort="best"))
    assert [row.keys for row in pivot.rows] == [("early",), ("late",), ("none",)]
