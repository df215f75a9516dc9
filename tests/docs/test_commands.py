"""Every command that a document or a command's own help shows is one that tinct takes; those that need nothing are run."""

from __future__ import annotations

import dataclasses
import inspect
import re
import runpy
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import skimage.data
from PIL import Image
from shown import NAMES, ROOT, Command, commands, in_line

import tinct
from tinct import recipes
from tinct.cli.common import chosen_values
from tinct.cli.engines import ENGINES
from tinct.cli.main import cli, main
from tinct.cli.runtime import RUNTIMES
from tinct.config import from_dict, merge, override
from tinct.data.import_writer import ImportOptions
from tinct.data.prepare import PrepareOptions
from tinct.data.sources import SOURCES
from tinct.diffusion import SAMPLERS, SCHEDULES, SPACINGS
from tinct.errors import TinctError
from tinct.families import FAMILIES
from tinct.generation import GenerateOptions
from tinct.metrics import METRICS, SET_METRICS
from tinct.nets.base import PAINTERS
from tinct.photo import PhotoOptions, ReferenceOptions
from tinct.runtimes import PRECISIONS
from tinct.training.options import TrainConfig
from tinct.web.limits import Limits


@dataclasses.dataclass(frozen=True)
class Walks(PhotoOptions):
    """Of `tinct figure`, which walks through models of both kinds."""

    guidance: float | None = GenerateOptions.guidance


# What the flags of a command that are made from a schema, and its --set, are values of.
SCHEMAS: dict[str, type] = {
    "colorize": PhotoOptions,
    "evaluate": PhotoOptions,
    "compare": PhotoOptions,
    "models results": PhotoOptions,
    "generate": GenerateOptions,
    "figure reverse": Walks,
    "figure grid": Walks,
    "import": ImportOptions,
    "prepare": PrepareOptions,
    "serve": Limits,
}
REFERENCE = {
    field.name for field in dataclasses.fields(ReferenceOptions)
}  # flags of `tinct colorize` beside its schema
# Texts that are names, one or several with commas.
LISTS: dict[str, Mapping[str, Any]] = {
    "samplers": SAMPLERS,
    "spacings": SPACINGS,
    "schedules": SCHEDULES,
    "families": FAMILIES,
    "metrics": ChainMap(METRICS, SET_METRICS),
    "kind": SOURCES,
    "engine": ENGINES,
    "runtime": RUNTIMES,
    "precision": PRECISIONS,
}


def problem(command: Command) -> str:
    """What tinct's own parser, and the schemas that its commands go by, have against a command; nothing is run."""
    try:
        _check(command)
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):
        return ""
    except click.MissingParameter as error:
        return "" if command.named_only else f"{command.line}: {error.format_message()}"
    except click.BadOptionUsage as error:
        bare = command.named_only and "requires an argument" in error.message
        return "" if bare else f"{command.line}: {error.format_message()}"
    except click.ClickException as error:
        return f"{command.line}: {error.format_message()}"
    except TinctError as error:
        return f"{command.line}: {error}"
    return ""


def _check(command: Command) -> None:
    context = cli.make_context("tinct", list(command.arguments), resilient_parsing=False)
    while isinstance(context.command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, inner, arguments = context.command.resolve_command(context, rest)
        assert name
        assert inner
        context = inner.make_context(name, arguments, parent=context)
    _check_values(context.command_path.removeprefix("tinct "), context)


def _check_values(path: str, context: click.Context) -> None:
    """The values that click takes as texts, and the command itself reads."""
    given = {
        parameter.name: context.params[parameter.name]
        for parameter in context.command.params
        if parameter.name in context.params
        and context.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
    }
    for parameter in context.command.params:
        name = max(parameter.opts, key=len).lstrip("-")
        if name in LISTS and parameter.name in given:
            for part in str(given[parameter.name]).split(","):
                if part not in LISTS[name]:
                    raise click.BadParameter(f"{part!r} is no {name}", context, parameter)
    if "recipe" in given:
        recipes.load(given["recipe"])
    if path == "train":
        _trained({}, given, [*_flags(context, given), *given.get("assignments", ())])
    elif path in SCHEMAS:
        from_dict(SCHEMAS[path], override(SCHEMAS[path], {}, _flags(context, given)))
    if path == "compare" and given.get("train"):
        for family in given["families"].split(",") if "families" in given else FAMILIES:
            _trained({"family": family}, given, list(_of_family(given.get("assignments", ()), family)))
    if path == "colorize":
        from_dict(ReferenceOptions, {name: given[name] for name in REFERENCE & given.keys()})


def _flags(context: click.Context, given: dict[str, Any]) -> list[str]:
    """The flags that are made from the command's schema, as assignments."""
    made = {parameter.name for parameter in context.command.params if parameter.metavar == "VALUE"}
    return chosen_values({name: value for name, value in given.items() if name in made - REFERENCE})


def _trained(start: dict[str, Any], given: dict[str, Any], assignments: list[str]) -> None:
    """The configuration of a training; of one that starts from a model, resumes or compares, the recipe's alone is known."""
    values = merge(recipes.load(given["recipe"]) if "recipe" in given else {}, start)
    base = given.get("base")
    if base in ("photo", "digits"):
        header = tinct.load(base).header
        values = merge({key: header[key] for key in ("family", "model")}, values)
    from_dict(TrainConfig, override(TrainConfig, values, assignments))


def _of_family(assignments: Iterable[str], family: str) -> Iterator[str]:
    for assignment in assignments:
        first, _, rest = assignment.partition(".")
        if first == family:
            yield rest
        elif first not in FAMILIES:
            yield assignment


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of docs/extending.md are registered, for one test."""
    for registry in (FAMILIES, PAINTERS, SAMPLERS, SOURCES, METRICS):
        monkeypatch.setattr(registry, "_items", dict(registry))
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    for example in re.findall(r"`(examples/\w+\.py)`", text):
        runpy.run_path(str(ROOT / example))


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_documents_are_those_of_tinct(name, extended):
    assert not [found for command in commands(ROOT / name) if (found := problem(command))]


def test_there_are_commands_in_documents():
    assert sum(len(list(commands(ROOT / name))) for name in NAMES) > 200


def helped(command: click.Command, path: str, context: click.Context) -> Iterator[tuple[str, str]]:
    """The examples in the help of a command and of those below it: paragraphs whose lines are kept."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            yield from ((path, line) for line in paragraph.splitlines()[1:])
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner
            yield from helped(inner, f"{path} {name}", click.Context(inner, parent=context))


def test_examples_in_help_are_commands_of_tinct():
    """What stands after two spaces there is a remark, and `a | b` a choice of names."""
    shown = [line for _, line in helped(cli, "tinct", click.Context(cli)) if " | " not in line]
    found = [command for line in shown for command in in_line(re.split(r"\s{2,}", line)[0])]
    assert len(found) > 40
    assert not [message for command in found if (message := problem(command))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tinct colourize old.jpg", "unknown command 'colourize'. Did you mean 'colorize'"),
        ("tinct colorize old.jpg --sample 8", "No such option '--sample'"),
        ("tinct colorize", "Missing argument"),
        ("tinct colorize old.jpg --steps many", "steps = 'many': expected a whole number"),
        ("tinct colorize old.jpg --sampler unipcc", "unknown sampler 'unipcc'"),
        ("tinct evaluate --first none", "Invalid value for '--first'"),
        ("tinct evaluate --metrics psnr,ssimm", "'ssimm' is no metrics"),
        ("tinct models shw first", "No such command 'shw'"),
        ("tinct train --data tiny --recipe phto", "unknown recipe 'phto'"),
        ("tinct train --data tiny --set dropuot=0.1", "unknown option 'dropuot'"),
        ("tinct train --data tiny --family unet --steps 5", "unknown option"),
        ("X=1 python -m tinct train --epochs 2,5 | tee log", "epochs"),
        ("tinct compare --train --data tiny --families unet --set unet.kl=1", "unknown option 'kl'"),
        ("tinct import minst --source mnist/", "'minst' is no kind"),
    ],
)
def test_a_wrong_command_is_found(line, message):
    (command,) = in_line(line)
    assert message in problem(command)


def test_a_line_of_the_shell_is_read_as_the_shell_reads_it():
    def read(line: str) -> list[tuple[str, ...]]:
        return [command.arguments for command in in_line(line)]

    assert read('tinct colorize a.jpg --hint "1,2,#c02020"  # "red"') == [
        ("colorize", "a.jpg", "--hint", "1,2,#c02020")
    ]
    assert read("$ .venv/bin/tinct gray a/ -o b > log.txt 2>&1") == [("gray", "a/", "-o", "b")]
    assert read("ls | A=1 nohup tinct train ... --yes &") == [("train", "--yes")]
    assert read("torchrun --nnodes 2 -m tinct train --data s3://a") == [("train", "--data", "s3://a")]
    assert read("tinct gray a; tinct gray b && tinct gray c") == [("gray", "a"), ("gray", "b"), ("gray", "c")]
    assert read("pip install tinct") == read("import tinct, it's here") == read("# tinct gray") == []


# Commands of the documents that need no more than a photograph or a folder of some.
QUICK = [
    "tinct train --help",
    "tinct models",
    "tinct models show photo",
    "tinct colorize old.jpg",
    "tinct colorize old.jpg -o new.png",
    "tinct colorize old.jpg -o out",
    "tinct colorize album/",
    'tinct colorize "album/**/*.tif" -o out',
    "tinct colorize album/ -o out --dry-run",
    "tinct colorize old.jpg --preview",
    "tinct colorize old.jpg --sampler unipc --spacing logsnr --steps 8",
    'tinct colorize old.jpg --palette "#305070,#a05030"',
    "tinct gray coloured/ -o scans/",
]


@cache
def shown() -> set[tuple[str, ...]]:
    """The arguments of every command in the documents."""
    return {command.arguments for name in NAMES for command in commands(ROOT / name)}


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: old.jpg, the folder album/ of two photographs, one of them a TIFF, and coloured/ of one in colour."""
    cat = Image.fromarray(skimage.data.chelsea()).resize((96, 64))
    for name in ("old.jpg", "album/cat.png", "album/1931/cat.tif", "coloured/cat.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (cat if name.startswith("coloured") else cat.convert("L")).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", QUICK)
def test_quick_commands_work_as_they_are_printed(line, album, capsys):
    (command,) = in_line(line)
    assert command.arguments in shown(), "no document has it"
    with pytest.raises(SystemExit) as ended:
        main(list(command.arguments))
    assert ended.value.code == 0, capsys.readouterr().err


def test_what_the_first_page_promises_is_so(album):
    """`tinct colorize old.jpg -o new.png` gives colour, and the photograph's own light."""
    with pytest.raises(SystemExit):
        main(["colorize", "old.jpg", "-o", "new.png"])
    new = Image.open(album / "new.png")
    assert new.convert("L").tobytes() == Image.open(album / "old.jpg").tobytes()
    assert np.ptp(np.asarray(new, dtype=int), axis=2).mean() > 1  # levels
