"""Curves over epochs: the losses of one run, and of several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from tinct.files import replacing

# Tol's bright and vibrant schemes, which people of any colour vision tell apart (personal.sron.nl/~pault).
COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#009988", "#bbbbbb")


def loss_curve(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Training and validation loss per epoch, the best validation loss marked.

    Rows have epoch, train_loss and val_loss; a loss that is missing, None or not finite is left out.
    The vertical axis is logarithmic when the losses span more than a factor of ten.
    """
    figure, axes = axes_of_a_figure()
    curves = {name: _points(history, key) for name, key in (("training", "train_loss"), ("validation", "val_loss"))}
    for (name, points), color in zip(curves.items(), ("#4477aa", "#cc5533"), strict=True):
        if points:
            axes.plot(*zip(*points, strict=True), color=color, label=name, marker="o", markersize=3, linewidth=1.6)
    if curves["validation"]:
        _mark_best(axes, curves["validation"])
    _finish(figure, axes, [loss for points in curves.values() for _, loss in points], path)


def compared_curves(histories: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Several runs over each other, each in its own colour: validation loss as a line with its best marked, training loss dotted.

    Rows as in `loss_curve`. Beyond nine runs the colours repeat.
    """
    figure, axes = axes_of_a_figure()
    losses: list[float] = []
    for (name, history), color in zip(histories.items(), cycle(COLORS), strict=False):
        training, validation = _points(history, "train_loss"), _points(history, "val_loss")
        for points, style in ((training, ":"), (validation, "-")):
            axes.plot([epoch for epoch, _ in points], [loss for _, loss in points], style, color=color, linewidth=1.6)
            losses += [loss for _, loss in points]
        if training or validation:
            epoch, loss = min(validation or training, key=lambda point: point[1])
            axes.plot([epoch], [loss], "o-", color=color, label=name.replace("$", r"\$"))
    axes.set_title("validation loss (line, its best marked) and training loss (dotted)", fontsize=11, loc="left")
    _finish(figure, axes, losses, path)


def axes_of_a_figure() -> tuple[Any, Any]:
    """A figure of one panel, and its axes."""
    figure, (axes,) = panels()
    return figure, axes


def panels(count: int = 1) -> tuple[Any, list[Any]]:
    """A figure of 880 x 495 pixels, drawn without a display, and its axes side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, count, number) for number in range(1, count + 1)]


def _finish(figure: Any, axes: Any, losses: Sequence[float], path: Path) -> None:
    """Scales and labels the axes for these losses, and writes the figure."""
    from matplotlib.ticker import MaxNLocator

    if losses and min(losses) > 0 and max(losses) > 10 * min(losses):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if losses:
        axes.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _points(history: Sequence[Mapping[str, Any]], key: str) -> list[tuple[float, float]]:
    pairs = [(row["epoch"], row.get(key)) for row in history]
    return [(epoch, loss) for epoch, loss in pairs if loss is not None and math.isfinite(loss)]


def _mark_best(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    epoch, loss = min(points, key=lambda point: point[1])
    axes.plot(
        [epoch], [loss], "o", markersize=11, markerfacecolor="none", markeredgecolor="#cc5533", markeredgewidth=1.8
    )
    axes.axhline(loss, color="#cc5533", linewidth=0.8, linestyle=":")
    axes.set_title(f"best validation loss {loss:.4g} after epoch {epoch:g}", fontsize=11, loc="left")
