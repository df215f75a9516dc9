"""Networks of one pass, over the registry: their shapes, and that everything they are given and have counts."""

import pytest
import torch
from torch.testing import assert_close

from tinct.config import from_dict
from tinct.errors import ConfigError
from tinct.nets import PAINTERS, Painter
from tinct.nets.autoencoder import Posterior
from tinct.nets.blocks import LatentMap


def built(name: str, channels: int = 2, latent: int = 0, **options) -> Painter:
    """A network in use, no weight of which is zero."""
    torch.manual_seed(0)
    values = {"features": [8, 16], **options}
    network = PAINTERS[name](from_dict(PAINTERS[name].Options, values), channels, latent)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return network.eval()


def gray(count: int = 2, height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


def latent_of(count: int, size: int) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(2))


def size_of(network: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in network.parameters()) / 1e6


@pytest.mark.parametrize("name", PAINTERS)
@pytest.mark.parametrize("channels", [2, 3])
def test_colour_is_as_large_as_the_gray(name, channels):
    network = built(name, channels)
    assert network.multiple == 4
    for height, width in ((4, 4), (16, 16), (12, 40)):
        assert network(gray(2, height, width)).shape == (2, channels, height, width)


@pytest.mark.parametrize("name", PAINTERS)
@pytest.mark.parametrize("latent", [0, 5])
def test_every_weight_moves_the_result(name, latent):
    network = built(name, latent=latent)
    z = latent_of(2, latent) if latent else None
    network(gray(), z).square().sum().backward()
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().max()]
    assert still == []


@pytest.mark.parametrize("name", PAINTERS)
def test_a_picture_does_not_depend_on_its_batch(name):
    network, pictures, z = built(name, latent=5), gray(4), latent_of(4, 5)
    with torch.no_grad():
        together = network(pictures, z)
        alone = torch.cat([network(pictures[i : i + 1], z[i : i + 1]) for i in range(4)])
    assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PAINTERS)
def test_another_latent_vector_is_another_colouring_at_any_size(name):
    network = built(name, latent=5)
    for height, width in ((16, 16), (8, 24)):
        one, other = network(gray(1, height, width).expand(2, -1, -1, -1), latent_of(2, 5))
        assert (one - other).abs().mean() > 0.01 * one.std()


NARROWEST = {"unet": "bottleneck", "resnet": "levels", "autoencoder": "downs"}


@pytest.mark.parametrize("name", PAINTERS)
def test_skips_lead_around_the_narrowest_place_of_the_u_net_alone(name):
    """Where nothing goes on from there, the gray is still seen by the U-Net, and by no other."""
    network = built(name)
    place = getattr(network, NARROWEST[name])
    last = place[-1] if isinstance(place, torch.nn.ModuleList) else place
    last.register_forward_hook(lambda module, given, out: torch.zeros_like(out))
    assert torch.equal(network(gray()), network(-gray())) == (name != "unet")


@pytest.mark.parametrize("name", PAINTERS)
def test_each_halving_is_undone_by_a_transposed_convolution(name):
    network = built(name, features=[8, 16, 16])
    transposed = [module for module in network.modules() if isinstance(module, torch.nn.ConvTranspose2d)]
    assert network.multiple == 2 ** len(transposed) == 8
    assert {module.stride for module in transposed} == {(2, 2)}


@pytest.mark.parametrize("name", PAINTERS)
def test_dropout_is_off_in_use_and_on_in_training(name):
    network = built(name, dropout=0.5)
    assert torch.equal(network(gray()), network(gray()))
    network.train()
    assert not torch.equal(network(gray()), network(gray()))


@pytest.mark.parametrize(("name", "millions"), [("unet", 31.0), ("resnet", 16.9), ("autoencoder", 5.6)])
def test_parameters_of_the_defaults(name, millions):
    network = PAINTERS[name](from_dict(PAINTERS[name].Options, {}), 2, 0)
    assert size_of(network) == pytest.approx(millions, rel=0.01)
    assert network.multiple == 16


@pytest.mark.parametrize("name", PAINTERS)
def test_a_network_without_widths_is_refused(name):
    with pytest.raises(ConfigError, match="features: at least one width is needed"):
        built(name, features=[])


def test_the_painting_unet_has_every_shape_of_the_denoiser():
    shapes = (
        {"block": "residual", "skips": "add", "stem": 8},
        {"resample": "conv", "attention": [2], "bottleneck_down": False, "blocks": 2, "bottleneck": 8},
    )
    for shape in shapes:
        assert built("unet", latent=3, **shape)(gray(), latent_of(2, 3)).shape == (2, 2, 16, 16)
    with pytest.raises(ConfigError, match="attention = 16: no level has that reduction"):
        built("unet", attention=[16])


def test_the_latent_map_of_four_cells_is_the_linear_layer_itself():
    """At 4 x 4 nothing is resized; at another size it is the same, brought there, and linear in z."""
    torch.manual_seed(0)
    layer, z = LatentMap(3, 5), latent_of(2, 3)
    x = torch.randn(2, 5, 4, 4)
    assert_close(layer(x, z) - x, layer.linear(z).view(2, 5, 4, 4))
    large = torch.zeros(2, 5, 8, 12)
    middle = layer(large, 0.3 * z + 0.7 * z.flip(0))
    assert_close(middle, 0.3 * layer(large, z) + 0.7 * layer(large, z.flip(0)))


def test_the_posterior_sees_gray_and_colour_at_any_size():
    torch.manual_seed(0)
    network = Posterior(2, 6, width=8)
    for height, width in ((16, 16), (32, 48)):
        pictures, colour = gray(2, height, width), torch.randn(2, 2, height, width, requires_grad=True)
        mean, log_variance = network(pictures.requires_grad_(), colour)
        assert mean.shape == log_variance.shape == (2, 6)
        for part in (mean, log_variance):
            gradients = torch.autograd.grad(part.square().sum(), (pictures, colour), retain_graph=True)
            assert all(gradient.abs().max() > 0 for gradient in gradients)
