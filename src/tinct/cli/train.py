"""`tinct train`: trains a model on a prepared set, and goes on where a run was broken off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tinct import recipes
from tinct.cli import train_dialogue, train_display
from tinct.cli.common import chosen_values, confirm, console, errors, interactive, schema_options, yes_option
from tinct.cli.dialogue import nothing_said
from tinct.cli.train_display import say
from tinct.cli.train_folder import OwnSet
from tinct.cli.train_plan import Plan, checkpoint_of, settings, stored_settings
from tinct.config import complete, from_dict, leaves, override
from tinct.data.discovery import discover_prepared
from tinct.errors import ConfigError, OutputError
from tinct.files import checked_name, workspace
from tinct.training.engine import ended_like_interrupted, is_main_process, process_count
from tinct.training.estimate import estimate
from tinct.training.folder import clear, has_checkpoint, occupied, run_folder, stored_config
from tinct.training.launching import start_missing_processes
from tinct.training.options import TrainConfig
from tinct.training.run import Run


@click.command(context_settings={"max_content_width": 110})
@click.option("--data", metavar="NAME", help="Prepared set in npzData/ (default: the only one).")
@click.option(
    "--images",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Train on this folder or zip of pictures: import and preparation are done on the way.",
)
@click.option("--name", metavar="NAME", help="Name of the run in models/ (default: the set's name).")
@click.option(
    "--recipe", metavar="NAME|FILE", help=f"Settings to start from: {', '.join(recipes.names())}, or a TOML file."
)
@click.option("--resume", is_flag=True, help="Go on where the run was broken off.")
@click.option(
    "--checkpoint", metavar="EPOCH|FILE", help="With --resume: go on from this one, and drop what came after it."
)
@click.option("--overwrite", is_flag=True, help="Delete a run of the same name first.")
@click.option("--from", "base", metavar="MODEL", help="Start from the weights of a model, bundled or your own.")
@click.option(
    "--feature-weights",
    metavar="DIR|FILE",
    type=click.Path(path_type=Path),
    help="Published weights that a perceptual loss looks through (default: TINCT_FEATURE_WEIGHTS, the cache, a download).",
)
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Any option; its last part is enough.")
@yes_option
@schema_options(leaves(complete(TrainConfig())))
def command(
    data: str | None,
    images: Path | None,
    name: str | None,
    recipe: str | None,
    resume: bool,
    checkpoint: str | None,
    overwrite: bool,
    base: str | None,
    feature_weights: Path | None,
    assignments: tuple[str, ...],
    yes: bool,
    **options: Any,
) -> None:
    """Train a colorizer on a prepared set, or on a folder of pictures. Run without arguments on a terminal, it asks.

    \b
    tinct train
    tinct train --data tiny --name first --family unetddpm --epochs 2
    tinct train --data tiny --name first --resume
    tinct train --data tiny --name first --resume --checkpoint 3
    tinct train --data tiny --recipe photo --set batch_size=32
    tinct train --data mine --from photo --epochs 5
    tinct train --images ~/Pictures/garden --size 64 --yes
    accelerate launch --num_processes 2 -m tinct train --data tiny --yes
    """
    start_missing_processes()
    _speak_once(yes)
    if nothing_said(click.get_current_context()) and interactive():
        _asked()
        return
    _check_flags(resume, overwrite, recipe or base, bool(name or data or images), checkpoint, bool(data and images))
    own = OwnSet.of(images, name) if images else None
    name, data = (own.name, own.name) if own else _names(name, data, resume)
    plan = _start(run_folder(name), data, recipe, base, resume, overwrite, checkpoint)
    plan = replace(plan, changes=[*chosen_values(options), *assignments], feature_weights=feature_weights)
    if own and not own.make(_size(plan, own), yes):
        raise click.Abort
    run = plan.make()
    if plan.goes_on and run.finished:
        say(f"{name}: finished already, {train_display.why_finished(run)}")
        return
    if plan.goes_on:
        say(f"Resuming {name} in epoch {run.trainer.progress.epoch}, step {run.trainer.progress.step}.")
    train_display.describe(run)
    _confirm(plan, run, yes)
    _train(plan, run)


def _speak_once(yes: bool) -> None:
    """Of several processes the first one speaks; none can ask."""
    if process_count() > 1 and not yes:
        raise ConfigError("several processes can't ask questions: add --yes")
    console.quiet = errors.quiet = not is_main_process()


def _asked() -> None:
    """The dialogue, the estimate, the summary, and the training."""
    plan, run = train_dialogue.wizard()
    if plan.goes_on and run.finished:
        say(f"{plan.name}: finished already, {train_display.why_finished(run)}")
        return
    train_dialogue.summary(plan, run)
    train_display.describe(run)
    say(f"Time: {_estimated(run)}")
    if not confirm(_rewinding(plan) if run.rewound else "Start training?", yes=False):
        raise click.Abort
    _train(plan, run)


def _estimated(run: Run) -> str:
    with console.status("Timing a few batches…"):
        return estimate(run).text


def _check_flags(
    resume: bool, overwrite: bool, start: str | None, which: bool, checkpoint: str | None, twice: bool
) -> None:
    if twice:
        raise ConfigError("--data and --images: say only one of them")
    if resume and overwrite:
        raise ConfigError("--resume and --overwrite can't go together")
    if resume and start:
        raise ConfigError("--resume takes its settings from the run: leave --recipe and --from away")
    if resume and not which:
        raise ConfigError("--resume needs to know which run: add --name")
    if checkpoint and not resume:
        raise ConfigError("--checkpoint says where to go on: add --resume. To start from weights, use --from.")


def _names(name: str | None, data: str | None, resume: bool) -> tuple[str, str]:
    """The names of the run and of its data, each from the other where it is not given."""
    folder = run_folder(name) if name else None
    if data is None and resume and folder and occupied(folder):
        data = str(stored_config(folder)["data"])
    data = data or _only_set()
    return checked_name(name or data, "run name"), data


def _only_set() -> str:
    """The prepared set, if there is exactly one."""
    sets = [one.name for one in discover_prepared(workspace())]
    if len(sets) == 1:
        return sets[0]
    raise ConfigError(f"--data is missing. Prepared sets: {', '.join(sets) or 'none; make one with `tinct prepare`'}")


def _start(
    folder: Path,
    data: str,
    recipe: str | None,
    base: str | None,
    resume: bool,
    overwrite: bool,
    checkpoint: str | None,
) -> Plan:
    """Goes on, or starts anew: with the run's own settings if it never came to a checkpoint."""
    name = folder.name
    if not resume:
        if occupied(folder) and not overwrite:
            raise OutputError(
                f"{folder} exists: --resume goes on with it, --overwrite starts anew, --name chooses another name"
            )
        return Plan(name, data, values=settings(recipe, base), base=base)
    if checkpoint or has_checkpoint(folder):
        return Plan(name, data, goes_on=True, checkpoint=checkpoint_of(folder, checkpoint) if checkpoint else None)
    say(f"{name}: no checkpoint yet, starting anew.")
    if not occupied(folder):
        return Plan(name, data)
    return Plan(name, data, values=stored_settings(folder), base=stored_config(folder).get("base"))


def _size(plan: Plan, own: OwnSet) -> int:
    """Side of the pictures to prepare: the chosen one, else the set's, else the model's. Wrong options are found here."""
    values = stored_settings(plan.folder) if plan.goes_on else plan.values
    chosen = override(TrainConfig, values, plan.changes)
    size: int = from_dict(TrainConfig, chosen).model.size
    return size if "size" in chosen.get("model", {}) else own.size or size


def _confirm(plan: Plan, run: Run, yes: bool) -> None:
    """Asks before a training starts anew or what came after a checkpoint is dropped; Abort leaves everything as it is."""
    if plan.goes_on:
        questions = [_rewinding(plan)] if run.rewound else []
    else:
        lost = [f"Delete {plan.folder} and its checkpoints?"] if has_checkpoint(plan.folder) else []
        questions = [*lost, "Start training?"]
    if questions and not yes and interactive():
        say(f"Time: {_estimated(run)}")
    if not all(confirm(question, yes) for question in questions):
        raise click.Abort


def _rewinding(plan: Plan) -> str:
    assert plan.checkpoint
    return f"Go on from {plan.checkpoint.name} and drop what came after it?"


def _train(plan: Plan, run: Run) -> None:
    """Trains; a new run first clears the way."""
    if not plan.goes_on:
        run.trainer.accelerator.wait_for_everyone()  # every process has looked at what is cleared away
        if run.writes:
            clear(plan.folder)
    try:
        with ended_like_interrupted():
            train_display.train(run)
    except KeyboardInterrupt:
        say(f"\nSaved in {plan.folder}. Go on with: tinct train --data {plan.data} --name {plan.name} --resume")
        raise
