"""`tinct prepare`: every question, every flag, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from made import encoded, idx_files, picture, tiny_files, written, zipped
from pseudo_terminal import talk
from tinct.cli.main import main
from tinct.cli.prepare import _summary
from tinct.data.discovery import ImportedSet, discover_prepared
from tinct.data.prepare import PrepareOptions

MANUAL = Path(__file__).parents[2] / "docs" / "data.md"


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def workspace(tmp_path, monkeypatch, capsys) -> Path:
    """With two imported sets: `digits` (with a test split) and `tiny`."""
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    tiny, digits = zipped(tmp_path / "tiny.zip", tiny_files(train=10)), written(tmp_path / "mnist", idx_files())
    assert run("import", "tiny-imagenet", "--source", tiny, "--name", "tiny", "--resolution", "48x32", "--yes") == 0
    assert run("import", "mnist", "--source", digits, "--name", "digits", "--yes") == 0
    capsys.readouterr()
    return tmp_path


def metadata(workspace: Path, name: str = "tiny") -> dict:
    return json.loads((workspace / "npzData" / name / "metadata.json").read_text())


def test_all_flags(workspace, capsys):
    code = run(
        "prepare", "tiny", "--size", "16", "--test-size", "0.1", "--val-size", "0.2", "--seed", "7",
        "--normalize", "none", "--fit", "squash", "--processes", "1", "--yes",
    )  # fmt: skip
    assert code == 0
    found = metadata(workspace)
    assert found["config"] == {
        "test_size": 0.1, "val_size": 0.2, "random_state": 7, "image_size": 16, "normalize_option": 3, "fit": "squash",
        "min_spread": -1.0, "splits_of_import": [],
    }  # fmt: skip
    assert (found["train_samples"], found["val_samples"], found["test_samples"]) == (28, 8, 4)
    out, err = capsys.readouterr()
    for text in ("Conversion configuration", "none, uint8", "Conversion complete", "train.npz", "MB in", "--data tiny"):
        assert text in out
    assert [line[:5] for line in err.splitlines() if line.startswith("[")] == ["[1/3]", "[2/3]", "[3/3]"]


def test_the_defaults_and_the_recorded_resolution(workspace, capsys):
    assert run("prepare", "tiny", "--yes") == 0
    found = metadata(workspace)
    assert (found["config"]["image_size"], found["config"]["test_size"], found["config"]["random_state"]) == (
        32,
        0.2,
        42,
    )
    assert (found["normalization"], found["dtype"]) == ("[-1, 1]", "float32")
    assert "0 MB as uint8, 1 MB as float32 before compression" in capsys.readouterr().out


@pytest.mark.parametrize(("given", "title"), [("1", "[0, 1]"), ("2", "[-1, 1]"), ("3", "none"), ("01", "[0, 1]")])
def test_normalizations_by_number_too(workspace, given, title):
    assert run("prepare", "tiny", "--normalize", given, "--yes") == 0
    assert metadata(workspace)["normalization"] == title


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "NAME is missing. Imported sets: digits, tiny"),
        (("tony", "--yes"), "unknown imported set 'tony'. Did you mean 'tiny'"),
        (("tiny",), "add --yes"),
        (("tiny", "--test-size", "1.5", "--yes"), "must be at most 1"),
        (("tiny", "--size", "0", "--yes"), "must be at least 1"),
        (("tiny", "--normalize", "4", "--yes"), "unknown normalize '4'"),
        (("tiny", "--fit", "stretch", "--yes"), "unknown fit 'stretch'"),
        (("digits", "--test-size", "0.5", "--yes"), "add --resplit"),
    ],
)
def test_what_can_t_be_done_is_one_error_line(workspace, capsys, arguments, message):
    assert run("prepare", *arguments) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("tinct: error: ")
    assert message in last
    assert discover_prepared(workspace) == []


def test_the_storage_of_a_set_is_told_before_it_is_prepared(tmp_path, capsys):
    """Of 10,000 pictures at 64 px: gray and colour, a byte each as uint8 and four as float32."""
    imported = ImportedSet("tiny", tmp_path, 10_000, 200, 19.0, False, {})
    _summary(imported, tmp_path / "npzData" / "tiny", PrepareOptions(size=64))
    assert "164 MB as uint8, 655 MB as float32 before compression" in capsys.readouterr().out


def test_an_empty_workspace(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    assert run("prepare", "tiny") == 1
    assert "no imported set in" in capsys.readouterr().err


def test_an_unfinished_import_is_not_offered(workspace, capsys):
    manifest = workspace / "imageData" / "tiny" / "import_metadata.json"
    manifest.rename(manifest.with_name("import_in_progress.json"))
    assert run("prepare", "tiny", "--yes") == 1
    assert "import 'tiny' is not finished" in capsys.readouterr().err


def test_an_existing_set_is_replaced_and_that_is_said(workspace, capsys):
    assert run("prepare", "tiny", "--yes") == 0
    assert "replaces" not in capsys.readouterr().out
    assert run("prepare", "tiny", "--size", "8", "--yes") == 0
    assert "(replaces the set that is there)" in capsys.readouterr().out
    assert metadata(workspace)["config"]["image_size"] == 8


def test_the_dialogue_by_number_with_every_default(workspace):
    answers = [
        ("Number or name; Enter = cancel:", "2"),
        ("Share of the test split, 0.0 to 1.0 [0.2]:", ""),
        ("Share of a validation split of its own, 0.0 to 1.0 [0.0]:", ""),
        ("Random state of the split [42]:", ""),
        ("in pixels [32]:", ""),
        ("Normalization [2]:", ""),
        ("Proceed with conversion? (y/n):", "y"),
    ]
    code, screen = talk(["prepare"], answers, workspace)
    assert code == 0
    assert "1) digits: 40 images, 10 categories, 0.0 MB" in screen
    assert "2) tiny: 40 images, 4 categories, 0.0 MB" in screen
    for text in ("1) [0, 1] float32", "3) uint8 0..255", "Conversion complete", "[3/3]"):
        assert text in screen
    assert metadata(workspace)["normalization"] == "[-1, 1]"


def test_the_dialogue_by_name_with_answers_and_wrong_ones(workspace):
    answers = [
        ("Number or name; Enter = cancel:", "9"),
        ("unknown imported set '9'", "tiny"),
        ("0.0 to 1.0 [0.2]:", "2"),
        ("must be at most 1", "0.5"),
        ("0.0 to 1.0 [0.0]:", "0.1"),
        ("Random state of the split [42]:", "1"),
        ("in pixels [32]:", "28"),
        ("Normalization [2]:", "5"),
        ("unknown normalization '5'", "3"),
        ("Proceed with conversion? (y/n):", ""),
    ]
    code, _ = talk(["prepare"], answers, workspace)
    assert code == 0
    found = metadata(workspace)
    assert (found["train_samples"], found["val_samples"], found["test_samples"]) == (16, 4, 20)
    assert (found["config"]["image_size"], found["config"]["random_state"], found["dtype"]) == (28, 1, "uint8")


def test_the_dialogue_does_not_ask_for_a_split_that_was_brought(workspace):
    answers = [
        ("Number or name; Enter = cancel:", "digits"),
        ("The import brought a test split, which is kept.", ""),
        ("Random state of the split [42]:", ""),
        ("in pixels [28]:", ""),
        ("Normalization [2]:", "none"),
        ("Proceed with conversion? (y/n):", "y"),
    ]
    code, _ = talk(["prepare"], answers, workspace)
    assert code == 0
    assert (metadata(workspace, "digits")["train_samples"], metadata(workspace, "digits")["test_samples"]) == (30, 10)


@pytest.mark.parametrize("answers", [
    [("Number or name; Enter = cancel:", "")],
    [("Number or name; Enter = cancel:", "1"), ("Random", ""), ("pixels", ""), ("Normalization", ""), ("(y/n):", "n")],
])  # fmt: skip
def test_cancelling(workspace, answers):
    if len(answers) > 1:
        answers.insert(1, ("0.0 to 1.0 [0.0]:", ""))
    code, screen = talk(["prepare"], answers, workspace)
    assert code == 1
    assert "Cancelled. Nothing was changed." in screen
    assert discover_prepared(workspace) == []


def test_ctrl_c_leaves_nothing_and_says_so(tmp_path):
    files = {f"{n}.jpg": encoded(picture(n % 5, (900, 900))) for n in range(150)}
    environment = os.environ | {"TINCT_WORKSPACE": str(tmp_path)}
    tinct = [sys.executable, "-m", "tinct"]
    source = written(tmp_path / "source", files)
    subprocess.run(
        [*tinct, "import", "folder", "--source", source, "--name", "set", "--yes"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    with subprocess.Popen(
        [*tinct, "prepare", "set", "--yes", "--processes", "2", "--size", "512"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (tmp_path / "npzData").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert "Interrupted. Nothing was written" in out
    assert "Traceback" not in err
    assert list((tmp_path / "npzData").iterdir()) == []


@pytest.mark.parametrize(("normalize", "block"), [("none", 0), ("-11", 0), ("none", 1)])
def test_the_loading_recipes_of_the_manual_work_as_they_are_printed(workspace, monkeypatch, normalize, block):
    run("prepare", "tiny", "--normalize", normalize, "--yes")
    recipe = re.findall(r"```python\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)[block]
    monkeypatch.chdir(workspace)
    names: dict[str, Any] = {}
    exec(recipe, names)
    if block == 0:
        assert names["rgb"].shape == (32, 32, 32, 3)
        assert -1 <= names["rgb"].min() < names["rgb"].max() <= 1
        assert -1 <= names["gray"].min() < names["gray"].max() <= 1
    else:
        assert names["rgb"].shape == (32, 3, 32, 32)
