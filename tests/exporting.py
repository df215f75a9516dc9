"""Small made models and their exports, each made once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SPLIT = {"size": 32, "network": {"encoder": [32, 32, 32], "denoiser": [32, 32], "deep_blocks": 1, "jumps": True}}
PLAIN = {
    "size": 32,
    "steps": 3,
    "network": {"features": [8], "time_embedding": 16, "dropout": 0.3},
}


def saved(path: Path, family: str, options: dict[str, Any]) -> str:
    """The weights file of a network that was not trained, but whose every weight counts."""
    import torch

    from tinct import weights
    from tinct.config import from_dict, to_dict
    from tinct.families import FAMILIES

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
    return compared(split, tmp_path_factory.mktemp("exports") / "small")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small U-Net, quick to export."""
    return saved(tmp_path_factory.mktemp("models") / "plain.safetensors", "unetddim", PLAIN)


@pytest.fixture(scope="session")
def exported_plain(plain: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export. Shared: copy it to change it."""
    return compared(plain, tmp_path_factory.mktemp("exports") / "plain")


def compared(file: str, folder: Path) -> Path:
    """The folder of an export whose graphs give what torch gives, at sizes and batches that were not traced."""
    from tinct import runtimes, zoo

    for record in runtimes.export(zoo.load(file), folder):
        if isinstance(record, runtimes.Written):
            assert record.difference is not None
            assert record.difference < 1e-5
    return folder
