r"""Formulas, `$...$` and `$$...$$` in the text, as MathML: browsers show it without scripts or fonts from elsewhere."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)
_NOT_READ = re.compile(r"\\[A-Za-z]+")


class FormulaError(ValueError):
    """A formula that can't be shown, with what is wrong in it."""


def mathml(latex: str, display: str = "inline") -> str:
    """A formula as a `<math>` element; FormulaError when it can't be read, or has a command that is not known."""
    braces = re.sub(r"\\[{}]", "", latex)
    if braces.count("{") != braces.count("}"):
        raise FormulaError(f"${latex.strip()}$: a brace without its partner")
    try:
        made: str = convert(latex, display=display)
    except Exception as error:  # the reader has an exception for each mistake, and none above them
        raise FormulaError(f"${latex.strip()}$: {error or type(error).__name__}") from None
    if unread := _NOT_READ.findall(re.sub(r"<[^>]*>", " ", made)):
        raise FormulaError(f"${latex.strip()}$: unknown {', '.join(unread)}")
    return made


def with_formulas(page: str) -> str:
    """A page's HTML with the formulas that arithmatex found in it turned to MathML."""
    page = _BLOCK.sub(lambda found: f'<div class="formula">{_made(found[1], "block")}</div>', page)
    return _INLINE.sub(lambda found: _made(found[1], "inline"), page)


def _made(latex: str, display: str) -> str:
    return mathml(html.unescape(latex), display)
