"""From matplotlib's SVG to one that tells what its marks are, for files and inside of a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from markupsafe import Markup

from posebench.reporting.figures.style import GRID, INK, PAPER, RULE, SERIES, SHADE, SOFT

if TYPE_CHECKING:
    from matplotlib.artist import Artist

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_SAID = "said: "
# The page's names for the colours of figures, because a page may be light or dark.
_VARIABLES = {
    PAPER: "--page",
    INK: "--ink",
    SOFT: "--soft",
    RULE: "--line",
    GRID: "--grid",
    SHADE: "--shade",
    **{colour: f"--series-{place}" for place, colour in enumerate(SERIES, 1)},
}
_REFERENCE = re.compile(r"(?<=#)[\w.-]+")
_NUMBER = re.compile(r"-?\d+\.\d+")


def say(artist: Artist, text: str) -> None:
    """Give an artist a tooltip, which readers of the SVG see when they point at it."""
    artist.set_gid(_SAID + clean(text))


def clean(text: str) -> str:
    """Return a text in one line, without characters that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def told_svg(source: str, spoken: str) -> str:
    """Return matplotlib's SVG as a file: tooltips, and a text that is read out for the whole."""
    root = _told(source, spoken)
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def page_svg(source: str, spoken: str | None, prefix: str) -> Markup:
    """Return matplotlib's SVG as an element of an HTML page; None hides it from screen readers.

    Styles become attributes, which the page's policy allows, and colours become the page's
    variables; ids begin with `prefix`, so that no other part of the page has them. The element's
    class is `chart`, or `glyph` if it is hidden.
    """
    root = _told(source, spoken)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("class", "glyph" if spoken is None else "chart")
    _drop(root, lambda node: node.tag == f"{{{_SVG}}}style")
    used = {name for node in root.iter() for v in _links(node) for name in _REFERENCE.findall(v)}
    for node in root.iter():
        _restyle(node)
        if node.attrib.get("id") not in used:
            node.attrib.pop("id", None)
        for key, value in list(node.attrib.items()):
            if key == "id":
                node.set("id", f"{prefix}-{value}")
            elif value in _links(node):
                node.set(key, _REFERENCE.sub(rf"{prefix}-\g<0>", value))
    _flatten(root)
    for node in root.iter():
        node.tag = node.tag.partition("}")[2]
        if (link := node.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
            node.set("href", link)
    # ElementTree has escaped every text and attribute.
    return Markup(ET.tostring(root, "unicode"))


def _told(source: str, spoken: str | None) -> ET.Element:
    root = ET.fromstring(source)
    _drop(root, lambda node: node.tag == f"{{{_SVG}}}metadata")
    for node in root.iter():
        node.text, node.tail = ((t if t and t.strip() else None) for t in (node.text, node.tail))
        if node.attrib.get("id", "").startswith(_SAID):
            title = ET.Element(f"{{{_SVG}}}title")
            title.text = node.attrib.pop("id").removeprefix(_SAID)
            node.insert(0, title)
        if "d" in node.attrib:
            node.set("d", " ".join(node.attrib["d"].split()))
        for name in ("d", "x", "y", "transform"):
            if name in node.attrib:
                node.set(name, _NUMBER.sub(lambda n: f"{float(n[0]):.2f}", node.attrib[name]))
    if spoken is None:
        root.set("aria-hidden", "true")
    else:
        root.set("role", "img")
        root.set("aria-label", clean(spoken))
    return root


def _drop(node: ET.Element, unwanted: Callable[[ET.Element], bool]) -> None:
    for child in list(node):
        if unwanted(child):
            node.remove(child)
        else:
            _drop(child, unwanted)


def _links(node: ET.Element) -> list[str]:
    """Return the attributes of an element that name another one."""
    return [node.attrib[key] for key in (f"{{{_XLINK}}}href", "clip-path") if key in node.attrib]


def _restyle(node: ET.Element) -> None:
    """Turn an element's style into attributes; the page's own style sets the font of texts."""
    for declaration in node.attrib.pop("style", "").split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":  # matplotlib before 3.10 writes size and family in one
            name, value = "font-size", value.split()[0]
        if name and name != "font-family":
            variable = _VARIABLES.get(value)
            node.set(name, f"var({variable})" if variable else value)


def _flatten(node: ET.Element) -> None:
    """Replace groups that say nothing by their children."""
    children: list[ET.Element] = []
    for child in list(node):
        _flatten(child)
        bare = child.tag == f"{{{_SVG}}}g" and not child.attrib
        bare = bare and not any(c.tag == f"{{{_SVG}}}title" for c in child)
        children += list(child) if bare else [child]
    node[:] = children
