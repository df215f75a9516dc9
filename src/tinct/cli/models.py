"""`tinct models`: lists, shows, compares and deletes models, exports their weights, and colours test pictures with them."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from tinct import weights, zoo
from tinct.cli.common import console
from tinct.cli.models_results import results
from tinct.cli.models_runs import compare, delete
from tinct.errors import OutputError
from tinct.files import read_json


@click.group(invoke_without_command=True, context_settings={"max_content_width": 110})
@click.pass_context
def command(ctx: click.Context) -> None:
    """List, show and compare models, bundled and your own.

    \b
    tinct models
    tinct models show photo
    tinct models compare first second
    tinct models results --model first
    tinct models export first first.safetensors
    tinct models delete first
    """
    if ctx.invoked_subcommand is None:
        list_models()


@command.command("list")
def list_command() -> None:
    """List every model by name."""
    list_models()


@command.command()
@click.argument("name")
def show(name: str) -> None:
    """Show what a model's weights say of themselves, as JSON.

    \b
    tinct models show photo
    tinct models show first
    """
    click.echo(json.dumps(zoo.load(name).header, indent=2, ensure_ascii=False))


@command.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "new_name", metavar="NAME", help="Name in the header (default: the file's stem).")
@click.option("--metrics", type=click.Path(path_type=Path), help="JSON of `tinct evaluate` to record in the header.")
@click.option("--licence", metavar="TEXT", help="Terms to record in the header.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"How it samples by default: {', '.join(zoo.DEFAULTS)}.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def export(
    name: str, file: Path, new_name: str | None, metrics: Path | None, licence: str | None,
    assignments: tuple[str, ...], force: bool,
) -> None:  # fmt: skip
    """Write a model's weights in float16, with a header that says what they are, to FILE (.safetensors).

    \b
    tinct models export first first.safetensors
    tinct models export first album.safetensors --as album --licence "CC BY 4.0"
    tinct models export first first.safetensors --set sampler=unipc --set steps=6
    """
    if file.suffix != ".safetensors":
        raise OutputError(f"{file}: weights are written as .safetensors")
    if file.exists() and not force:
        raise OutputError(f"{file}: exists. Add --force to replace it.")
    state, header = zoo.load_weights(found := zoo.find(name))
    if assignments:
        header = zoo.with_defaults(header, assignments, found)
    notes = {"name": new_name or file.stem, "licence": licence, "metrics": read_json(metrics) if metrics else None}
    weights.save(file, state, {**header, **{key: value for key, value in notes.items() if value is not None}})
    console.print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


command.add_command(compare)
command.add_command(results)
command.add_command(delete)


def list_models() -> None:
    """A table of every model: family, training data, size."""
    table = Table("name", "family", "trained on", "pictures seen", "MB", "where")
    for name, path in zoo.available().items():
        header = zoo.load_weights(path)[1]
        where = "bundled" if path.parent == zoo.BUNDLED else str(path)
        seen = f"{header.get('pictures_seen', 0):,}"
        size = f"{path.stat().st_size / 1e6:.1f}"
        table.add_row(name, header["family"], header.get("data", {}).get("name", ""), seen, size, where)
    console.print(table)
