"""Noise schedules as curves over t."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

from tinct.figures.curves import COLORS, panels
from tinct.files import replacing


def schedules(
    alpha_bars: Mapping[str, Sequence[float]], path: Path, *, levels: Mapping[str, Sequence[tuple[float, float]]]
) -> None:
    """The signal's power alpha_bar and the log of the signal-to-noise ratio of schedules by name, from t = 0 on.

    `levels` are (t, alpha_bar) to be marked on the schedule of that name: where a sampler stands.
    """
    figure, (left, right) = panels(2)
    for (name, curve), color in zip(alpha_bars.items(), cycle(COLORS), strict=False):
        marked = levels.get(name, ())
        for axes, of in ((left, float), (right, _log_snr)):
            axes.plot(range(len(curve)), [of(value) for value in curve], color=color, label=name, linewidth=1.6)
            axes.plot([t for t, _ in marked], [of(value) for _, value in marked], "o", color=color, markersize=5)
    for axes, title in ((left, "alpha_bar, the signal's power"), (right, "log-SNR, ln(alpha_bar / (1 - alpha_bar))")):
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel("t")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary)


def _log_snr(alpha_bar: float) -> float:
    return math.log(alpha_bar) - math.log1p(-alpha_bar)
