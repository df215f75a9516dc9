"""`tinct train --images FOLDER`: one command from a folder of pictures to weights, broken off anywhere, and refused."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import make_pictures
from made import encoded
from tinct.cli.main import main
from tinct.files import read_json

SMALL = [
    "--features", "8,8", "--time-embedding", "8", "--timesteps", "20", "--steps", "2", "--batch-size", "8",
    "--epochs", "1", "--device", "cpu", "--yes",
]  # fmt: skip


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def garden(workspace) -> Path:
    """A folder `My garden.2` with 24 pictures in four class folders and a file that is no picture."""
    folder = workspace / "My garden.2"
    rgb, labels = make_pictures(24, side=40)
    for number, (picture, label) in enumerate(zip(rgb, labels, strict=True)):
        path = folder / f"class {label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(Image.fromarray(picture), "PNG"))
    (folder / "class 0" / "bad.jpg").write_bytes(b"no picture")
    return folder


def files(workspace: Path) -> dict[str, int]:
    """Everything but the pictures themselves, with its time of writing."""
    return {str(path): path.stat().st_mtime_ns for path in workspace.rglob("*") if "My garden.2" not in path.parts}


def test_from_a_folder_to_weights_in_one_command_and_again(garden, workspace, capsys):
    assert run("train", "--images", garden, "--size", "16", *SMALL) == 0
    captured = capsys.readouterr()
    assert "skipped:" in captured.err
    assert "bad.jpg" in captured.err
    assert "The model is My_garden.2:" in captured.out
    imported = workspace / "imageData" / "My_garden.2"
    original = (garden / "class 1" / "1.png").read_bytes()
    assert original in [path.read_bytes() for path in (imported / "class_1").iterdir()]
    assert len(list(imported.rglob("*.png"))) == 24
    prepared = read_json(workspace / "npzData" / "My_garden.2" / "metadata.json")
    assert (prepared["config"]["image_size"], prepared["train_samples"] + prepared["test_samples"]) == (16, 24)
    assert read_json(workspace / "models" / "My_garden.2" / "config.json")["model"]["size"] == 16

    written = (workspace / "npzData" / "My_garden.2" / "metadata.json").stat().st_mtime_ns
    assert run("train", "--images", garden, "--name", "My_garden.2", "--resume", *SMALL, "--epochs", "2") == 0
    out = capsys.readouterr().out
    assert f"made from {garden} before, used again." in out
    assert "Resuming My_garden.2 in epoch 2, step 0." in out
    assert (workspace / "npzData" / "My_garden.2" / "metadata.json").stat().st_mtime_ns == written

    shutil.copy(garden / "class 1" / "1.png", garden / "class 1" / "another.png")
    assert run("train", "--images", garden, "--overwrite", *SMALL) == 0
    assert "The folder held 25 pictures then, and 26 now. To take them in: tinct import" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "0"], "model.size = 0: must be at least 8"),
        (
            ["--size", "32", "--overwrite"],
            "was prepared at 16 px, not 32 px. Leave --size away, or choose another --name.",
        ),
        (["--images", "My garden.2/class 1"], "has 6 pictures that can be read; training needs 10 or more"),
        (["--images", "nowhere"], "nowhere: not found"),
        (["--images", "roses", "--name", "taken"], "taken: was not made from"),
        (["--images", "roses", "--name", "prepared"], "prepared: exists, and was not made from"),
        (["--images", "roses", "--name", "letters"], "letters: was not made from"),
        (["--name", "a/b"], "run name 'a/b' can't be a folder name"),
        (["--data", "prepared"], "--data and --images: say only one of them"),
        (["--family", "unetdpm"], "unknown family 'unetdpm'"),
        (["--name", "there"], "there exists: --resume goes on with it"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(garden, workspace, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(workspace)
    if "32" in arguments:
        assert run("train", "--images", garden, "--size", "16", *SMALL) == 0
    shutil.copytree(garden, workspace / "roses")
    for place, manifest in (("imageData/taken", "import_metadata.json"), ("npzData/prepared", "metadata.json"),
                            ("imageData/letters", "dear.txt"), ("models/there", "config.json")):  # fmt: skip
        (workspace / place).mkdir(parents=True)
        (workspace / place / manifest).write_text(json.dumps({"source": "folder", "source_path": "/elsewhere"}))
    before = files(workspace)
    capsys.readouterr()
    images = [] if "--images" in arguments else ["--images", garden]
    assert run("train", *images, *SMALL, *arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert files(workspace) == before


def test_too_few_readable_pictures_leave_nothing(workspace, capsys):
    folder = workspace / "few"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes(b"no picture")
    for number, picture in enumerate(make_pictures(4)[0]):
        (folder / f"{number}.png").write_bytes(encoded(Image.fromarray(picture), "PNG"))
    assert run("train", "--images", folder, *SMALL) == 1
    assert "few: has 4 pictures that can be read; training needs 10 or more" in capsys.readouterr().err
    assert not list((workspace / "imageData").iterdir())


def test_nobody_there_to_answer_is_said_before_anything_is_written(garden, workspace, capsys):
    before = files(workspace)
    assert run("train", "--images", garden, *SMALL[:-1]) == 1
    assert "Import 25 pictures of" in (err := capsys.readouterr().err)
    assert "add --yes" in err
    assert files(workspace) == before


def test_an_import_that_was_killed_goes_on(garden, workspace, capsys):
    script = (
        "import os, pathlib, sys\n"
        "from tinct.data.import_writer import ImportOptions\n"
        "from tinct.data.importing import ImportJob, run_import\n"
        "from tinct.data.progress import Progress\n"
        "garden, workspace = map(pathlib.Path, sys.argv[1:])\n"
        "options = ImportOptions(skip_unreadable=True)\n"
        "for record in run_import(ImportJob('folder', 'My_garden.2', options, garden), workspace):\n"
        "    if isinstance(record, Progress) and record.done == 7:\n"
        "        os._exit(9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(garden), str(workspace)])
    assert killed.returncode == 9
    imported = workspace / "imageData" / "My_garden.2"
    assert len(list(imported.rglob("*.png"))) == 7
    assert not (imported / "import_metadata.json").exists()
    assert run("train", "--images", garden, "--size", "16", *SMALL) == 0
    assert len(list(imported.rglob("*.png"))) == 24
    assert read_json(workspace / "models" / "My_garden.2" / "config.json")["data"] == "My_garden.2"


@pytest.mark.slow
def test_two_processes_import_once_and_wait(garden, workspace):
    """The first process prepares the set, the second one waits for it; one run folder comes of it."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "tinct"]
    arguments = ["--workspace", workspace, "train", "--images", garden, "--size", "16", *SMALL]
    done = subprocess.run([*launch, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The model is My_garden.2:") == 1
    assert done.stderr.count("[1/3] List and split the pictures") == 1
    assert (workspace / "models" / "My_garden.2" / "best_model.pth").is_file()
