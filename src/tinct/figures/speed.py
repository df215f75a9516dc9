"""Speed against quality, as a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tinct.figures.curves import COLORS, panels
from tinct.files import replacing

_DASHES = ["-", "--", ":", "-."]
Curves = Mapping[str, Sequence[tuple[float, float]]]  # by title: evaluations and value, by cost


def speed_and_quality(measured: Mapping[str, Curves], path: Path) -> None:
    """A panel per title, in it a line per "sampler, spacing": colours are samplers, dashes spacings.

    Values are ratios to what a dotted line at 1 stands for.
    """
    figure, plots = panels(len(measured))
    ways = [title.partition(", ") for title in next(iter(measured.values()))]
    samplers, spacings = (list(dict.fromkeys(way[part] for way in ways)) for part in (0, 2))
    for axes, (name, curves) in zip(plots, measured.items(), strict=True):
        for title, points in curves.items():
            sampler, _, spacing = title.partition(", ")
            color = COLORS[samplers.index(sampler) % len(COLORS)]
            dash = _DASHES[spacings.index(spacing) % len(_DASHES)]
            style = {"color": color, "linestyle": dash, "linewidth": 1.4, "marker": "o", "markersize": 4}
            axes.plot(*zip(*points, strict=True), label=title, **style)
        axes.axhline(1, color="#222222", linewidth=0.9, linestyle=":")
        costs = sorted({cost for points in curves.values() for cost, _ in points})
        axes.set_xscale("log", base=2)
        axes.set_xticks(costs, [f"{cost:g}" for cost in costs])
        axes.minorticks_off()
        axes.set_xlabel("evaluations of the network per sample")
        axes.set_title(name, fontsize=11, loc="left")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*plots[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary)
