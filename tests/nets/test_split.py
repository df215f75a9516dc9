"""The split network: what is computed once, what every step, and at which sizes."""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tinct.errors import ConfigError
from tinct.level import Level
from tinct.nets.split import Split, SplitOptions

SMALL = SplitOptions(encoder=(8, 8, 16), denoiser=(8, 16), deep_blocks=2)


def built(channels: int = 2) -> Split:
    torch.manual_seed(0)
    network = Split(SMALL, channels, 0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return network.eval()


def level_of(ratio: float, count: int) -> Level:
    alpha = torch.full((count, 1, 1, 1), 1 / (1 + ratio**2) ** 0.5)
    return Level(torch.zeros(count, 1, 1, 1), alpha, ratio * alpha)


@pytest.mark.parametrize("channels", [2, 3])
def test_chroma_is_at_half_of_the_photographs_size(channels):
    network = built(channels)
    gray = torch.randn(2, 1, 16, 24)
    features = network.encode(gray)
    assert [tuple(part.shape[-2:]) for part in features] == [(8, 12), (4, 6), (2, 3), (8, 12)]
    assert network.mean(features).shape == (2, channels, 8, 12)
    assert network.summary(features).shape == (2, network.summary_width)
    x = torch.randn(2, channels, 8, 12)
    out = network(x, level_of(2.0, 2), features)
    assert out.shape == x.shape
    assert out.dtype == torch.float32


def test_everything_that_goes_in_counts():
    network = built()
    gray, x = torch.randn(1, 1, 16, 16), torch.randn(1, 2, 8, 8)
    features = network.encode(gray)
    out = network(x, level_of(2.0, 1), features)
    assert not torch.allclose(out, network(x + 0.1, level_of(2.0, 1), features))
    assert not torch.allclose(out, network(x, level_of(3.0, 1), features))
    assert not torch.allclose(out, network(x, level_of(2.0, 1), network.encode(gray + 0.1)))
    for part in range(3):
        changed = [feature + 0.1 * (index == part) for index, feature in enumerate(features)]
        assert not torch.allclose(out, network(x, level_of(2.0, 1), tuple(changed)))


def test_gradients_reach_every_part():
    network = built()
    features = network.encode(torch.randn(1, 1, 16, 16))
    loss = network(torch.randn(1, 2, 8, 8), level_of(2.0, 1), features).square().sum()
    (loss + network.mean(features).square().sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_the_mean_of_the_noisy_chroma_is_seen_at_any_size():
    """A constant cast of s / sqrt(area) is one deviation of the mean of the noise, at every size of picture."""
    embedding = built().decoder.embedding
    angles = torch.zeros(1, 64)
    small, large = (embedding(angles, torch.full((1, 2), 3.0 / side), side**2, torch.zeros(1)) for side in (8, 32))
    assert_close(small, large)


@pytest.mark.parametrize("ratio", [0.1, 2.0, 50.0])
def test_the_mean_has_a_way_of_its_own_that_begins_as_nothing(ratio):
    """It is brought to the variance of a mean colour, half that of a pixel, and its noise together: 1 at every level."""
    torch.manual_seed(0)
    plain, pathed = Split(SMALL, 2, 0), Split(replace(SMALL, mean_path=True), 2, 0)
    assert pathed.load_state_dict(plain.state_dict(), strict=False).missing_keys == [
        "decoder.mean_colour.gain.weight", "decoder.mean_colour.gain.bias"
    ]  # fmt: skip
    features, level = plain.encode(torch.randn(1000, 1, 8, 8)), level_of(ratio, 1000)
    colour = 0.5**0.5 * torch.randn(1000, 2, 1, 1)
    x_t = level.alpha * colour + level.sigma * torch.randn(1000, 2, 4, 4)
    assert torch.equal(plain(x_t, level, features), pathed(x_t, level, features))
    with torch.no_grad():
        pathed.decoder.mean_colour.gain.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 2.0]))
    added = pathed(x_t, level, features) - plain(x_t, level, features)
    assert added.std(dim=(2, 3)).max() < 1e-5  # the same everywhere
    assert added.mean(dim=(2, 3)).std(dim=0).tolist() == pytest.approx([1, 2], rel=0.1)
    assert torch.corrcoef(torch.stack([added[:, 0, 0, 0], x_t.mean(dim=(2, 3))[:, 0]]))[0, 1] > 0.999


def test_a_picture_does_not_depend_on_its_batch():
    network = built()
    gray, x = torch.randn(5, 1, 16, 16), torch.randn(5, 2, 8, 8)
    together = network(x, level_of(2.0, 5), network.encode(gray))
    alone = [network(x[i : i + 1], level_of(2.0, 1), network.encode(gray[i : i + 1])) for i in range(5)]
    assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_an_encoder_that_is_kept_neither_learns_nor_drops_out():
    network = Split(replace(SMALL, dropout=0.5), 2, 0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    gray = torch.randn(1, 1, 16, 16)
    features, again = network.encode(gray), network.encode(gray)
    assert not torch.allclose(features[2], again[2])
    network.keep_encoder()
    assert torch.equal(network.train().encode(gray)[2], network.encode(gray)[2])
    assert not any(parameter.requires_grad for parameter in network.encoder.parameters())
    assert all(parameter.requires_grad for parameter in network.decoder.parameters())


def test_the_stages_are_encoder_and_denoiser():
    network = built()
    parts = [{id(parameter) for parameter in stage.parameters()} for stage in network.stages()]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("options", "classes", "message"),
    [
        (SplitOptions(encoder=(8, 8)), 0, "encoder = 8,8: expected 3 widths"),
        (SplitOptions(denoiser=(8, 8, 8)), 0, "denoiser = 8,8,8: expected 2 widths"),
        (SplitOptions(denoiser=(8, 18)), 0, "width 18: must divide by 4"),
        (SMALL, 5, "classes: the backbone 'split' is conditioned on the photograph alone"),
    ],
)
def test_shapes_that_cannot_be_are_refused(options, classes, message):
    with pytest.raises(ConfigError, match=message):
        Split(options, 2, classes)
