"""The sample sheet of an epoch."""

from __future__ import annotations

from pathlib import Path

import torch

from tinct import figures
from tinct.families import Model


@torch.no_grad()
def sample_sheet(model: Model, rgb: torch.Tensor, path: Path) -> None:
    """Writes what the model shows of itself, given some pictures of its set, uint8 (B, 3, H, W)."""
    columns = {title: list(pictures.permute(0, 2, 3, 1).numpy()) for title, pictures in model.examples(rgb).items()}
    figures.sheet(columns, path, scale=2)
