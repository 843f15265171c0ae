"""Figures of probes, drawn from the committed results."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn import svg_texts, svg_titles

from posebench.errors import UsageError
from posebench.reporting.figures.drawing import write_drawing
from posebench.reporting.figures.files import plot_run
from posebench.reporting.figures.probes import PROBE_FIGURES
from posebench.results.reading import ReadProbe, read_probes

RESULTS = Path(__file__).resolve().parents[3] / "results"


@pytest.fixture(scope="module")
def read() -> list[ReadProbe]:
    return read_probes(RESULTS / "probes")


@pytest.mark.parametrize(
    ("kind", "panels", "said"),
    [
        ("decay", 6, "heatmap-l, trained"),
        ("position-code", 4, "simcc-m, untrained"),
        ("matching", 4, "simcc-s, trained, stage3: 40.5"),
        ("match-examples", 8, "found by tokens"),
    ],
)
def test_each_figure_has_its_panels_and_tells_its_marks(
    read: list[ReadProbe], tmp_path: Path, kind: str, panels: int, said: str
) -> None:
    drawing = PROBE_FIGURES[kind].draw(read)
    assert drawing is not None and len(drawing.panels) == panels
    write_drawing(drawing, tmp_path / "a.svg")
    assert said in svg_titles(tmp_path / "a.svg")
    assert all(entry.label in svg_texts(tmp_path / "a.svg") for entry in drawing.legend)


def test_matrices_name_their_keypoints(read: list[ReadProbe], tmp_path: Path) -> None:
    drawing = PROBE_FIGURES["similarity"].draw(read)
    assert drawing is not None and len(drawing.panels) == 12
    write_drawing(drawing, tmp_path / "a.svg")
    assert svg_texts(tmp_path / "a.svg").count("left wrist") == 12


def test_the_same_results_give_the_same_bytes(read: list[ReadProbe], tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot_run(RESULTS / "probes", "decay", tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("kind", list(PROBE_FIGURES))
def test_without_such_a_probe_there_is_no_figure(
    read: list[ReadProbe], tmp_path: Path, kind: str
) -> None:
    identities = [each for each in read if each.probe.probe == "identity"]
    assert PROBE_FIGURES[kind].draw(identities) is None
    with pytest.raises(UsageError, match="of the probe"):
        plot_run(RESULTS / "ci", kind, tmp_path / "a.svg")
