"""Files of the repository on the site: where each is, and the pages for those outside docs/ that pages link to.

Links are written for the repository: `../ARCHITECTURE.md` in docs/, `../../../docs/colouring.md` in a model card.
`relinked` turns them to where the file is on the site.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from sitepages.text import block

ROOT = Path(__file__).parents[2]
DOCS, CARDS = "docs", "src/tinct/zoo"
NAMED = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LANGUAGES = {
    ".py": "python",
    ".toml": "toml",
    ".sh": "bash",
    ".yml": "yaml",
    ".json": "json",
    ".txt": "text",
    "": "text",
}
_LINK = re.compile(r"\]\(\s*<?([^)\s>#?]+)")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//|/", re.IGNORECASE)


def page_of(path: str) -> str:
    """Where a file or folder of the repository (its path from the root) is among the site's sources."""
    place = PurePosixPath(path)
    if place.is_relative_to(DOCS):
        return str(place.relative_to(DOCS))
    if path in NAMED:
        return NAMED[path]
    if str(place.parent) == CARDS and place.suffix == ".md":
        return f"models/{place.name}"
    becomes_page = (ROOT / path).is_dir() or place.suffix in LANGUAGES
    return f"files/{path}.md" if becomes_page else f"files/{path}"


def relinked(url: str, source: str, page: str) -> str:
    """The link `url` of a file of the repository, `source`, as it has to be in the `page` that this file is on the site."""
    path, mark, anchor = url.partition("#")
    if not path or _ELSEWHERE.match(path):
        return url
    target = page_of(posixpath.normpath(posixpath.join(posixpath.dirname(source), path)))
    return posixpath.relpath(target, posixpath.dirname(page) or ".") + mark + anchor


def cards() -> list[str]:
    """The model cards, by their paths from the root: `photo` first, as it is what `tinct colorize` takes."""
    found = sorted((ROOT / CARDS).glob("*.md"), key=lambda path: (path.stem != "photo", path.stem))
    return [path.relative_to(ROOT).as_posix() for path in found]


def linked(sources: Iterable[str]) -> set[str]:
    """The files and folders outside docs/ that these files link to, directly or by way of one another.

    What a link leads to and is not there is left out: the site's builder then says which page has a dead link.
    """
    found: set[str] = set()
    waiting = list(sources)
    while waiting:
        source = waiting.pop()
        for target in _targets(source):
            outside = not PurePosixPath(target).is_relative_to(DOCS) and target != "README.md"
            if outside and target not in found and (ROOT / target).exists():
                found.add(target)
                waiting += [target] if target.endswith(".md") or (ROOT / target).is_dir() else []
    return found


def _targets(source: str) -> set[str]:
    folder = posixpath.dirname(source)
    if (ROOT / source).is_dir():
        return {f"{source}/{name}" for name in _listed(source)}
    urls = _LINK.findall((ROOT / source).read_text(encoding="utf-8"))
    paths = {posixpath.normpath(posixpath.join(folder, url)) for url in urls if not _ELSEWHERE.match(url)}
    return {path for path in paths if not path.startswith("..")}


def _listed(folder: str) -> list[str]:
    """The files of a folder that are for reading."""
    shown = {*LANGUAGES, ".md", ".ipynb"} - {""}
    return sorted(path.name for path in (ROOT / folder).iterdir() if path.is_file() and path.suffix in shown)


def text_of(path: str) -> str:
    """The page of a file or folder outside docs/, as Markdown whose links are those of the repository."""
    if (ROOT / path).is_dir():
        names = "\n".join(f"- [{name}]({posixpath.basename(path)}/{name})" for name in _listed(path))
        return f"# {path}/\n\n{names}\n"
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{block(text, LANGUAGES[PurePosixPath(path).suffix])}"


def source_of(pages: Mapping[str, str], page: str) -> str:
    """The file of the repository that a page shows; a page that is made lies, as it were, in docs/."""
    return pages.get(page, f"{DOCS}/{page}")
