"""Debian's Chromium, driven by playwright, for tests of the page; what it asked other hosts for, and what it complained of."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@dataclass
class Visit:
    """A browser's tab at the page."""

    page: Any
    url: str
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def text(self, id: str) -> str:
        return str(self.page.locator(f"#{id}").inner_text())

    def wait(self, selector: str, seconds: float = 15) -> Any:
        found = self.page.locator(selector).first
        found.wait_for(timeout=1000 * seconds)
        return found

    def upload(self, id: str, *paths: Any) -> None:
        self.page.locator(f"#{id} input[type=file]").set_input_files([str(path) for path in paths])
        self.wait(f"#{id} .file-preview")

    def coloured(self, seconds: float = 60) -> None:
        """Presses Colour and waits for the end."""
        self.page.click("#colour-begin")
        self.wait("#colour-status a.download", seconds)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@contextlib.contextmanager
def visiting(browser: Any, url: str, width: int = 1280, height: int = 900, **more: Any) -> Iterator[Visit]:
    """The page, opened; at the end nothing may have been asked of another host, and nothing complained of."""
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    visit = Visit(context.new_page(), url)
    visit.page.on("request", lambda request: _note(visit, request.url))
    visit.page.on("console", lambda said: visit.complaints.append(said.text) if said.type == "error" else None)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.set_default_timeout(15_000)
    visit.page.goto(url)
    visit.wait("#colour-begin")
    visit.page.wait_for_timeout(700)  # its listeners are there soon after its parts; its heartbeat never falls silent
    yield visit
    context.close()
    assert visit.foreign == []
    assert visit.complaints == []


def _note(visit: Visit, url: str) -> None:
    if not url.startswith((visit.url.partition("?")[0], "data:", "blob:")):
        visit.foreign.append(url)
