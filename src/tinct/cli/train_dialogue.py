"""`tinct train` without arguments on a terminal: it asks, from the set to the last hyperparameter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tinct import recipes
from tinct.cli.common import console, errors
from tinct.cli.dialogue import ask, by_number, one_of, say, typed_name, yes_or_no
from tinct.cli.train_plan import Plan, stored_settings
from tinct.cli.train_questions import Settings, ask_settings, changed_settings
from tinct.config import merge, to_dict
from tinct.data.discovery import PREPARED, PreparedInfo, discover_prepared
from tinct.errors import ConfigError, TinctError
from tinct.families import FAMILIES
from tinct.files import checked_name, workspace
from tinct.training.folder import (
    BEST,
    CONFIG,
    LAST,
    epoch_checkpoints,
    has_checkpoint,
    occupied,
    run_folder,
    stored_config,
    stored_history,
)
from tinct.training.run import Run
from tinct.weights import load_checkpoint

_FIRST = "unetddpm"  # the classic network


def wizard() -> tuple[Plan, Run]:
    """Asks for everything, until a run can be made of the answers. Nothing is written or deleted yet."""
    data = _chosen_set()
    plan = _named(data, data.name)
    while True:
        plan = _with_settings(plan, data)
        try:
            return plan, plan.make()
        except TinctError as error:
            errors.print(f"\nThat can't be trained: {error}", markup=False)
            plan = _named(data, plan.name) if plan.goes_on else plan


def summary(plan: Plan, run: Run) -> None:
    """What was chosen: every setting that is not the default."""
    progress = run.trainer.progress
    begins = f"goes on in epoch {progress.epoch}, step {progress.step}" if plan.goes_on else "starts anew"
    facts = {"run": f"{plan.name}, {begins}", "data": plan.data, "family": run.config.family}
    say("Training configuration", {**facts, **dict(changed_settings(Settings(to_dict(run.config))))})


def _chosen_set() -> PreparedInfo:
    sets = discover_prepared(workspace())
    if not sets:
        raise ConfigError(
            f"no prepared set in {workspace() / PREPARED}. Make one with `tinct import` and `tinct prepare`, "
            "or of a folder of pictures with `tinct train --images FOLDER`."
        )
    console.print("Prepared sets:")
    for number, one in enumerate(sets, 1):
        height, width = one.image_size
        counts = f"{one.train:,} train, {one.test:,} test, {one.val:,} val"
        console.print(
            f"  {number}) {one.name}: {counts}; {width}x{height} px, {one.categories} categories", markup=False
        )
    names = [one.name for one in sets]
    return sets[names.index(by_number("Data set, by number or name", names, names[0], "prepared set"))]


def _named(data: PreparedInfo, name: str) -> Plan:
    """The plan with its name, and with what is to be done with a run of that name."""
    while True:
        name = ask("Run name", lambda text: checked_name(text.strip(), "run name"), name)
        plan = _of_standing(data, name) if occupied(run_folder(name)) else Plan(name, data.name)
        if plan:
            return plan
        name = _free(name)


def _free(name: str) -> str:
    """The name with the first number that makes it free."""
    return next(f"{name}-{number}" for number in range(2, 10**6) if not occupied(run_folder(f"{name}-{number}")))


def _of_standing(data: PreparedInfo, name: str) -> Plan | None:
    """The menu for a name that is taken; None for another name."""
    folder = run_folder(name)
    is_run = (folder / CONFIG).is_file()
    trained_on = str(stored_config(folder)["data"]) if is_run else ""
    about = f": {len(stored_history(folder))} epochs done, on {trained_on}" if is_run else ", and holds no training run"
    console.print(f"\n{folder} exists{about}.", markup=False)
    ways = _ways(is_run, is_run and has_checkpoint(folder))
    for number, way in ways.items():
        console.print(f"  {number}) {way}", markup=False)
    while True:
        answer = one_of("What now", list(ways), next(iter(ways)))
        if answer == "4":
            return None
        if answer in "12":
            checkpoint = _chosen_checkpoint(folder) if answer == "2" else None
            return Plan(name, trained_on, goes_on=True, checkpoint=checkpoint)
        if typed_name(f"Type the run's name, {name}, to have it deleted when training starts", name):
            return Plan(name, data.name)


def _ways(is_run: bool, goes_on: bool) -> dict[str, str]:
    ways = {"1": "resume from the latest checkpoint", "2": "resume from any checkpoint"} if goes_on else {}
    ways |= {"3": "override: delete it with its checkpoints, and start anew"} if is_run else {}
    return {**ways, "4": "cancel, and take another name"}


def _chosen_checkpoint(folder: Path) -> Path:
    """One of the kept checkpoints, listed with their losses."""
    rows = {row["epoch"]: row for row in stored_history(folder)}
    kept = {path.stem.rpartition("_")[2]: path for path in epoch_checkpoints(folder)}
    epochs = {name: int(name) for name in kept}
    if (best := folder / BEST).is_file():
        same = [epoch for name, epoch in epochs.items() if kept[name].samefile(best)]
        kept["best"], epochs["best"] = best, same[0] if same else int(load_checkpoint(best)["epoch"])
    if (folder / LAST).is_file():
        kept["last"] = folder / LAST
    for name in kept:
        told = f"epoch {epochs[name]}{_losses(rows.get(epochs[name]))}" if name in epochs else "where it was broken off"
        console.print(f"  {name}) {told}", markup=False)
    return kept[one_of("Checkpoint", list(kept), list(kept)[-1])]


def _losses(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    validation = "" if row.get("val_loss") is None else f", val {row['val_loss']:.4f}"
    return f": train {row['train_loss']:.4f}{validation}"


def _with_settings(plan: Plan, data: PreparedInfo) -> Plan:
    """The plan with all its settings asked for; those it had are the defaults."""
    if plan.goes_on:
        return _resumed(plan)
    values = plan.values or _start(data)
    settings = Settings(values)
    ask_settings(settings)
    return replace(plan, values=settings.values)


def _resumed(plan: Plan) -> Plan:
    """A run that goes on keeps its settings, or takes others that are asked for: epochs first."""
    settings = Settings(stored_settings(plan.folder))
    epochs = settings.leaves()["training.epochs"].default
    ask("Epochs in all", lambda text: settings.change(f"training.epochs={text}"), epochs)
    if yes_or_no("Change other settings, such as adding losses?", default=False):
        ask_settings(settings, goes_on=True)
    return replace(plan, changes=tuple(settings.changes))


def _start(data: PreparedInfo) -> dict[str, Any]:
    """The values of the recipe or family to start from, at the size of the set."""
    console.print("\nRecipes and families to start from:")
    names = [*recipes.names(), *(name for name in FAMILIES if name not in recipes.names())]
    for number, name in enumerate(names, 1):
        console.print(
            f"  {number}) {name:<12}{recipes.title(name) if name in recipes.names() else 'family'}", markup=False
        )
    name = by_number("Recipe or family, by number or name", names, _FIRST, "recipe or family")
    values = recipes.load(name) if name in recipes.names() else {"family": name}
    return merge(values, {"model": {"size": min(data.image_size)}})
