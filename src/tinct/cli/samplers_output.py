"""What `tinct samplers` prints and writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich.box
import rich.table

from tinct import __version__
from tinct.cli.common import console
from tinct.cli.measuring import results_folder, write_csv
from tinct.evaluation import Cell
from tinct.evaluation.report import about_metrics, about_pictures
from tinct.evaluation.walks import Gathered, Point, alike
from tinct.figures import speed_and_quality
from tinct.files import replacing_folder, safe_name, workspace, write_json

MANIFEST = "samplers.json"
_ALIKE, _OF_SPREAD = 0.02, 0.05  # from the reference's metric and spread: the same quality


def target(model: str, out: Path | None) -> Path:
    """Where the results go; OutputError now, not after an hour, when they can't."""
    return results_folder(out or workspace() / "Results" / safe_name(f"samplers-{model}"), MANIFEST, "samplers")


def show_and_write(gathered: Sequence[Gathered], metric: str, missing: Mapping[str, str], folder: Path) -> None:
    """Prints the table and the remarks; writes samplers.json, .csv, .md and .png, all of them or none."""
    points = [one.point(gathered[0]) for one in gathered]
    said = list(_remarks(gathered[0], points, metric, missing))
    lines = [_heading(metric), *(_line(point, metric) for point in points)]
    console.print(_drawn(lines))
    for remark in said:
        console.print(f"- {remark}", markup=False)
    with replacing_folder(folder) as temporary:
        write_csv(temporary / "samplers.csv", lines)
        (temporary / "samplers.md").write_text(_markdown(lines, said), encoding="utf-8")
        measured = {metric: _curves(points, metric), "spread of colours": _curves(points, "spread")}
        speed_and_quality(measured, temporary / "samplers.png")
        protocol = gathered[0].table.to_dict()["protocol"]
        facts = {
            "version": __version__,
            "points": [asdict(point) for point in points],
            "protocol": protocol,
            "remarks": said,
        }
        write_json(temporary / MANIFEST, facts)
    for name in ("samplers.md", "samplers.csv", "samplers.png", MANIFEST):
        console.print(f"wrote {folder / name}", markup=False)


def _heading(metric: str) -> list[str]:
    of = "of the reference's"
    return ["sampler", "spacing", "steps", "asks", metric, of, "spread", of, "colourful", "s"]


def _line(point: Point, metric: str) -> list[str]:
    walk, spread = point.walk, point.against["spread"]
    found = [
        f"{point.cells[metric].mean:.4f}",
        _percent(point.against[metric]),
        f"{point.spread:.2f}",
        _percent(spread),
    ]
    asked = [walk.sampler, walk.spacing, str(walk.steps), str(walk.evaluations)]
    return [*asked, *found, f"{point.cells['colourfulness'].mean:.1f}", f"{point.seconds:.3f}"]


def _percent(ratio: Cell) -> str:
    """+1.2% (+0.4 to +2.0)."""
    mean, low, high = (100 * (value - 1) for value in (ratio.mean, ratio.low, ratio.high))
    return f"{mean:+.1f}% ({low:+.1f} to {high:+.1f})"


def _drawn(lines: Sequence[Sequence[str]]) -> rich.table.Table:
    """For the terminal: without the intervals, which the files have."""
    drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for index, title in enumerate(lines[0]):
        drawn.add_column(title, justify="left" if index < 2 else "right")
    for line in lines[1:]:
        drawn.add_row(*(cell.partition(" (")[0] for cell in line))
    return drawn


def _markdown(lines: Sequence[Sequence[str]], said: Sequence[str]) -> str:
    table = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join([*(f"| {' | '.join(line)} |" for line in table), "", *(f"- {remark}" for remark in said)]) + "\n"


def _curves(points: Sequence[Point], name: str) -> dict[str, list[tuple[float, float]]]:
    """Every sampler and spacing with its ratios to the reference, by cost."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for point in sorted(points[1:], key=lambda point: point.walk.evaluations):
        title = f"{point.walk.sampler}, {point.walk.spacing}"
        curves.setdefault(title, []).append((point.walk.evaluations, point.against[name].mean))
    return curves


def _remarks(reference: Gathered, points: Sequence[Point], metric: str, missing: Mapping[str, Any]) -> Iterator[str]:
    table, walk = reference.table, reference.walk
    good = alike(points[1:], metric, _ALIKE, _OF_SPREAD)
    what = f"within {_ALIKE:.0%} of the reference's {metric} and {_OF_SPREAD:.0%} of its spread"
    yield f"The cheapest walk {what}: {good[0].walk}." if good else f"No walk comes {what}."
    yield (
        f"The reference is {walk}. Each walk makes {table.protocol.seeds} samples of every picture from the same seeds; ratios "
        "are of means over the same pictures, their intervals 95% (bootstrap over pictures)."
    )
    yield (
        "Spread: how far the mean chroma of a picture's samples varies, in levels (root of the mean variance, both channels). "
        "A walk with less of it is paler and safer, which metrics reward: it is not a better one."
    )
    yield "Asks: evaluations of the network per sample. s: seconds per sample, on the machine as busy as it was."
    yield from about_pictures(table)
    yield from about_metrics(table, missing)
