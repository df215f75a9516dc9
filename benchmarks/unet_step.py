"""A training step of tinct's U-Nets beside diffusers' UNet2DModel of as many operations, in one run.

    python -m benchmarks.unet_step [--batch 32] [--rounds 5] [--threads N] [--mode eager|compiled|both] [--dropout P]

UNet2DModel: block_out_channels 64,128,256,512, two layers per block, no attention, DownBlock2D and UpBlock2D. Ours: the
recipe `lean`, and the classic settings with doubled widths and a narrower bottleneck; both without dropout, as the other
has none, and of as many operations per forward within 5% by torch's counter; parameters and the number of normalizations
differ. Pictures of 64x64, 4 channels in and 3 out; bfloat16 autocast, channels_last, AdamW (fused); each in the better of
eager and compiled. They take their steps in turn; the figure of each is the median. The exit code is 1 when the other's step
does not take 1.3 times as long as that of `lean`; what is learned in the same steps tells benchmarks.unet_loss.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.validation import verdict
from tinct import recipes
from tinct.config import from_dict
from tinct.level import Level
from tinct.nets.unet import UNet, UNetOptions

SIDE, T = 64, 1000
TARGET = 1.3
CLASSIC = UNetOptions(features=(128, 256, 512, 1024), bottleneck=512)  # as many operations as the other


def lean() -> UNetOptions:
    """The recipe's."""
    return from_dict(UNetOptions, recipes.load("lean")["model"]["network"])


class Ours(nn.Module):
    """One of tinct's, called as the other is: (x_t and gray, t) -> prediction."""

    def __init__(self, options: UNetOptions, dropout: float) -> None:
        super().__init__()
        self.network = UNet(replace(options, dropout=dropout), 3, 0)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        part = t.view(-1, 1, 1, 1)
        prediction: Tensor = self.network(x[:, :3], Level(part, part, part), (x[:, 3:],))
        return prediction


class Theirs(nn.Module):
    """The reference's network."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        make: Any = UNet2DModel  # it has no types
        self.network: nn.Module = make(
            sample_size=SIDE,
            in_channels=4,
            out_channels=3,
            block_out_channels=(64, 128, 256, 512),
            layers_per_block=2,
            down_block_types=("DownBlock2D",) * 4,
            up_block_types=("UpBlock2D",) * 4,
            add_attention=False,
            dropout=dropout,
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        prediction: Tensor = self.network(x, t).sample
        return prediction


def makers(dropout: float = 0.0) -> dict[str, Callable[[], nn.Module]]:
    """What makes the two that are compared."""
    return {"tinct": lambda: Ours(lean(), dropout), "diffusers": lambda: Theirs(dropout)}


def operations(network: nn.Module) -> float:
    """Floating-point operations of one forward for one picture, by torch's counter."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 4, SIDE, SIDE), torch.zeros(1))
    return float(counter.get_total_flops())


def stepper(network: nn.Module, batch: int, compiled: bool) -> Callable[[], None]:
    """A function that takes one training step on random pictures."""
    network = network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    forward: Any = torch.compile(network) if compiled else network
    generator = torch.Generator().manual_seed(0)
    x, target = (torch.randn(batch, channels, SIDE, SIDE, generator=generator) for channels in (4, 3))
    x, target = (part.to(memory_format=torch.channels_last) for part in (x, target))
    t = torch.randint(0, T, (batch,), generator=generator).float()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(forward(x, t).float(), target)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()

    return step


def milliseconds(step: Callable[[], None]) -> float:
    """Of one call."""
    started = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - started)


def measure(make: dict[str, Callable[[], nn.Module]], options: argparse.Namespace) -> dict[str, float]:
    """Median milliseconds by "name, mode", taken in turn after a first step of each, which compiles."""
    modes = {"eager": [False], "compiled": [True], "both": [False, True]}[options.mode]
    steps = {
        f"{name}, {'compiled' if compiled else 'eager'}": stepper(build(), options.batch, compiled)
        for name, build in make.items()
        for compiled in modes
    }
    for step in steps.values():
        step()
        step()
    times: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(options.rounds):
        for key, step in steps.items():
            times[key].append(milliseconds(step))
    return {key: statistics.median(values) for key, values in times.items()}


def main() -> int:
    """Prints operations, parameters, milliseconds and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    parser.add_argument("--mode", choices=("eager", "compiled", "both"), default="both")
    parser.add_argument("--dropout", type=float, default=0.0, help="of both networks")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="torch._dynamo")  # of what the reference has that can't be traced
    if options.threads:
        torch.set_num_threads(options.threads)
    make: dict[str, Callable[[], nn.Module]] = {
        **makers(options.dropout),
        "classic": lambda: Ours(CLASSIC, options.dropout),
    }
    counted = {}
    for name, build in make.items():
        network = build()
        counted[name] = operations(network)
        size = sum(parameter.numel() for parameter in network.parameters())
        print(
            f"{name:9}  {counted[name] / 1e9:6.2f} G operations per forward and picture, {size / 1e6:6.1f}M parameters"
        )
    shares = {name: count / counted["diffusers"] for name, count in counted.items()}
    assert all(0.95 <= share <= 1.05 for share in shares.values()), f"the operations are not equal: {shares}"
    times = measure(make, options)
    for key, value in times.items():
        print(f"{key:20} {value:9.0f} ms per step of {options.batch}")
    best = {name: min(value for key, value in times.items() if key.startswith(name)) for name in make}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; the better mode of each")
    print(f"classic: {best['diffusers'] / best['classic']:.2f} times as fast as diffusers' UNet2DModel")
    ratio = best["diffusers"] / best["tinct"]
    return 0 if verdict([(f"lean: {ratio:.2f} times as fast, at least {TARGET}", ratio >= TARGET)]) else 1


if __name__ == "__main__":
    sys.exit(main())
