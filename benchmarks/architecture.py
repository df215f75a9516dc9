"""What the networks are made of, as the tables of docs/memory.md: part by part what it gives, and its parameters.

    python -m benchmarks.architecture [--only NAME]

A part's place is its name in the weights. The shape is that of what it gave last in one pass over one picture of the model's own
size: channels, height, width; none for a part that holds numbers and is not called. Nothing is timed, and nothing can be missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from tinct import recipes
from tinct.config import from_dict
from tinct.families import FAMILIES
from tinct.level import Level
from tinct.nets.autoencoder import Posterior
from tinct.nets.base import Denoiser, Painter, Recognizer
from tinct.nets.patchgan import PatchGan
from tinct.training.options import TrainConfig

RECIPES = ("photo", "classic", "small", "attention", "mnist", "digit-classifier")
ROWS = ("resnet", "unet", "gan", "basicvae", "unetvae")  # families of one pass; unetgan has the network of unet
SIDE = 64  # px, of what judges and encoders of training see


def main() -> int:
    """Prints a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAME", help=f"one of {', '.join(networks())}")
    options = parser.parse_args()
    for name, make in networks().items():
        if options.only in (None, name):
            print(f"\n{name}\n")
            print(*lines(*make()), sep="\n")
    return 0


def networks() -> dict[str, Callable[[], tuple[nn.Module, Callable[[], Any]]]]:
    """Each network and a pass over it, made when they are asked for."""
    return {
        **{f"recipe {name}": partial(of_model, recipes.load(name)) for name in RECIPES},
        **{f"family {name}": partial(of_model, {"family": name}) for name in ROWS},
        "discriminator": lambda: judge(PatchGan()),
        "encoder of the variational families": lambda: judge(Posterior(2, 256)),
    }


def of_model(values: dict[str, Any]) -> tuple[nn.Module, Callable[[], Any]]:
    """The network of a training's model, and a pass over it."""
    config = from_dict(TrainConfig, values)
    model: Any = FAMILIES[config.family].build(config.model)
    side, network = config.model.size, model.network
    gray = torch.zeros(1, 1, side, side)
    if isinstance(network, Recognizer):
        return model, lambda: model.scores(torch.zeros(1, 3, side, side, dtype=torch.uint8))
    if isinstance(network, Painter):
        latent = getattr(config.model, "latent", 0)
        return network, lambda: network(gray, torch.zeros(1, latent) if latent else None)
    assert isinstance(network, Denoiser)
    channels = model.channels if config.family == "generation" else model.space.channels
    return network, lambda: denoised(network, channels, gray, given=config.family != "generation")


def denoised(network: Denoiser, channels: int, gray: Tensor, *, given: bool) -> Tensor:
    """One pass of a denoiser, and of its encoder where a photograph is given."""
    side = gray.shape[-1] // network.reduction
    level = Level(500.0, 0.5**0.5, 0.5**0.5).batched(gray)
    prediction: Tensor = network(torch.zeros(1, channels, side, side), level, network.encode(gray) if given else ())
    return prediction


def judge(network: nn.Module) -> tuple[nn.Module, Callable[[], Any]]:
    """A network of training that sees the gray and as many channels of colour as its first layer has left."""
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    colour = torch.zeros(1, first.in_channels - 1, SIDE, SIDE)
    return network, lambda: network(torch.zeros(1, 1, SIDE, SIDE), colour)


def lines(network: nn.Module, walk: Callable[[], Any]) -> Iterator[str]:
    """The table, as Markdown."""
    parts = dict(parts_of(network))
    shapes: dict[str, str] = {}
    for name, part in parts.items():
        part.register_forward_hook(lambda _, __, out, name=name: shapes.update({name: shape(out)}))
    with torch.no_grad():
        walk()
    yield "| part | made of | gives | parameters |\n|---|---|---|---|"
    for name, part in parts.items():
        if count := size(part):
            yield f"| `{name}` | {made_of(part)} | {shapes.get(name, '')} | {count:,} |"
    yield f"| together | | | {size(network):,} |"


def parts_of(module: nn.Module, above: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts that a table lists: children, those of lists and chains, and those of the split network's two halves."""
    for name, child in module.named_children():
        nested = any(list(one.children()) for one in child.children())
        halves = name in ("encoder", "decoder", "network")
        if isinstance(child, nn.ModuleList) or (nested and (halves or isinstance(child, nn.Sequential))):
            yield from parts_of(child, f"{above}{name}.")
        else:
            yield f"{above}{name}", child


def made_of(part: nn.Module) -> str:
    """The layers with weights inside, by kind, with how often."""
    layers = [layer for layer in part.modules() if not list(layer.children()) and size(layer)]
    kinds = [kind(layer) for layer in layers]
    return ", ".join(f"{kinds.count(one)} x {one}" if kinds.count(one) > 1 else one for one in dict.fromkeys(kinds))


def kind(layer: nn.Module) -> str:
    """A layer in words."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        side = "x".join(map(str, layer.kernel_size))
        stride = f", stride {layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{'up-' if layer.transposed else ''}conv {side}{stride}"
    names = {nn.Linear: "linear", nn.GroupNorm: "group norm", nn.Embedding: "embedding"}
    return names.get(type(layer), "pixel norm")


def shape(out: Any) -> str:
    """Of a tensor (1, ...), or of the first of several."""
    tensor = out[0] if isinstance(out, tuple) else out
    return " x ".join(map(str, tensor.shape[1:]))


def size(module: nn.Module) -> int:
    """Its parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


if __name__ == "__main__":
    sys.exit(main())
