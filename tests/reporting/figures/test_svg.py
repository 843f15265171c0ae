"""SVG that tells what its marks are: tooltips, ids, colours of the page; nothing gets out of it."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from drawn import HOSTILE, PAIR

from posebench.reporting.figures.drawing import Panel
from posebench.reporting.figures.inline import drawing_svgs, glyph_svg, panel_svg
from posebench.reporting.figures.resolution import resolution_drawing
from posebench.reporting.figures.style import BLUE, LegendEntry, Looks, paradigm_legend
from posebench.reporting.figures.svg import clean, say
from posebench.results.reading import ReadCell


def draw_one(axes: Any) -> None:
    (mark,) = axes.plot([1], [2], marker="o", color=BLUE)
    say(mark, HOSTILE)
    axes.set_title(clean(HOSTILE))


def one(prefix: str = "a") -> ElementTree.Element:
    return ElementTree.fromstring(
        panel_svg(Panel("t", f"read {HOSTILE}", draw_one), (3, 2), prefix)
    )


def test_a_mark_has_its_tooltip_and_the_whole_is_read_out() -> None:
    root = one()
    (title,) = [node for node in root.iter() if node.tag == "title"]
    assert title.text == clean(HOSTILE)
    parent = next(node for node in root.iter() if title in list(node))
    assert any(node.tag == "use" for node in parent.iter())
    assert root.get("aria-label") == f"read {clean(HOSTILE)}"
    assert root.get("role") == "img"


def test_no_text_becomes_markup() -> None:
    assert {node.tag for node in one().iter()} <= {
        "svg", "g", "path", "defs", "use", "text", "title", "clipPath", "rect",
    }  # fmt: skip


def test_the_page_decides_on_colours_and_fonts() -> None:
    source = panel_svg(Panel("t", "s", draw_one), (3, 2), "a")
    assert "style" not in source
    assert "font-family" not in source
    assert BLUE not in source
    assert 'fill="var(--series-1)"' in source
    colours = set(re.findall(r'(?:fill|stroke)="([^"]*)"', source))
    assert [c for c in colours if not c.startswith("var(--") and c != "none"] == []


def test_ids_are_the_panels_own_and_lead_somewhere() -> None:
    sources = [ElementTree.tostring(one(prefix), "unicode") for prefix in ("a", "b")]
    ids = [re.findall(r' id="([^"]*)"', source) for source in sources]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    for source, own in zip(sources, ids, strict=True):
        assert {
            *re.findall(r'href="#([^"]*)"', source),
            *re.findall(r"url\(#([^)]*)\)", source),
        } == {*own}


def test_a_drawing_is_an_svg_for_each_panel_and_the_same_each_time() -> None:
    drawing = resolution_drawing([ReadCell(cell) for cell in PAIR])
    assert drawing is not None
    once, again = (drawing_svgs(drawing, "size") for _ in range(2))
    assert once == again
    assert len(once) == len(drawing.panels)
    assert "simcc-s, 64x48 native: unsupported" in once[0]


def test_glyphs_are_hidden_from_screen_readers() -> None:
    entries = (
        *paradigm_legend(["simcc"]),
        *Looks({"a": "heatmap"}).bar_legend(["a"]),
        LegendEntry("x", {"color": "k"}),
    )
    for entry in entries:
        root = ElementTree.fromstring(glyph_svg(entry, "key"))
        assert root.get("aria-hidden") == "true"
        assert any(node.tag in ("use", "path") for node in root.iter())


def test_texts_are_cleaned() -> None:
    assert clean("a\x00b\n c\ud800\x1b") == "a b c"
