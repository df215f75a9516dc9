"""What `tinct samplers` prints and writes, whatever the model makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rich.box
import rich.table

from tinct import __version__
from tinct.cli.common import console
from tinct.cli.measuring import results_folder, write_csv
from tinct.evaluation.walks import Walk
from tinct.figures import Curves, speed_and_quality
from tinct.files import replacing_folder, safe_name, workspace, write_json

MANIFEST = "samplers.json"
ASKS = "Asks: evaluations of the network per sample. s: seconds per sample, on the machine as busy as it was."
_OF_WALK = ("sampler", "spacing", "steps", "asks")


@dataclass(frozen=True)
class Findings:
    """A table by walk: for each column its title, a short one for the terminal and, per walk, its cell.

    `curves` are those of the plot, a panel per title; `facts` are for the JSON.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[Walk, Sequence[str]]]
    remarks: Sequence[str]
    curves: Mapping[str, Curves]
    facts: Mapping[str, Any]

    def lines(self, short: bool = False) -> list[list[str]]:
        """The heading, and a line per walk."""
        heading = [*_OF_WALK, *(column[short] for column in self.columns)]
        walks = (
            [walk.sampler, walk.spacing, str(walk.steps), str(walk.evaluations), *cells] for walk, cells in self.rows
        )
        return [heading, *walks]


def target(model: str, out: Path | None) -> Path:
    """Where the results go; OutputError now, not after an hour, when they can't."""
    return results_folder(out or workspace() / "Results" / safe_name(f"samplers-{model}"), MANIFEST, "samplers")


def curves(values: Sequence[tuple[Walk, float]]) -> Curves:
    """A line per sampler and spacing, by cost."""
    found: dict[str, list[tuple[float, float]]] = {}
    for walk, value in sorted(values, key=lambda pair: pair[0].evaluations):
        found.setdefault(f"{walk.sampler}, {walk.spacing}", []).append((walk.evaluations, value))
    return found


def show_and_write(findings: Findings, folder: Path) -> None:
    """Prints the table and the remarks; writes samplers.json, .csv, .md and .png, all of them or none."""
    console.print(_drawn(findings.lines(short=True)))
    for remark in findings.remarks:
        console.print(f"- {remark}", markup=False)
    with replacing_folder(folder) as temporary:
        write_csv(temporary / "samplers.csv", findings.lines())
        (temporary / "samplers.md").write_text(_markdown(findings.lines(), findings.remarks), encoding="utf-8")
        speed_and_quality(findings.curves, temporary / "samplers.png")
        write_json(temporary / MANIFEST, {"version": __version__, **findings.facts, "remarks": list(findings.remarks)})
    for name in ("samplers.md", "samplers.csv", "samplers.png", MANIFEST):
        console.print(f"wrote {folder / name}", markup=False)


def _drawn(lines: Sequence[Sequence[str]]) -> rich.table.Table:
    """For a terminal of 80 columns: without the intervals in brackets, which the files have."""
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, title in enumerate(lines[0]):
        drawn.add_column(title, justify="left" if index < 2 else "right")
    for line in lines[1:]:
        drawn.add_row(*(cell.partition(" (")[0] for cell in line))
    return drawn


def _markdown(lines: Sequence[Sequence[str]], said: Sequence[str]) -> str:
    table = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in table), "", *(f"- {remark}" for remark in said)]) + "\n"
