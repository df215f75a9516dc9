"""Which picture to show of all that a model thinks possible: error against colourfulness, and whether samples are honest.

    python -m benchmarks.output_rules [--model NAME] [--data ZIP] [--feature-weights DIR|FILE] [--first 500] [--skip 0]

Over validation pictures (val_0 ... of Tiny ImageNet with a spread above 4 levels), each rule at several strengths: the mean
head's colours times a factor, the same as an anchor of a sample's coarse colours (what `tinct colorize` does), a sample, the
medoid of eight. Then eight honest samples: the best of them by LPIPS, and the spread-skill ratio of a picture's mean chroma,
sqrt((1 + 1/n) var) / rmse of the samples' mean, which is 1 when the truth is like one more sample (Fortin et al. 2014).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.validation import measures_of, parsed, parser, validation, verdict
from tinct import zoo
from tinct.color import rgb_to_cbcr
from tinct.families import Colorizer
from tinct.images import Picture, Samples
from tinct.metrics.colour import colourfulness
from tinct.photo import PhotoOptions, colour_batch
from tinct.photo.preview import previewed

METRICS = ("lpips-squeeze", "de2000", "psnr", "colourfulness")
STRENGTHS = (1.0, 1.25, 1.5, 1.75)
SAMPLES = 8
HONEST = PhotoOptions(anchor=0.0, draws=1)
_TOGETHER = 50  # pictures

Row = dict[str, Tensor]  # metric -> value of each picture


def main() -> int:
    """Prints the table and every target; the exit code is 1 when one is missed."""
    arguments = parser(__doc__, feature_weights=True)
    arguments.add_argument("--first", type=int, default=500)
    arguments.add_argument("--skip", type=int, default=0, help="begin after so many")
    options = parsed(arguments)
    truths = [*validation(options.data, options.first, options.skip)]
    bench = Bench(zoo.colorizer(zoo.load(options.model)), truths, options.feature_weights)
    print(f"{len(bench.truths)} pictures, model {options.model}")
    shown = bench.row("default", bench.coloured(PhotoOptions()))
    print("\n".join(_by_quarter(shown["colourfulness"], bench.truths)))
    bench.row("medoid of 8", bench.coloured(replace(HONEST, draws=8)))
    mean = [bench.row(f"mean x {k:g}", bench.means(k)) for k in STRENGTHS]
    for k in STRENGTHS:
        bench.row(f"anchor {k:g}", bench.coloured(PhotoOptions(anchor=k, draws=1)))
    samples = [bench.coloured(HONEST, sample) for sample in range(SAMPLES)]
    honest = [bench.row(f"sample {number}", pictures) for number, pictures in enumerate(samples, 1)]
    verdicts = [*_of_default(shown, mean), *_of_samples(honest, bench.truths, samples)]
    return 0 if verdict(verdicts) else 1


class Bench:
    """A model, the pictures in colour, and their luma."""

    def __init__(self, model: Colorizer, truths: Sequence[Samples], feature_weights: Path) -> None:
        self.model, self.truths = model, truths
        self.grays = [np.asarray(Image.fromarray(truth).convert("L")) for truth in truths]
        self.measures = measures_of(list(METRICS), feature_weights)
        print(f"{'':14}" + "".join(f"{name:>15}" for name in METRICS))

    def coloured(self, options: PhotoOptions, sample: int = 0) -> list[Samples]:
        """All pictures, of the given sample each."""
        return colour_batch(
            self.model, self.grays, [index + 1_000_000 * sample for index in range(len(self.grays))], options
        )

    def means(self, strength: float) -> list[Samples]:
        """All pictures in the mean head's colours, so many times as strong."""
        options = PhotoOptions(anchor=strength)
        return [previewed(self.model, Picture("", (gray,)), options)[0][0] for gray in self.grays]

    def row(self, name: str, pictures: Sequence[Samples]) -> Row:
        """Measured picture by picture, and printed."""
        both = list(zip(_batches(self.truths), _batches(pictures), strict=True))
        values = {one.name: torch.cat([one(truth, made).flatten() for truth, made in both]) for one in self.measures}
        print(f"{name:14}" + "".join(f"{values[metric].mean():15.4f}" for metric in METRICS), flush=True)
        return values


def _batches(pictures: Sequence[Samples]) -> Iterator[Tensor]:
    for start in range(0, len(pictures), _TOGETHER):
        yield torch.from_numpy(np.stack(pictures[start : start + _TOGETHER])).permute(0, 3, 1, 2).contiguous()


def _by_quarter(made: Tensor, truths: Sequence[Samples]) -> Iterator[str]:
    """Where colours are too dull or too vivid: in each quarter of the pictures by their true colourfulness."""
    real = colourfulness_of(truths)
    for quarter, some in enumerate(real.argsort().tensor_split(4), 1):
        more = (made[some] > real[some]).double().mean()
        means = f"truth {real[some].mean():.1f}, default {made[some].mean():.1f}"
        yield f"  quarter {quarter}: {means}, more than the truth in {more:.0%}"


def _of_default(shown: Row, mean: Sequence[Row]) -> Iterator[tuple[str, bool]]:
    """What a user gets, against the targets and against the vivid mean of the same colourfulness."""
    lpips, de, psnr, colours = (shown[metric].mean().item() for metric in METRICS)
    yield f"default: LPIPS-squeeze {lpips:.4f} at most 0.148", lpips <= 0.148
    yield f"default: colourfulness {colours:.1f} at least 28", colours >= 28
    yield f"default: CIEDE2000 {de:.2f} at most 12.0", de <= 12.0
    yield f"default: PSNR {psnr:.2f} at least 22.5", psnr >= 22.5
    along = [row["colourfulness"].mean().item() for row in mean]
    equal = float(np.interp(colours, along, [row["lpips-squeeze"].mean().item() for row in mean]))
    yield f"default: LPIPS-squeeze {lpips:.4f} below {equal:.4f}, the mean's as colourful", lpips < equal


def _of_samples(
    honest: Sequence[Row], truths: Sequence[Samples], samples: Sequence[Sequence[Samples]]
) -> Iterator[tuple[str, bool]]:
    """Whether one sample looks as a photograph does, the samples vary as much as they are wrong, and one of them is near."""
    real = colourfulness_of(truths).mean().item()
    colours, lpips = (torch.stack([row[name] for row in honest]) for name in ("colourfulness", "lpips-squeeze"))
    share = colours.mean().item() / real
    yield (
        f"sample: colourfulness {colours.mean():.1f}, {share:.2f} of the truth's {real:.1f}: 0.85 to 1.15",
        0.85 <= share <= 1.15,
    )
    yield f"sample: LPIPS-squeeze {lpips.mean():.4f} at most 0.175", lpips.mean().item() <= 0.175
    best = lpips.amin(dim=0).mean().item()
    yield f"best of {SAMPLES}: LPIPS-squeeze {best:.4f} at most 0.108", best <= 0.108
    ratio = spread_skill(truths, samples)
    yield f"samples: spread-skill ratio of the mean chroma {ratio:.3f}: 0.9 to 1.1", 0.9 <= ratio <= 1.1


def spread_skill(truths: Sequence[Samples], samples: Sequence[Sequence[Samples]]) -> float:
    """How much the samples' mean chroma varies over how wrong their mean is, as the head of this file has it."""
    truth, drawn = _mean_chroma(truths), torch.stack([_mean_chroma(pictures) for pictures in samples])
    skill = (drawn.mean(dim=0) - truth).square().sum(dim=1).mean().sqrt()
    ratio = ((1 + 1 / len(samples)) * drawn.var(dim=0).sum(dim=1).mean()).sqrt() / skill
    return float(ratio)


def colourfulness_of(pictures: Sequence[Samples]) -> Tensor:
    """(N,), in levels."""
    return torch.cat([colourfulness(batch, batch) for batch in _batches(pictures)])


def _mean_chroma(pictures: Sequence[Samples]) -> Tensor:
    """(N, 2), in levels."""
    return torch.cat([rgb_to_cbcr(batch.float()).mean(dim=(2, 3)) for batch in _batches(pictures)])


if __name__ == "__main__":
    sys.exit(main())
