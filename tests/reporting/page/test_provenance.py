"""What a report says of the surroundings that its numbers were made in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from small_store import result, run_folder

from posebench.reporting.page.provenance import (
    command_to_repeat,
    environment_facts,
    environments_table,
)
from posebench.results.store import StoredCell, read_run, write_cell
from posebench.suites.trained import TrainedCheckpoints, TrainingDataEntry


def surroundings(torch: str, day: int) -> dict[str, object]:
    return {"packages": {"torch": torch, "numpy": "2.0"}, "date": f"2026-11-0{day}T10:00:00"}


def test_a_run_made_in_several_surroundings_names_them_all(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {}, absent=("a", "b", "c"))
    for name, torch, day in (("a", "2.4", 1), ("b", "2.5", 3), ("c", "2.4", 2)):
        write_cell(folder, StoredCell(name, result(), environment=surroundings(torch, day)))
    run = read_run(folder)
    object.__setattr__(run.record, "environment", {"posebench": "0", **surroundings("2.5", 3)})
    assert dict(environment_facts(run)) == {
        "posebench": "0",
        "packages: torch": "2.4 (2 cells), 2.5 (1 cells)",
        "packages: numpy": "2.0",
        "date": "2026-11-01T10:00:00 to 2026-11-03T10:00:00",
    }
    table = environments_table(run)
    assert table is not None
    assert [column.header for column in table.columns] == ["cell", "packages: torch"]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows == [["a", "2.4"], ["b", "2.5"], ["c", "2.4"]]


def test_a_run_without_cells_names_its_own(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, {}))
    assert environment_facts(run) == (("posebench", "0"),)
    assert environments_table(run) is None


def test_the_command_of_a_run_that_trained_has_its_scale_and_data(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, {}))
    data = ("synthetic", TrainingDataEntry(name="lsp14", folder="/somewhere/lsp14"))
    trained = TrainedCheckpoints("base.yaml", {"a": {}}, (), data, scale="tiny")
    suite = replace(run.record.suite, trained=trained)
    repeated = command_to_repeat(replace(run, record=replace(run.record, suite=suite)))
    assert " --scale tiny --data-root lsp14=FOLDER " in repeated
    assert "--scale" not in command_to_repeat(run)


def test_an_evaluation_is_repeated_by_eval(tmp_path: Path) -> None:
    """It was made in a folder, and no file says its suite."""
    run = read_run(run_folder(tmp_path, {}))
    suite = replace(
        run.record.suite,
        checkpoints=("a b.pth", "c.onnx"),
        boxes=("gt", "det.json"),
        policies=("native",),
    )
    record = replace(run.record, suite=suite, source=str(tmp_path))
    assert command_to_repeat(replace(run, record=record)) == (
        "posebench eval 'a b.pth' c.onnx --dataset synthetic --boxes gt,det.json --threads 1 "
        f"--out {tmp_path.name}"
    )
