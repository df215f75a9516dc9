"""What a comparison prints and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import rich.box
import rich.table
from rich.markup import escape

from tinct import __version__, figures
from tinct.cli.common import console
from tinct.cli.measuring import results_folder, sheet_scale, write_csv
from tinct.evaluation import Comparison, Row
from tinct.evaluation import comparison_report as report
from tinct.evaluation.comparison_html import html
from tinct.files import replacing_folder, safe_name, workspace, write_json
from tinct.images import Samples

MANIFEST = "comparison.json"
_STYLES = {1: "bold", 2: "italic", 3: "underline"}
_COLUMN = 14  # characters, of a model's column


def target(label: str, out: Path | None) -> Path:
    """Where the comparison goes; OutputError now, not after hours, when it can't."""
    folder = out or workspace() / "Results" / safe_name(f"compare-{label}")
    return results_folder(folder, MANIFEST, "compare", "comparison")


def show(comparison: Comparison) -> None:
    """Prints the table in blocks that fit the terminal, and the remarks."""
    rows = comparison.rows
    names = max(map(len, report.titles(comparison)))
    width = max(1, (console.width - names - 2) // _COLUMN)
    for start in range(0, len(rows), width):
        console.print(_block(comparison, rows[start : start + width]))
    for remark in report.remarks(comparison):
        console.print(f"- {remark}", markup=False)


def _block(comparison: Comparison, rows: Sequence[Row]) -> rich.table.Table:
    """A column per row of the comparison, a line per metric, the interval below each mean."""
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    drawn.add_column("", no_wrap=True)
    for row in rows:
        drawn.add_column(escape(row.name), justify="right", overflow="fold")
    columns = [report.cells(comparison, row) for row in rows]
    for title, *line in zip(report.titles(comparison), *columns, strict=True):
        drawn.add_row(title, *map(_styled, line))
    return drawn


def _styled(text: report.Text) -> str:
    mean = f"[{_STYLES[text.place]}]{text.mean}[/]" if text.place else text.mean
    near = f" {report.CLOSE}" if text.close else ""
    return mean + near + (f"\n[dim]{text.interval}[/dim]" if text.interval else "")


def write(comparison: Comparison, title: str, columns: Mapping[str, Sequence[Samples]], folder: Path) -> None:
    """Writes every file into the folder, which appears when all of them are whole; an earlier comparison is replaced."""
    with replacing_folder(folder) as new:
        write_csv(new / "comparison.csv", report.csv_rows(comparison))
        write_csv(new / "pictures.csv", report.picture_rows(comparison))
        (new / "comparison.md").write_text(report.markdown(comparison, title), encoding="utf-8")
        figures.sheet(columns, new / "sheet.png", scale=sheet_scale(columns))
        page = html(comparison, title, (new / "sheet.png").read_bytes())
        (new / "comparison.html").write_text(page, encoding="utf-8")
        names = sorted([*(path.name for path in new.iterdir()), MANIFEST])
        facts = {"title": title, "tinct_version": __version__, "files": names}
        write_json(new / MANIFEST, {**facts, **comparison.to_dict()}, sync=True)
    for name in names:
        console.print(f"wrote {folder / name}", markup=False)
