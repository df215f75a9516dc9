"""The entry point: finds the command's file, and turns every TinctError into one line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from tinct import __version__
from tinct.errors import TinctError

# name -> (module under tinct.cli, one line of help). The module defines a click command called `command`.
COMMANDS = {
    "import": ("import_", "Bring an image set into imageData/ (Tiny ImageNet, a folder, pairs, MNIST)."),
    "prepare": ("prepare", "Make an imported set ready for training in npzData/."),
    "train": ("train", "Train a model on a prepared set."),
    "models": ("models", "List and show models, bundled and your own."),
    "colorize": ("colorize", "Colour photographs at full resolution."),
    "gray": ("gray", "Make gray versions of pictures, or recover the scan from its coloured version."),
    "generate": ("generate", "Make pictures from noise with a model of your own."),
    "samplers": ("samplers", "Measure what a model gives by every sampler, and at what cost."),
    "evaluate": ("evaluate", "Measure a model on pictures, beside the baselines."),
    "figure": ("figure", "Draw the diffusion process, losses and noise schedules."),
    "compare": ("compare", "Compare models, or train and compare every family, under one protocol."),
    "export": ("export", "Write a model for other runtimes (ONNX)."),
    "serve": ("serve", "Serve the API on this machine."),
    "bench": ("bench", "Measure where the time goes on this machine, beside its own limits."),
    "fid": ("fid", "Measure how far a set of pictures is from a reference."),
}


def _set_workspace(ctx: click.Context, parameter: click.Parameter, folder: str | None) -> None:
    if folder:
        os.environ["TINCT_WORKSPACE"] = folder


# Taken before and after the command's name.
_workspace_option = click.option(
    "--workspace",
    metavar="DIR",
    is_eager=True,  # other options' defaults may look into it
    expose_value=False,
    callback=_set_workspace,
    help="Folder of imageData/, npzData/, models/, Results/ (default: here).",
)


class _Commands(click.Group):
    """A group that imports a command's module only when that command is used, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tinct.cli.{COMMANDS[name][0]}").command
        if not any(parameter.name == "workspace" for parameter in command.params):
            _workspace_option(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from tinct.errors import unknown

            raise unknown("command", args[0], COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tinct")
@_workspace_option
def cli() -> None:
    """Colour for grayscale photographs by diffusion.

    \b
    tinct colorize old.jpg                   colour one photograph with the bundled model
    tinct colorize album/ -o coloured/       a folder, mirrored
    tinct import | prepare | train           make a model of your own
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 well, 1 an error of the user's data, 2 wrong usage, 130 interrupted."""
    try:
        code = cli.main(arguments, prog_name="tinct", standalone_mode=False)
    except TinctError as error:
        _fail(str(error), 1)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"tinct: error: {message}", err=True)
    sys.exit(code)
