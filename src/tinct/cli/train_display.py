"""What a training shows while it goes on, and what it says of itself before and after."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

from tinct.cli.common import console, errors, progress
from tinct.training import budget
from tinct.training.cost import epochs_left, steps_left
from tinct.training.estimate import duration
from tinct.training.loop import Trainer
from tinct.training.options import TrainingOptions
from tinct.training.progress import EpochDone, StepDone
from tinct.training.run import Run, Sampling

LOG_SECONDS = 60  # between lines in a log, where there is no terminal for a progress bar


def say(text: str) -> None:
    """Prints a line in which names may have brackets."""
    console.print(text, markup=False)


def describe(run: Run) -> None:
    """Says what will be trained on what."""
    options, pictures = run.config.training, run.pictures
    size = sum(parameter.numel() for parameter in run.model.parameters()) / 1e6
    say(f"{run.config.family} of {size:.1f}M parameters, {run.config.model.space}, into {run.folder}")
    source = f"held out of train with seed {options.seed}" if pictures.held_out else "the set's val part"
    say(
        f"{len(pictures.train_indices)} training pictures, {len(pictures.validation_indices)} for validation ({source}); "
        f"{_length(options)} of {len(run.trainer.feed)} steps of {run.trainer.feed.pictures_per_step}"
    )


def _length(options: TrainingOptions) -> str:
    """How long a training is: epochs, or a budget that may end before them."""
    epochs = f"{sum(options.epochs)} epochs"
    if budget.has_budget(options):
        return f"a budget of {budget.described(options)}, {'epochs' if _endless(options) else f'at most {epochs}'}"
    return epochs + (f" in stages of {'+'.join(map(str, options.epochs))}" if len(options.epochs) > 1 else "")


def _endless(options: TrainingOptions) -> bool:
    return sum(options.epochs) >= budget.ENDLESS


def why_finished(run: Run) -> str:
    """Why nothing is left to train, and how to go on nevertheless."""
    epochs = len(run.trainer.progress.history)
    if run.trainer.stopped_early:
        return f"stopped after {epochs} epochs as validation grew no better. --patience N with a higher N goes on."
    if run.trainer.budget_spent:
        return f"the budget is spent: {budget.described(run.config.training)}. A larger one goes on."
    return f"{epochs} epochs done. --epochs N adds more."


def train(run: Run) -> None:
    """Trains the run to its end, and shows where it is."""
    with progress(transient=True) as bar, closing(run.train()) as records:
        live = _Live(run, bar)
        for record in records:
            if isinstance(record, StepDone):
                live.step(record)
            elif isinstance(record, EpochDone):
                live.epoch(record)
            elif isinstance(record, Sampling):
                live.text("Generating samples…")
    what = "validation" if run.trainer.validation else "training"
    say(f"Done. Best {what} loss {run.trainer.progress.best:.4f}. The model is {run.folder.name}:")
    say(f"  {run.model.command} --model {run.folder.name}")


class _Live:
    """The bar of a training; in a log, a line a minute."""

    def __init__(self, run: Run, bar: Any) -> None:
        self.trainer, self.bar, self.patience = run.trainer, bar, run.config.training.patience
        self.first, self.started, self.said = _done(run.trainer), time.monotonic(), time.monotonic()
        self.task = bar.add_task("training", total=_total(run.trainer), completed=self.first)

    def text(self, text: str) -> None:
        """Shows this until the next step."""
        self.bar.update(self.task, description=text)

    def step(self, record: StepDone) -> None:
        """One step more."""
        waiting, epochs = self.trainer.progress.waiting, record.epoch - 1 + sum(epochs_left(self.trainer))
        counter = f" early stop {waiting}/{self.patience}" if self.patience and waiting else ""
        text = f"epoch {record.epoch}/{epochs} batch {record.step}/{record.steps} loss {record.loss:.4f}{counter}"
        self.bar.update(self.task, total=_total(self.trainer), advance=1, description=text)
        if not errors.is_terminal and time.monotonic() - self.said > LOG_SECONDS:
            say(f"{text}, {duration(self.left())} left")
            self.said = time.monotonic()

    def left(self) -> float:
        """Seconds to the end, by the mean of all steps since this process began, with validation and samples."""
        done = _done(self.trainer)
        each = (time.monotonic() - self.started) / max(1, done - self.first)
        return each * (_total(self.trainer) - done)

    def epoch(self, done: EpochDone) -> None:
        """One epoch more."""
        self.bar.update(self.task, total=_total(self.trainer), refresh=True)  # short epochs are seen too
        left = "" if self.trainer.over else f", {duration(self.left())} left"
        say(epoch_line(done, self.patience) + left)


def epoch_line(done: EpochDone, patience: int) -> str:
    """An epoch's losses, time, and how near patience is to its end."""
    row = done.row
    validation = "" if row["val_loss"] is None else f"  val {row['val_loss']:.4f}"
    best = "  best" if done.best else f"  early stop {row['early_stop_counter']}/{patience}" if patience else ""
    stopped = "  stopped: no better for so long" if done.stopped else ""
    return (
        f"epoch {done.epoch}: train {row['train_loss']:.4f}{validation}  {row['seconds']:.0f} s, "
        f"{row['pictures_per_second']:.1f} pictures/s{best}{stopped}"
    )


def _done(trainer: Trainer) -> int:
    """Steps of all epochs so far."""
    return (trainer.progress.epoch - 1) * len(trainer.feed) + trainer.progress.step


def _total(trainer: Trainer) -> int:
    """Steps from the very beginning to the end, if patience saves none of them."""
    return _done(trainer) + steps_left(trainer)
