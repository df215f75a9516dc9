"""The guides say what is there: options that stand alone, errors by their words, tables of the memory page."""

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest
from benchmarks import architecture, memory

import tinct
from tinct.cli.main import COMMANDS, cli

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("strategies", "troubleshooting", "best-practice", "memory")
GUIDES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in NAMES}


def options_of(name: str) -> set[str]:
    command = cli.get_command(click.Context(cli), name)
    return {option for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", [*NAMES, "coming-from"])
def test_an_option_that_stands_alone_belongs_to_some_command(name):
    """Of coming-from, those that are promised: the last cells of its rows."""
    text = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    if name == "coming-from":
        text = "\n".join(line.strip("| ").rsplit(" | ", 1)[-1] for line in text.splitlines())
    flags = re.findall(r"`(--[a-z0-9-]+)[^`]*`", text)
    assert set(flags) <= {"--no-index", "--help", *(option for one in COMMANDS for option in options_of(one))}


def literals(node: ast.AST) -> str:
    """A text of the source, with a NUL for each hole."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@cache
def texts() -> tuple[str, ...]:
    files = Path(tinct.__file__).parent.rglob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    return tuple(text for node in nodes if len(text := literals(node)) > 8)


@pytest.mark.parametrize("phrase", re.findall(r'"([^"`]+)"', re.sub(r"`[^`]*`", "", GUIDES["troubleshooting"])))
def test_errors_are_quoted_by_their_words(phrase):
    """Dots stand for what differs from one to another."""
    parts = [part.strip() for part in phrase.split("...")]
    assert any(all(part in text for part in parts) for text in texts())


def table_after(heading: str) -> list[str]:
    """The rows of the first table behind a heading of the page on memory, its titles left out."""
    return re.findall(r"^\|.*\|$", GUIDES["memory"].partition(heading)[2].partition("\n#")[0], re.MULTILINE)[2:]


def test_tables_of_networks_are_those_of_the_code():
    """As the benchmarks print them: parameters of every model, and the parts of the bundled one's network."""
    assert table_after("## Models") == [f"| {' | '.join(row)} |" for row in memory.models()][1:]
    assert table_after("### Recipe `photo`") == list(architecture.lines(*architecture.networks()["recipe photo"]()))[1:]
