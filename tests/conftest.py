"""Fixtures that tests of several parts share: a workspace, a small prepared set, a tiny model that was trained on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Tiny networks only wait for each other's threads; subprocesses take it over.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what runs in its background deaf to Ctrl+C, which the tests send; subprocesses would be deaf too.
signal.signal(signal.SIGINT, signal.default_int_handler)

HUES = np.array([[0.9, 0.45, 0.3], [0.3, 0.6, 0.9], [0.35, 0.8, 0.3], [0.85, 0.75, 0.35]])
TINY = {
    "family": "unetddpm",
    "model": {"size": 16, "timesteps": 40, "steps": 4, "network": {"features": [8, 16], "time_embedding": 16}},
    "training": {"epochs": 2, "batch_size": 8, "precision": "float32", "device": "cpu", "sample_every": 1},
}


def make_pictures(count: int, side: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Soft shapes whose hue follows from their category: uint8 (count, side, side, 3) and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(HUES)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    centres, slopes = rng.uniform(-0.5, 0.5, (2, count, 1, 1)), rng.uniform(-0.4, 0.4, (2, count, 1, 1))
    blobs = np.exp(-3 * ((x - centres[0]) ** 2 + (y - centres[1]) ** 2))
    light = 0.35 + 0.5 * blobs + 0.15 * (slopes[0] * x + slopes[1] * y)
    rgb = light[..., None] * HUES[labels][:, None, None]
    return (255 * rgb.clip(0, 1)).round().astype(np.uint8), labels.astype(np.int64)


def make_prepared(folder: Path, parts: dict[str, int] | None = None, side: int = 16) -> Path:
    """A prepared set as a raw store: so many pictures per part ("train", "val", "test")."""
    folder.mkdir(parents=True)
    parts = parts or {"train": 40, "test": 8}
    for number, (part, count) in enumerate(parts.items()):
        rgb, labels = make_pictures(count, side, seed=number)
        np.save(folder / f"{part}.rgb.npy", rgb)
        np.save(folder / f"{part}.labels.npy", labels)
    metadata = {
        "categories": ["clay", "sky", "leaf", "straw"],
        "normalization": "none",
        "image_shape": {"grayscale": [side, side, 1], "rgb": [side, side, 3]},
        **{f"{part}_samples": parts.get(part, 0) for part in ("train", "val", "test")},
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


@pytest.fixture(autouse=True)
def _no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What --workspace sets in one test is gone in the next."""
    monkeypatch.setenv("TINCT_WORKSPACE", "")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace that TINCT_WORKSPACE names."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.setenv("TINCT_WORKSPACE", str(folder))
    return folder


@pytest.fixture
def toy(workspace: Path) -> Path:
    """The workspace with a prepared set `toy`: 40 training and 8 test pictures of 16 px in four categories."""
    make_prepared(workspace / "npzData" / "toy")
    return workspace


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a network so small that an epoch on `toy` takes part of a second."""
    return TINY


@pytest.fixture(scope="session")
def feature_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of the smaller feature networks, each in its published file's layout and under its name."""
    import torch

    from tinct.nets.features import FEATURES

    folder, generator = tmp_path_factory.mktemp("features"), torch.Generator().manual_seed(0)
    for entry in (entry for name, entry in FEATURES.items() if not name.startswith("inception")):
        state = {key: tensor.half() for key, tensor in entry.build().state_dict().items()}
        for key, tensor in state.items():  # each layer keeps the size of what goes through it
            size = (2 / max(1, tensor[0].numel())) ** 0.5 if key.endswith("weight") else 0.1
            tensor.copy_(size * torch.randn(tensor.shape, generator=generator))
        torch.save(state | {"classifier.6.weight": torch.zeros(1, 1)}, folder / entry.published.file)
    return folder


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with `toy` and a run `tiny` of two epochs on it. Shared: copy it (or take `trained`) to change it."""
    from tinct.config import from_dict
    from tinct.training.options import TrainConfig
    from tinct.training.run import Run

    folder = tmp_path_factory.mktemp("trained")
    data = make_prepared(folder / "npzData" / "toy")
    run = Run.new(folder / "models" / "tiny", data, from_dict(TrainConfig, TINY))
    for _ in run.train():
        pass
    return folder


@pytest.fixture
def trained(trained_once: Path, workspace: Path) -> Path:
    """The workspace with a copy of `toy` and of the trained run `tiny`."""
    shutil.copytree(trained_once, workspace, dirs_exist_ok=True)
    return workspace


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights file of a real but untrained network named `tiny`, quick to colour with."""
    import torch

    from tinct import weights
    from tinct.config import from_dict, to_dict
    from tinct.families import FAMILIES

    family = FAMILIES["unetddim"]
    options = from_dict(family.Options, {"network": {"features": [8, 8]}, "size": 32, "steps": 2})
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("untrained") / "tiny.safetensors"
    header = {"format": 1, "family": "unetddim", "model": to_dict(options), "name": "tiny"}
    weights.save(path, family.build(options).state_dict(), header)
    return str(path)


@pytest.fixture
def store() -> Iterator[str]:
    """The address of an empty folder of a store, in memory."""
    from storing import store_in_memory

    with store_in_memory() as address:
        yield address


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server of this machine, which gives what lies in tmp_path/web."""
    from storing import web_of

    with web_of(tmp_path / "web") as address:
        yield address


from exporting import exported, exported_plain, plain, split  # noqa: E402, F401 - fixtures of tests/runtimes


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch has two threads, whatever OMP_NUM_THREADS says."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
