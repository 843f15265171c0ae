"""Two renderings of the same annotations are never subtracted."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_store import result, run_folder

from posebench.judging.claim_cells import cells_of
from posebench.judging.comparison import compare_runs
from posebench.judging.contrasts import contrast_of
from posebench.results.store import read_run
from posebench.suites.claims import Claim


@pytest.mark.parametrize("before", ["b" * 64, None])
def test_runs_on_other_pixels_do_not_compare(tmp_path: Path, before: str | None) -> None:
    old = run_folder(tmp_path / "old", {"a": result(images_sha256=before)})
    new = run_folder(tmp_path / "new", {"a": result(images_sha256="c" * 64)})
    (cell,) = compare_runs(old, new, ()).cells
    assert cell.state == "incomparable"
    assert cell.reason is not None
    assert "images_sha256" in cell.reason
    assert ("run it again" in cell.reason) == (before is None)
    assert compare_runs(new, new, ()).cells[0].state == "unchanged"


def test_claims_name_the_field(tmp_path: Path) -> None:
    cells = {
        "a": result("heatmap-s", images_sha256="b" * 64),
        "b": result("simcc-s", images_sha256="c" * 64),
    }
    claim = Claim(
        id="c",
        statement="heatmap is better",
        treatment={"checkpoint": "heatmap-s"},
        control={"checkpoint": "simcc-s"},
        match_by=("dataset",),
    )
    contrast = contrast_of(claim, cells_of(read_run(run_folder(tmp_path, cells))))
    assert contrast.conflicts == ("people: images_sha256 (bbbbbbbbbbbb… / cccccccccccc…)",)
    assert contrast.pairs == ()
