"""The schema of a training: what to train (family, model) and how (training)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinct.config import option, variant
from tinct.data import degradation
from tinct.data.augment import AUGMENTATIONS
from tinct.families import FAMILIES
from tinct.training.optimizers import OPTIMIZERS
from tinct.training.rates import RATES
from tinct.training.trackers import NONE, TRACKERS


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained; the defaults are those of the classic diffusion colorizer."""

    epochs: tuple[int, ...] = option(
        (50,), "passes over the training pictures; 40+20 = two stages, for losses that set in later", low=1, joined=True
    )
    budget_pictures: int = option(
        0, "pictures after which the training ends, however many epochs are left; 0 = none", low=0
    )
    budget_cpu_minutes: float = option(
        0.0, "CPU time of training steps, over all threads, after which it ends; 0 = none", low=0.0
    )
    batch_size: int = option(32, "pictures per step and process; halve it when memory runs out", low=1)
    accumulate: int = option(1, "batches whose gradients are averaged for one step, at the memory of one", low=1)
    optimizer: str = option("adamw", "which moves the weights", choices=lambda: list(OPTIMIZERS))
    learning_rate: float = option(2e-4, "of the optimizer; 3e-4 to 5e-4 when the loss stays flat", low=1e-9)
    rate: str = option("constant", "course of the learning rate over a stage", choices=lambda: list(RATES))
    warmup_steps: int = option(0, "steps over which the learning rate rises from 0", low=0)
    weight_decay: float = option(0.01, "on weights of convolutions and linear layers only", low=0.0)
    beta1: float = option(
        0.9, "the optimizer's memory of gradients; 0.5 steadies an adversarial game", low=0.0, high=0.999
    )
    beta2: float = option(0.999, "the optimizer's memory of squared gradients", low=0.0, high=0.99999)
    clip: float = option(1.0, "largest norm of a gradient; 0 = not clipped", low=0.0)
    ema_decay: float = option(0.995, "of the average of the weights that is kept; 0 = off", low=0.0, high=0.99999)
    augment: str = option("flip", "what may happen to a training picture", choices=lambda: list(AUGMENTATIONS))
    degrade: str = option(
        degradation.NONE,
        "what a colorizer is shown instead of clean gray; the colours to learn stay true",
        choices=lambda: (degradation.NONE, *degradation.DEGRADATIONS),
    )
    degrade_share: float = option(0.5, "of the training pictures, shown degraded", low=0.0, high=1.0)
    sample_every: int = option(10, "epochs between sample sheets; always one after the last", low=1)
    patience: int = option(10, "epochs without a better validation loss before stopping; 0 = never", low=0)
    validation_fraction: float = option(
        0.1, "of the training pictures, held out when the set has no val part", low=0.0, high=0.9
    )
    validation_limit: int = option(2000, "validation pictures used per epoch; 0 = all", low=0)
    checkpoint_minutes: float = option(5.0, "between saves of last.pth inside an epoch", low=0.0)
    keep: int = option(5, "epoch checkpoints kept, beside the best and the last", low=1)
    seed: int = option(42, "of everything random", low=0)
    precision: str = option(
        "auto", "auto = bfloat16 where the device has it", choices=lambda: ("auto", "float32", "bfloat16")
    )
    track: str = option(
        NONE, "who is told of every epoch, besides the history; wandb works offline", choices=lambda: (NONE, *TRACKERS)
    )
    compile: bool = option(False, "compile the network first: a minute or two, then faster")
    device: str = option(
        "auto", "auto = CUDA if there is one, else the CPU", choices=lambda: ("auto", "cpu", "cuda", "mps")
    )


@dataclass(frozen=True)
class CostOptions:
    """The rates by which the cost of a training is told; what is not stated is not told."""

    watts: float = option(0.0, "power that the machine draws while it trains; 0 = not stated", low=0.0)
    price_per_kwh: float = option(0.0, "of electricity; 0 = not stated", low=0.0)
    price_per_hour: float = option(0.0, "of a rented machine; 0 = not stated", low=0.0)
    currency: str = option("EUR", "of the prices")


@dataclass(frozen=True)
class TrainConfig:
    """A whole training, as config.json and the recipes hold it."""

    family: str = option("unetddpm", "model family", choices=lambda: list(FAMILIES))
    model: Any = variant("family", lambda name: FAMILIES[name].Options, "the model's options")
    loss: Any = variant("family", lambda name: FAMILIES[name].Losses, "what is minimized")
    training: TrainingOptions = TrainingOptions()
    cost: CostOptions = CostOptions()
