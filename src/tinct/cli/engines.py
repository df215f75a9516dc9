"""The option `--engine` of `tinct colorize`: who works through the photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

import click

from tinct.cli.photographs import threads
from tinct.devices import chosen_device
from tinct.errors import ConfigError
from tinct.photo import Plan, Record, Work, run
from tinct.registry import Registry

F = TypeVar("F", bound=Callable[..., Any])


class Engine(Protocol):
    """Works through a plan: brings the model to the device that a name means, and gives a record for each photograph."""

    def __call__(
        self, plan: Plan, work: Work, *, workers: int | None, device: str, address: str | None, dry: bool
    ) -> Generator[Record, None, None]: ...


ENGINES: Registry[Engine] = Registry("engine")


@ENGINES.add("threads")
def _threads(
    plan: Plan, work: Work, *, workers: int | None, device: str, address: str | None, dry: bool
) -> Generator[Record, None, None]:
    if address and address != os.environ.get("RAY_ADDRESS"):
        raise ConfigError(f"address = {address}: is that of a Ray cluster. Add --engine ray")
    place = chosen_device(device)
    if work.model is not None:
        work.model.to(place)
    return run(plan, work, workers=threads(workers), dry=dry)


@ENGINES.add("ray")
def _ray(
    plan: Plan, work: Work, *, workers: int | None, device: str, address: str | None, dry: bool
) -> Generator[Record, None, None]:
    from tinct.cluster import runs

    return runs.run(plan, work, workers=workers, device=device, address=address, dry=dry)


def engine_options(function: F) -> F:
    """Decorator: `--engine` and `--address`."""
    for decorate in (
        click.option("--address", metavar="HOST:PORT", envvar="RAY_ADDRESS", show_envvar=True,
                     help="The Ray cluster to work on; without it, this machine alone."),
        click.option("--engine", metavar="NAME", default="threads", show_default=True,
                     help=f"One of: {', '.join(ENGINES)}. ray is for many machines, or one actor per core (tinct[ray])."),
    ):  # fmt: skip
        function = decorate(function)
    return function
