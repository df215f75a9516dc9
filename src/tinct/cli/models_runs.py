"""`tinct models compare` and `tinct models delete`: runs beside each other, and runs that go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import rich.box
from PIL import Image
from rich.markup import escape
from rich.table import Table

from tinct import figures, weights, zoo
from tinct.cli.common import console, interactive, yes_option
from tinct.cli.dialogue import typed_name
from tinct.errors import ConfigError, DataError, OutputError, unknown
from tinct.files import checked_name, safe_name, workspace
from tinct.training.folder import clear, newest, occupied, run_folder, run_names, stored_history


@dataclass(frozen=True)
class _Compared:
    """A run in a comparison: its history, its best row, and what its newest checkpoint says of it."""

    name: str
    history: list[dict[str, Any]]
    best: dict[str, Any]
    config: dict[str, Any]
    facts: dict[str, Any]
    parameters: int


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME NAME...")
@click.option(
    "-o", "--output", "file", metavar="FILE", type=click.Path(path_type=Path),
    help="Picture of the curves (default: Results/NAME-NAME.png).",
)  # fmt: skip
def compare(names: tuple[str, ...], file: Path | None) -> None:
    """Compare runs: their loss curves over each other in one picture, and a table of where each stands.

    \b
    tinct models compare first second
    tinct models compare first second third -o curves.png
    """
    if len(set(names)) < 2:
        raise ConfigError("compare needs two runs or more, each named once")
    file = file or workspace() / "Results" / f"{safe_name('-'.join(names))}.png"
    if file.suffix.lower() not in Image.registered_extensions() or file.is_dir():
        raise OutputError(f"{file}: the curves are a picture; name it like {file.stem}.png")
    runs = [_read(name) for name in dict.fromkeys(names)]
    console.print(_table(runs))
    for remark in _differences(runs):
        console.print(remark, markup=False)
    figures.compared_curves({run.name: run.history for run in runs}, file)
    console.print(f"wrote {file}", markup=False)


@click.command()
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
    """Delete a run of your own: its folder in models/, with every checkpoint. Asks for its name unless --yes.

    \b
    tinct models delete first
    tinct models delete first --yes
    """
    folder = run_folder(checked_name(name, "model"))
    if not occupied(folder):
        if name in zoo.available():
            raise ConfigError(f"{name} is bundled with tinct and can't be deleted. Your own: {_own()}.")
        raise unknown("run", name, run_names())
    files = [path for path in folder.rglob("*") if path.is_file()]
    size = sum({(path.stat().st_ino, path.stat().st_dev): path.stat().st_size for path in files}.values())
    console.print(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB", markup=False)
    question = f"Type the run's name, {name}, to delete it"
    if not yes and not interactive():
        raise ConfigError(f"{question}. Nobody is there to answer: add --yes.")
    if not yes and not typed_name(question, name):
        raise click.Abort
    clear(folder)
    console.print(f"Deleted {folder}.", markup=False)


def _own() -> str:
    return ", ".join(run_names()) or "none"


def _read(name: str) -> _Compared:
    folder = run_folder(checked_name(name, "model"))
    if name not in run_names():
        if name in zoo.available():
            raise ConfigError(
                f"{name} is bundled without its history, so its curves can't be drawn. Your own: {_own()}."
            )
        raise unknown("run", name, run_names())
    history = stored_history(folder)
    if not history:
        raise DataError(f"{folder}: no epoch is done yet, so there is nothing to compare")
    path = newest(folder)
    header = zoo.header_of(checkpoint := weights.load_checkpoint(path))
    parameters = sum(parameter.numel() for parameter in zoo.build(header, path).parameters())
    last_stage = [row for row in history if row.get("stage") == history[-1].get("stage")]
    best = min(last_stage, key=_loss)  # losses of different stages don't compare
    return _Compared(name, history, best, checkpoint["config"], header, parameters)


def _loss(row: dict[str, Any]) -> float:
    loss = row["train_loss"] if row.get("val_loss") is None else row["val_loss"]
    return float(loss)


def _table(runs: Sequence[_Compared]) -> Table:
    """A column per run."""
    table = Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for run in runs:
        table.add_column(escape(run.name), justify="right", overflow="fold")
    rows = [_facts(run) for run in runs]
    for fact in rows[0]:
        table.add_row(fact, *(escape(row[fact]) for row in rows))
    return table


def _facts(run: _Compared) -> dict[str, str]:
    return {
        "family": run.facts["family"],
        "trained on": run.facts.get("data", {}).get("name", ""),
        "best val loss": f"{_loss(run.best):.4f}" if run.best.get("val_loss") is not None else "",
        "train loss then": f"{run.best['train_loss']:.4f}",
        "in epoch": f"{run.best['epoch']} of {run.history[-1]['epoch']}",
        "pictures seen": f"{run.facts.get('pictures_seen', 0):,}",
        "hours": f"{run.facts.get('hours', 0.0):.2f}",
        "parameters": f"{run.parameters:,}",
    }


def _differences(runs: Sequence[_Compared]) -> Iterator[str]:
    """A word on what makes losses of these runs numbers of different kinds."""
    kinds = [_kinds(run) for run in runs]
    differ = [kind for kind, value in kinds[0].items() if any(other[kind] != value for other in kinds)]
    if differ:
        yield f"Not the same in all: {', '.join(differ)}. Losses of different kinds don't compare; `tinct evaluate` does."


def _kinds(run: _Compared) -> dict[str, Any]:
    """What a loss of this run means."""
    model, training = run.config["model"], run.config["training"]
    return {
        "data": run.facts.get("data", {}).get("fingerprint"),
        "family": run.config["family"],
        **{key: model.get(key) for key in ("space", "schedule", "target")},
        "losses": run.config.get("loss"),
        "validation pictures": [training.get(key) for key in ("seed", "validation_fraction", "validation_limit")],
    }
