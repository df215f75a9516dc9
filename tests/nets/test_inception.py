"""Inception against its blocks written out from the tensors alone, and what is read of which file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from tinct.errors import WeightsError
from tinct.nets import features
from tinct.nets.features import FEATURES, NotAvailable
from tinct.nets.inception import CHANNELS, SIDE, inception_units

State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch, tmp_path):
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def random_state(last: int, seed: int = 0) -> State:
    """Weights as far as a tap, such that what goes through a layer keeps its size."""
    generator, state = torch.Generator().manual_seed(seed), {}
    for key, tensor in FEATURES[f"inception-{last}"].build().state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if key.endswith("conv.weight"):
            state[key] = torch.randn(tensor.shape, generator=generator) * (2 / tensor[0].numel()) ** 0.5
        else:
            spread = 0.3 * torch.rand(tensor.shape, generator=generator)
            state[key] = spread + (0.85 if key.endswith(("bn.weight", "running_var")) else -0.15)
    return state


def saved(path: Path, state: State) -> Path:
    torch.save(state, path)
    return path


class WrittenOut:
    """The graph from its tensors: an average at a border is the sum over what is there over how many are there."""

    def __init__(self, state: State) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int = 1, padding: int | tuple[int, int] = 0) -> Tensor:
        def of(kind: str) -> Tensor:
            return self.state[f"{name}.{kind}"].float()

        x = F.conv2d(x, of("conv.weight"), None, stride, padding)
        mean, variance, scale, shift = (
            of(f"bn.{kind}").view(-1, 1, 1) for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return ((x - mean) / (variance + 0.001).sqrt() * scale + shift).clamp_min(0)

    def row(self, x: Tensor, block: str, *steps: tuple) -> Tensor:
        for name, *how in steps:
            x = self.conv(x, f"{block}.{name}", *how)
        return x

    def average(self, x: Tensor) -> Tensor:
        ones = torch.ones(1, 1, 3, 3)
        total = F.conv2d(x.flatten(0, 1)[:, None], ones, padding=1).view_as(x)
        return total / F.conv2d(torch.ones_like(x[:1, :1]), ones, padding=1)

    def first(self, x: Tensor) -> Tensor:
        x = self.conv(self.conv(x, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3")
        return F.max_pool2d(self.conv(x, "Conv2d_2b_3x3", 1, 1), 3, 2)

    def second(self, x: Tensor) -> Tensor:
        return F.max_pool2d(self.conv(self.conv(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3"), 3, 2)

    def third(self, x: Tensor) -> Tensor:
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = torch.cat([
                self.row(x, block, ("branch1x1",)),
                self.row(x, block, ("branch5x5_1",), ("branch5x5_2", 1, 2)),
                self.row(x, block, ("branch3x3dbl_1",), ("branch3x3dbl_2", 1, 1), ("branch3x3dbl_3", 1, 1)),
                self.row(self.average(x), block, ("branch_pool",)),
            ], dim=1)  # fmt: skip
        x = torch.cat([
            self.row(x, "Mixed_6a", ("branch3x3", 2)),
            self.row(x, "Mixed_6a", ("branch3x3dbl_1",), ("branch3x3dbl_2", 1, 1), ("branch3x3dbl_3", 2)),
            F.max_pool2d(x, 3, 2),
        ], dim=1)  # fmt: skip
        flat, tall = (1, (0, 3)), (1, (3, 0))
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = torch.cat([
                self.row(x, block, ("branch1x1",)),
                self.row(x, block, ("branch7x7_1",), ("branch7x7_2", *flat), ("branch7x7_3", *tall)),
                self.row(x, block, ("branch7x7dbl_1",), ("branch7x7dbl_2", *tall), ("branch7x7dbl_3", *flat),
                         ("branch7x7dbl_4", *tall), ("branch7x7dbl_5", *flat)),
                self.row(self.average(x), block, ("branch_pool",)),
            ], dim=1)  # fmt: skip
        return x

    def fourth(self, x: Tensor) -> Tensor:
        flat, tall = (1, (0, 1)), (1, (1, 0))
        x = torch.cat([
            self.row(x, "Mixed_7a", ("branch3x3_1",), ("branch3x3_2", 2)),
            self.row(x, "Mixed_7a", ("branch7x7x3_1",), ("branch7x7x3_2", 1, (0, 3)), ("branch7x7x3_3", 1, (3, 0)),
                     ("branch7x7x3_4", 2)),
            F.max_pool2d(x, 3, 2),
        ], dim=1)  # fmt: skip
        for block in ("Mixed_7b", "Mixed_7c"):
            once = self.row(x, block, ("branch3x3_1",))
            twice = self.row(x, block, ("branch3x3dbl_1",), ("branch3x3dbl_2", 1, 1))
            pooled = self.average(x) if block == "Mixed_7b" else F.max_pool2d(x, 3, 1, 1)
            x = torch.cat([
                self.row(x, block, ("branch1x1",)),
                self.row(once, block, ("branch3x3_2a", *flat)), self.row(once, block, ("branch3x3_2b", *tall)),
                self.row(twice, block, ("branch3x3dbl_3a", *flat)), self.row(twice, block, ("branch3x3dbl_3b", *tall)),
                self.row(pooled, block, ("branch_pool",)),
            ], dim=1)  # fmt: skip
        return x


def test_inception_is_its_tensors_in_the_published_names(tmp_path):
    state = random_state(2048)
    classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    counters = {"Mixed_7c.branch_pool.bn.num_batches_tracked": torch.tensor(3)}
    path = saved(tmp_path / "inception-2015-12-05.pth", state | classifier | counters)
    x = torch.randn(2, 3, 107, 91, generator=torch.Generator().manual_seed(1))
    outputs = features.load("inception-2048", path).network(x)
    slow = WrittenOut(state)
    expected = [slow.first(x)]
    for stage in (slow.second, slow.third, slow.fourth):
        expected.append(stage(expected[-1]))
    assert [tap.shape[1] for tap in outputs] == list(CHANNELS)
    for ours, theirs in zip(outputs, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    for last in CHANNELS[:3]:  # the smaller networks are its beginning
        *_, end = features.load(f"inception-{last}", path).network(x)
        torch.testing.assert_close(end, expected[CHANNELS.index(last)], rtol=1e-4, atol=1e-4)


def test_a_file_that_ends_early_serves_the_taps_that_it_has(tmp_path):
    rounded = {key: tensor.half() if tensor.dim() == 4 else tensor for key, tensor in random_state(192).items()}
    path = saved(tmp_path / "fid_inception_short.pth", rounded)
    assert [name for name in FEATURES if features.find(name, path)] == ["inception-64", "inception-192"]
    assert features.find("inception-192", tmp_path) == path
    loaded = features.load("inception-192", path)
    assert loaded.label == "fid_inception_short.pth, fp16-rounded file given by path (not the published one)"
    assert next(loaded.network.parameters()).dtype == torch.float32
    with pytest.raises(NotAvailable, match=r"^not available: pt_inception-2015-12-05-6726825d\.pth"):
        list(features.obtain("inception-768", tmp_path))
    with pytest.raises(WeightsError, match=r"not the weights of inception-768: it lacks Mixed_5b"):
        features.load("inception-768", path)


def test_pictures_are_resized_bilinearly_between_pixel_centres_without_antialiasing():
    """A picture brought up is Pillow's, which then has nothing to antialias; one brought down is sampled at 299 places."""
    small = data.astronaut()[100:164, 200:270]
    units = inception_units(torch.from_numpy(small.copy()).permute(2, 0, 1)[None])
    assert units.shape == (1, 3, SIDE, SIDE)
    for channel in range(3):
        plane = Image.fromarray(small[..., channel].astype(np.float32))
        expected = np.asarray(plane.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) / 127.5 - 1
        np.testing.assert_allclose(units[0, channel].numpy(), expected, atol=1e-4)
    ramp = torch.arange(5 * SIDE).remainder(256).to(torch.uint8).expand(1, 3, 5 * SIDE, 5 * SIDE)
    picked = ramp[..., 2::5, 2::5].float() / 127.5 - 1  # the middle one of five
    torch.testing.assert_close(inception_units(ramp), picked, rtol=0, atol=1e-3)
