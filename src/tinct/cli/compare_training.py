"""The training part of `tinct compare`: every family on one set with one budget, each run going on where it was stopped."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tinct import recipes
from tinct.cli import train_display
from tinct.cli.common import confirm
from tinct.cli.train_display import say
from tinct.cli.train_plan import Plan, configured, stored_settings
from tinct.config import from_dict, leaves
from tinct.errors import ConfigError, DataError, OutputError, TinctError
from tinct.families import FAMILIES, comparing
from tinct.files import checked_name
from tinct.training import budget
from tinct.training.engine import process_count
from tinct.training.folder import CONFIG, clear, data_folder, has_checkpoint, occupied, stored_config
from tinct.training.options import TrainConfig

_BUDGETS = ("training.budget_pictures", "training.budget_cpu_minutes")
_MACHINE = (
    "training.device",
    "training.track",
    "training.keep",
    "training.checkpoint_minutes",
    "training.sample_every",
)


@dataclass(frozen=True)
class Budget:
    """What every family gets: so many pictures, or so much CPU time."""

    pictures: int
    cpu_minutes: float

    def __post_init__(self) -> None:
        if bool(self.pictures) == bool(self.cpu_minutes):
            raise ConfigError(
                "--train needs one budget: --budget-cpu-minutes M or --budget-images N, the same for every family"
            )

    @property
    def changes(self) -> list[str]:
        """As options of a training that nothing else ends."""
        both = [f"training.budget_pictures={self.pictures}", f"training.budget_cpu_minutes={self.cpu_minutes}"]
        return [f"training.epochs={budget.ENDLESS}", "training.patience=0", *both]


def run_name(prefix: str, family: str) -> str:
    """The run whose model a family has: another's, where the two differ in their sampling alone."""
    return checked_name(f"{prefix}-{comparing(family).trained_as or family}", "run name")


def plans(
    families: Sequence[str],
    data: str,
    prefix: str,
    limit: Budget,
    assignments: Sequence[str],
    recipe: str | None,
    feature_weights: str | None,
    overwrite: bool,
) -> list[Plan]:
    """A plan for every training of these families. Whatever is wrong is found here, before any of them begins."""
    if process_count() > 1:
        raise ConfigError("tinct compare --train trains in one process: start it without accelerate or torchrun")
    trained = list(dict.fromkeys(comparing(family).trained_as or family for family in families))
    _check_assignments(assignments, trained)
    values = recipes.load(recipe) if recipe else {}
    made = [
        Plan(
            run_name(prefix, family), data, values={**values, "family": family},
            changes=[*limit.changes, *_own(assignments, family)],
        )
        for family in trained
    ]  # fmt: skip
    return [_standing(_with_features(plan, feature_weights), overwrite) for plan in made]


def _own(assignments: Sequence[str], family: str) -> list[str]:
    """Those for all families, and those of this one: unet.space=rgb."""
    parts = [(assignment.partition(".")[0], assignment) for assignment in assignments]
    return [
        text.partition(".")[2] if first == family else text
        for first, text in parts
        if first not in FAMILIES or first == family
    ]


def _check_assignments(assignments: Sequence[str], families: Sequence[str]) -> None:
    for assignment in assignments:
        first = assignment.partition(".")[0]
        if first in FAMILIES and first not in families:
            raise ConfigError(f"--set {assignment}: {first} is not trained here. Trained are {', '.join(families)}")


def _with_features(plan: Plan, feature_weights: str | None) -> Plan:
    """The user's feature weights, for a family whose losses look through a network. Wrong options are found here."""
    try:
        config = configured(data_folder(plan.data), plan.values, plan.changes)
    except ConfigError as error:
        family = plan.values["family"]
        raise ConfigError(f"{family}: {error}. For one family alone: --set {family}.NAME=VALUE") from None
    needed = feature_weights and config.loss.feature_networks()
    return replace(plan, feature_weights=Path(feature_weights)) if needed and feature_weights else plan


def _standing(plan: Plan, overwrite: bool) -> Plan:
    """The plan, going on where a run of its name stands; OutputError when that is another one."""
    if not occupied(plan.folder) or overwrite:
        if occupied(plan.folder) and not (plan.folder / CONFIG).is_file():
            raise OutputError(f"{plan.folder}: holds no training run, so it is not overwritten. Choose another --name.")
        return plan
    if not (plan.folder / CONFIG).is_file():
        raise OutputError(f"{plan.folder}: is there, and holds no training run. Choose another --name.")
    differ = list(_differences(plan))
    if differ:
        raise OutputError(
            f"{plan.folder} was trained in another way: {'; '.join(differ)}. "
            "--name PREFIX trains beside it, --overwrite trains it anew"
        )
    return replace(plan, goes_on=True, values={}) if has_checkpoint(plan.folder) else plan


def _differences(plan: Plan) -> Iterator[str]:
    """What a run that stands has and the plan has not, in words; a smaller budget is none."""
    if (before := stored_config(plan.folder)["data"]) != plan.data:
        yield f"on the set {before}"
    stored = from_dict(TrainConfig, stored_settings(plan.folder))
    wanted = configured(data_folder(plan.data), plan.values, plan.changes)
    there, now = ({leaf.path: leaf.default for leaf in leaves(config)} for config in (stored, wanted))
    for path in {**there, **now}:
        if there.get(path) != now.get(path) and path not in (*_BUDGETS, *_MACHINE) and not path.startswith("cost."):
            yield f"{path} is {there.get(path)}, not {now.get(path)}"
    if any(there[path] > now[path] for path in _BUDGETS):
        yield f"its budget is {budget.described(stored.training) or 'none'}, not {budget.described(wanted.training)}"


def train(planned: Sequence[Plan], yes: bool) -> dict[str, str] | None:
    """Trains what is not finished; run -> why it could not be trained. None when the user does not want it."""
    for plan in planned:
        say(f"  {plan.name}: {'goes on' if plan.goes_on else 'new'}")
    if not confirm(f"Train {len(planned)} models?", yes):
        return None
    failed: dict[str, str] = {}
    for number, plan in enumerate(planned, 1):
        say(f"\n[{number}/{len(planned)}] {plan.name}")
        try:
            _train(plan)
        except (ConfigError, DataError, OutputError):
            raise
        except TinctError as error:  # it diverged, or memory ran out: the others can still be trained
            say(f"{plan.name} failed: {error}")
            failed[plan.name] = f"its training failed: {error}"
        except KeyboardInterrupt:
            say("\nSaved. The same command goes on from here.")
            raise
    return failed


def _train(plan: Plan) -> None:
    run = plan.make()
    if plan.goes_on and run.finished:
        say(f"finished already, {train_display.why_finished(run)}")
        return
    if not plan.goes_on:
        clear(plan.folder)
    train_display.describe(run)
    train_display.train(run)
    del run
    gc.collect()  # its optimizer, before the next one's
