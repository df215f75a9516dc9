"""The notebooks of examples/: whole, with outputs, small, of no particular machine; and, slowly, that they still run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
NAMES = {"colour_a_picture", "train_in_five_minutes", "beside_diffusers"}
LARGEST = 300_000  # bytes
MACHINE = re.compile(
    r"/root/|/home/|/Users/|/tmp/|/var/|/opt/|/usr/|site-packages|[A-Z]:\\\\|\d\.\d{3}s\b|[0-9a-f]{12}-"
)
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:jupyter_core", "ignore::DeprecationWarning:jsonschema"
)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def text(output: Any) -> str:
    """What it says in words: pictures left out."""
    words = {kind: data for kind, data in output.get("data", {}).items() if kind.startswith("text/")}
    return output.get("text", "") + "".join(words.values())


def check(path: Path) -> None:
    """That it is a whole notebook, run without errors, small, and says nothing of the machine that ran it."""
    assert path.stat().st_size < LARGEST
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert outputs(notebook)
    assert {output.output_type for output in outputs(notebook)} <= {"stream", "execute_result", "display_data"}
    assert not [text(output) for output in outputs(notebook) if output.get("name") == "stderr"]
    said = json.dumps([dict(cell, outputs=[]) for cell in notebook.cells]) + "".join(map(text, outputs(notebook)))
    assert not MACHINE.search(said)
    assert not any(cell.metadata or cell.get("execution_count") for cell in notebook.cells)


def test_there_are_these_and_their_page_lists_them() -> None:
    assert {path.stem for path in NOTEBOOKS} == NAMES
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(\.\./examples/(\w+)\.ipynb\)", page)) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_whole_small_and_of_no_machine(path: Path) -> None:
    check(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_one_switch_for_tests_and_shows_pictures(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    switches = re.findall(r"TINCT_\w+", "".join(cell.source for cell in notebook.cells))
    assert set(switches) <= {"TINCT_QUICK", "TINCT_WORKSPACE"}
    pictures = [output for output in outputs(notebook) if "image/jpeg" in output.get("data", {})]
    assert pictures


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_they_run(tmp_path: Path) -> None:
    """All of them in a kernel of this Python, with small settings, in a folder that is then gone."""
    places = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "examples.notebooks", "--quick", "--out", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": places}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.stem for path in tmp_path.glob("*.ipynb")} == NAMES
    for path in tmp_path.glob("*.ipynb"):
        check(path)
        before, after = (nbformat.read(one, as_version=4) for one in (ROOT / "examples" / path.name, path))
        assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells]
        assert len(outputs(after)) == len(outputs(before))
