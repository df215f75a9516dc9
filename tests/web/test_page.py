"""The page as it is sent: its tabs, its policy, and that it names no other host. What it does is in test_page_browser."""

import re
import urllib.request
from collections.abc import Iterator

import pytest

from serving import Served, problem_in, serving, until


@pytest.fixture(scope="module")
def server(untrained: str) -> Iterator[Served]:
    with serving("--model", untrained) as served:
        until(lambda: "gradio_config" in served.get("/"))
        yield served


@pytest.fixture(scope="module")
def page(server: Served) -> str:
    return server.get("/")


def test_it_has_its_tabs_and_every_option_of_the_schema(page: str) -> None:
    for tab in ("Colour", "Compare", "Generate", "Train", "About"):
        assert f'"label":"{tab}"' in page
    for option in ("model", "saturation", "anchor", "draws", "sampler", "eta", "quality", "force", "stretch"):
        assert f'"elem_id":"colour-{option}"' in page
    for option in ("count", "label", "guidance", "steps", "seed"):
        assert f'"elem_id":"generate-{option}"' in page


def test_it_names_no_other_host(server: Served, page: str) -> None:
    assert set(re.findall(r"https?://([^/\"':\s]+)", page)) <= {"127.0.0.1"}
    for path in re.findall(r'(?:src|href)="(\./assets/[^"]+\.css)"', page):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", server.get(path.removeprefix(".")))
    theme = server.get("/theme.css")
    assert "system-ui" in theme
    assert not re.search(r"@import|@font-face|https?://(?!www\.w3\.org)", theme)


def test_its_policy_lets_nothing_leave(server: Served) -> None:
    with urllib.request.urlopen(server.url, timeout=30) as answer:
        policy = answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
    told = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert told["default-src"] == ["'none'"]
    assert all(not re.search(r"[a-z]+\.[a-z]|\*|https?:", source) for sources in told.values() for source in sources)


@pytest.mark.parametrize(
    "head",
    [
        "GET /gradio_api/proxy=http://127.0.0.1/ HTTP/1.1",
        "POST /gradio_api/vibe-edit HTTP/1.1\r\nContent-Length: 2\r\nContent-Type: application/json",
        "GET /gradio_api/runs HTTP/1.1",
        "GET /monitoring HTTP/1.1",
        "POST / HTTP/1.1\r\nContent-Length: 0",
    ],
)
def test_of_the_library_only_what_the_page_needs_is_there(server: Served, head: str) -> None:
    body = b"{}" if "vibe" in head else b""
    assert problem_in(server.raw(f"{head}\r\nConnection: close", body))[0] == 404


@pytest.mark.parametrize("path", ["/etc/hostname", "/gradio_api/../../etc/hostname"])
def test_no_file_of_the_machine_is_given_away(server: Served, path: str) -> None:
    answer = server.raw(f"GET /gradio_api/file={path} HTTP/1.1\r\nConnection: close")
    assert answer.split(b" ")[1] in (b"403", b"404")
