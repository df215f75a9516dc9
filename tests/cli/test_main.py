"""The entry point: help, versions, and the exit code and single line of every kind of end."""

import importlib
import subprocess
import sys

import click
import pytest

from tinct import __version__
from tinct.cli.main import COMMANDS, cli, main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_help_lists_every_command(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    for name, (_, help_) in COMMANDS.items():
        assert name in out
        assert help_[:40] in out
    assert run("-h") == 0


def test_without_arguments_the_help_is_shown(capsys):
    assert run() == 2
    out, err = capsys.readouterr()
    assert "Usage: tinct" in out + err


def test_version(capsys):
    assert run("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name, capsys):
    assert run(name, "--help") == 0
    out = capsys.readouterr().out
    assert f"Usage: tinct {name}" in out
    assert isinstance(importlib.import_module(f"tinct.cli.{COMMANDS[name][0]}").command, click.Command)


def test_an_unknown_command_has_the_nearest(capsys):
    assert run("colourise", "x.jpg") == 1
    assert "tinct: error: unknown command 'colourise'. Did you mean 'colorize'?" in capsys.readouterr().err


def test_wrong_usage_is_code_2(capsys):
    assert run("train", "--no-such-flag") == 2
    assert "No such option" in capsys.readouterr().err
    assert run("--no-such-flag") == 2


def test_the_workspace_flag_decides_where_things_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINCT_WORKSPACE", "elsewhere")
    assert run("--workspace", str(tmp_path), "train", "--yes") == 1
    assert "Prepared sets: none; make one with `tinct prepare`" in capsys.readouterr().err
    assert run("--workspace", str(tmp_path), "train", "--data", "no", "--yes") == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "/no/place"), 1, "/no/place: Permission denied"),
        (OSError("disk gone"), 1, "input/output: disk gone"),
    ],
)
def test_every_end_is_one_line_and_its_code(error, code, text, capsys, monkeypatch):
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setitem(cli.commands, "break", command)
    monkeypatch.setitem(COMMANDS, "break", ("break", "Break."))
    monkeypatch.setattr(type(cli), "get_command", lambda self, ctx, name: command)
    assert run("break") == code
    assert capsys.readouterr().err.lstrip("\n") == f"tinct: error: {text}\n"  # a new line after the terminal's ^C


def test_python_m_tinct_is_tinct():
    done = subprocess.run([sys.executable, "-m", "tinct", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tinct, version {__version__}\n"
