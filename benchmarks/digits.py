"""Digits that a model makes: is a classifier sure of them, are the classes even, is any a copy, how long do many take?

    python -m benchmarks.digits [--model NAME] [--judge NAME] [--data SET] [--num 1000] [--timed 10000]

SET is MNIST as `tinct import mnist` and `tinct prepare` leave it in the workspace. A copy would be nearer to a training
picture than any real test picture is. The time is that of `tinct generate` into a folder, on all cores: run it on a machine
that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tinct import figures, zoo
from tinct.cli.main import main as tinct
from tinct.data.dataset import PreparedSet
from tinct.errors import DataError
from tinct.families import Classifier, PictureGenerator
from tinct.generation import GenerateOptions, generate
from tinct.training.folder import data_folder

SURE, SHARE_SURE = 0.9, 0.95
LEAST, MOST = 0.06, 0.14  # of a class of ten
SECONDS = 300.0
_TOGETHER = 500  # pictures


def main() -> int:
    """Prints every figure beside its target; the exit code is 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="digits")
    parser.add_argument("--judge", default="digit-classifier")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--timed", type=int, default=10_000, help="0 = don't")
    parser.add_argument("--sheet", type=Path, help="the 40 pictures that come nearest to a training picture, above it")
    options = parser.parse_args()
    try:
        folder = data_folder(options.data)
    except DataError as error:
        print(f"nothing to compare with: {error}")
        return 0
    model, judge = zoo.generator(zoo.load(options.model)), zoo.classifier(zoo.load(options.judge))
    made = pictures(model, options.num, options.steps)
    train, test = (PreparedSet.open(folder, split) for split in ("train", "test"))
    reached = [judged(made, judge), compared(made, train, test, options.sheet)]
    if options.timed:
        reached.append(timed(options.model, options.timed, options.steps))
    return 0 if all(reached) else 1


def pictures(model: PictureGenerator, num: int, steps: int) -> Tensor:
    """Made by the default sampler, uint8 (N, 3, H, W)."""
    made = generate(model, range(1, num + 1), GenerateOptions(steps=steps))
    return torch.from_numpy(np.stack([one.picture for one in made])).permute(0, 3, 1, 2)


@torch.inference_mode()
def judged(made: Tensor, judge: Classifier) -> bool:
    """Whether the classifier is sure of enough pictures, and finds every class often enough."""
    odds = torch.cat([judge.scores(some).softmax(dim=1) for some in torch.split(made, _TOGETHER)])
    sure = (odds.amax(dim=1) > SURE).float().mean().item()
    shares = torch.bincount(odds.argmax(dim=1), minlength=judge.classes) / len(made)
    print(f"the classifier is over {SURE} sure of {sure:.1%} of {len(made)} pictures (target {SHARE_SURE:.0%})")
    print(f"classes: {', '.join(f'{share:.1%}' for share in shares.tolist())} (target {LEAST:.0%} to {MOST:.0%})")
    return sure >= SHARE_SURE and bool(((shares >= LEAST) & (shares <= MOST)).all())


def compared(made: Tensor, train: PreparedSet, test: PreparedSet, sheet: Path | None) -> bool:
    """Whether no picture comes nearer to a training picture than every test picture does."""
    known = _flat(torch.from_numpy(train.rgb[..., 0].copy()))
    real, _ = _nearest(_flat(torch.from_numpy(test.rgb[..., 0].copy())), known)
    far, which = _nearest(_flat(made[:, 0]), known)
    for name, distances in (("made", far), ("real test", real)):
        low, middle, high = (distances.quantile(share).item() for share in (0.05, 0.5, 0.95))
        print(
            f"{name} pictures to the nearest training picture, root mean square in levels: least {distances.min():.1f}, "
            f"5% below {low:.1f}, half below {middle:.1f}, 95% below {high:.1f}"
        )
    if sheet:
        order = far.argsort()[:40]
        pairs = [part for some in torch.split(order, 10) for part in (made[some, 0], _square(known[which[some]], made))]
        figures.grid([_rgb(one) for row in pairs for one in row], sheet, columns=10, scale=2)
    return far.min().item() >= real.min().item()


def _flat(gray: Tensor) -> Tensor:
    return gray.flatten(1).float()


def _square(flat: Tensor, like: Tensor) -> Tensor:
    return flat.view(-1, *like.shape[2:]).byte()


def _rgb(gray: Tensor) -> figures.Rgb:
    rgb: figures.Rgb = gray[..., None].expand(-1, -1, 3).numpy()
    return rgb


def _nearest(some: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Root mean square distance (N,) to the nearest of the known pictures, and which it is (N,)."""
    found = [torch.cdist(part, known).min(dim=1) for part in torch.split(some, _TOGETHER)]
    return torch.cat([one.values for one in found]) / some.shape[1] ** 0.5, torch.cat([one.indices for one in found])


def timed(model: str, num: int, steps: int) -> bool:
    """Whether so many pictures are made in time."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        try:
            tinct(["generate", "--model", model, "--num", str(num), "--steps", str(steps), "--out", f"{folder}/made"])
        except SystemExit as ended:
            if ended.code:
                return False
        seconds = time.perf_counter() - started
    print(f"{num} pictures of {steps} steps: {seconds:.0f} s, {torch.get_num_threads()} threads (target {SECONDS:g})")
    return seconds < SECONDS


if __name__ == "__main__":
    sys.exit(main())
