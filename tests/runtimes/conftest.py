"""Small made models and their exports, each made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tinct import runtimes, weights, zoo
from tinct.config import from_dict, to_dict
from tinct.families import FAMILIES

SPLIT = {"size": 32, "network": {"encoder": [32, 32, 32], "denoiser": [32, 32], "deep_blocks": 2}}


def saved(path: Path, family: str, options: dict[str, Any]) -> str:
    """The weights file of a network that was not trained, but whose every weight counts."""
    chosen: Any = from_dict(FAMILIES[family].Options, options)
    torch.manual_seed(0)
    model = FAMILIES[family].build(chosen)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    header = {"format": 1, "family": family, "model": to_dict(chosen), "name": path.stem}
    weights.save(path, model.state_dict(), header)
    return str(path)


@pytest.fixture(scope="session")
def split(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small split network, as photo's is large."""
    return saved(tmp_path_factory.mktemp("models") / "small.safetensors", "splitdpm", SPLIT)


@pytest.fixture(scope="session")
def exported(split: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export. Shared: copy it to change it."""
    folder = tmp_path_factory.mktemp("exports") / "small"
    for record in runtimes.export(zoo.load(split), folder):
        if isinstance(record, runtimes.Written):
            assert record.difference is not None
            assert record.difference < 1e-5  # at sizes and batches that were not traced
    return folder
