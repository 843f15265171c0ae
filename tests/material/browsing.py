"""A real browser for tests of pages, and what an open page said and asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def started_browser() -> Iterator[Any]:
    """Yield a headless browser, or skip the test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs posebench-pose[browser]")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"needs a browser on the machine: {', '.join(BROWSERS)}")
    with api.sync_playwright() as driver:
        # Browsers refuse their sandbox to root, which containers run as.
        started = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


class Visit:
    """A page that is open, and what it said and asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append("dialog"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def column(self, table: str, index: int) -> list[str]:
        """Return the texts of a column's rows that are shown."""
        return self.texts(
            f"#{table} tbody tr:not([hidden])",
            f"rows => rows.map(row => row.cells[{index}].textContent)",
        )

    def texts(self, selector: str, of: str = "all => all.map(e => e.textContent)") -> list[str]:
        """Return the texts of elements, those that are hidden too."""
        found: list[str] = self.page.eval_on_selector_all(selector, of)
        return found
