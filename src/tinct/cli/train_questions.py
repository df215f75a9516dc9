"""The questions about a training's settings, made from the one schema, group by group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tinct.cli.common import console
from tinct.cli.dialogue import ask, yes_or_no
from tinct.config import Leaf, find, from_dict, leaves, override
from tinct.errors import ConfigError
from tinct.training.options import TrainConfig

_DIFFUSION = {"timesteps", "schedule", "target", "levels_per_picture", "sampler", "spacing", "steps", "draws"}
_WATCHING = {
    "patience",
    "budget_pictures",
    "budget_cpu_minutes",
    "validation_fraction",
    "validation_limit",
    "sample_every",
    "checkpoint_minutes",
    "keep",
}
_MACHINE = {"device", "precision", "compile", "track"}
_NEVER = {"family", "model.size"}  # asked before; given by the set


@dataclass(frozen=True)
class Group:
    """Settings that are asked together, with a line of advice."""

    title: str
    advice: str
    holds: Callable[[str], bool]  # of an option's path
    of_model: bool = False  # so that a run that goes on can't change it


@dataclass(frozen=True)
class Switch:
    """A loss that is off unless somebody wants it; `weight` is then the default of its weight."""

    path: str
    question: str
    weight: str


SWITCHES = (
    Switch("loss.perceptual", "Perceptual loss? Livelier colours; every step takes longer", "0.1"),
    Switch("loss.adversarial", "PatchGAN discriminator? Sharper colours; slower, and harder to train", "0.01"),
)


def _of(table: str, names: Collection[str] | None = None, without: Collection[str] = ()) -> Callable[[str], bool]:
    """Whether a path is an option of this table that is among the names, and not in `without`."""

    def holds(path: str) -> bool:
        last = path.rpartition(".")[2]
        return path.startswith(table + ".") and (names is None or last in names) and last not in without

    return holds


def _switched(path: str) -> bool:
    return any(path.startswith(switch.path + ".") for switch in SWITCHES)


GROUPS = (
    Group(
        "Architecture",
        "wider and deeper networks learn more and train longer; dropout 0.2 against overfitting",
        lambda path: path.startswith("model.") and not _of("model", _DIFFUSION)(path),
        of_model=True,
    ),
    Group(
        "Diffusion",
        "500 timesteps train faster; the cosine schedule suits small pictures",
        _of("model", _DIFFUSION),
        of_model=True,
    ),
    Group(
        "Training",
        "learning rate 3e-4 to 5e-4 if the loss stays flat; half the batch size if memory runs out",
        _of("training", without=_WATCHING | _MACHINE),
    ),
    Group(
        "Losses",
        "mean squared error alone is the sound start; others can be added when a run goes on",
        lambda path: path.startswith("loss."),
    ),
    Group("Early stopping, samples and checkpoints", "patience 0 trains all epochs", _of("training", _WATCHING)),
    Group(
        "Machine and cost",
        "auto takes the best device there is; rates make the cost report say energy and money",
        lambda path: path.startswith("cost.") or _of("training", _MACHINE)(path),
    ),
)


class Settings:
    """Settings under questioning: values as a recipe has them, and the changes made so far. Never invalid."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values: dict[str, Any] = dict(values)
        self.changes: list[str] = []

    def leaves(self) -> dict[str, Leaf]:
        """Every option by path, with its present value as the default."""
        return {leaf.path: leaf for leaf in leaves(from_dict(TrainConfig, self.values))}

    def change(self, assignment: str) -> None:
        """Applies NAME=VALUE; ConfigError when there is no such option or it can't have that value."""
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}': answer y, n, or NAME=VALUE")
        config = from_dict(TrainConfig, self.values)
        path = find(config, name.strip())
        if text.strip() == written(self.leaves()[path].default):
            return
        values = override(TrainConfig, _without_variants(config, self.values, path), [f"{path}={text}"])
        from_dict(TrainConfig, values)
        self.values = values
        self.changes.append(f"{path}={text.strip()}")


def _without_variants(config: Any, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The values without those of the variants that the option at this path chooses: another choice has other options."""
    *parents, last = path.split(".")
    for part in parents:
        config = getattr(config, part)
    gone = {item.name for item in fields(config) if item.metadata.get("by") == last}

    def cut(table: Mapping[str, Any], rest: list[str]) -> dict[str, Any]:
        if not rest:
            return {key: value for key, value in table.items() if key not in gone}
        return {key: cut(value, rest[1:]) if key == rest[0] else value for key, value in table.items()}

    return cut(values, parents)


def written(value: Any) -> str:
    """A value as one types it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def ask_settings(settings: Settings, *, goes_on: bool = False) -> None:
    """Goes through the groups; each can be kept as a whole, changed by NAME=VALUE, or asked one by one."""
    for group in GROUPS:
        if goes_on and group.of_model:
            continue
        asked = [path for path in settings.leaves() if group.holds(path) and path not in _NEVER]
        if asked:
            _ask_group(group, settings)


def _members(group: Group, settings: Settings) -> dict[str, Leaf]:
    """The group's options now: which there are may follow from answers. Losses that are off show their weight alone."""
    found = {path: leaf for path, leaf in settings.leaves().items() if group.holds(path) and path not in _NEVER}
    off = [switch.path for switch in SWITCHES if not _on(switch, found)]
    return {
        path: leaf
        for path, leaf in found.items()
        if path.endswith(".weight") or not any(path.startswith(switch + ".") for switch in off)
    }


def _on(switch: Switch, found: Mapping[str, Leaf]) -> bool:
    weight = found.get(f"{switch.path}.weight")
    return weight is not None and float(weight.default) > 0


def _ask_group(group: Group, settings: Settings) -> None:
    console.print(f"\n{group.title}: {group.advice}", markup=False)
    _list(_members(group, settings), settings)
    while True:
        before, members = settings.leaves(), _members(group, settings)
        answer = ask("Keep these? y = yes, n = ask one by one, NAME=VALUE = change one", _answer(settings), "y")
        if answer == "y":
            return
        if answer == "n":
            _one_by_one(group, settings)
            return
        now = _members(group, settings)
        others = {path: leaf for path, leaf in settings.leaves().items() if leaf != before.get(path)}
        _list(others if now.keys() == members.keys() else now, settings)


def _list(members: Mapping[str, Leaf], settings: Settings) -> None:
    """A line per option: name, value, advice."""
    names = {path: _short(path, settings.leaves()) for path in members}
    width = max(map(len, names.values()), default=0) + 2
    wide = max((len(written(leaf.default)) for leaf in members.values()), default=0) + 2
    for path, leaf in members.items():
        console.print(f"  {names[path]:<{width}}{written(leaf.default):<{wide}}{_advice(leaf)}", markup=False)


def _answer(settings: Settings) -> Callable[[str], str]:
    """Parses the answer to a group: y, n, or a change, which is made."""

    def parsed(text: str) -> str:
        word = text.strip().lower()
        if word in ("y", "yes"):
            return "y"
        if word in ("n", "no"):
            return "n"
        settings.change(text.strip())
        return "changed"

    return parsed


def _one_by_one(group: Group, settings: Settings) -> None:
    """Asks for every option of the group, those last that a loss has which can be switched on."""
    asked: set[str] = set()
    while rest := [path for path in _members(group, settings) if path not in asked and not _switched(path)]:
        _ask_one(rest[0], settings)
        asked.add(rest[0])
    for switch in SWITCHES:
        if group.holds(f"{switch.path}.weight") and f"{switch.path}.weight" in settings.leaves():
            _ask_switch(switch, settings)


def _ask_switch(switch: Switch, settings: Settings) -> None:
    """y/n for a loss, then its options."""
    weight = f"{switch.path}.weight"
    on = _on(switch, settings.leaves())
    if not yes_or_no(switch.question, default=on):
        settings.change(f"{weight}=0.0")
        return
    if not on:
        settings.change(f"{weight}={switch.weight}")
    for path in [path for path in settings.leaves() if path.startswith(switch.path + ".")]:
        _ask_one(path, settings)


def _ask_one(path: str, settings: Settings) -> None:
    leaf, name = settings.leaves()[path], _short(path, settings.leaves())
    ask(f"{name}: {_advice(leaf)}", lambda text: settings.change(f"{path}={text}"), written(leaf.default))


def _advice(leaf: Leaf) -> str:
    return leaf.help + (f". One of: {', '.join(leaf.choices)}" if leaf.choices else "")


def _short(path: str, among: Collection[str]) -> str:
    """The last parts of a path that are enough to tell it from the others, so that they can be typed."""
    parts = path.split(".")
    for count in range(1, len(parts)):
        short = ".".join(parts[-count:])
        if sum(other == short or other.endswith("." + short) for other in among) == 1:
            return short
    return path


def changed_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    """The options that differ from the family's defaults, and their values."""
    now = settings.leaves()
    plain = Settings({"family": settings.values.get("family", now["family"].default)}).leaves()
    for path, leaf in now.items():
        if path not in plain or plain[path].default != leaf.default:
            yield path, written(leaf.default)
