"""The sample sheet of an epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tinct import figures
from tinct.color import compose, luma
from tinct.families import Colorizer, generators_for


@torch.no_grad()
def sample_sheet(model: Colorizer, rgb: torch.Tensor, path: Path) -> None:
    """Writes a picture of gray, one sample of the model and truth for each of `rgb`, uint8 (B, 3, H, W)."""
    gray = luma(rgb)
    levels = gray.float().to(next(model.parameters()).device)
    *_, last = model.sample(levels, generators=generators_for(range(len(rgb))))
    chroma = model.cbcr(last.x_0, levels).cpu()
    chroma = torch.nn.functional.interpolate(chroma, gray.shape[-2:], mode="bicubic")
    columns = {"gray": gray.expand(-1, 3, -1, -1), "sample": compose(gray, chroma), "truth": rgb}
    figures.sheet({name: _arrays(value) for name, value in columns.items()}, path, scale=2)


def _arrays(pictures: torch.Tensor) -> list[NDArray[np.uint8]]:
    return list(pictures.to(torch.uint8).permute(0, 2, 3, 1).numpy())
