"""What the two networks of benchmarks.unet_step have learned after 200 steps, beside each other in one run.

    python -m benchmarks.unet_loss [--data ZIP] [--steps 200] [--batch 16] [--rate 2e-4] [--seed 0] [--threads N]

Both guess the noise in the RGB of Tiny ImageNet's pictures, 64x64, given their gray, on the cosine schedule of 1000 levels: the
same pictures, levels and noise in the same order; bfloat16 autocast, channels_last, AdamW, compiled. The loss is then taken on
482 validation pictures at one level each, spread evenly over t. The exit code is 1 when tinct's is higher by more than twice the
standard error of the difference.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.unet_step import T, makers
from benchmarks.validation import parsed, parser, validation, verdict
from tinct.color import SPACES, luma
from tinct.data.listing import pictures_in
from tinct.diffusion import Schedule, diffuse
from tinct.families.base import unit_gray
from tinct.images import read_rgb

TRAINING = "tiny-imagenet-200/train"
SCHEDULE = Schedule.named("cosine", T)


def main() -> int:
    """Prints the losses as they fall, and the verdict."""
    arguments = parser(__doc__)
    for name, kind, usual in (("steps", int, 200), ("batch", int, 16), ("rate", float, 2e-4), ("seed", int, 0)):
        arguments.add_argument(f"--{name}", type=kind, default=usual)
    arguments.add_argument("--threads", type=int, default=0, help="of torch (default: its own choice)")
    options = parsed(arguments)
    warnings.filterwarnings("ignore", module="torch._dynamo")  # of what the reference has that can't be traced
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    files = pictures_in(options.data / TRAINING)
    chosen = rng.choice(len(files), options.steps * options.batch, replace=False)
    pictures = [read_rgb(files[index].read(), name=files[index].name) for index in chosen]
    held_out = batched([*validation(options.data)], options.batch)
    found = {}
    for name, make in makers().items():
        network = make()
        print(f"{name}: ", end="", flush=True)
        train(network, batched(pictures, options.batch), options.rate, options.seed)
        found[name] = measured(network, held_out)
        print(f"on {len(found[name])} others {found[name].mean():.4f}", flush=True)
    return 0 if verdict(_target(found)) else 1


def batched(pictures: list[Any], size: int) -> list[Tensor]:
    """In batches uint8 (B, 3, H, W)."""
    return [
        torch.from_numpy(np.stack(pictures[start : start + size])).permute(0, 3, 1, 2)
        for start in range(0, len(pictures), size)
    ]


def noised(rgb: Tensor, t: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a network is shown, x_t and the gray (B, 4, H, W), and the noise that it shall guess."""
    x_0 = SPACES["rgb"].encode(rgb.float())
    eps = torch.randn(x_0.shape, generator=generator)
    shown = torch.cat([diffuse(x_0, eps, SCHEDULE.levels(t)), unit_gray(luma(rgb).float())], dim=1)
    return shown.to(memory_format=torch.channels_last), eps


def train(network: nn.Module, batches: list[Tensor], rate: float, seed: int) -> None:
    """One step per batch; prints the mean loss of each fourth of them."""
    network.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), rate, fused=True)
    forward: Callable[[Tensor, Tensor], Tensor] = torch.compile(network)
    generator, losses = torch.Generator().manual_seed(seed), []
    for rgb in batches:
        t = torch.randint(0, T, (len(rgb),), generator=generator)
        shown, eps = noised(rgb, t, generator)
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(forward(shown, t.float()).float(), eps)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if len(losses) % max(1, len(batches) // 4) == 0:
            print(f"{np.mean(losses[-(len(batches) // 4) :]):.4f}, ", end="", flush=True)


@torch.no_grad()
def measured(network: nn.Module, batches: list[Tensor]) -> Tensor:
    """The loss of each picture, (N,)."""
    network.eval()
    generator = torch.Generator().manual_seed(1)
    count, losses, place = sum(map(len, batches)), [], 0
    for rgb in batches:
        t = (
            torch.arange(place, place + len(rgb)) * 7919 % count * T / count
        ).long()  # each part of t once, in no order
        shown, eps = noised(rgb, t, generator)
        with torch.autocast("cpu", torch.bfloat16):
            losses.append((network(shown, t.float()).float() - eps).square().mean(dim=(1, 2, 3)))
        place += len(rgb)
    return torch.cat(losses)


def _target(found: Mapping[str, Tensor]) -> Iterator[tuple[str, bool]]:
    apart = found["tinct"] - found["diffusers"]
    error = 2 * apart.std() / len(apart) ** 0.5
    yield (
        f"tinct's loss less diffusers' {apart.mean():+.4f} +- {error:.4f}: not above 0 by more",
        bool(apart.mean() <= error),
    )


if __name__ == "__main__":
    sys.exit(main())
