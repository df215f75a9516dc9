"""Muon: momentum whose update of each weight matrix is orthogonalized, so that all its directions move alike.

Jordan et al. 2024 (kellerjordan.github.io/posts/muon), at the update size of Liu et al. 2025 (2502.16982, eq. 4), so that one
learning rate serves the matrices and the rest, which AdamW moves. A convolution (o, i, k, k) is a matrix (o, i k k).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

_SMALLEST_SIDE = 16  # of a matrix that has directions enough to balance
_MOMENTUM = 0.95


class Muon(Optimizer):
    """Muon on matrices of `groups` of layers, AdamW (`betas`) on all else; takes what torch's AdamW takes."""

    def __init__(
        self, groups: list[dict[str, Any]], *, lr: float, betas: tuple[float, float], fused: bool = False
    ) -> None:
        parts: list[dict[str, Any]] = []
        for group in groups:
            matrices = [p for p in group["params"] if group["layers"] and _is_matrix(p)]
            taken = {id(p) for p in matrices}
            parts.append({**group, "params": matrices, "matrices": True})
            parts.append({**group, "params": [p for p in group["params"] if id(p) not in taken], "matrices": False})
        super().__init__([part for part in parts if part["params"]], {"lr": lr, "betas": betas, "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no use for a closure
        """Moves every weight that has a gradient."""
        for group in self.param_groups:
            move = self._orthogonal if group["matrices"] else self._adam
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                update = move(weight, weight.grad, group)
                weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])

    def _orthogonal(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        momentum = self._kept(weight, "momentum").lerp_(gradient, 1 - _MOMENTUM)
        matrix = gradient.lerp(momentum, _MOMENTUM).flatten(1)  # Nesterov's look ahead
        size = 0.2 * max(matrix.shape) ** 0.5  # the root mean square of AdamW's updates
        update: Tensor = size * orthogonalized(matrix).view(weight.shape)
        return update

    def _adam(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        beta1, beta2 = group["betas"]
        mean = self._kept(weight, "mean").lerp_(gradient, 1 - beta1)
        square = self._kept(weight, "square").lerp_(gradient.square(), 1 - beta2)
        count = self.state[weight]["step"] = self.state[weight].get("step", 0) + 1
        update: Tensor = (mean / (1 - beta1**count)) / ((square / (1 - beta2**count)).sqrt() + group["eps"])
        return update

    def _kept(self, weight: Tensor, name: str) -> Tensor:
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight)
        kept: Tensor = state[name]
        return kept


def orthogonalized(matrix: Tensor) -> Tensor:
    """(n, m) -> about U V^T of its singular value decomposition: singular values in 0.7 to 1.2, by five quintic
    Newton-Schulz steps in bfloat16, with Jordan's coefficients.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = (x.T if tall else x).to(matrix.dtype)
    return result


def _is_matrix(weight: Tensor) -> bool:
    return weight.ndim >= 2 and min(weight.flatten(1).shape) >= _SMALLEST_SIDE
