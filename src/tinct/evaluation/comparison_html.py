"""A comparison as one HTML file that needs nothing else: pictures are in it, and no request leaves the machine."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape

from tinct.evaluation.comparison import Comparison
from tinct.evaluation.comparison_report import CLOSE, Text, cells, p_rows, remarks, titles
from tinct.evaluation.report import heading
from tinct.evaluation.table import BASELINES, Cell, Column, Row

_TAGS = {1: "b", 2: "i", 3: "u"}
_WIDTH, _LINE, _NAMES = 640, 22, 190  # px, of a plot of intervals
_STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; background: #fff; max-width: 90em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } .wide { overflow-x: auto }
th, td { padding: .3em .7em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #888 }
small { color: #666; display: block } tr.baseline td { color: #555; background: #f6f6f6 }
img { max-width: 100%; image-rendering: pixelated } svg { display: block; margin: .5em 0 1.5em; max-width: 100% }
svg text { font: 12px sans-serif; fill: #222 } li { margin: .2em 0 }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html(comparison: Comparison, title: str, sheet: bytes | None = None) -> str:
    """The report as text. `sheet` is the contact sheet, as PNG."""
    body = "\n".join(_body(comparison, title, sheet))
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    )
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>{head}</head>\n<body>\n{body}\n</body>\n</html>\n'


def _body(comparison: Comparison, title: str, sheet: bytes | None) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    yield from _table(["", *titles(comparison)], [_line(comparison, row) for row in comparison.rows])
    yield f"<p><b>best</b>, <i>second</i>, <u>third</u> of the models; {CLOSE} not told from the best.</p>"
    if sheet:
        data = base64.b64encode(sheet).decode("ascii")
        yield f'<h2>Pictures</h2><img alt="truth, gray and each model" src="data:image/png;base64,{data}">'
    yield "<h2>Means and 95% intervals</h2>"
    for measure in comparison.measures:
        yield from _plot(comparison, measure)
    if comparison.p:
        yield "<h2>p against the best</h2>"
        lines = [[escape(name), *map(escape, values)] for name, values in p_rows(comparison)]
        yield from _table(["", *comparison.p], [_row(line) for line in lines])
    yield "<h2>How it was measured</h2><ul>"
    yield from (f"<li>{escape(remark)}</li>" for remark in remarks(comparison))
    yield "</ul>"


def _table(columns: list[str], lines: list[str]) -> Iterator[str]:
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    yield "</tr></thead><tbody>"
    yield from lines
    yield "</tbody></table></div>"


def _line(comparison: Comparison, row: Row) -> str:
    kind = "baseline" if row.name in BASELINES else ""
    return _row([escape(row.name), *map(_marked, cells(comparison, row))], kind)


def _row(values: list[str], kind: str = "") -> str:
    inner = "".join(f"<td>{value}</td>" for value in values)
    return f'<tr class="{kind}">{inner}</tr>' if kind else f"<tr>{inner}</tr>"


def _marked(text: Text) -> str:
    mean = escape(text.mean)
    if text.place:
        mean = f"<{_TAGS[text.place]}>{mean}</{_TAGS[text.place]}>"
    near = f" {CLOSE}" if text.close else ""
    return mean + near + (f"<small>{escape(text.interval)}</small>" if text.interval else "")


def _plot(comparison: Comparison, measure: Column) -> Iterator[str]:
    """A line per row with its mean as a dot and its interval as a bar; a row without the metric is left out."""
    there = [(row, row.cells[measure.name]) for row in comparison.rows if measure.name in row.cells]
    if not there:
        return
    low, high = min(cell.low for _, cell in there), max(cell.high for _, cell in there)
    yield f"<h3>{escape(heading(measure))}</h3>"
    yield f'<svg viewBox="0 0 {_WIDTH} {_LINE * len(there)}" width="{_WIDTH}" role="img" aria-label="{escape(measure.name)}">'
    for number, (row, cell) in enumerate(there):
        yield _bar(row.name, cell, _LINE * number + _LINE // 2, low, high)
    yield "</svg>"


def _bar(name: str, cell: Cell, y: int, low: float, high: float) -> str:
    def x(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_NAMES + 10 + share * (_WIDTH - _NAMES - 20), 1)

    color = "#888" if name in BASELINES else "#4477aa"
    return (
        f'<text x="{_NAMES}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        f'<line x1="{x(cell.low)}" x2="{x(cell.high)}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3"/>'
        f'<circle cx="{x(cell.mean)}" cy="{y}" r="4.5" fill="{color}"/>'
    )
