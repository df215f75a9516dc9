"""The one training loop: it goes over players and knows no family. A generator of records; to stop it is to stop iterating."""

from __future__ import annotations

import contextlib
import copy
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from tinct.errors import ConfigError, TinctError
from tinct.families import Batch, Colorizer, Objective
from tinct.training.ema import Ema
from tinct.training.feed import Feed, mixed
from tinct.training.options import TrainingOptions
from tinct.training.rates import RATES

Row = dict[str, Any]  # one epoch of the history


@dataclass(frozen=True)
class StepDone:
    """One step of `steps` in this epoch, with its mean loss."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch, with its row of the history; `best` when its validation loss is the lowest so far."""

    epoch: int
    row: Row
    best: bool
    stopped: bool  # by early stopping


@dataclass
class Progress:
    """Where a training is: everything besides tensors that a checkpoint holds."""

    epoch: int = 1  # the one under way
    step: int = 0  # steps done in it
    seconds: float = 0.0  # spent in it
    sums: dict[str, float] = field(default_factory=dict)  # of its training losses, over its steps
    history: list[Row] = field(default_factory=list)
    best: float = float("inf")
    waiting: int = 0  # epochs without a better validation loss


class Trainer:
    """Model, players, optimizers, average and progress of one training."""

    def __init__(
        self, model: Colorizer, players: list[Objective], feed: Feed, validation: Feed | None, options: TrainingOptions
    ):
        if validation is None and options.patience:
            raise ConfigError(
                "patience: there are no validation pictures. Raise validation_fraction, or set patience=0"
            )
        self.options, self.feed, self.validation = options, feed, validation
        self.accelerator = accelerator(options)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizers = [self._optimizer(player) for player in players]
        prepared = self.accelerator.prepare(*players, *optimizers)
        self.players: list[nn.Module] = list(prepared[: len(players)])
        self.optimizers = list(prepared[len(players) :])
        self.ema = Ema(model, options.ema_decay)
        if options.compile:
            for stage in model.stages():
                stage.compile()
        self.progress = Progress()

    def _optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        """AdamW with decay on matrices and convolutions only."""
        layers = [
            module for module in player.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        ]
        decayed = {id(layer.weight) for layer in layers}
        parameters = [parameter for parameter in player.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if id(p) in decayed], "weight_decay": self.options.weight_decay},
            {"params": [p for p in parameters if id(p) not in decayed], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, self.options.learning_rate, betas=(0.9, self.options.beta2), fused=True)

    def run(self) -> Iterator[StepDone | EpochDone]:
        """Trains from where `progress` is to the last epoch, or until patience is at its end."""
        while self.progress.epoch <= self.options.epochs:
            yield from self._train_epoch()
            done = self._finish_epoch()
            yield done
            if done.stopped:
                return

    def _train_epoch(self) -> Iterator[StepDone]:
        progress, device = self.progress, self.accelerator.device
        sums = defaultdict(float, progress.sums)
        started = time.monotonic() - progress.seconds
        for batch in self.feed.epoch(progress.epoch, progress.step):
            torch.manual_seed(int(mixed(self.options.seed, progress.epoch, progress.step)[0]))  # of dropout
            with uninterrupted():
                losses = self._step(to_device(batch, device))
                for name, value in losses.items():
                    sums[name] += value
                progress.step += 1
                progress.sums, progress.seconds = dict(sums), time.monotonic() - started
            yield StepDone(progress.epoch, progress.step, len(self.feed), sums["loss"] / progress.step)

    def _step(self, batch: Batch) -> dict[str, float]:
        values: dict[str, float] = {"loss": 0.0}
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            player.train()
            for group in optimizer.param_groups:
                group["lr"] = self.rate()
            with self.accelerator.autocast():
                losses = player(batch)
            total = torch.stack(list(losses.values())).sum()
            if not torch.isfinite(total):
                raise TinctError(
                    f"the loss is not a number in epoch {self.progress.epoch}: lower the learning rate "
                    f"(now {self.options.learning_rate:g}); the last good checkpoint is kept"
                )
            self.accelerator.backward(total)
            if self.options.clip:
                self.accelerator.clip_grad_norm_(player.parameters(), self.options.clip)
            optimizer.step()
            optimizer.zero_grad()
            values["loss"] += total.item()
            values.update({name: loss.item() for name, loss in losses.items()})
        self.ema.update(self.model)
        return values

    def rate(self) -> float:
        """The learning rate of the next step."""
        options, steps = self.options, len(self.feed)
        done = (self.progress.epoch - 1) * steps + self.progress.step
        warm = min(1.0, (done + 1) / options.warmup_steps) if options.warmup_steps else 1.0
        return options.learning_rate * warm * RATES[options.rate](done / (options.epochs * steps))

    def _finish_epoch(self) -> EpochDone:
        progress, options = self.progress, self.options
        valid = self.validate() if self.validation else {}
        train = {name: total / max(1, progress.step) for name, total in progress.sums.items()}
        row: Row = {
            "epoch": progress.epoch,
            "train_loss": train.pop("loss"),
            "val_loss": valid.pop("loss", None),
            "train_terms": train,
            "val_terms": valid,
            "learning_rate": self.rate(),
            "seconds": round(progress.seconds, 2),
            "pictures_per_second": round(progress.step * self.feed.pictures_per_step / max(progress.seconds, 1e-9), 2),
        }
        value = row["val_loss"] if row["val_loss"] is not None else row["train_loss"]
        best = value < progress.best
        with uninterrupted():
            progress.best = value if best else progress.best
            progress.waiting = 0 if best else progress.waiting + 1
            progress.history.append({**row, "early_stop_counter": progress.waiting})
            progress.epoch, progress.step, progress.seconds, progress.sums = progress.epoch + 1, 0, 0.0, {}
        stopped = bool(options.patience) and progress.waiting >= options.patience
        return EpochDone(progress.epoch - 1, progress.history[-1], best, stopped)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The first player's losses under the averaged weights, mean over the validation pictures."""
        assert self.validation is not None
        sums: dict[str, float] = defaultdict(float)
        player: Any = self.accelerator.unwrap_model(self.players[0])
        kept, player.model = player.model, self.ema.average
        player.eval()
        try:
            for batch in self.validation.all():
                with self.accelerator.autocast():
                    losses = player(to_device(batch, self.accelerator.device))
                for name, value in losses.items():
                    sums[name] += value.item() * len(batch.rgb) / len(self.validation.indices)
        finally:
            player.model = kept
        return {"loss": sum(sums.values()), **sums}

    def state(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "model_state_dict": self.model.state_dict(),
            "ema_state_dict": self.ema.average.state_dict(),
            "ema_updates": self.ema.updates,
            "objective_state_dicts": [self.accelerator.unwrap_model(p).state_dict() for p in self.players],
            "optimizer_state_dict": self.optimizers[0].state_dict(),
            "optimizer_state_dicts": [optimizer.state_dict() for optimizer in self.optimizers[1:]],
            "progress": copy.deepcopy(vars(self.progress)),
        }

    def load_state(self, state: dict[str, Any], batch_size: int) -> None:
        """Goes back to a state that was saved while batches were of `batch_size`."""
        for player, values in zip(self.players, state["objective_state_dicts"], strict=True):
            self.accelerator.unwrap_model(player).load_state_dict(values)
        self.ema.average.load_state_dict(state["ema_state_dict"])
        self.ema.updates = state["ema_updates"]
        for optimizer, values in zip(
            self.optimizers, [state["optimizer_state_dict"], *state["optimizer_state_dicts"]], strict=True
        ):
            optimizer.load_state_dict(values)
        progress = self.progress = Progress(**state["progress"])
        if batch_size != self.options.batch_size and progress.step:  # the same pictures are done, in other steps
            before, progress.step = progress.step, progress.step * batch_size // self.options.batch_size
            progress.sums = {name: total * progress.step / before for name, total in progress.sums.items()}


def accelerator(options: TrainingOptions) -> Accelerator:
    """The engine for the chosen device and precision; ConfigError when the device is not there."""
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device cuda: this machine has none that torch can use. Use --device cpu")
    if options.device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps: this machine has none that torch can use. Use --device cpu")
    on_cpu = options.device == "cpu" or (options.device == "auto" and not torch.cuda.is_available())
    half = options.precision == "bfloat16" or (options.precision == "auto" and has_bfloat16(on_cpu))
    AcceleratorState._reset_state(reset_partial_state=True)  # one process may train twice, each time in its own way
    return Accelerator(mixed_precision="bf16" if half else "no", cpu=on_cpu)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl+C back until the block is done, so that no checkpoint sees half a step."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[Any] = []
    signal.signal(signal.SIGINT, lambda *arguments: caught.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if caught:
        handler(*caught[0])


def has_bfloat16(on_cpu: bool) -> bool:
    """Whether bfloat16 is worth it: a CPU without instructions for it is slower with it."""
    if not on_cpu:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.backends.cpu.get_cpu_capability() == "AVX512"


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch's tensors on the device, its randomness where it is."""
    return Batch(batch.rgb.to(device), batch.labels.to(device), batch.generators)
