"""Pictures of the page's tabs, wide and narrow, as in docs/images: of a running server, by playwright and the system's Chromium.

tinct serve --port 8000
python examples/screenshots.py http://127.0.0.1:8000
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path
from typing import Any

import skimage
from PIL import Image

SIZES = {"wide": (1280, 860), "narrow": (390, 800)}
TABS = ("Colour", "Compare", "Generate", "Train", "About")
QUALITY = 60  # of WebP: the ten files together stay under 600 kB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(given.url)
            page.wait_for_selector("#colour-begin")
            page.wait_for_timeout(1500)
            for tab in TABS:
                _open(page, tab)
                _USED[tab](page)
                page.wait_for_timeout(1200)
                page.evaluate("window.scrollTo(0, 0)")
                shot = Image.open(io.BytesIO(page.screenshot(full_page=name == "wide")))
                shown = shot.crop((0, 0, width, min(shot.height, 1400)))
                shown.save(given.out / f"page-{tab.lower()}-{name}.webp", quality=QUALITY, method=6)
        browser.close()


def _open(page: Any, tab: str) -> None:
    """Also where a narrow bar has it in its menu."""
    shown = page.locator(f".tab-container[role=tablist] button:has-text('{tab}')")
    if not shown.count():
        page.locator(".overflow-menu > button").first.click()
        shown = page.locator(f".overflow-dropdown button:has-text('{tab}')")
    shown.first.click()


def _colour(page: Any) -> None:
    page.locator("#colour-examples button").nth(2).click()
    page.wait_for_selector("#colour-files .file-preview")
    page.locator("#colour-samples input, #colour-samples textarea").first.fill("3")
    page.click("#colour-begin")
    page.wait_for_selector("#colour-status a.download", timeout=120_000)
    page.wait_for_selector("#colour-slider img")


def _compare(page: Any) -> None:
    buffer = io.BytesIO()
    Image.open(Path(skimage.__file__).parent / "data" / "coffee.png").convert("L").save(buffer, "PNG")
    file = {"name": "coffee.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    page.locator("#compare-file input[type=file]").set_input_files(file)
    page.wait_for_selector("#compare-file .file-preview")
    page.click("#compare-begin")
    page.wait_for_function("document.querySelector('#compare-status').innerText.includes('models.')", timeout=120_000)


def _generate(page: Any) -> None:
    page.locator("#generate-count input").fill("8")
    page.click("#generate-begin")
    page.wait_for_selector("#generate-status a.download", timeout=120_000)
    page.locator("#generate-walk input[type=number]").fill("10")
    page.keyboard.press("Tab")


def _nothing(page: Any) -> None:
    page.wait_for_timeout(500)


_USED = {"Colour": _colour, "Compare": _compare, "Generate": _generate, "Train": _nothing, "About": _nothing}

if __name__ == "__main__":
    main()
