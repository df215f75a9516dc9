"""What moves the weights. Decay is on matrices and convolutions only: it would pull norms and biases to nothing."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn
from torch.optim import Optimizer

from tinct.registry import Registry
from tinct.training.muon import Muon


class MakesOptimizer(Protocol):
    """An optimizer's constructor, as torch has it."""

    def __call__(
        self, groups: list[dict[str, object]], *, lr: float, betas: tuple[float, float], fused: bool
    ) -> Optimizer:
        """The optimizer of the parameter groups, each with its weight_decay."""
        ...


OPTIMIZERS: Registry[MakesOptimizer] = Registry("optimizer")
OPTIMIZERS.add("adamw")(torch.optim.AdamW)  # type: ignore[arg-type]  # decay apart from the gradient, 1711.05101
OPTIMIZERS.add("adam")(torch.optim.Adam)  # type: ignore[arg-type]  # decay added to the gradient, 1412.6980
OPTIMIZERS.add("muon")(Muon)


def optimizer_of(
    player: nn.Module, name: str, rate: float, betas: tuple[float, float], weight_decay: float
) -> Optimizer:
    """The named optimizer over the weights of a player that are to be trained."""
    layers = [module for module in player.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    decayed = {id(layer.weight) for layer in layers}
    parameters = [parameter for parameter in player.parameters() if parameter.requires_grad]
    groups: list[dict[str, object]] = [
        {"params": [p for p in parameters if id(p) in decayed], "weight_decay": weight_decay, "layers": True},
        {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0, "layers": False},
    ]
    return OPTIMIZERS[name](groups, lr=rate, betas=betas, fused=True)
