"""Blocks: against slow obvious versions, and what they promise."""

from math import cos, sin

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tinct.errors import ConfigError
from tinct.nets.blocks import Attention, PixelNorm, ResBlock, group_norm, sinusoids


def randomized(module: nn.Module) -> nn.Module:
    """The module with no weight at zero, so that every part of it counts."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module


def test_sinusoids_are_their_formula():
    size, values = 8, [0.0, 1.0, 17.0, 999.0]
    frequencies = [10_000 ** (-index / (size // 2)) for index in range(size // 2)]
    slow = [[sin(v * f) for f in frequencies] + [cos(v * f) for f in frequencies] for v in values]
    assert_close(sinusoids(torch.tensor(values), size), torch.tensor(slow), rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8, 10, 13, 16, 18, 40, 64, 96, 128, 1024])
def test_any_width_can_be_group_normalized(channels):
    norm = group_norm(channels)
    assert norm.num_groups <= 32
    assert channels % norm.num_groups == 0
    assert norm.num_groups == 1 or channels // norm.num_groups >= 4
    if channels in (64, 128, 1024):
        assert norm.num_groups == min(32, channels // 4)


def test_pixel_norm_takes_each_pixel_to_unit_mean_square_and_keeps_the_constant():
    x = torch.randn(2, 6, 4, 4) * torch.rand(2, 1, 4, 4) * 9 + 2
    normalized = PixelNorm(6)(x)
    assert_close(normalized.square().mean(dim=1), torch.ones(2, 4, 4), rtol=1e-4, atol=1e-4)
    flat = torch.randn(1, 6, 1, 1).expand(1, 6, 4, 4)
    assert PixelNorm(6)(flat).std(dim=(2, 3)).max() < 1e-6
    assert PixelNorm(6)(flat).abs().max() > 0.5


@pytest.mark.parametrize("pixel_norm", [False, True])
@pytest.mark.parametrize("embedding", [0, 7])
def test_a_fresh_residual_block_is_the_identity(embedding, pixel_norm):
    block = ResBlock(8, embedding=embedding, pixel_norm=pixel_norm)
    x = torch.randn(2, 8, 5, 5)
    assert_close(block(x, torch.randn(2, embedding) if embedding else None), x)


def test_a_residual_block_step_by_step():
    block = randomized(ResBlock(8, 12, embedding=6))
    x, embedding = torch.randn(2, 8, 5, 5), torch.randn(2, 6)
    h = torch.sigmoid(block.norm_in(x)) * block.norm_in(x)
    h = block.norm_out(block.conv_in(h))
    both = block.film(embedding)
    h = h * (1 + both[:, :12, None, None]) + both[:, 12:, None, None]
    wanted = block.skip(x) + block.conv_out(torch.sigmoid(h) * h)
    assert_close(block(x, embedding), wanted, rtol=1e-5, atol=1e-5)


def test_dropout_is_random_in_training_only():
    block = randomized(ResBlock(8, dropout=0.5))
    x = torch.randn(1, 8, 5, 5)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))


@pytest.mark.parametrize("pixel_norm", [False, True])
def test_attention_against_loops(pixel_norm):
    attention = randomized(Attention(8, heads=2, pixel_norm=pixel_norm))
    x = torch.randn(1, 8, 2, 3)
    qkv = attention.qkv(attention.norm(x)).flatten(2)[0]  # (24, 6)
    mixed = torch.zeros(8, 6)
    for head in range(2):
        q, k, v = (qkv[8 * part + 4 * head : 8 * part + 4 * head + 4] for part in range(3))
        q, k = (part / part.square().mean(dim=0, keepdim=True).sqrt() for part in (q, k))
        for pixel in range(6):
            weights = torch.softmax((q[:, pixel : pixel + 1] * k).sum(dim=0) / 4**0.5, dim=0)
            mixed[4 * head : 4 * head + 4, pixel] = (v * weights).sum(dim=1)
    wanted = x + attention.out(mixed.view(1, 8, 2, 3))
    assert_close(attention(x), wanted, rtol=1e-4, atol=1e-4)


def test_a_fresh_attention_is_the_identity_and_its_width_must_divide():
    x = torch.randn(1, 8, 3, 3)
    assert_close(Attention(8)(x), x)
    with pytest.raises(ConfigError, match="width 10: must divide by 4"):
        Attention(10)
