"""`tinct train`: trains a model on a prepared set, and goes on where a run was broken off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tinct import recipes, zoo
from tinct.cli.common import chosen_values, confirm, console, progress, schema_options, yes_option
from tinct.config import complete, from_dict, leaves, merge, override
from tinct.data.dataset import PreparedSet
from tinct.errors import ConfigError, OutputError
from tinct.files import checked_name, workspace
from tinct.training.loop import EpochDone, StepDone
from tinct.training.options import TrainConfig
from tinct.training.run import Run, clear, data_folder, has_checkpoint, run_folder, stored_data


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
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite can't go together")
    if resume and (base or recipe):
        raise ConfigError("--resume takes its settings from the run: leave --recipe and --from away")
    if resume and not name and not data:
        raise ConfigError("--resume needs to know which run: add --name")
    data = data or (stored_data(run_folder(name)) if resume and name and run_folder(name).exists() else _only_set())
    name = checked_name(name or data, "run name")
    folder = run_folder(name)
    if resume and has_checkpoint(folder):
        run = Run.resumed(folder, data_folder(data), changes)
        if run.finished:
            console.print(
                f"{name}: finished already, {len(run.trainer.progress.history)} epochs done. --epochs N adds more."
            )
            return
        console.print(f"Resuming {name} in epoch {run.trainer.progress.epoch}, step {run.trainer.progress.step}.")
    else:
        if resume:
            console.print(f"{name}: no checkpoint yet, starting anew.")
        config = _configure(data, recipe, base, changes)
        _make_room(name, overwrite or resume, yes)
        run = Run.new(folder, data_folder(data), config, base)
    _describe(run, yes)
    try:
        _train(run)
    except KeyboardInterrupt:
        console.print(f"\nSaved in {folder}. Go on with: tinct train --data {data} --name {name} --resume")
        raise


def _only_set() -> str:
    """The prepared set, if there is exactly one."""
    sets = sorted(path.parent.name for path in workspace().glob("npzData/*/metadata.json"))
    if len(sets) == 1:
        return sets[0]
    raise ConfigError(f"--data is missing. Prepared sets: {', '.join(sets) or 'none; make one with `tinct prepare`'}")


def _configure(data: str, recipe: str | None, base: str | None, changes: Sequence[str]) -> TrainConfig:
    """Defaults, the shape of --from, the recipe, the flags: each laid over those before."""
    values: dict[str, Any] = {}
    if base is not None:
        header = zoo.load_weights(zoo.find(base))[1]
        values = {"family": header["family"], "model": header["model"]}
    values = override(TrainConfig, merge(values, recipes.load(recipe) if recipe else {}), changes)
    if "size" not in values.get("model", {}):
        height, width = PreparedSet.open(data_folder(data), "train").rgb.shape[1:3]
        values = merge(values, {"model": {"size": min(height, width)}})
    return from_dict(TrainConfig, values)


def _make_room(name: str, overwrite: bool, yes: bool) -> None:
    folder = run_folder(name)
    if not (folder / "config.json").exists():
        return
    if not overwrite:
        raise OutputError(
            f"models/{name} exists: --resume goes on with it, --overwrite starts anew, --name chooses another name"
        )
    if has_checkpoint(folder) and not confirm(f"Delete models/{name} and its checkpoints?", yes):
        raise click.Abort
    clear(folder)


def _describe(run: Run, yes: bool) -> None:
    """Says what will be trained on what, and asks whether to go on."""
    options, pictures = run.config.training, run.pictures
    size = sum(parameter.numel() for parameter in run.model.parameters()) / 1e6
    console.print(f"[b]{run.config.family}[/b] of {size:.1f}M parameters, {run.config.model.space}, into {run.folder}")
    source = f"held out of train with seed {options.seed}" if pictures.held_out else "the set's val part"
    console.print(
        f"{len(pictures.train_indices)} training pictures, {len(pictures.validation_indices)} for validation ({source}); "
        f"{options.epochs} epochs of {len(run.trainer.feed)} steps of {options.batch_size}"
    )
    if not confirm("Start training?", yes):
        raise click.Abort


def _train(run: Run) -> None:
    options, trainer = run.config.training, run.trainer
    with progress(transient=True) as bar:
        total = options.epochs * len(trainer.feed)
        done = (trainer.progress.epoch - 1) * len(trainer.feed) + trainer.progress.step
        task = bar.add_task("training", total=total, completed=done)
        for record in run.train():
            if isinstance(record, StepDone):
                text = (
                    f"epoch {record.epoch}/{options.epochs} batch {record.step}/{record.steps} loss {record.loss:.4f}"
                )
                bar.update(task, advance=1, description=text)
            elif isinstance(record, EpochDone):
                console.print(_line(record, options.patience))
    console.print(f"Done. Best validation loss {trainer.progress.best:.4f}. The model is {run.folder.name}:")
    console.print(f"  tinct colorize photo.jpg --model {run.folder.name}")


def _line(done: EpochDone, patience: int) -> str:
    row = done.row
    validation = "" if row["val_loss"] is None else f"  val {row['val_loss']:.4f}"
    best = "  best" if done.best else f"  early stop {row['early_stop_counter']}/{patience}" if patience else ""
    stopped = "  stopped: no better for so long" if done.stopped else ""
    return (
        f"epoch {done.epoch}: train {row['train_loss']:.4f}{validation}  {row['seconds']:.0f} s, "
        f"{row['pictures_per_second']:.1f} pictures/s{best}{stopped}"
    )
