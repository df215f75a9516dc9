"""`tinct train`: trains a model on a prepared set, and goes on where a run was broken off."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from tinct import recipes, zoo
from tinct.cli.common import chosen_values, confirm, console, errors, progress, schema_options, yes_option
from tinct.config import complete, from_dict, leaves, merge, override
from tinct.data.dataset import PreparedSet
from tinct.data.discovery import PREPARED
from tinct.data.store import METADATA
from tinct.errors import ConfigError, OutputError
from tinct.files import checked_name, workspace
from tinct.training.folder import clear, data_folder, has_checkpoint, occupied, run_folder, stored_config
from tinct.training.loop import EpochDone, StepDone
from tinct.training.options import TrainConfig
from tinct.training.run import Run

LOG_SECONDS = 60  # between lines in a log, where there is no terminal for a progress bar


@click.command(context_settings={"max_content_width": 110})
@click.option("--data", metavar="NAME", help="Prepared set in npzData/ (default: the only one).")
@click.option("--name", metavar="NAME", help="Name of the run in models/ (default: the set's name).")
@click.option(
    "--recipe", metavar="NAME|FILE", help=f"Settings to start from: {', '.join(recipes.names())}, or a TOML file."
)
@click.option("--resume", is_flag=True, help="Go on where the run was broken off.")
@click.option("--overwrite", is_flag=True, help="Delete a run of the same name first.")
@click.option("--from", "base", metavar="MODEL", help="Start from the weights of a model, bundled or your own.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any option; its last part is enough.")
@yes_option
@schema_options(leaves(complete(TrainConfig())))
def command(
    data: str | None,
    name: str | None,
    recipe: str | None,
    resume: bool,
    overwrite: bool,
    base: str | None,
    assignments: tuple[str, ...],
    yes: bool,
    **options: Any,
) -> None:
    """Train a colorizer on a prepared set.

    \b
    tinct train --data tiny --name first --family unetddpm --epochs 2
    tinct train --data tiny --name first --resume
    tinct train --data tiny --recipe photo --set batch_size=32
    tinct train --data mine --from photo --epochs 5
    """
    changes = [*chosen_values(options), *assignments]
    _check_flags(resume, overwrite, recipe or base, name or data)
    name, data = _names(name, data, resume)
    folder = run_folder(name)
    goes_on = resume and has_checkpoint(folder)
    if goes_on:
        run = Run.resumed(folder, data_folder(data), changes)
        if run.finished:
            _say(f"{name}: finished already, {_why_finished(run)}")
            return
        _say(f"Resuming {name} in epoch {run.trainer.progress.epoch}, step {run.trainer.progress.step}.")
    else:
        base, values = _start(folder, recipe, base, resume, overwrite)
        run = Run.new(folder, data_folder(data), _configure(data, values, changes), base)
    _describe(run)
    if not goes_on:
        _ask(folder, yes)
        clear(folder)
    try:
        _train(run)
    except KeyboardInterrupt:
        _say(f"\nSaved in {folder}. Go on with: tinct train --data {data} --name {name} --resume")
        raise


def _say(text: str) -> None:
    """Prints a line in which names may have brackets."""
    console.print(text, markup=False)


def _check_flags(resume: bool, overwrite: bool, start: str | None, which: str | None) -> None:
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite can't go together")
    if resume and start:
        raise ConfigError("--resume takes its settings from the run: leave --recipe and --from away")
    if resume and not which:
        raise ConfigError("--resume needs to know which run: add --name")


def _names(name: str | None, data: str | None, resume: bool) -> tuple[str, str]:
    """The names of the run and of its data, each from the other where it is not given."""
    folder = run_folder(name) if name else None
    if data is None and resume and folder and occupied(folder):
        data = str(stored_config(folder)["data"])
    data = data or _only_set()
    return checked_name(name or data, "run name"), data


def _start(
    folder: Path, recipe: str | None, base: str | None, resume: bool, overwrite: bool
) -> tuple[str | None, dict[str, Any]]:
    """The model to start from and the settings of a run that starts anew: its own if it never came to a checkpoint."""
    if not resume:
        if occupied(folder) and not overwrite:
            raise OutputError(
                f"{folder} exists: --resume goes on with it, --overwrite starts anew, --name chooses another name"
            )
        return base, _settings(recipe, base)
    _say(f"{folder.name}: no checkpoint yet, starting anew.")
    if not occupied(folder):
        return None, {}
    config = stored_config(folder)
    return config.get("base"), {key: config[key] for key in ("family", "model", "training") if key in config}


def _why_finished(run: Run) -> str:
    epochs = len(run.trainer.progress.history)
    if run.trainer.stopped_early:
        return f"stopped after {epochs} epochs as validation grew no better. --patience N with a higher N goes on."
    return f"{epochs} epochs done. --epochs N adds more."


def _only_set() -> str:
    """The prepared set, if there is exactly one."""
    sets = sorted(path.parent.name for path in workspace().glob(f"{PREPARED}/*/{METADATA}"))
    if len(sets) == 1:
        return sets[0]
    raise ConfigError(f"--data is missing. Prepared sets: {', '.join(sets) or 'none; make one with `tinct prepare`'}")


def _settings(recipe: str | None, base: str | None) -> dict[str, Any]:
    """The shape of --from with the recipe laid over it."""
    values: dict[str, Any] = {}
    if base is not None:
        header = zoo.load_weights(zoo.find(base))[1]
        values = {key: header[key] for key in ("family", "model") if key in header}
    return merge(values, recipes.load(recipe) if recipe else {})


def _configure(data: str, values: dict[str, Any], changes: Sequence[str]) -> TrainConfig:
    """Defaults, settings, flags: each laid over those before. The size is the set's unless somebody chose one."""
    values = override(TrainConfig, values, changes)
    if "size" not in values.get("model", {}):
        height, width = PreparedSet.open(data_folder(data), "train").rgb.shape[1:3]
        values = merge(values, {"model": {"size": min(height, width)}})
    return from_dict(TrainConfig, values)


def _describe(run: Run) -> None:
    """Says what will be trained on what."""
    options, pictures = run.config.training, run.pictures
    size = sum(parameter.numel() for parameter in run.model.parameters()) / 1e6
    _say(f"{run.config.family} of {size:.1f}M parameters, {run.config.model.space}, into {run.folder}")
    source = f"held out of train with seed {options.seed}" if pictures.held_out else "the set's val part"
    _say(
        f"{len(pictures.train_indices)} training pictures, {len(pictures.validation_indices)} for validation ({source}); "
        f"{sum(options.epochs)} epochs of {len(run.trainer.feed)} steps of {options.batch_size}"
    )


def _ask(folder: Path, yes: bool) -> None:
    """Asks before a training starts anew; Abort leaves everything as it is."""
    questions = [f"Delete {folder} and its checkpoints?"] if has_checkpoint(folder) else []
    if not all(confirm(question, yes) for question in [*questions, "Start training?"]):
        raise click.Abort


def _train(run: Run) -> None:
    options, trainer, said = run.config.training, run.trainer, time.monotonic()
    with progress(transient=True) as bar, closing(run.train()) as records:
        epochs = sum(options.epochs)
        total = epochs * len(trainer.feed)
        done = (trainer.progress.epoch - 1) * len(trainer.feed) + trainer.progress.step
        task = bar.add_task("training", total=total, completed=done)
        for record in records:
            if isinstance(record, StepDone):
                text = f"epoch {record.epoch}/{epochs} batch {record.step}/{record.steps} loss {record.loss:.4f}"
                bar.update(task, advance=1, description=text)
                if not errors.is_terminal and time.monotonic() - said > LOG_SECONDS:
                    left = bar.tasks[task].time_remaining
                    _say(text + ("" if left is None else f", {left / 60:.0f} min left"))
                    said = time.monotonic()
            elif isinstance(record, EpochDone):
                _say(_line(record, options.patience))
    what = "validation" if trainer.validation else "training"
    _say(f"Done. Best {what} loss {trainer.progress.best:.4f}. The model is {run.folder.name}:")
    _say(f"  tinct colorize photo.jpg --model {run.folder.name}")


def _line(done: EpochDone, patience: int) -> str:
    row = done.row
    validation = "" if row["val_loss"] is None else f"  val {row['val_loss']:.4f}"
    best = "  best" if done.best else f"  early stop {row['early_stop_counter']}/{patience}" if patience else ""
    stopped = "  stopped: no better for so long" if done.stopped else ""
    return (
        f"epoch {done.epoch}: train {row['train_loss']:.4f}{validation}  {row['seconds']:.0f} s, "
        f"{row['pictures_per_second']:.1f} pictures/s{best}{stopped}"
    )
