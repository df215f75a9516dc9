"""How much of the colours the model's mean tells, when it is shown what is left of photographs that are old.

    python -m benchmarks.old_photographs [--model NAME] [--data ZIP] [--first 1000] [--skip 1000]

R^2 is the share of the variance of chroma that the mean colour explains, over validation pictures (val_1000 ... of Tiny ImageNet
with a spread above 4 levels) at 64x64; the true colours are those of the clean pictures. Each way of being shown is measured as
it is, and with the contrast stretched as `--stretch true` does it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from benchmarks.validation import parsed, parser, validation, verdict
from tinct import zoo
from tinct.color import luma
from tinct.data.degradation import degraded
from tinct.diffusion.noise import generators_for
from tinct.families import Colorizer, Diffusing
from tinct.photo.prints import stretched

LEAST = 0.6  # of what the clean pictures' R^2 is, when all are degraded


def main() -> int:
    """Prints a row per way of being shown; the exit code is 1 when old photographs tell too little."""
    arguments = parser(__doc__)
    arguments.add_argument("--first", type=int, default=1000)
    arguments.add_argument("--skip", type=int, default=1000, help="begin after so many")
    options = parsed(arguments)
    model = zoo.colorizer(zoo.load(options.model))
    rgb = torch.from_numpy(np.stack([*validation(options.data, options.first, options.skip)])).permute(0, 3, 1, 2)
    print(f"{len(rgb)} pictures, model {options.model}\n{'shown':34} {'as it is':>9} {'stretched':>9}")
    found = {}
    for name, gray in shown(rgb).items():
        bright = torch.from_numpy(np.stack([stretched(picture[0].numpy()) for picture in gray]))[:, None]
        found[name], wide = explained(model, rgb, gray), explained(model, rgb, bright)
        print(f"{name:34} {found[name]:9.3f} {wide:9.3f}", flush=True)
    share = found["as old photographs"] / found["clean"]
    return 0 if verdict([(f"old photographs: {share:.2f} of the clean, at least {LEAST}", share >= LEAST)]) else 1


def shown(rgb: Tensor) -> Mapping[str, Tensor]:
    """Gray (N, 1, H, W) in levels, float32, by what happened to the pictures."""
    clean = luma(rgb).float()
    grain = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
    return {
        "clean": clean,
        "as old photographs": degraded("old", rgb, generators_for(range(len(rgb)))).float(),
        **{f"contrast {k}, blacks lifted": 255 * (1 - k) + k * clean for k in (0.8, 0.6, 0.45)},
        "contrast 0.6, whites lost instead": 0.6 * clean,
        **{f"grain of {levels} levels": (clean + levels * grain).clamp(0, 255) for levels in (7, 14)},
    }


@torch.inference_mode()
def explained(model: Colorizer, rgb: Tensor, gray: Tensor) -> float:
    """R^2 of the mean for pictures uint8 (N, 3, H, W), shown as gray (N, 1, H, W)."""
    assert isinstance(model, Diffusing)
    wrong, there = 0.0, 0.0
    for colours, levels in zip(torch.split(rgb, 100), torch.split(gray, 100), strict=True):
        x_0, mean = model.encode(colours), model.mean(levels)
        if mean is None:
            raise SystemExit(f"the model '{model.name}' has no head for the mean colour")
        wrong, there = wrong + float((mean - x_0).square().sum()), there + float(x_0.square().sum())
    return 1 - wrong / there


if __name__ == "__main__":
    sys.exit(main())
