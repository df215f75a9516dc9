"""A reference on the validation pictures: what it brings to know a picture's own colours, and how near one comes to another's.

    python -m benchmarks.reference [--model NAME] [--data ZIP] [--pictures 100] [--strength 1] [--anchor A]

The validation pictures are val_0 ... val_499 of Tiny ImageNet with a spread above 4 levels; of these the first so many. Each
is coloured without a reference, with the true picture as its reference, and with the one after it. How far a picture's
colours are from its reference's is the Wasserstein distance of two Gaussians with their means and covariances of Cb and Cr,
in levels, as the finished picture has them (Dowson and Landau 1982).
"""

from __future__ import annotations

import sys
import time
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy.linalg import sqrtm
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.validation import parsed, parser, validation, verdict
from tinct import zoo
from tinct.color import rgb_to_cbcr
from tinct.evaluation import bootstrap
from tinct.families import Colorizer
from tinct.images import Samples
from tinct.metrics.colour import colourfulness
from tinct.photo import PhotoOptions, colour, reference_of, towards

MOST = {"own": 0.7, "distance": 0.4}  # what must be reached: shares of what is without a reference

Plane = npt.NDArray[np.float64]


def main() -> int:
    """Measures and prints; the exit code is 1 when a reference doesn't do what it must."""
    arguments = parser(__doc__)
    arguments.add_argument("--pictures", type=int, default=100)
    arguments.add_argument("--strength", type=float, default=1.0)
    arguments.add_argument("--anchor", type=float)
    options = parsed(arguments)
    model, started = zoo.colorizer(zoo.load(options.model)), time.process_time()
    truths = list(islice(validation(options.data), options.pictures))
    chosen = PhotoOptions(anchor=options.anchor)
    rows = [
        _row(model, truth, other, number, options.strength, chosen)
        for number, (truth, other) in enumerate(zip(truths, [*truths[1:], truths[0]], strict=True))
    ]
    print(f"{len(rows)} pictures, model {options.model}, strength {options.strength:g}", end="")
    print(f", {time.process_time() - started:.0f} CPU seconds")
    return 0 if _reported({name: np.array([row[name] for row in rows]) for name in rows[0]}) else 1


def _row(
    model: Colorizer, truth: Samples, other: Samples, seed: int, strength: float, options: PhotoOptions
) -> dict[str, float]:
    """Figures of one picture: CIEDE2000 to the truth, distance of colours, colourfulness, largest error of luma."""
    gray = np.asarray(Image.fromarray(truth).convert("L"))

    def coloured(reference: Samples) -> Samples:
        goal = reference_of(Image.fromarray(reference), strength=strength)
        assert goal is not None
        return colour(towards(model, goal), gray, seed=seed, options=options)

    without, own, others = colour(model, gray, seed=seed, options=options), coloured(truth), coloured(other)
    lumas = [np.asarray(Image.fromarray(rgb).convert("L")).astype(int) for rgb in (own, others)]
    return {
        "without": _difference(truth, without), "own": _difference(truth, own),
        "own distance without": distance(without, truth), "own distance": distance(own, truth),
        "distance without": distance(without, other), "distance": distance(others, other),
        "vivid without": colourfulness_of(without), "vivid": colourfulness_of(others), "vivid other": colourfulness_of(other),
        "luma": max(float(np.abs(luma - gray).max()) for luma in lumas),
    }  # fmt: skip


def _difference(first: Samples, second: Samples) -> float:
    """CIEDE2000, mean over the pixels."""
    return float(deltaE_ciede2000(rgb2lab(first), rgb2lab(second)).mean())  # type: ignore[no-untyped-call]


def colourfulness_of(rgb: Samples) -> float:
    """Hasler and Suesstrunk's, of one picture."""
    picture = torch.from_numpy(rgb.copy()).movedim(-1, 0)[None]
    return float(colourfulness(picture, picture)[0])


def distance(first: Samples, second: Samples) -> float:
    """Of the two pictures' chroma, as Gaussians, in levels."""
    (mean, covariance), (other_mean, other) = _statistics(first), _statistics(second)
    root = np.real(sqrtm(covariance @ other))
    square = ((mean - other_mean) ** 2).sum() + np.trace(covariance + other - 2 * root)
    return float(max(square, 0.0) ** 0.5)


def _statistics(rgb: Samples) -> tuple[Plane, Plane]:
    chroma = rgb_to_cbcr(torch.from_numpy(rgb.astype(np.float64)).movedim(-1, 0)).flatten(1).numpy()
    return chroma.mean(axis=1), np.cov(chroma)


def _reported(found: dict[str, Plane]) -> bool:
    """Prints the figures, then whether they are what they must be."""
    for name, what in (
        ("without", "CIEDE2000 to the truth, without a reference"), ("own", "with the true picture as reference"),
        ("own distance without", "distance of colours to the truth, without"), ("own distance", "with it"),
        ("distance without", "distance of colours to another picture, without"), ("distance", "with it as reference"),
        ("vivid without", "colourfulness, without"), ("vivid", "with another picture as reference"),
        ("vivid other", "of those references"),
    ):  # fmt: skip
        low, high = bootstrap(found[name])
        print(f"{what:50} {found[name].mean():6.2f} ({low:.2f} to {high:.2f})")
    own = found["own"].mean() / found["without"].mean()
    near = found["distance"].mean() / found["distance without"].mean()
    verdicts = {
        f"its own colours leave {own:.3f} of the CIEDE2000, at most {MOST['own']}": own <= MOST["own"],
        f"another's leave {near:.3f} of the distance to it, at most {MOST['distance']}": near <= MOST["distance"],
        f"largest luma error {found['luma'].max():.0f} is 0": not found["luma"].any(),
    }
    return verdict(verdicts.items())


if __name__ == "__main__":
    sys.exit(main())
