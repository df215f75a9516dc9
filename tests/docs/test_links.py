"""Links in the documents lead to files and headings that are there, in the repository as it is."""

from __future__ import annotations

import re

import pytest
from shown import NAMES, ROOT, read

_ELSEWHERE = re.compile(r"(https?|mailto):")


def dead(name: str) -> list[str]:
    """The links and pictures of a page that lead nowhere in the repository."""
    found = []
    for address in read(ROOT / name).addresses:
        path, _, anchor = address.partition("#")
        if _ELSEWHERE.match(address):
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        known = not anchor or (target.suffix == ".md" and target.is_file() and anchor in read(target).anchors)
        if path.startswith("/") or not target.exists() or not known:
            found.append(address)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    assert dead(name) == []


def test_there_are_links():
    assert sum(len(read(ROOT / name).addresses) for name in NAMES) > 100


def test_headings_have_the_anchors_of_the_repository_view():
    """Small letters, signs gone, spaces to strokes one by one."""
    anchors = read(ROOT / "docs" / "training.md").anchors
    assert {"what-a-run-writes-in-modelsname", "runs-list-show-compare-results-delete", "broken-off"} <= anchors


def test_a_dead_link_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("test_links.ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# A heading: two parts\n", encoding="utf-8")
    text = (
        "[a](there.md#a-heading-two-parts) [b](there.md#part) [c](gone.md) ![d](gone.png) [e](#no) [f](https://x.org)\n"
    )
    (tmp_path / "page.md").write_text(text + "\n    [in code](gone.md)\n", encoding="utf-8")
    assert dead("page.md") == ["there.md#part", "gone.md", "gone.png", "#no"]
