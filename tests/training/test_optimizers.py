"""What moves the weights: every registered optimizer learns and resumes; Muon does what its paper says."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tinct.training.muon import orthogonalized
from tinct.training.optimizers import OPTIMIZERS, optimizer_of


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1), nn.SiLU(), nn.Conv2d(24, 32, 3, padding=1), nn.Flatten(), nn.Linear(512, 2)
    )


def loss(model: nn.Module, seed: int) -> Tensor:
    x = torch.randn(16, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    wanted = torch.stack([x[:, 0].mean(dim=(1, 2)), x[:, 1, 0, 0]], dim=1)
    return (model(x) - wanted).square().mean()


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> float:
    for seed in seeds:
        optimizer.zero_grad()
        value = loss(model, seed)
        value.backward()
        optimizer.step()
    return value.item()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_it_learns(name: str) -> None:
    model = network()
    before = loss(model, 99).item()
    steps(model, optimizer_of(model, name, 3e-3, (0.9, 0.99), 0.01), range(60))
    assert loss(model, 99).item() < 0.5 * before


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_its_state_goes_on(name: str) -> None:
    model = network()
    optimizer = optimizer_of(model, name, 1e-3, (0.9, 0.99), 0.01)
    steps(model, optimizer, range(5))
    twin = copy.deepcopy(model)
    resumed = optimizer_of(twin, name, 1e-3, (0.9, 0.99), 0.01)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert steps(model, optimizer, range(5, 10)) == steps(twin, resumed, range(5, 10))


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (24, 200), (200, 24)])
def test_an_orthogonalized_matrix_keeps_its_directions_and_evens_out_their_strength(rows: int, columns: int) -> None:
    left, _ = torch.linalg.qr(torch.randn(rows, 20, generator=torch.Generator().manual_seed(1)))
    right, _ = torch.linalg.qr(torch.randn(columns, 20, generator=torch.Generator().manual_seed(2)))
    matrix = left @ torch.diag(torch.logspace(0, 1.3, 20)) @ right.T  # singular values 1 to 20
    strengths = torch.linalg.svdvals(orthogonalized(matrix))[:20]
    assert strengths.min() > 0.6
    assert strengths.max() < 1.3
    cosine = torch.cosine_similarity(orthogonalized(matrix).flatten(), (left @ right.T).flatten(), dim=0)
    assert cosine > 0.97


@pytest.mark.parametrize("decay", [0.01, 0.0])
def test_muon_moves_a_matrix_as_far_as_adamw_would(decay: float) -> None:
    model = network()
    before = model[2].weight.detach().clone()
    steps(model, optimizer_of(model, "muon", 1e-3, (0.9, 0.99), decay), range(1))
    moved = (model[2].weight.detach() - before).square().mean().sqrt()  # 32 x 216: full rank moves by 0.2
    assert 0.15e-3 < moved < 0.25e-3


def test_muon_leaves_small_matrices_and_biases_to_adamw() -> None:
    model = nn.Linear(8, 4)
    twin = copy.deepcopy(model)
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    for one, name in ((model, "muon"), (twin, "adamw")):
        optimizer = optimizer_of(one, name, 1e-3, (0.9, 0.99), 0.01)
        for _ in range(3):
            optimizer.zero_grad()
            one(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight, twin.weight)
    torch.testing.assert_close(model.bias, twin.bias)
