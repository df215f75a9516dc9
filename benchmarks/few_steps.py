"""Honest samples by one to four steps against those by twenty: error, colourfulness, variety, and time for 1,000 pictures.

    python -m benchmarks.few_steps [--model NAME] [--data ZIP] [--feature-weights DIR|FILE] [--first 500] [--seeds 4]
    python -m benchmarks.few_steps --sheet few-steps.png PHOTOGRAPH...

Over validation pictures (see benchmarks.output_rules), several samples of each. Best: the one nearest to the truth by LPIPS.
The spread-skill ratio is 1 when the truth is like one more sample. `--sheet` draws photographs instead, a column per walk.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks.output_rules import HONEST, Bench, Row, colourfulness_of, spread_skill
from benchmarks.validation import parsed, parser, validation, verdict
from tinct import zoo
from tinct.families import Colorizer
from tinct.figures.sheets import sheet
from tinct.images import Samples
from tinct.photo import colour, colour_batch

LONG = 20
STEPS = (1, 2, 4, LONG)
TIMED = 1000  # pictures of 64x64, by two steps


def main() -> int:
    """Prints a row per walk and every target; the exit code is 1 when one is missed."""
    arguments = parser(__doc__, feature_weights=True)
    arguments.add_argument("--first", type=int, default=500)
    arguments.add_argument("--seeds", type=int, default=4)
    arguments.add_argument("--sheet", type=Path, help="draw this, of the photographs, and measure nothing")
    arguments.add_argument("photographs", nargs="*", type=Path)
    options = parsed(arguments)
    model = zoo.colorizer(zoo.load(options.model))
    if options.sheet:
        draw(model, options.photographs, options.sheet)
        return 0
    bench = Bench(model, [*validation(options.data, options.first)], options.feature_weights)
    found = {steps: measured(bench, steps, options.seeds) for steps in STEPS}
    return 0 if verdict([*_targets(found), _timed(model, bench.grays)]) else 1


def measured(bench: Bench, steps: int, seeds: int) -> Mapping[str, float]:
    """Means over the samples by so many steps, printed."""
    made = [bench.coloured(replace(HONEST, steps=steps), seed) for seed in range(seeds)]
    rows: list[Row] = [bench.row(f"{steps} steps, {seed}", pictures) for seed, pictures in enumerate(made, 1)]
    lpips = torch.stack([row["lpips-squeeze"] for row in rows])
    found = {
        "LPIPS": lpips.mean().item(),
        "best": lpips.amin(dim=0).mean().item(),
        "colourfulness": torch.stack([row["colourfulness"] for row in rows]).mean().item()
        / colourfulness_of(bench.truths).mean().item(),
        "spread-skill": spread_skill(bench.truths, made),
    }
    print(f"{steps} steps: " + ", ".join(f"{name} {value:.4f}" for name, value in found.items()), flush=True)
    return found


def _targets(found: Mapping[int, Mapping[str, float]]) -> Iterator[tuple[str, bool]]:
    for steps, most in ((2, 0.03), (4, 0.01)):
        more = found[steps]["LPIPS"] / found[LONG]["LPIPS"] - 1
        yield f"{steps} steps: LPIPS {more:+.1%} of that of {LONG}, at most {most:+.0%}", more <= most
        share = found[steps]["colourfulness"]
        yield f"{steps} steps: colourfulness {share:.2f} of the truth, 0.85 to 1.15", 0.85 <= share <= 1.15


def _timed(model: Colorizer, grays: Sequence[Samples]) -> tuple[str, bool]:
    """From gray arrays to colour ones, in batches, by as many threads as torch has."""
    many, seconds = [grays[index % len(grays)] for index in range(TIMED)], []
    for _ in range(3):
        began = time.perf_counter()
        colour_batch(model, many, range(TIMED), replace(HONEST, steps=2))
        seconds.append(time.perf_counter() - began)
    median = float(np.median(seconds))
    return f"{TIMED:,} pictures of 64x64 by two steps: {median:.1f} s, at most 15", median <= 15


def draw(model: Colorizer, photographs: Sequence[Path], path: Path) -> None:
    """A row per photograph, of the same noise by every number of steps."""
    grays = [ImageOps.exif_transpose(Image.open(photograph)).convert("L") for photograph in photographs]
    small = [np.asarray(ImageOps.contain(gray, (220, 220))) for gray in grays]
    columns = {"photograph": [np.repeat(gray[..., None], 3, axis=2) for gray in small]}
    for steps in STEPS:
        title = f"{steps} step{'s' if steps > 1 else ''}"
        columns[title] = [colour(model, gray, options=replace(HONEST, steps=steps)) for gray in small]
    sheet(columns, path)


if __name__ == "__main__":
    sys.exit(main())
