"""Colour hints on the validation pictures: how much the truth at a few random places helps, and how far a hint reaches.

    python -m benchmarks.hints [--model NAME] [--data ZIP] [--pictures 100] [--draws 2]

The validation pictures are val_0 ... val_499 of Tiny ImageNet with a spread above 4 levels; of these the first so many. Each
is coloured without hints, with one, and with twenty; their places are drawn from a fixed seed, their colours are the truth's.
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.validation import parsed, parser, validation, verdict
from tinct import zoo
from tinct.evaluation import bootstrap
from tinct.families import Colorizer
from tinct.images import Samples
from tinct.photo import Hints, PhotoOptions, colour_batch
from tinct.photo.colouring import full_size
from tinct.photo.hinted import hinted_chroma, refined

HINTS = 20
FAR = 0.25  # of the picture's width
_BATCH = 25  # pictures that go through the model together
MOST = {"ratio": 0.75, "hinted": 8.0, "far": 2.0}  # what must be reached: CIEDE2000, or a share of it

Plane = npt.NDArray[np.float64]


def main() -> int:
    """Measures and prints; the exit code is 1 when hints don't do what they must."""
    arguments = parser(__doc__)
    arguments.add_argument("--pictures", type=int, default=100)
    arguments.add_argument("--draws", type=int, default=2)
    options = parsed(arguments)
    model, found, started = zoo.colorizer(zoo.load(options.model)), [], time.process_time()
    truths = np.stack(list(islice(validation(options.data), options.pictures)))
    for first in range(0, len(truths), _BATCH):
        found += _measured(model, truths[first : first + _BATCH], first, PhotoOptions(draws=options.draws))
    print(
        f"{len(truths)} pictures, model {options.model}, {options.draws} draws, {time.process_time() - started:.0f} CPU seconds"
    )
    return 0 if _reported({name: np.array([row[name] for row in found]) for name in found[0]}) else 1


def _measured(model: Colorizer, truths: Samples, first: int, options: PhotoOptions) -> list[dict[str, Any]]:
    """A row of figures for each of the pictures (B, H, W, 3), the first of which has that number."""
    grays = [np.asarray(Image.fromarray(truth).convert("L")) for truth in truths]
    places = [np.random.default_rng([0, first + index]).permutation(gray.size) for index, gray in enumerate(grays)]
    seeds = list(range(first, first + len(grays)))
    without = colour_batch(model, grays, seeds, options)
    one, many = (
        _with_hints(model, truths, grays, [row[:count] for row in places], seeds, options) for count in (1, HINTS)
    )
    return [_row(*parts) for parts in zip(truths, grays, places, without, one, many, strict=True)]


def _with_hints(
    model: Colorizer,
    truths: Samples,
    grays: list[Samples],
    places: list[Samples],
    seeds: list[int],
    options: PhotoOptions,
) -> list[Samples]:
    """As `colour_hinted`, many together: the truth is told at the places, which are numbers of pixels."""
    placed = []
    for truth, chosen in zip(truths, places, strict=True):
        rows, columns = np.divmod(chosen, truth.shape[1])
        hints = [(int(x), int(y), "#" + truth[y, x].tobytes().hex()) for y, x in zip(rows, columns, strict=True)]
        placed.append(Hints(hints).on(truth.shape[:2]))
    seen = torch.from_numpy(np.stack(grays).astype(np.float32))[:, None]  # as large as what the model sees
    chroma = hinted_chroma(model, seen, placed, seeds, options)
    return [full_size(gray, refined(part, own)) for gray, part, own in zip(grays, chroma, placed, strict=True)]


def _row(
    truth: Samples, gray: Samples, places: Samples, without: Samples, one: Samples, many: Samples
) -> dict[str, Any]:
    """CIEDE2000 to the truth without hints, with one and with all; at the hinted pixels; and what one changes near and far."""
    rows, columns = np.divmod(places[:HINTS], gray.shape[1])
    y, x = np.indices(gray.shape)
    far = np.hypot(y - rows[0], x - columns[0]) > FAR * gray.shape[1]
    change, lumas = _difference(without, one), [np.asarray(Image.fromarray(rgb).convert("L")) for rgb in (one, many)]
    return {
        "without": _difference(truth, without).mean(), "one": _difference(truth, one).mean(),
        "many": _difference(truth, many).mean(), "hinted": _difference(truth, many)[rows, columns],
        "far": change[far].mean(), "near": change[~far].mean(),
        "luma": max(np.abs(luma.astype(int) - gray).max() for luma in lumas),
    }  # fmt: skip


def _difference(first: Samples, second: Samples) -> Plane:
    """CIEDE2000 of each pixel."""
    difference: Plane = deltaE_ciede2000(rgb2lab(first), rgb2lab(second))  # type: ignore[no-untyped-call]
    return difference


def _reported(found: dict[str, Plane]) -> bool:
    """Prints the figures, then whether they are what they must be."""
    for name, what in (
        ("without", "CIEDE2000 without hints"), ("one", "with one hint"), ("many", f"with {HINTS} hints"),
        ("near", f"one hint changes, up to {FAR:g} of the width from it"), ("far", "one hint changes, farther away"),
    ):  # fmt: skip
        low, high = bootstrap(found[name])
        print(f"{what:50} {found[name].mean():6.2f} ({low:.2f} to {high:.2f})")
    hinted, ratio = found["hinted"].ravel(), found["many"].mean() / found["without"].mean()
    print(f"{'at the hinted pixels':50} {hinted.mean():6.2f}, largest {hinted.max():.2f}")
    verdicts = {
        f"{HINTS} hints leave {ratio:.3f} of the CIEDE2000, at most {MOST['ratio']}": ratio <= MOST["ratio"],
        f"{(hinted <= MOST['hinted']).mean():.1%} of hinted pixels within {MOST['hinted']:g} of their colour": bool(
            (hinted <= MOST["hinted"]).all()
        ),
        f"far from one hint {found['far'].mean():.2f} changes, less than {MOST['far']:g}": found["far"].mean()
        < MOST["far"],
        f"largest luma error {found['luma'].max()} is 0": not found["luma"].any(),
    }
    return verdict(verdicts.items())


if __name__ == "__main__":
    sys.exit(main())
