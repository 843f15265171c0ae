"""The page in a real browser: sorting, filtering, keyboard, phone, print; nothing is requested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import Visit
from report_runs import CLAIM, hostile_run
from small_store import result, run_folder

from posebench.reporting.page import ReportRequest, write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of four cells: AP 50, 7.5, 62.5, and one that failed."""
    folder = tmp_path_factory.mktemp("browser")
    cells = {
        "a": result("heatmap-s", 0.5),
        "b": result("simcc-s", 0.075),
        "c": result("heatmap-m", 0.625),
        "d": result("simcc-m", None),
    }
    labels = {"a": {"pair": "s"}, "b": {"pair": "s"}}
    keypoints = {"nose": 0.9, "left_eye": 0.8}
    run = run_folder(folder / "run", cells, None, (CLAIM,), labels, keypoints=keypoints)
    return write_report(ReportRequest(run, folder / "report.html"))


def headers(visit: Visit) -> list[str]:
    return visit.texts("#results-table thead th")


def test_sorting_by_mouse_and_keyboard(browser: Any, report: Path) -> None:
    visit = Visit(browser, report)
    at = headers(visit).index("AP")
    button = visit.page.locator("#results-table thead th").nth(at).get_by_role("button")
    button.click()
    assert visit.column("results-table", at) == ["62.5", "50.0", "7.5", "–"]
    assert button.locator("..").get_attribute("aria-sort") == "descending"
    button.focus()
    visit.page.keyboard.press("Enter")
    assert visit.column("results-table", at) == ["7.5", "50.0", "62.5", "–"]
    assert button.locator("..").get_attribute("aria-sort") == "ascending"
    visit.page.locator("#results-table thead button").first.click()
    names = ["heatmap-m", "heatmap-s", "simcc-m", "simcc-s"]
    assert visit.column("results-table", 0) == names
    assert visit.page.locator("#results-table [aria-sort]").count() == 1
    assert visit.said == []


def test_filters(browser: Any, report: Path) -> None:
    visit = Visit(browser, report)
    controls = visit.page.locator('[data-for="results-table"]')
    controls.get_by_label("paradigm").select_option("simcc")
    assert visit.column("results-table", 0) == ["simcc-s", "simcc-m"]
    controls.get_by_label("Search").fill("FAILED simcc")
    assert visit.column("results-table", 0) == ["simcc-m"]
    assert controls.get_by_role("status").text_content() == "1 of 4 shown"
    controls.get_by_role("button", name="Show all").click()
    assert len(visit.column("results-table", 0)) == 4
    assert visit.said == []


def test_nothing_is_requested_and_nothing_runs(browser: Any, report: Path, tmp_path: Path) -> None:
    hostile = write_report(ReportRequest(hostile_run(tmp_path / "run"), tmp_path / "bad.html"))
    for path in (report, hostile):
        visit = Visit(browser, path)
        for details in visit.page.locator("details").all():
            details.evaluate("each => { each.open = true; }")
        assert visit.said == []
        assert visit.asked == [path.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(browser: Any, report: Path, scheme: str) -> None:
    size = {"width": 360, "height": 740}
    visit = Visit(browser, report, viewport=size, color_scheme=scheme)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    contrast = visit.page.evaluate(CONTRAST)
    assert contrast["checked"] > 30
    assert contrast["low"] == []


def test_print_unfolds_and_the_keyboard_skips(browser: Any, report: Path) -> None:
    visit = Visit(browser, report)
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    assert visit.page.pdf(format="A4").startswith(b"%PDF")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert visit.page.locator("article details:not([open])").count() == 0
    visit.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert visit.page.locator("article details[open]").count() == 0


def test_what_people_came_for_is_on_screen(browser: Any, report: Path) -> None:
    for width, names in (
        (1280, ("checkpoint", "size", "AP", "backbone", "params M")),
        (390, ("checkpoint", "size", "AP")),
    ):
        visit = Visit(browser, report, viewport={"width": width, "height": 900})
        found = headers(visit)
        assert [name for name in found if name in names] == list(names)
        for name in names:
            header = visit.page.locator("#results-table thead th").nth(found.index(name))
            box = header.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (width, name)


def test_paper_has_no_lists_of_cells(browser: Any, tmp_path: Path) -> None:
    cells = {f"cell-{n}": result("heatmap-s", None, policy=f"p{n}") for n in range(40)}
    cells["good"] = result("simcc-s", 0.5)
    path = write_report(ReportRequest(run_folder(tmp_path / "run", cells), tmp_path / "r.html"))
    visit = Visit(browser, path)
    shown = "all => all.filter(e => e.getClientRects().length).map(e => e.textContent)"
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(visit.texts(".troubles .cells li", shown)) == 40
    visit.page.emulate_media(media="print")
    assert visit.texts(".troubles .cells li", shown) == []
    assert visit.texts(".troubles .cells-count", shown) == ["40 cells:"]


# Texts with less than 4.5:1 between ink and what is behind it (WCAG 2, AA).
CONTRAST = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map(
      (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  let checked = 0;
  const texts = "h1, h2, h3, h4, p, td, th, dt, dd, li, label, a, svg text";
  for (const node of document.querySelectorAll(texts)) {
    if (!node.textContent.trim() || !node.getClientRects().length) continue;
    const style = getComputedStyle(node);
    const ink = light(numbers(node instanceof SVGElement ? style.fill : style.color));
    const back = light(behind(node));
    const ratio = (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
    checked += 1;
    if (ratio < 4.5) low.push([node.tagName, node.textContent.slice(0, 30), ratio]);
  }
  return { checked, low };
}"""
