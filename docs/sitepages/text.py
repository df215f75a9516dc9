"""Plain text as Markdown that shows just this text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SIGNS = re.compile(r"([\\*_{}\[\]#|$~^!])")
_CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)


def escaped(text: str) -> str:
    """Text of one line, with its `code` kept as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick that is only that
        return _escaped(text).replace("`", "\\`")
    return "".join(_code(part) if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _SIGNS.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()) for cell in line)} |" for line in lines) + "\n"


def code(text: str) -> str:
    """One line as code in a cell of a table."""
    return _code(text) if text else ""


def block(text: str, language: str = "text") -> str:
    """Lines as a block of code."""
    fence = "~~~~~~"
    assert fence not in text
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def with_bars(page: str) -> str:
    r"""A page's HTML with `\|` in cells as a bar: the repository's view takes the stroke away, Python's Markdown keeps it."""
    return _CELL.sub(lambda found: found[0].replace("\\|", "|"), page)
