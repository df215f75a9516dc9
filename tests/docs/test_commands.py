"""Every `tinct` command that a document shows is one that the command line takes, with these options."""

from pathlib import Path

import pytest

from documents import ROOT, commands, options_of, refused, spans
from tinct.cli.main import COMMANDS, cli

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("src/tinct/zoo/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    found = [refused(command) for command in commands(page.read_text(encoding="utf-8"))]
    assert [problem for problem in found if problem] == []


def test_every_command_that_is_promised_is_taken() -> None:
    """To whom comes from another colorizer: whole commands, and options that stand alone."""
    rows = [line.strip("| ").rsplit(" | ", 1) for line in (ROOT / "docs" / "coming-from.md").read_text().splitlines()]
    promised = [code for row in rows if len(row) == 2 for code in spans(row[1])]
    known = {name for command in COMMANDS for name in options_of(cli.get_command(None, command))}  # type: ignore[arg-type]
    alone = {word for code in promised if code.startswith("--") for word in code.split() if word.startswith("--")}
    assert len(alone) > 10
    assert alone <= known
    whole = [command for code in promised for command in commands(f"`{code}`")]
    assert len(whole) > 15
    assert [problem for command in whole if (problem := refused(command))] == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("tinct colorise old.jpg", "no command colorise"),
        ("tinct figure griid", "no command griid"),
        ("tinct train --epoch 3", "no option --epoch"),
        ("tinct prepare tiny --normalize -11 --sise 8", "no option --sise"),
        ("tinct colorize --hint --hnits", "no option --hnits"),
    ],
)
def test_what_is_not_there_is_found(command: str, why: str) -> None:
    assert why in (refused(command) or "")


@pytest.mark.parametrize("command", ["tinct prepare tiny --normalize -11 --yes", "tinct gray album/ -o out", "tinct"])
def test_what_is_there_is_taken(command: str) -> None:
    assert refused(command) is None
