"""The table of features is true: each row is there once, and what it names exists: tests, modules, options, figures.

Its links and commands are looked after as those of every page.
"""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path

import pytest
from shown import ROOT

import tinct
from tinct import recipes
from tinct.config import from_dict, leaves
from tinct.diffusion import SAMPLERS, Schedule
from tinct.families import FAMILIES
from tinct.training.options import TrainConfig

PAGE = ROOT / "docs" / "features.md"
IDS = [f"F{number:03d}" for number in range(1, 185)] + [f"X{number:02d}" for number in range(1, 21)]
NUMBERS = [f"F{number}" for number in range(175, 185)]


def rows() -> list[list[str]]:
    """The cells of every line of a table that begins with an id."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [FX]\d+ \|", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


ROWS = {row[0]: row[1:] for row in rows()}
PLAIN = {name: row for name, row in ROWS.items() if name not in NUMBERS}
FOUND = {name: row[-1] for name, row in PLAIN.items()}
WHERE = {name: row[-2] for name, row in PLAIN.items()}


def test_every_row_is_there_once_and_whole():
    assert [row[0] for row in rows()] == IDS
    assert {name: len(row) for name, row in ROWS.items()} == {
        name: 3 if name[0] == "X" else 5 if name in NUMBERS else 4 for name in IDS
    }
    assert all(cell for row in ROWS.values() for cell in row)


def spans(text: str) -> list[str]:
    """The pieces of code within lines."""
    return re.findall(r"`([^`]+)`", text)


def reason(cell: str) -> str | None:
    """Why something is not there, if the cell says so."""
    found = re.fullmatch(r"not yet: (.{20,})", cell)
    return found[1] if found else None


def named_in(cell: str) -> list[tuple[str, bool]]:
    """The tests that a cell names, and whether it says that they are slow."""
    found = [re.fullmatch(r"`(tests/[^`]+)`( \(slow\))?", part) for part in cell.split("<br>")]
    return [(one[1], bool(one[2])) for one in found if one] if all(found) else []


@pytest.mark.parametrize("name", PLAIN)
def test_a_row_names_its_tests_or_why_there_are_none(name):
    cell = FOUND[name]
    assert reason(cell) or named_in(cell), cell
    for test, said_slow in named_in(cell):
        assert slow(test) is said_slow, test


def slow(name: str) -> bool:
    """Whether a test that is named as path::test, path::Class::test or with its parameters in brackets is marked slow."""
    path, *parts = name.split("::")
    tree = parsed(ROOT / path)
    marked = [_is_slow(node.value) for node in tree.body if isinstance(node, ast.Assign) and _is_pytestmark(node)]
    body: list[ast.stmt] = tree.body
    for number, part in enumerate(parts, 1):
        wanted, bracket, _ = part.partition("[")
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef) if number == len(parts) else (ast.ClassDef,)
        (node,) = [one for one in body if isinstance(one, kinds) and one.name == wanted]
        assert number < len(parts) or wanted.startswith("test_"), name
        assert not bracket or any("parametrize" in ast.dump(one) for one in node.decorator_list), name
        marked += [_is_slow(one) for one in node.decorator_list]
        body = node.body
    return any(marked)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _is_slow(node: ast.expr) -> bool:
    return any(isinstance(one, ast.Attribute) and one.attr == "slow" for one in ast.walk(node))


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "pytestmark" for one in node.targets)


@pytest.mark.parametrize("name", PLAIN)
def test_what_a_row_names_is_there(name):
    where = WHERE[name]
    for code in spans(where):
        assert is_there(code), code
    for option in re.findall(r"options? `(\w+)`", where):
        assert option in options(), option
    for sampler in re.findall(r"samplers? `([^`]+)`", where):
        assert sampler in SAMPLERS, sampler
    for recipe in re.findall(r"recipes `(\w+)`, `(\w+)`", where):
        assert set(recipe) <= set(recipes.names()), recipe


def is_there(code: str) -> bool:
    """Whether a file, a folder or a name of Python exists; other words, and files of a user's, are none of these."""
    if re.search(r"\.(py|toml|md)$|^[a-z/]+/$", code) and " " not in code:
        return any((root / code).exists() for root in (ROOT / "src" / "tinct", ROOT))
    if found := re.fullmatch(r"(?:tinct|Schedule)\.(\w+)(?:\(.*\))?", code):
        return hasattr(Schedule if code.startswith("Schedule") else tinct, found[1])
    return True


@cache
def options() -> set[str]:
    """The last parts of the names of all options of training, whatever the family."""
    return {
        leaf.path.rpartition(".")[2]
        for family in FAMILIES
        for leaf in leaves(from_dict(TrainConfig, {"family": family}))
    }


@pytest.mark.parametrize("name", NUMBERS)
def test_figures_stand_on_their_page_beside_their_command(name):
    _, _, here, page, command = ROWS[name]
    (target,) = re.findall(r"\]\(([^)#]+)", page)
    text = (PAGE.parent / target).read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d+", here)
    assert figures
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", text)] == []
    assert reason(here) or not here.startswith("not yet")
    if command != "the same":
        (code,) = spans(command)
        assert code in text
        if module := re.match(r"python -m ([\w.]+)", code):
            assert importlib.util.find_spec(module[1])


def test_what_does_not_exist_is_found(tmp_path):
    """The checks above, on rows that are wrong."""
    for test in ("tests/test_color.py::test_nothing", "tests/test_color.py::chromas", "tests/no.py::test_x"):
        with pytest.raises((ValueError, AssertionError, OSError)):
            slow(test)
    with pytest.raises(AssertionError):  # no parameters
        slow("tests/test_color.py::test_luma_of_every_gray_is_that_gray[255]")
    assert slow("tests/test_wheel.py::test_it_colours_a_photograph_offline_in_a_clean_environment")
    assert slow("tests/web/test_page_browser.py::test_the_slider_moves")
    assert not slow("tests/test_color.py::test_luma_is_exact_for_every_gray_and_random_chroma[30.0-255]")
    for cell in ("", "not yet", "not yet: no", "`tests/x.py`, `tests/y.py`", "yes"):
        assert not reason(cell)
        assert not named_in(cell)
    for code in ("data/nothing.py", "nowhere/", "tinct.colourise", "Schedule.constants_of()", "recipes/x.toml"):
        assert not is_there(code), code
