"""How checkpoints look: one colour and shape each, the paradigm apart from colour, readable."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import get_args
from xml.etree import ElementTree

import pytest

from posebench.networks.names import Paradigm
from posebench.reporting.figures.inline import mark_svg
from posebench.reporting.figures.style import COLOURS, PARADIGMS, Looks

LIGHT_PAGE, DARK_PAGE, DARK_CARD = "#ffffff", "#14171b", "#1c2127"


def looks(count: int, paradigm: str = "heatmap") -> Looks:
    return Looks({f"model-{place}": paradigm for place in range(count)})


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_64_checkpoints_have_a_colour_and_a_shape_of_their_own() -> None:
    found = looks(64)
    marks = [found.mark(name) for name in found.paradigms]
    assert len({(mark["color"], mark["marker"]) for mark in marks}) == 64
    for one, other in pairwise(marks):
        assert one["color"] != other["color"] and one["marker"] != other["marker"]


def test_a_checkpoint_looks_alike_whatever_it_is_drawn_with() -> None:
    found = looks(20)
    alone = found.legend(["model-7"])
    among = found.legend([f"model-{place}" for place in range(5, 9)])
    assert alone[0] == among[2]


def test_a_paradigm_is_told_without_colour() -> None:
    made = {name: Looks({"a": name}) for name in PARADIGMS}
    assert set(PARADIGMS) == set(get_args(Paradigm))
    for one, other in combinations(made.values(), 2):
        assert one.line("a")["linestyle"] != other.line("a")["linestyle"]
        assert one.fill("a") != other.fill("a")
        assert one.bar("a")["facecolor"] != other.bar("a")["facecolor"]


def test_a_legend_names_the_paradigm_only_where_there_are_several() -> None:
    mixed = Looks({"a": "heatmap", "b": "simcc", "c": None})
    assert [e.label for e in mixed.legend(["b", "a"])] == ["a · heatmap", "b · SimCC"]
    assert [e.label for e in mixed.legend(["a"])] == ["a"]
    assert mixed.legend(["unknown"]) == ()


@pytest.mark.parametrize("colour", COLOURS)
def test_names_in_a_checkpoints_colour_can_be_read(colour) -> None:
    assert contrast(colour.light, LIGHT_PAGE) >= 4.5
    assert min(contrast(colour.dark, back) for back in (DARK_PAGE, DARK_CARD)) >= 4.5


def test_a_mark_on_the_page_has_the_pages_colour_and_no_id() -> None:
    for paradigm, face in (("heatmap", "var(--series-2)"), ("simcc", "none")):
        root = ElementTree.fromstring(mark_svg(looks(3, paradigm), "model-1"))
        (shape,) = root
        assert (shape.get("fill"), shape.get("stroke")) == (face, "var(--series-2)")
        assert all(node.get("id") is None for node in root.iter())
