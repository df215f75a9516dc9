"""`tinct serve`: the API, for this machine alone unless it is told otherwise."""

from __future__ import annotations

import logging
from typing import Any

import click

from tinct.cli.common import chosen_values, schema_options
from tinct.config import from_dict, leaves, override
from tinct.errors import ConfigError
from tinct.web.limits import Limits


@click.command(context_settings={"max_content_width": 110})
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where to serve. Beyond this machine a token is asked for.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any that is free."
)
@click.option(
    "--token",
    metavar="TEXT",
    help="What clients must know. Without it, one is made when other machines can reach the server.",
)
@click.option(
    "--model",
    default="photo",
    show_default=True,
    metavar="NAME|FILE",
    help="The one that colours where a request names none.",
)
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="NAME",
    help="Where models run: cpu, cuda, mps, or auto, the best there is. Repeatable: a worker for each. [default: auto]",
)
@schema_options(leaves(Limits()))
def command(host: str, port: int, token: str | None, model: str, devices: tuple[str, ...], **options: Any) -> None:
    """Serve the page and the API, until Ctrl+C.

    \b
    tinct serve                             at http://127.0.0.1:8000, for this machine alone
    tinct serve --port 0                    at a port that is free
    tinct serve --host 0.0.0.0              for others too, who need the token that it prints

    \b
    curl -F file=@old.jpg http://127.0.0.1:8000/api/v1/colorize -o coloured.jpg
    """
    limits = from_dict(Limits, override(Limits, {}, chosen_values(options)))
    try:
        from tinct.web.server import Server, Serving
    except ImportError as error:
        raise ConfigError(
            f"serving takes packages that are not installed ({error.name}): pip install 'tinct[app]'"
        ) from None
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    serving = Serving(host, port, token, model, devices or ("auto",), limits)
    server = Server(serving)
    _say(server, serving.local)
    server.run()
    click.echo("Stopped.")


def _say(server: Any, local: bool) -> None:
    """Where it serves, and whom."""
    click.echo(f"tinct serves at {server.address} (API: {server.address}/api/v1/docs). Ctrl+C stops it.")
    if not local:
        click.echo("Other machines can reach it, and what is sent is not encrypted.")
    if server.token is not None:
        click.echo(f"Every request needs the token: {server.token}")
        click.echo(f"In a browser: {server.address}/?token={server.token}")
