"""The one training loop: it goes over players and knows no family. A generator of records; to stop it is to stop iterating."""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import nn

from tinct.errors import ConfigError
from tinct.families import Batch, Model, Objective
from tinct.training import budget
from tinct.training.clock import Clock
from tinct.training.divergence import Watch
from tinct.training.ema import Ema
from tinct.training.engine import accelerator, stop_requests, to_device, uninterrupted
from tinct.training.feed import Feed, mixed
from tinct.training.optimizers import optimizer_of
from tinct.training.options import TrainingOptions
from tinct.training.progress import EpochDone, Progress, Row, StepDone
from tinct.training.rates import RATES


class Trainer:
    """Model, players, optimizers, average and progress of one training."""

    def __init__(
        self, model: Model, players: list[Objective], feed: Feed, validation: Feed | None, options: TrainingOptions
    ):
        if validation is None and options.patience:
            raise ConfigError(
                "patience: there are no validation pictures. Raise validation_fraction, or set patience=0"
            )
        late = max(player.last_onset for player in players)
        if late > len(options.epochs):
            raise ConfigError(
                f"a loss sets in at stage {late} and the training has {len(options.epochs)}: write the epochs of each stage, "
                f"such as epochs={'+'.join(['20'] * late)}, or set from_stage=1"
            )
        budget.check(options)
        self.options = options
        self.accelerator = accelerator(options)
        self.feed, self.validation = self._share(feed), validation and self._share(validation)
        self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.players = players
        rate, betas = options.learning_rate, (options.beta1, options.beta2)
        optimizers = [optimizer_of(one, options.optimizer, rate, betas, options.weight_decay) for one in players]
        prepared = self.accelerator.prepare(*players, *optimizers)
        self.wrapped: list[nn.Module] = list(prepared[: len(players)])  # averages gradients over processes
        self.optimizers = list(prepared[len(players) :])
        self.ema = Ema(model, options.ema_decay)
        if options.compile:
            for stage in chain(model.stages(), *(player.stages() for player in players)):
                stage.compile()
        self.progress, self.clock, self.watch = Progress(), Clock(), Watch(options.learning_rate)

    def _share(self, feed: Feed) -> Feed:
        """The feed of this process."""
        return replace(feed, processes=self.accelerator.num_processes, process=self.accelerator.process_index)

    def run(self) -> Generator[StepDone | EpochDone, None, None]:
        """Trains from where `progress` is to the end of the last stage."""
        with stop_requests(listening=self.accelerator.num_processes > 1) as requests:
            while not self.over:
                if self.stage_over:
                    self._next_stage()
                yield from self._train_epoch(requests)
                yield self._finish_epoch()

    @property
    def stage_over(self) -> bool:
        """Whether the stage has had its epochs, the budget is spent and validated, or patience is at its end."""
        progress = self.progress
        done = progress.epoch - progress.stage_began >= self.options.epochs[progress.stage - 1]
        return done or self.stopped_early or (self.budget_spent and not progress.step)

    @property
    def budget_spent(self) -> bool:
        """Whether there is a budget, with nothing left of it."""
        return budget.spent(self.options, self.progress) >= 1

    @property
    def stopped_early(self) -> bool:
        """Whether patience is at its end in this stage."""
        return bool(self.options.patience) and self.progress.waiting >= self.options.patience

    @property
    def over(self) -> bool:
        """Whether the last stage is over."""
        return self.progress.stage >= len(self.options.epochs) and self.stage_over

    def _next_stage(self) -> None:
        """Other losses may count from here on, so what is best begins anew."""
        progress = self.progress
        progress.stage, progress.stage_began = progress.stage + 1, progress.epoch
        self.watch = Watch(self.options.learning_rate)
        self.forget_best()

    def forget_best(self) -> None:
        """For losses that don't compare with those before."""
        self.progress.best, self.progress.waiting = float("inf"), 0

    def _train_epoch(self, requests: list[int]) -> Iterator[StepDone]:
        progress = self.progress
        sums = defaultdict(float, progress.sums)
        started, working = time.monotonic() - progress.seconds, time.process_time()
        steps = [] if self.budget_spent else self.feed.epoch(progress.epoch, progress.step)
        for batches in self.clock.waiting("load", steps):
            with uninterrupted():
                losses, stop = self._step(batches, bool(requests))
                for name, value in losses.items():
                    sums[name] += value
                progress.step += 1
                progress.steps_done += 1
                progress.pictures_seen += self.feed.pictures_per_step
                progress.cpu_seconds += self._of_all_processes(time.process_time() - working)
                progress.sums, progress.seconds = dict(sums), time.monotonic() - started
                progress.mark(len(self.feed))
            yield StepDone(progress.epoch, progress.step, len(self.feed), sums["loss"] / progress.step)
            if stop:
                raise KeyboardInterrupt
            if self.budget_spent:
                return
            working = time.process_time()

    def _of_all_processes(self, seconds: float) -> float:
        """The sum over the processes."""
        if self.accelerator.num_processes == 1:
            return seconds
        total: float = self.accelerator.reduce(torch.tensor(seconds, device=self.accelerator.device), "sum").item()
        return total

    def _step(self, batches: Sequence[Batch], stop: bool) -> tuple[dict[str, float], bool]:
        """One step of every player; its losses, mean over batches and processes, and whether some process was asked to stop."""
        progress, process = self.progress, self.accelerator.process_index
        playing = [place for place, player in enumerate(self.players) if player.from_stage <= progress.stage]
        sums: list[dict[str, torch.Tensor]] = [{} for _ in self.players]
        for number, batch in enumerate(batches):
            torch.manual_seed(
                int(mixed(self.options.seed, progress.epoch, progress.step, number, process)[0])
            )  # dropout
            for place in playing:
                parts = self._gradient(place, to_device(batch, self.accelerator.device), 1 / len(batches), number)
                for name, value in parts.items():
                    sums[place][name] = sums[place].get(name, 0.0) + value / len(batches)
        losses, stop = self._shared(sums, stop)
        self.watch.step(sum(losses.values()), f"epoch {progress.epoch}, step {progress.step + 1}")
        for place in playing:
            self._move(place)
        with self.clock.part("average"):
            self.ema.update(self.model)
        return losses, stop

    def _gradient(self, place: int, batch: Batch, share: float, number: int) -> dict[str, torch.Tensor]:
        """Adds a batch's share to the gradients of a player; they are averaged over processes with a step's last batch."""
        player, wrapped = self.players[place], self.wrapped[place]
        player.stage = self.progress.stage
        wrapped.train()
        waits = number + 1 < self.options.accumulate
        with self.accelerator.no_sync(wrapped) if waits else nullcontext():
            with self.clock.part("forward"), self.accelerator.autocast():
                losses: dict[str, torch.Tensor] = wrapped(batch)
            with self.clock.part("backward"):
                self.accelerator.backward(share * torch.stack(list(losses.values())).sum())
        return {name: loss.detach().float() for name, loss in losses.items()}

    def _shared(self, losses: list[dict[str, torch.Tensor]], stop: bool) -> tuple[dict[str, float], bool]:
        """Every player's losses and, as "loss", the sum of the first one's; and whether a process is to stop.

        Means over the processes, in one message.
        """
        named = {name: value for player in losses for name, value in player.items()}
        values = torch.stack([*named.values(), torch.tensor(float(stop), device=self.accelerator.device)])
        *means, stops = self.accelerator.reduce(values, "mean").tolist()
        return {"loss": sum(means[: len(losses[0])]), **dict(zip(named, means, strict=True))}, stops > 0

    def _move(self, place: int) -> None:
        """Moves the weights of a player by its gradients."""
        optimizer = self.optimizers[place]
        for group in optimizer.param_groups:
            group["lr"] = self.rate()
        if self.options.clip:
            with self.clock.part("clip"):
                norm = self.accelerator.clip_grad_norm_(self.wrapped[place].parameters(), self.options.clip)
            self.watch.number(float(norm), f"epoch {self.progress.epoch}, step {self.progress.step + 1}", "gradient")
        with self.clock.part("optimizer"):
            optimizer.step()
            optimizer.zero_grad()

    def rate(self) -> float:
        """The learning rate of the next step: each stage has a course of its own, of its epochs or of the budget."""
        options, progress, steps = self.options, self.progress, len(self.feed)
        done = (progress.epoch - progress.stage_began) * steps + progress.step
        warm = min(1.0, (done + 1) / options.warmup_steps) if options.warmup_steps else 1.0
        share = max(done / (options.epochs[progress.stage - 1] * steps), budget.spent(options, progress))
        return options.learning_rate * warm * RATES[options.rate](min(1.0, share))

    def _finish_epoch(self) -> EpochDone:
        progress = self.progress
        valid = self.validate() if self.validation else {}
        train = {name: total / max(1, progress.step) for name, total in progress.sums.items()}
        row: Row = {
            "epoch": progress.epoch,
            "stage": progress.stage,
            "train_loss": train.pop("loss"),
            "val_loss": valid.pop("loss", None),
            "train_terms": train,
            "val_terms": valid,
            "train_course": progress.course(),
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
            progress.begin_epoch()
        return EpochDone(progress.epoch - 1, progress.history[-1], best, self.stopped_early)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The first player's losses under the averaged weights, mean over the validation pictures.

        "loss" says which epoch is best: it is their sum without those against an opponent that moves, unless there is no other.
        """
        assert self.validation is not None
        sums: dict[str, float] = defaultdict(float)
        player: Any = self.players[0]
        kept, player.model, player.stage = player.model, self.ema.average, self.progress.stage
        player.eval()
        try:
            for batch in self.validation.all():
                with self.accelerator.autocast():
                    losses = player(to_device(batch, self.accelerator.device))
                for name, value in losses.items():
                    sums[name] += value.item() * len(batch.rgb) / len(self.validation.indices)
        finally:
            player.model = kept
        total: dict[str, float] = defaultdict(float)
        for shares in gather_object([dict(sums)]):
            for name, value in shares.items():
                total[name] += value
        self.watch.number(sum(total.values()), f"the validation after epoch {self.progress.epoch}")
        comparable = [value for name, value in total.items() if name not in player.against_opponent]
        return {"loss": sum(comparable or total.values()), **total}

    def state(self) -> dict[str, Any]:
        """Everything that going on needs."""
        return {
            "model_state_dict": self.model.state_dict(),
            "ema_state_dict": self.ema.average.state_dict(),
            "ema_updates": self.ema.updates,
            "objective_state_dicts": [player.state_dict() for player in self.players],
            "optimizer_state_dict": self.optimizers[0].state_dict(),
            "optimizer_state_dicts": [optimizer.state_dict() for optimizer in self.optimizers[1:]],
            "pictures_per_step": self.feed.pictures_per_step,
            "progress": copy.deepcopy(vars(self.progress)),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes back to a state. Players that it does not know, of losses that were added since, stay as they are new."""
        for player, values in zip(self.players, state["objective_state_dicts"], strict=False):
            player.load_state_dict(values)
        self.ema.average.load_state_dict(state["ema_state_dict"])
        self.ema.updates = state["ema_updates"]
        saved = [state["optimizer_state_dict"], *state["optimizer_state_dicts"]]
        for optimizer, values in zip(self.optimizers, saved, strict=False):
            optimizer.load_state_dict(values)
        progress = self.progress = Progress(**state["progress"])
        if progress.stage > len(self.options.epochs):
            raise ConfigError(
                f"epochs: the run is in stage {progress.stage} already: give it as many numbers, such as 2+2"
            )
        before, now = state["pictures_per_step"], self.feed.pictures_per_step
        if before != now and progress.step:  # the same pictures are done, in other steps
            steps, progress.step = progress.step, progress.step * before // now
            progress.sums = {name: total * progress.step / steps for name, total in progress.sums.items()}
            progress.marks = []
