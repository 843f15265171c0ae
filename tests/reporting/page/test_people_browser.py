"""All persons in a real browser: filters, order, pictures that are loaded when they are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browsing import Visit
from report_runs import persons_of, two_perturbed

from posebench.reporting.page import ReportRequest, write_report
from posebench.reporting.page.people.persons import ERRORS, Persons

CARDS = "#people-items article"
LOADED = "() => { const i = document.querySelector('#people img'); return i.naturalWidth > 0; }"
AXE_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_perturbed(tmp_path_factory.mktemp("persons"))


@pytest.fixture(scope="module")
def persons(run: Path) -> Persons:
    return persons_of(run)


@pytest.fixture(scope="module")
def report(run: Path) -> Path:
    return write_report(ReportRequest(run, run.parent / "report.html", profiles=False))


def oks_of(visit: Visit) -> list[tuple[int, int]]:
    """Return the OKS that cards show of both checkpoints."""
    texts = visit.texts(f"{CARDS} figcaption")
    values = [int(text.split("OKS ")[1].split(" ")[0]) for text in texts]
    return list(zip(values[::2], values[1::2], strict=True))


def select(visit: Visit, name: str, label: str) -> None:
    visit.page.locator(f'.browser-controls [name="{name}"]').select_option(label=label)


def fill(visit: Visit, name: str, value: str) -> None:
    visit.page.locator(f'.browser-controls [name="{name}"]').fill(value)


def count(visit: Visit) -> str:
    return str(visit.page.locator(".browser-controls .count").text_content())


def test_everybody_is_there_those_first_whom_the_checkpoints_differ_on(
    browser: Any, report: Path, persons: Persons
) -> None:
    visit = Visit(browser, report)
    number = len(persons.rows)
    assert count(visit) == f"{number} of {number} persons; {min(number, 24)} shown"
    gaps = [abs(other - one) for one, other in oks_of(visit)]
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > 0
    one, other = persons.found.values()
    assert gaps[0] == max(
        abs(round(100 * b) - round(100 * a)) for a, b in zip(one.oks, other.oks, strict=True)
    )
    assert visit.said == []


@pytest.mark.parametrize("error", ["inversion", "not found"])
def test_persons_with_an_error_are_found(
    browser: Any, report: Path, persons: Persons, error: str
) -> None:
    visit = Visit(browser, report)
    select(visit, "error", error)
    bit = 1 << ERRORS.index(error)
    one, other = persons.found.values()
    expected = sum(bool((a | b) & bit) for a, b in zip(one.errors, other.errors, strict=True))
    assert expected > 0
    assert count(visit).startswith(f"{expected} of ")
    assert all(error in text for text in visit.texts(CARDS))
    visit.page.locator(".browser-controls .reset").click()
    assert count(visit).startswith(f"{len(persons.rows)} of ")


def test_filters_by_size_crowding_oks_and_difference(
    browser: Any, report: Path, persons: Persons
) -> None:
    visit = Visit(browser, report)
    fill(visit, "apart", "10")
    assert all(abs(other - one) >= 10 for one, other in oks_of(visit))
    assert 0 < int(count(visit).split()[0]) < len(persons.rows)
    select(visit, "order", "other worse")
    gaps = [other - one for one, other in oks_of(visit)]
    assert gaps == sorted(gaps)
    visit.page.locator(".browser-controls .reset").click()
    fill(visit, "high", "50")
    assert all(min(pair) <= 50 for pair in oks_of(visit))
    visit.page.locator(".browser-controls .reset").click()
    for name, codes in (("size", persons.size), ("crowding", persons.crowding)):
        texts = visit.texts(f'.browser-controls [name="{name}"] option')[1:]
        for place, label in enumerate(texts):
            select(visit, name, label)
            assert count(visit).startswith(f"{int((codes == place).sum())} of ")
        select(visit, name, "all")
    select(visit, "other", "none")
    assert len(visit.texts(f"{CARDS} figcaption")) == len(visit.texts(CARDS))
    assert visit.said == []


def test_pictures_beside_the_page_are_loaded_when_they_are_seen(
    browser: Any, run: Path, persons: Persons
) -> None:
    path = write_report(
        ReportRequest(run, run.parent / "a b.html", profiles=False, gallery=None, instances=0)
    )
    pictures = sorted((run.parent / "a b_people").iterdir())
    assert len(pictures) == len(persons.rows) > 24
    visit = Visit(browser, path, viewport={"width": 1280, "height": 700})
    visit.page.wait_for_timeout(200)
    before = [url for url in visit.asked if ".svg" in url]
    visit.page.locator("#people").evaluate("each => each.scrollIntoView()")
    visit.page.wait_for_function(LOADED)
    assert len(before) < 2 * 24
    assert {url.split("#")[0].rpartition("/")[0] for url in visit.asked[1:]} == {
        (run.parent / "a b_people").as_uri()
    }
    assert visit.said == []
    assert "data:image" not in path.read_text("utf-8").split('id="people"')[1]


def test_pictures_in_the_page_ask_for_nothing(browser: Any, report: Path) -> None:
    visit = Visit(browser, report)
    visit.page.locator("#people").evaluate("each => each.scrollIntoView()")
    visit.page.wait_for_function(LOADED)
    assert [url for url in visit.asked if not url.startswith("data:")] == [report.as_uri()]
    assert visit.said == []


def test_more_are_shown_on_demand_and_by_keyboard(
    browser: Any, report: Path, persons: Persons
) -> None:
    visit = Visit(browser, report)
    button = visit.page.locator("#people .more button")
    button.focus()
    visit.page.keyboard.press("Enter")
    assert len(visit.texts(CARDS)) == min(len(persons.rows), 48)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_barrier(browser: Any, report: Path, scheme: str, width: int) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="needs posebench-pose[browser]"
    )
    size = {"width": width, "height": 900}
    visit = Visit(browser, report, viewport=size, color_scheme=scheme)
    for details in visit.page.locator("details").all():
        details.evaluate("each => { each.open = true; }")
    found = axe.Axe().run(visit.page, options=AXE_RULES).response
    assert len(found["passes"]) > 20
    assert [
        (each["id"], node["target"], node["failureSummary"])
        for each in found["violations"]
        for node in each["nodes"]
    ] == []
