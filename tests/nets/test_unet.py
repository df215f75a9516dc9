"""The configurable U-Net: its published shapes, its settings, and that everything it is given counts."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from tinct import recipes
from tinct.config import from_dict
from tinct.errors import ConfigError
from tinct.families import FAMILIES
from tinct.level import Level
from tinct.nets import DENOISERS
from tinct.nets.blocks import Attention
from tinct.nets.unet import UNet, UNetOptions

SMALL = UNetOptions(features=(8, 16), time_embedding=8, dropout=0.0)


def size_of(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def size_without_time(network: UNet) -> int:
    return sum(parameter.numel() for name, parameter in network.named_parameters() if "time" not in name)


def built(options: UNetOptions = SMALL, channels: int = 3, classes: int = 0) -> UNet:
    """A network in use, no weight of which is zero."""
    torch.manual_seed(0)
    network = UNet(options, channels, classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return network.eval()


def level_of(t: float, count: int) -> Level:
    part = torch.full((count, 1, 1, 1), 0.7)
    return Level(torch.full((count, 1, 1, 1), t), part, part)


def recipe_network(name: str) -> UNet:
    values = recipes.load(name)
    options = from_dict(FAMILIES[values["family"]].Options, values.get("model", {}))
    return DENOISERS[options.backbone](options.network, 3, 0)


def widths_of(*levels: torch.nn.Module) -> list[list[int]]:
    return [[block.conv_out.out_channels for block in level.blocks] for level in levels]


def test_the_classic_network_has_31_million_parameters():
    classic = recipe_network("classic")
    assert size_without_time(classic) == pytest.approx(31.0e6, rel=0.002)
    assert size_of(classic) == pytest.approx(31.4e6, rel=0.002)
    assert classic.down_levels[0].blocks[0].conv_in.in_channels == 4
    assert classic.out.out_channels == 3
    assert classic.down_levels[0].blocks[0].conv_in.kernel_size == (3, 3)
    assert widths_of(*classic.down_levels, classic.bottleneck) == [[64], [128], [256], [512], [1024]]
    assert classic.options.time_embedding == 256
    assert not any(isinstance(module, Attention) for module in classic.modules())


def test_the_classic_network_of_twice_the_width_has_125_million():
    with torch.device("meta"):
        wide = UNet(replace(UNetOptions(), features=(128, 256, 512, 1024)), 3, 0)
    assert size_of(wide) == pytest.approx(124.8e6, rel=0.002)
    assert wide.bottleneck.blocks[0].conv_out.out_channels == 2048


@pytest.mark.parametrize("share", [0.15, 0.0, 0.5])
@pytest.mark.parametrize("block", ["double", "residual"])
def test_dropout_is_in_every_block(block, share):
    changes = {} if share == 0.15 else {"dropout": share}  # the default
    with torch.device("meta"):
        network = UNet(replace(UNetOptions(), block=block, **changes), 3, 0)
    levels = [*network.down_levels, network.bottleneck, *network.up_levels]
    assert [block.dropout.p for level in levels for block in level.blocks] == [share] * 9


def test_a_double_block_step_by_step():
    """Convolution, group norm, SiLU; the time is added by one layer; the same again."""
    block = built(replace(SMALL, time_in="blocks")).down_levels[0].blocks[0]
    x, embedding = torch.randn(2, 4, 8, 8), torch.randn(2, 8)
    h = F.group_norm(F.conv2d(x, block.conv_in.weight, block.conv_in.bias, padding=1), 2, *block.norm_in.parameters())
    h = h * torch.sigmoid(h) + (embedding @ block.time.weight.T + block.time.bias)[:, :, None, None]
    h = F.group_norm(
        F.conv2d(h, block.conv_out.weight, block.conv_out.bias, padding=1), 2, *block.norm_out.parameters()
    )
    assert_close(block(x, embedding), h * torch.sigmoid(h), rtol=1e-4, atol=1e-5)


def test_the_classic_network_with_a_bottleneck_of_512_has_20_5_million():
    assert size_without_time(UNet(replace(UNetOptions(), bottleneck=512), 3, 0)) == pytest.approx(20.5e6, rel=0.005)


def test_the_small_recipe_has_6_9_million():
    small = recipe_network("small")
    assert size_of(small) == pytest.approx(6.9e6, rel=0.01)
    assert small.options.skips == "add"
    assert [type(down).__name__ for down in small.downs] == ["Conv2d"] * 2
    assert {(down.kernel_size, down.stride, down.padding) for down in small.downs} == {((4, 4), (2, 2), (1, 1))}
    assert [type(up).__name__ for up in small.ups] == ["ConvTranspose2d"] * 2 + ["Identity"]
    assert {(up.kernel_size, up.stride, up.padding) for up in small.ups[:2]} == {((4, 4), (2, 2), (1, 1))}
    assert (small.stem.out_channels, small.out.in_channels) == (32, 32)
    assert widths_of(*small.down_levels, small.bottleneck) == [[64, 64], [128, 128], [256, 256], [256, 256]]
    assert widths_of(*reversed(small.up_levels)) == [[128, 128], [64, 64], [32, 32]]
    assert not any(isinstance(module, Attention) for module in small.modules())


def test_the_lean_recipe_is_thin_at_full_size_alone():
    lean = recipe_network("lean")
    assert size_of(lean) == pytest.approx(26.0e6, rel=0.002)
    widths = widths_of(*lean.down_levels, lean.bottleneck, *lean.up_levels)
    assert widths == [[64], [384], [512], [512], [64], [384], [512]]
    assert lean.multiple == 8
    assert all(block.film is not None for level in lean.up_levels for block in level.blocks)


def test_the_attention_recipe_attends_at_a_quarter():
    network = recipe_network("attention")
    counts = [sum("qkv" in name for name, _ in level.named_modules()) for level in network.down_levels]
    assert counts == [0, 0, 2]
    network.eval()
    with torch.no_grad():
        x, gray = torch.randn(1, 3, 28, 28), torch.randn(1, 1, 28, 28)
        assert network(x, level_of(3, 1), (gray,)).shape == (1, 3, 28, 28)


VARIANTS = {
    "classic": {},
    "bottleneck at full": {"bottleneck_down": False},
    "bottleneck": {"bottleneck": 24},
    "stem": {"stem": 12},
    "residual": {"block": "residual", "blocks": 2},
    "add": {"skips": "add"},
    "add with stem": {"skips": "add", "stem": 12, "bottleneck": 16, "bottleneck_down": False},
    "conv": {"resample": "conv"},
    "attention": {"attention": (2, 4)},
    "timed": {"time_in": "blocks"},
    "timed residual": {"time_in": "blocks", "block": "residual", "skips": "add"},
    "one level": {"features": (8,)},
    "odd widths": {"features": (9, 18)},
    "patches": {"patch": 2, "attention": (4,)},
    "patches with stem": {"patch": 4, "stem": 12, "skips": "add", "bottleneck_down": False},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_setting_gives_a_picture_of_the_right_size(name):
    network = built(replace(SMALL, **VARIANTS[name]), channels=2)
    assert network.multiple in (2, 4, 8)
    side = 3 * network.multiple
    x, gray = torch.randn(2, 2, side, 2 * side), torch.randn(2, 1, side, 2 * side)
    out = network(x, level_of(5, 2), network.encode(gray))
    assert out.shape == x.shape
    assert out.dtype == torch.float32
    out.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("time_in", ["bottleneck", "blocks"])
def test_everything_that_goes_in_counts(time_in):
    network = built(replace(SMALL, time_in=time_in), classes=3)
    x, gray, labels = torch.randn(1, 3, 8, 8), torch.randn(1, 1, 8, 8), torch.tensor([1])
    out = network(x, level_of(5, 1), (gray,), labels)
    assert not torch.allclose(out, network(x + 0.1, level_of(5, 1), (gray,), labels))
    assert not torch.allclose(out, network(x, level_of(90, 1), (gray,), labels))
    assert not torch.allclose(out, network(x, level_of(5, 1), (gray + 0.1,), labels))
    assert not torch.allclose(out, network(x, level_of(5, 1), (gray,), labels + 1))
    unknown = network(x, level_of(5, 1), (gray,))
    assert not torch.allclose(out, unknown)
    assert_close(network(x, level_of(5, 1), (gray,), torch.tensor([-1])), unknown)


def test_patches_are_folded_into_channels():
    network = built(replace(SMALL, patch=2, features=(8,), bottleneck_down=False, bottleneck=8))
    x, gray = torch.randn(1, 3, 12, 12), torch.randn(1, 1, 12, 12)
    seen = []
    network.down_levels[0].register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    out = network(x, level_of(5, 1), (gray,))
    assert seen == [(1, 4 * 4, 6, 6)]
    assert network.multiple == 2
    assert out.shape == (1, 3, 12, 12)


def test_time_enters_where_it_is_said():
    def timed(network: UNet) -> list[bool]:
        return [
            "time" in dict(level.blocks[0].named_children()) for level in (*network.down_levels, network.bottleneck)
        ]

    assert timed(UNet(SMALL, 3, 0)) == [False, False, True]
    assert timed(UNet(replace(SMALL, time_in="blocks"), 3, 0)) == [True, True, True]


def test_a_picture_does_not_depend_on_its_batch():
    network = built()
    x, gray = torch.randn(5, 3, 8, 8), torch.randn(5, 1, 8, 8)
    together = network(x, level_of(5, 5), (gray,))
    alone = torch.cat([network(x[i : i + 1], level_of(5, 1), (gray[i : i + 1],)) for i in range(5)])
    assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_channels_last_gives_the_same():
    network = built()
    x, gray = torch.randn(2, 3, 8, 8), torch.randn(2, 1, 8, 8)
    plain = network(x, level_of(5, 2), (gray,))
    network = network.to(memory_format=torch.channels_last)
    assert_close(network(x.to(memory_format=torch.channels_last), level_of(5, 2), (gray,)), plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ()}, "features: at least one width"),
        ({"time_embedding": 7}, "time_embedding = 7: must be even"),
        ({"attention": (3,)}, "attention = 3: no level has that reduction. There are: 1, 2, 4"),
        ({"attention": (2,), "features": (8, 18)}, "width 18: must divide by 4"),
    ],
)
def test_shapes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        UNet(replace(SMALL, **changes), 3, 0)
