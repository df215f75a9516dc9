"""What the documents show: headings, links, and the commands in their code, as the site's own Markdown reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import markdown
from mkdocs.utils.yaml import yaml_load

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("docs/*.md"), *ROOT.glob("src/tinct/zoo/*.md")]
    + [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
)
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


class Read(HTMLParser):
    """A page's anchors, the addresses of its links and pictures, and the text of its code, blocks apart from words in lines."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: list[str] = []
        self.blocks: list[str] = []
        self.words: list[str] = []
        self._into: list[list[str]] = []
        self._in_block = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.anchors.add(str(given["id"]))
        address = given.get({"a": "href", "img": "src"}.get(tag, ""))
        if address:
            self.addresses.append(address)
        if tag == "pre" or (tag == "code" and not self._in_block):
            self._in_block = tag == "pre"
            (self.blocks if self._in_block else self.words).append("")
            self._into.append(self.blocks if self._in_block else self.words)

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" or (tag == "code" and not self._in_block):
            self._in_block = False
            self._into.pop()

    def handle_data(self, data: str) -> None:
        if self._into:
            self._into[-1][-1] += data


@cache
def read(path: Path) -> Read:
    """A page, rendered as on the site, but for what docs/hook.py does."""
    items = yaml_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["markdown_extensions"]
    settings = {name: options for item in items if isinstance(item, dict) for name, options in item.items()}
    names = [item if isinstance(item, str) else next(iter(item)) for item in items]
    made = markdown.Markdown(extensions=names, extension_configs=settings)
    return Read(made.convert(path.read_text(encoding="utf-8")))


class Command(NamedTuple):
    """A command of tinct that a document shows: the line, and the arguments after `tinct`.

    Words in a line of text may only name it with an option, as `tinct fid --save` does; those of a block are to be typed.
    """

    line: str
    arguments: tuple[str, ...]
    named_only: bool = False


def commands(path: Path) -> Iterator[Command]:
    """Those of a page's blocks of code, and those in lines of text that are more than the command's name."""
    for block in read(path).blocks:
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            yield from in_line(line)
    for words in read(path).words:
        if words.startswith("tinct "):
            yield from (command._replace(named_only=True) for command in in_line(words))


def in_line(line: str) -> Iterator[Command]:
    """Those of a shell's line: of a pipe each; after `NAME=VALUE`, `nohup` or a launcher; without comments and redirections."""
    for words in _simple(_uncommented(line)):
        arguments = _of_tinct(words)
        if arguments is not None:
            yield Command(line.strip(), tuple(word for word in arguments if word not in ("...", "…")))


def _uncommented(line: str) -> str:
    """The line up to a `#` that stands outside quotes and begins a word."""
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign == "#" and (not place or line[place - 1].isspace()):
            return line[:place]
    return line


_REDIRECTION = re.compile(r"\s\d?[<>]+\s*&?\S+")


def _simple(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, as words."""
    lexer = shlex.shlex(_REDIRECTION.sub("", line), posix=True, punctuation_chars="|;&")
    lexer.commenters, lexer.whitespace_split = "", True
    words: list[str] = []
    try:
        for token in lexer:
            if set(token) <= set("|;&"):
                yield words
                words = []
            else:
                words.append(token)
    except ValueError:  # prose or another language: a quote that is never closed
        return
    yield words


_ASSIGNMENT = re.compile(r"[A-Z_]+=")


def _of_tinct(words: list[str]) -> list[str] | None:
    """The arguments of `tinct`, `.venv/bin/tinct`, `... -m tinct`; None for another command."""
    words = [word for word in words if word != "$"]
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("nohup", "time")):
        words = words[1:]
    if words and Path(words[0]).name == "tinct":
        return words[1:]
    launched = [place for place, pair in enumerate(pairwise(words)) if pair == ("-m", "tinct")]
    return words[launched[0] + 2 :] if launched else None
