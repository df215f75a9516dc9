"""The page as its visitors use it, in Chromium, against a server in a process of its own."""

import io
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

import tinct
from browsing import Visit, chromium, visiting
from serving import Served, serving

pytestmark = pytest.mark.slow

GRAY = Image.fromarray(data.camera()[::2, ::2])


@pytest.fixture(scope="module")
def server(untrained: str, trained_once: Path) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TINCT_WORKSPACE", str(trained_once))
        with serving("--model", untrained, "--max-megabytes", "2") as served:
            yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def visit(browser: Any, server: Served) -> Iterator[Visit]:
    with visiting(browser, server.url) as opened:
        yield opened


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x013B] = "F. Fotograf"
    GRAY.save(tmp_path / "old.jpg", quality=95, exif=exif)
    return tmp_path / "old.jpg"


def downloaded(visit: Visit, id: str = "colour-status") -> bytes:
    with urllib.request.urlopen(visit.url + visit.page.locator(f"#{id} a.download").get_attribute("href")) as answer:
        return bytes(answer.read())


def test_a_photograph_is_shown_before_and_after_in_full_and_comes_with_its_metadata(visit: Visit, photo: Path) -> None:
    visit.upload("colour-files", photo)
    visit.page.locator("#colour-seed input").fill("3")
    visit.coloured()
    visit.wait("#colour-slider img")
    sizes = visit.page.eval_on_selector_all("#colour-slider img", "all => all.map(one => one.naturalWidth)")
    assert set(sizes) == {GRAY.width}
    made = downloaded(visit)
    assert Image.open(io.BytesIO(made)).getexif()[0x013B] == "F. Fotograf"
    assert made == tinct.Client(visit.url).colorize_files([photo], seed=3).data
    assert "invented" in visit.text("colour-status")


def test_the_slider_moves(visit: Visit, photo: Path) -> None:
    visit.upload("colour-files", photo)
    visit.coloured()
    visit.wait("#colour-slider img")
    visit.page.wait_for_timeout(500)
    box = visit.page.locator("#colour-slider").bounding_box()
    visit.page.locator("#colour-slider").scroll_into_view_if_needed()
    before = visit.page.locator("#colour-slider").screenshot()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    visit.page.mouse.move(*middle)
    visit.page.mouse.down()
    visit.page.mouse.move(middle[0] - box["width"] / 4, middle[1], steps=5)
    visit.page.mouse.up()
    assert visit.page.locator("#colour-slider").screenshot() != before


def test_an_example_is_coloured_step_by_step(visit: Visit) -> None:
    visit.page.locator("#colour-examples button").nth(1).click()
    visit.wait("#colour-files .file-preview")
    visit.page.get_by_role("button", name="More options").first.click()
    visit.page.locator("#colour-steps textarea, #colour-steps input").first.fill("300")
    visit.page.click("#colour-begin")
    visit.wait("#colour-status progress[value]")
    assert "of 300" in visit.text("colour-status")
    assert visit.wait("#colour-status img").get_attribute("src").startswith("data:image/webp")
    visit.wait("#colour-status a.download")


def test_candidates_are_in_a_gallery_and_each_can_be_compared(visit: Visit, photo: Path) -> None:
    visit.upload("colour-files", photo)
    visit.page.locator("#colour-samples textarea, #colour-samples input").first.fill("3")
    visit.coloured()
    pictures = visit.page.locator("#colour-gallery button.thumbnail-item, #colour-gallery .thumbnail-lg")
    visit.wait("#colour-gallery img")
    assert pictures.count() >= 4
    assert "ZIP" in visit.text("colour-status") or ".zip" in visit.text("colour-status")
    pictures.nth(2).click()
    visit.page.wait_for_function("document.querySelector('#colour-status').innerText.includes('candidate-')")


def test_several_photographs_come_in_a_zip(visit: Visit, photo: Path, tmp_path: Path) -> None:
    GRAY.rotate(90).save(tmp_path / "turned.png")
    (tmp_path / "notes.jpg").write_text("no picture")
    visit.upload("colour-files", photo, tmp_path / "turned.png", tmp_path / "notes.jpg")
    visit.coloured()
    assert "notes.jpg" in visit.text("colour-status")
    assert visit.page.locator("#colour-gallery img").count() == 2


def test_a_click_on_the_photograph_is_a_hint(visit: Visit, photo: Path) -> None:
    visit.upload("colour-files", photo)
    visit.page.get_by_role("button", name="Colours that you know").click()
    visit.wait("#colour-photo img").click()  # in its middle
    lines = visit.page.locator("#colour-hint-list textarea")
    visit.page.wait_for_function("document.querySelector('#colour-hint-list textarea').value.includes(',')")
    x, y, color, radius = lines.input_value().split(",")
    assert abs(int(x) - GRAY.width / 2) <= 2
    assert abs(int(y) - GRAY.height / 2) <= 2
    assert (color, radius) == ("#c02020", "8")
    visit.coloured()
    rgb = np.asarray(Image.open(io.BytesIO(downloaded(visit))).convert("RGB")).astype(int)
    at = rgb[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4].reshape(-1, 3).mean(axis=0)
    assert at[0] - at[2] > 15  # red where it was clicked
    visit.page.click("#colour-clear")
    visit.page.wait_for_function("document.querySelector('#colour-hint-list textarea').value === ''")


def test_colours_go_towards_another_picture(visit: Visit, photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), "#2040c0").save(tmp_path / "blue.png")
    visit.upload("colour-files", photo)
    visit.page.get_by_role("button", name="Colours of another picture").click()
    visit.upload("colour-reference", tmp_path / "blue.png")
    visit.coloured()
    rgb = np.asarray(Image.open(io.BytesIO(downloaded(visit))).convert("RGB")).astype(int)
    assert (rgb[..., 2] - rgb[..., 0]).mean() > 15
    visit.page.locator("#colour-palette textarea, #colour-palette input").first.fill("#c02020")
    visit.page.click("#colour-begin")
    assert "both say which colours" in visit.wait("#colour-status .problem").inner_text()


def test_cancelling_ends_it_soon(visit: Visit, photo: Path, server: Served) -> None:
    visit.upload("colour-files", photo)
    visit.page.get_by_role("button", name="More options").first.click()
    visit.page.locator("#colour-steps textarea, #colour-steps input").first.fill("1000")
    visit.page.locator("#colour-draws textarea, #colour-draws input").first.fill("64")
    visit.page.click("#colour-begin")
    visit.wait("#colour-status progress[value]")
    began = time.monotonic()
    visit.page.click("#colour-cancel")
    assert "cancelled" in visit.wait("#colour-status .problem").inner_text()
    assert time.monotonic() - began < 5
    assert server.metric("tinct_jobs_running") == 0


def test_who_leaves_has_cancelled(browser: Any, server: Served, photo: Path) -> None:
    with visiting(browser, server.url) as visit:
        visit.upload("colour-files", photo)
        visit.page.get_by_role("button", name="More options").first.click()
        visit.page.locator("#colour-steps textarea, #colour-steps input").first.fill("1000")
        visit.page.locator("#colour-draws textarea, #colour-draws input").first.fill("64")
        visit.page.click("#colour-begin")
        visit.wait("#colour-status progress[value]")
    end = time.monotonic() + 20
    while server.metric("tinct_jobs_running") and time.monotonic() < end:
        time.sleep(0.2)
    assert server.metric("tinct_jobs_running") == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [(None, "", "no photograph"), ("saturation", "", "text.jpg"), ("samples", "1", "samples = 1: must be at least 2")],
)
def test_what_is_wrong_is_said_once(visit: Visit, tmp_path: Path, field: str | None, value: str, message: str) -> None:
    if field is not None:
        (tmp_path / "text.jpg").write_text("no picture")
        visit.upload("colour-files", tmp_path / "text.jpg")
    if value:
        visit.page.locator(f"#colour-{field} textarea, #colour-{field} input").first.fill(value)
    visit.page.click("#colour-begin")
    visit.page.wait_for_function(f"document.querySelector('#colour-status').innerText.includes({message!r})")
    assert visit.page.get_by_role("alert").count() == 1


def test_a_file_that_is_too_large_is_refused_by_its_name(visit: Visit, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    visit.page.locator("#colour-files input[type=file]").set_input_files(str(tmp_path / "large.png"))
    said = visit.wait("[data-testid=toast-body]").inner_text()
    assert "maximum allowed size" in said
    assert "large.png" in said
    visit.page.click("#colour-begin")
    visit.page.wait_for_function("document.querySelector('#colour-status').innerText.includes('no photograph')")
    visit.complaints.clear()  # the browser's own, of the refused request


def test_two_visitors_do_not_see_each_others_work(browser: Any, server: Served, photo: Path, tmp_path: Path) -> None:
    GRAY.resize((128, 96)).save(tmp_path / "other.png")
    with visiting(browser, server.url) as first, visiting(browser, server.url) as second:
        first.upload("colour-files", photo)
        second.upload("colour-files", tmp_path / "other.png")
        first.page.click("#colour-begin")
        second.page.click("#colour-begin")
        for visit in (first, second):
            visit.wait("#colour-status a.download", 60)
        assert Image.open(io.BytesIO(downloaded(first))).size == GRAY.size
        assert Image.open(io.BytesIO(downloaded(second))).size == (128, 96)


def test_a_visitor_comes_in_with_the_token_and_nobody_without(browser: Any, untrained: str, photo: Path) -> None:
    with serving("--host", "0.0.0.0", "--model", untrained) as served:
        stranger = browser.new_page()
        assert stranger.goto(served.url).status == 401
        stranger.close()
        with visiting(browser, f"{served.url}/?token={served.token}") as visit:
            assert visit.page.url == f"{served.url}/"
            visit.upload("colour-files", photo)
            visit.coloured()
            with visit.page.expect_download() as download:
                visit.page.click("#colour-status a.download")
            with Image.open(download.value.path()) as made:
                assert made.size == GRAY.size


def test_models_are_compared(visit: Visit, photo: Path) -> None:
    visit.tab("Compare")
    visit.upload("compare-file", photo)
    visit.page.click("#compare-begin")
    visit.page.wait_for_function(
        "document.querySelector('#compare-status').innerText.includes('models.')", timeout=60000
    )
    captions = visit.page.locator("#compare-gallery .caption-label")
    captions.nth(2).wait_for()
    names = captions.all_inner_texts()
    assert [name.strip() for name in names] == ["the photograph", "tiny", "photo"]


def test_digits_and_every_step_of_their_way(visit: Visit) -> None:
    visit.tab("Generate")
    visit.page.locator("#generate-count input").fill("4")
    visit.page.locator("#generate-steps textarea, #generate-steps input").first.fill("6")
    visit.page.click("#generate-begin")
    visit.wait("#generate-status a.download")
    assert visit.page.locator("#generate-gallery img").count() == 4
    last = visit.wait("#generate-seen img").get_attribute("src")
    visit.page.locator("#generate-walk input[type=number]").fill("1")
    visit.page.keyboard.press("Tab")
    visit.wait("#generate-seen img[alt='after step 1 of 6']")
    assert visit.page.locator("#generate-seen img").get_attribute("src") != last


def test_runs_are_shown_with_curve_and_samples(visit: Visit) -> None:
    visit.tab("Train")
    visit.wait("#train-facts table")
    assert "2 of 2" in visit.text("train-facts")
    visit.wait("#train-curve img")
    assert visit.page.locator("#train-samples img").count() == 2


def test_about_has_the_cards_and_says_what_colours_are(visit: Visit) -> None:
    visit.tab("About")
    visit.wait("text=Colours here are invented")
    visit.page.get_by_role("button", name="photo: colours").click()
    visit.wait("text=What it is good for, and where it fails")


@pytest.mark.parametrize("name", ["Colour", "Compare", "Generate", "Train", "About"])
def test_a_phone_shows_it_all_without_scrolling_sideways(browser: Any, server: Served, photo: Path, name: str) -> None:
    with visiting(browser, server.url, 390, 800, has_touch=True, is_mobile=True) as visit:
        if name == "Colour":
            visit.upload("colour-files", photo)
            visit.page.locator("#colour-samples textarea, #colour-samples input").first.fill("3")
            visit.coloured()
        open_tab(visit, name)
        visit.page.wait_for_timeout(300)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390


def open_tab(visit: Visit, name: str) -> None:
    """Also where the narrow tab bar has it in its menu."""
    shown = visit.page.locator(f".tab-container[role=tablist] button:has-text('{name}')")
    if not shown.count():
        visit.page.locator(".overflow-menu > button").first.click()
        shown = visit.page.locator(f".overflow-dropdown button:has-text('{name}')")
    shown.first.click()


def test_the_keyboard_is_enough(visit: Visit, photo: Path) -> None:
    visit.upload("colour-files", photo)
    visit.page.locator("#colour-begin").focus()
    visit.page.keyboard.press("Enter")
    visit.wait("#colour-status a.download").focus()
    assert visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    visit.page.get_by_role("tab", name="Compare").focus()
    visit.page.keyboard.press("Enter")
    visit.wait("#compare-begin")
