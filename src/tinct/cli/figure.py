"""`tinct figure`: the diffusion process, a training and noise schedules, as figures."""

from __future__ import annotations

from pathlib import Path

import click

from tinct import figures, zoo
from tinct.cli.common import console
from tinct.cli.figure_forward import forward
from tinct.cli.figure_sources import output_option, target
from tinct.cli.figure_walks import grid, reverse
from tinct.diffusion import SCHEDULES, SPACINGS, Schedule, ladder
from tinct.errors import ConfigError, DataError, unknown
from tinct.training.folder import run_folder, run_names, stored_history


@click.group(context_settings={"max_content_width": 110})
def command() -> None:
    """Draw the diffusion process, forward and back, the losses of a training, and noise schedules.

    \b
    tinct figure forward --picture garden.jpg -o forward.png
    tinct figure reverse --picture old.jpg -o reverse.gif
    tinct figure grid -o grid.png
    tinct figure curve --model first -o curve.png
    tinct figure schedule --schedules linear,cosine -o schedule.png

    A file that is there is replaced.
    """


@command.command(short_help="The losses of a training.")
@click.option("--model", "name", required=True, metavar="NAME", help="A run of your own, finished or not.")
@output_option
def curve(name: str, out: Path | None) -> None:
    """Draw the losses of a training, epoch by epoch. See `tinct models compare` for several.

    \b
    tinct figure curve --model first -o curve.png
    """
    file = target(out, f"curve-{name}")
    if name not in run_names():
        if name in zoo.available():
            own = ", ".join(run_names()) or "none"
            raise ConfigError(f"{name} is bundled without its history, so its curve can't be drawn. Your own: {own}.")
        raise unknown("run", name, run_names())
    history = stored_history(run_folder(name))
    if not history:
        raise DataError(f"{run_folder(name)}: no epoch is done yet, so there is no curve")
    figures.loss_curve(history, file)
    console.print(f"wrote {file}: {len(history)} epochs", markup=False)


@command.command(short_help="Noise schedules over t.")
@click.option("--schedules", "names", default=",".join(SCHEDULES), show_default=True, metavar="NAME,...", help="Which.")
@click.option("--timesteps", type=click.IntRange(min=2), default=1000, show_default=True, metavar="T", help="Levels.")
@click.option("--steps", type=click.IntRange(min=1), metavar="N", help="Mark the levels of a walk of so many steps.")
@click.option("--spacing", metavar="NAME", help=f"Of these steps: {', '.join(SPACINGS)} [default: uniform].")
@output_option
def schedule(names: str, timesteps: int, steps: int | None, spacing: str | None, out: Path | None) -> None:
    """Draw noise schedules: the power of the signal and the log of the signal-to-noise ratio over t.

    \b
    tinct figure schedule -o schedule.png
    tinct figure schedule --schedules cosine,chroma --steps 8 --spacing karras
    """
    file = target(out, "schedule")
    if spacing and not steps:
        raise ConfigError("spacing: of which steps? Add --steps")
    found = {name: Schedule.named(name, timesteps) for name in (part.strip() for part in names.split(","))}
    walks = {name: ladder(one, spacing or "uniform", steps)[:-1] for name, one in found.items()} if steps else {}
    marked = {name: [(level.t, level.alpha**2) for level in levels] for name, levels in walks.items()}
    figures.schedules({name: one.alpha_bar.tolist() for name, one in found.items()}, file, levels=marked)
    console.print(f"wrote {file}", markup=False)


for _command in (forward, reverse, grid):
    command.add_command(_command)
