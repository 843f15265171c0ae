"""Comparisons of two runs: states, paired differences, gates and formats."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from small_run import posebench
from small_store import made_up_table, result, run_folder

from posebench.errors import UsageError
from posebench.judging.comparison import compare_runs
from posebench.judging.gates import DEFAULT_GATES, ChangeGate, StateGate, gates_of, parse_gate
from posebench.reporting.tables.comparison_texts import (
    comparison_json,
    comparison_junit,
    comparison_markdown,
    github_annotations,
)
from posebench.results.cell import CellFinding
from posebench.results.store import read_cell, write_cell

GATES = [parse_gate(text) for text in DEFAULT_GATES]


def states(old: Path, new: Path) -> dict[str, str]:
    return {cell.id: cell.state for cell in compare_runs(old, new, []).cells}


def test_every_state(tmp_path: Path) -> None:
    old = run_folder(
        tmp_path / "old",
        {
            "same": result(),
            "moved": result(),
            "broken": result(),
            "gone": result(),
            "boxes": result(),
            "never": result(ap=None),
            "mended": result(ap=None),
        },
    )
    new = run_folder(
        tmp_path / "new",
        {
            "same": result(),
            "moved": result(ap=0.4),
            "broken": result(ap=None),
            "boxes": result(boxes="detector"),
            "never": result(ap=None),
            "mended": result(),
            "added": result(),
        },
    )
    assert states(old, new) == {
        "same": "unchanged", "moved": "changed", "broken": "failed", "gone": "missing",
        "boxes": "incomparable", "never": "neither", "mended": "new", "added": "new",
    }  # fmt: skip
    comparison = compare_runs(old, new, GATES)
    failing = {gate.gate: [name for name, _ in gate.offenders] for gate in comparison.gates}
    assert failing == {
        "AP drop 0 significant": ["moved"],
        "failed": ["broken"],
        "missing": ["gone"],
        "incomparable": ["boxes"],
    }
    assert not comparison.passed


def test_a_run_equals_itself(tmp_path: Path) -> None:
    run = run_folder(tmp_path, {"a": result()}, {"a": made_up_table(0.6)})
    comparison = compare_runs(run, run, GATES)
    assert comparison.passed
    assert [cell.state for cell in comparison.cells] == ["unchanged"]
    (change,) = [c for c in comparison.cells[0].changes if c.metric == "AP"]
    assert (change.difference.value, change.difference.low, change.difference.high) == (0, 0, 0)


def test_tables_of_the_same_images_give_an_interval(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()}, {"a": made_up_table(0.9)})
    new = run_folder(tmp_path / "new", {"a": result(ap=0.3)}, {"a": made_up_table(0.3, seed=1)})
    comparison = compare_runs(old, new, GATES)
    (cell,) = comparison.cells
    change = cell.change("AP")
    assert cell.method == "paired bootstrap" and change is not None
    assert change.difference.value == pytest.approx(-0.2)
    assert change.difference.high is not None and change.difference.high < 0
    assert comparison.gates[0].offenders[0][0] == "a"
    assert "95 % interval" in comparison.gates[0].offenders[0][1]


def test_pck_and_keypoints_are_gated_with_an_interval(tmp_path: Path) -> None:
    tables = made_up_table(0.9), made_up_table(0.3, seed=1)
    shares = [float((table.errors.errors <= 0.1).mean()) for table in tables if table.errors]
    runs = []
    for name, table, share in zip(("old", "new"), tables, shares, strict=True):
        cell = result(metrics={"AP": 0.5, "PCK@0.1": share, "median error": 0.1})
        folder, keypoints = tmp_path / name, {"nose": 2 * share, "left_wrist": 0.0}
        runs.append(run_folder(folder, {"a": cell}, {"a": table}, keypoints=keypoints))
    texts = ("PCK@0.1 drop 0 significant", "nose drop 0 significant", "left_wrist drop 0")
    comparison = compare_runs(runs[0], runs[1], [parse_gate(text) for text in texts])
    assert [gate.passed for gate in comparison.gates] == [False, False, True]
    pck, nose = (comparison.cells[0].change(name) for name in ("PCK@0.1", "nose"))
    assert pck is not None and nose is not None and pck.difference.high is not None
    assert pck.difference.high < 0 and nose.difference.high == 2 * pck.difference.high
    assert "95 % interval" in comparison.gates[0].offenders[0][1]


def test_each_data_set_is_gated_by_its_own_main_number(tmp_path: Path) -> None:
    """A fall of PCKh must not pass because other data of the run have AP."""
    mpii = result(dataset="mpii", annotations_sha256="m" * 64)
    faces = result(dataset="faces", annotations_sha256="f" * 64)
    sides: list[Path] = []
    for name, pckh, nme in (("old", 0.9, 0.04), ("new", 0.5, 0.08)):
        cells = {
            "coco": result(),
            "mpii": replace(mpii, metrics={"PCKh@0.5": pckh, "PCKh@0.1": 0.2}),
            "faces": replace(faces, metrics={"NME": nme}),
        }
        sides.append(run_folder(tmp_path / name, cells))
    old, new = sides
    failing = {
        gate.gate: [name for name, _ in gate.offenders]
        for gate in compare_runs(old, new, GATES).gates
        if not gate.passed
    }
    assert failing == {"PCKh@0.5 drop 0 significant": ["mpii"], "NME rise 0 significant": ["faces"]}
    assert compare_runs(new, old, GATES).passed
    markdown = comparison_markdown(compare_runs(old, new, GATES))
    assert "| cell | PCKh@0.5 |" in markdown and "| cell | NME |" in markdown
    lost = run_folder(tmp_path / "lost", {"coco": result()}, absent=("mpii", "faces"))
    assert [g.gate for g in compare_runs(old, lost, GATES).gates if not g.passed] == ["missing"]


def test_old_tables_are_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, cells = made_up_table(0.9), {"a": result(), "b": result("simcc-s")}
    old_tables = dict.fromkeys(cells, replace(made_up_table(0.8), errors=None, oks=None))
    old = run_folder(tmp_path / "old", cells, old_tables)
    new = run_folder(tmp_path / "new", cells, dict.fromkeys(cells, table))
    gates = [parse_gate("PCK@0.1 drop 0 significant"), parse_gate("AP drop 0 significant")]
    comparison = compare_runs(old, new, gates)
    change = comparison.cells[0].change("PCK@0.1")
    assert change is not None and change.difference.low is None
    (record,) = caplog.records
    assert "interval of PCK@0.1." in record.getMessage()


def test_the_same_matches_say_nothing_of_speed_and_places(tmp_path: Path) -> None:
    matched = {"a": replace(made_up_table(0.6), errors=None, oks=None)}
    old = run_folder(tmp_path / "old", {"a": result()}, matched)
    slow = result(instances_per_second=200.0)
    slow = replace(slow, metrics={**(slow.metrics or {}), "PCK@0.1": 0.5})
    new = run_folder(tmp_path / "new", {"a": slow}, matched)
    gates = [parse_gate("speed drop 10%"), parse_gate("PCK@0.1 drop 1")]
    comparison = compare_runs(old, new, gates)
    speed, pck = (comparison.cells[0].change(name) for name in ("inst/s", "PCK@0.1"))
    assert speed is not None and speed.difference.value == pytest.approx(200.0 - speed.baseline)
    assert pck is not None and pck.difference.value == pytest.approx(0.5 - pck.baseline)
    assert comparison.cells[0].state == "changed" and not comparison.passed


def test_a_checkpoint_that_cannot_be_loaded_fails_all_its_cells(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result(), "b": result(), "c": result("simcc-s")})
    lost = result(ap=None, size=None, policy=None)
    new = run_folder(tmp_path / "new", {"lost": lost, "c": result("simcc-s")})
    assert states(old, new) == {"a": "failed", "b": "failed", "c": "unchanged", "lost": "neither"}


def test_a_gate_that_meets_new_cells_alone_has_judged_nothing(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {})
    new = run_folder(tmp_path / "new", {"a": result()})
    comparison = compare_runs(old, new, GATES)
    assert [cell.state for cell in comparison.cells] == ["new"] and not comparison.passed


def test_tables_of_other_images_give_a_plain_difference(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()}, {"a": made_up_table(0.9)})
    new = run_folder(tmp_path / "new", {"a": result(ap=0.3)}, {"a": made_up_table(0.3, images=30)})
    (cell,) = compare_runs(old, new, []).cells
    change = cell.change("AP")
    assert cell.method == "plain difference" and change is not None
    assert (change.difference.low, change.difference.p) == (None, None)


@pytest.mark.parametrize(
    ("gate", "drop", "fails"),
    [
        ("AP drop 0.3", 0.0029, False),
        ("AP drop 0.3", 0.003, False),
        ("AP drop 0.3", 0.0031, True),
        ("AP drop 10%", 0.04, False),
        ("AP drop 10%", 0.06, True),
        ("AP drop 0", -0.1, False),
        ("PCK@0.1 drop 1", 0.02, True),
        # No interval can tell that this is chance.
        ("AP drop 0 significant", 0.2, True),
    ],
)
def test_drops(tmp_path: Path, gate: str, drop: float, fails: bool) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = run_folder(tmp_path / "new", {"a": result(ap=0.5 - drop)})
    assert compare_runs(old, new, [parse_gate(gate)]).passed is not fails


def test_speed_and_single_keypoints_can_be_gated(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()}, keypoints={"left_wrist": 0.9})
    slow = result(instances_per_second=200.0)
    new = run_folder(tmp_path / "new", {"a": slow}, keypoints={"left_wrist": 0.8})
    gates = [parse_gate(text) for text in ("speed drop 10%", "speed drop 30%", "left_wrist drop 5")]
    comparison = compare_runs(old, new, gates)
    assert [gate.passed for gate in comparison.gates] == [False, True, False]
    shown = "248.0 -> 200.0 instances/s (measured once; posebench bench repeats it)"
    assert comparison.gates[0].offenders[0][1] == shown
    with pytest.raises(UsageError, match="Did you mean 'left_wrist'"):
        compare_runs(old, new, [parse_gate("left_wris drop 5")])


def test_gates_are_read_as_people_write_them() -> None:
    assert parse_gate(" AP  drop .5 significant") == ChangeGate(
        "AP drop .5 significant", "AP", 0.005, significant=True
    )
    assert parse_gate("missing") == StateGate("missing", "missing")
    for wrong in ("AP", "AP drop", "AP falls 3", "speed drop 3", "latency rise 3"):
        with pytest.raises(UsageError):
            parse_gate(wrong)
    for wrong, hint in (("latency drop 3%", "latency rise 3%"), ("AP rise 1", "AP drop 1")):
        with pytest.raises(UsageError) as caught:
            parse_gate(wrong)
        assert hint in str(caught.value)


def test_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = run_folder(tmp_path / "old", {"a|<b>": result(), "c": result()})
    new = run_folder(tmp_path / "new", {"a|<b>": result(ap=0.3), "c": result(ap=None)})
    comparison = compare_runs(old, new, [parse_gate("AP drop 1"), parse_gate("failed")])
    markdown = comparison_markdown(comparison)
    assert "gates **failed**" in markdown
    assert "| a\\|&lt;b> | 50.0 | 30.0 | -20.0 | none |" in markdown
    tree = ElementTree.fromstring(comparison_junit(comparison))
    suites = tree.findall("testsuite")
    assert [(s.get("name"), s.get("tests"), s.get("failures")) for s in suites] == [
        ("AP drop 1", "2", "1"), ("failed", "2", "1"),
    ]  # fmt: skip
    assert [case.get("name") for case in tree.iter("testcase") if len(case)] == ["a|<b>", "c"]
    plain = json.loads(comparison_json(comparison))
    assert (plain["passed"], plain["schema_version"]) == (False, 2)
    assert plain["cells"][0]["changes"][0]["difference"]["value"] == pytest.approx(-0.2)
    assert github_annotations(comparison).splitlines()[1] == (
        "::error title=posebench%3A failed::c: failed: no reason"
    )
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = tmp_path / "out.md"
    options = ("--gate", "failed", "--format", "md", "--out", str(out), "--github")
    done = posebench("compare", old, new, *options)
    assert done.returncode == 1
    assert done.stdout.startswith("::error ")
    assert summary.read_text(encoding="utf-8") == "before\n" + (tmp_path / "out.md").read_text()


def test_the_terminal_names_every_cell_that_is_not_there(
    tmp_path: Path,
) -> None:
    old = run_folder(tmp_path / "old", {"a": result(), "b": result()})
    new = run_folder(tmp_path / "new", {"a": result(ap=0.3)})
    done = posebench("compare", old, new)
    assert done.returncode == 1
    text = done.stdout
    assert "missing (not in the candidate): b" in text
    assert "gate 'missing': FAILED" in text


def test_any_number_can_be_gated_in_its_own_unit_and_direction(tmp_path: Path) -> None:
    base = result()
    metrics = dict(base.metrics or {})
    worse = replace(base, gflops=0.06, metrics={**metrics, "median error": 0.06})
    old = run_folder(tmp_path / "old", {"a": base})
    new = run_folder(tmp_path / "new", {"a": worse})
    texts = ("median error rise 1", "median error rise 2", "GFLOPs rise 10%", "params M rise 0%")
    there = compare_runs(old, new, [parse_gate(text) for text in texts])
    assert [gate.passed for gate in there.gates] == [False, True, False, True]
    assert there.gates[0].offenders == (
        ("a", "median error 4.2 -> 6.0 (plain difference, without interval)"),
    )
    assert there.gates[2].offenders == (("a", "0.047 -> 0.060 GFLOPs"),)
    assert compare_runs(new, old, [parse_gate(text) for text in texts]).passed


@pytest.mark.parametrize(
    ("gate", "hint"),
    [
        ("median error drop 1", '"median error rise 1"'),
        ("peak MB rise 10", '"peak MB rise 10%"'),
        ("GFLOPs drop 1%", '"GFLOPs rise 1%"'),
    ],
)
def test_a_gate_knows_which_way_is_worse(gate: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(gate)
    assert hint in str(caught.value)


def test_gates_add_to_the_standing_ones_and_none_takes_them_away() -> None:
    def texts(*asked: str) -> list[str]:
        return [gate.text for gate in gates_of(asked)]

    assert texts() == ["AP drop 0 significant", "failed", "missing", "incomparable"]
    assert texts("AP  drop 0.3") == ["AP drop 0.3", "failed", "missing", "incomparable"]
    assert texts("failed", "new") == ["failed", "new", "missing", "incomparable"]
    assert texts("none") == []
    assert texts("none", "AP drop 1") == ["AP drop 1"]
    with pytest.raises(UsageError, match="is not a gate"):
        gates_of(["nothing"])


def test_a_gate_on_ap_does_not_let_a_failed_cell_pass(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result(), "b": result()})
    new = run_folder(tmp_path / "new", {"a": result(), "b": result(ap=None)})
    done = posebench("compare", old, new, "--gate", "AP drop 0.3")
    assert done.returncode == 1
    assert "gate 'failed': FAILED" in done.stdout and "  b: failed: no reason" in done.stdout
    assert posebench("compare", old, new, "--gate", "none").returncode == 0


def test_a_gate_that_had_nothing_to_judge_does_not_pass(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = run_folder(tmp_path / "new", {"b": result()})
    alone = ("--gate", "none", "--gate", "AP drop 0.3")
    done = posebench("compare", old, new, *alone)
    assert done.returncode == 1
    assert "gate 'AP drop 0.3': FAILED" in done.stdout
    assert "no cell has AP in both runs" in done.stdout
    more = run_folder(tmp_path / "more", {"a": result(), "b": result()})
    assert posebench("compare", old, more, *alone).returncode == 0


def test_a_cell_that_fails_fails_the_gate_though_it_is_new(tmp_path: Path) -> None:
    unsupported = result(ap=None, status="unsupported")
    old = run_folder(tmp_path / "old", {"a": result(), "b": unsupported, "c": result(ap=None)})
    broken = {"b": result(ap=None), "c": result(ap=None), "added": result("other", ap=None)}
    new = run_folder(tmp_path / "new", {"a": result(), "d": unsupported, **broken})
    assert states(old, new) == {
        "a": "unchanged", "b": "failed", "c": "neither", "d": "neither", "added": "failed",
    }  # fmt: skip
    lost = result("other", ap=None, size=None, policy=None)
    new = run_folder(tmp_path / "lost", {"a": result(), "lost": lost}, absent=("b", "c"))
    assert states(old, new)["lost"] == "failed"


def test_the_smallest_drop_that_the_images_show(tmp_path: Path) -> None:
    tables = made_up_table(0.9), made_up_table(0.8, seed=1)
    old = run_folder(tmp_path / "old", {"a": result(), "b": result()}, {"a": tables[0]})
    new = run_folder(tmp_path / "new", {"a": result(ap=0.45), "b": result()}, {"a": tables[1]})
    comparison = compare_runs(old, new, [])
    change, without = (cell.change("AP") for cell in comparison.cells)
    assert change is not None and without is not None and without.detectable is None
    difference = change.difference
    assert change.detectable is not None
    assert difference.low is not None and difference.high is not None
    # Of a normal distribution, the interval is 2 x 1.96 standard deviations wide.
    width = difference.high - difference.low
    assert change.detectable == pytest.approx(width * (1.96 + 0.84) / (2 * 1.96), rel=0.15)
    text = comparison_markdown(comparison)
    assert f"four cases of five: {100 * change.detectable:.2f} points (" in text
    same = run_folder(tmp_path / "same", {"a": result()}, {"a": tables[0]})
    assert "four cases" not in comparison_markdown(compare_runs(same, same, []))


def test_cells_made_with_other_versions_are_named(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result(), "b": result()})
    new = run_folder(tmp_path / "new", {"a": result(), "b": result()})
    cell = read_cell(new, "b")
    assert cell is not None and cell.environment is not None
    packages = {**cell.environment["packages"], "numpy": "0.1"}
    write_cell(new, replace(cell, environment={**cell.environment, "packages": packages}))
    comparison = compare_runs(old, new, [])
    (told,) = comparison.cells[1].made_with
    assert comparison.cells[0].made_with == ()
    assert told == f"packages: numpy ({cell.environment['packages']['numpy']} / 0.1)"
    assert f"- made with other {told}: b" in comparison_markdown(comparison)


def test_findings_stand_above_a_comparison(tmp_path: Path) -> None:
    both = CellFinding("data", "warning", "box-empty", "Boxes of no size: annotation 1.")
    one = CellFinding("checkpoint", "note", "settings-assumed", "assumed: crop.udp")
    old = run_folder(tmp_path / "old", {"a": result(findings=(both,))})
    new = run_folder(tmp_path / "new", {"a": result(findings=(both, one))})
    lines = comparison_markdown(compare_runs(old, new, [])).splitlines()
    assert lines[2:4] == [
        "- warning: Boxes of no size: annotation 1. [box-empty]",
        "- candidate: note: heatmap-s: assumed: crop.udp [settings-assumed]",
    ]
    assert json.loads(comparison_json(compare_runs(old, new, [])))["findings"]
