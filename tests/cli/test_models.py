"""`tinct models`: what is there, runs beside each other, results as files, and runs that go."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import make_pictures
from made import encoded
from pseudo_terminal import typed
from tinct import zoo
from tinct.cli.main import main
from tinct.files import read_json


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return int(ended.value.code or 0)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture
def two(trained) -> Path:
    """The workspace with the run `tiny` and another, `other`, whose losses are lower and whose space is said to differ."""
    other = trained / "models" / "other"
    shutil.copytree(trained / "models" / "tiny", other)
    history = read_json(other / "training_history.json")
    for row in history:
        row["val_loss"], row["train_loss"] = row["val_loss"] / 4, row["train_loss"] / 4
    (other / "training_history.json").write_text(json.dumps(history))
    return trained


def test_list_and_show_name_the_runs(trained, capsys):
    assert run("models") == 0
    out = capsys.readouterr().out
    assert "tiny" in out
    assert "bundled" in out
    assert run("models", "show", "tiny") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["family"], shown["epoch"], shown["data"]["name"]) == ("unetddpm", 2, "toy")


def test_compare_draws_the_curves_and_tells_where_each_stands(two, capsys):
    assert run("models", "compare", "tiny", "other") == 0
    out = capsys.readouterr().out
    best = min(row["val_loss"] for row in read_json(two / "models" / "tiny" / "training_history.json"))
    assert f"{best:.4f}" in out
    assert f"{best / 4:.4f}" in out
    assert "2 of 2" in out
    assert "Not the same" not in out
    path = two / "Results" / "tiny-other.png"
    assert f"wrote {path}" in out
    assert pixels(path).shape[:2] == (495, 880)
    assert run("models", "compare", "tiny", "other", "-o", two / "curves.jpg") == 0
    assert (two / "curves.jpg").is_file()


def test_compare_says_where_losses_are_of_different_kinds(trained, capsys):
    small = ["--features", "8,8", "--time-embedding", "8", "--timesteps", "20", "--steps", "2", "--device", "cpu"]
    assert run("train", "--name", "v", "--target", "v", "--epochs", "1", "--seed", "3", *small, "--yes") == 0
    assert run("models", "compare", "tiny", "v") == 0
    assert "Not the same in all: target, validation pictures. Losses of different kinds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "tiny"], "compare needs two runs or more"),
        (["compare", "tiny", "tiny"], "compare needs two runs or more"),
        (["compare", "tiny", "tinny"], "unknown run 'tinny'. Did you mean 'tiny'?"),
        (["compare", "tiny", "photo"], "photo is bundled without its history"),
        (["compare", "tiny", "new"], "no epoch is done yet"),
        (["compare", "tiny", "../tiny"], "model '../tiny' can't be a folder name"),
        (["compare", "tiny", "other", "-o", "curves.docx"], "name it like curves.png"),
        (["delete", "photo", "--yes"], "photo is bundled with tinct and can't be deleted. Your own: new, tiny."),
        (["delete", "tinny", "--yes"], "unknown run 'tinny'. Did you mean 'tiny'?"),
        (["delete", "..", "--yes"], "can't be a folder name"),
        (["delete", "letters", "--yes"], "holds no training run, so it is not deleted"),
        (["delete", "tiny"], "Nobody is there to answer: add --yes"),
        (["results", "--model", "tinny"], "unknown model 'tinny'. Did you mean 'tiny'?"),
        (["results", "--model", "tiny", "--epoch", "9"], "no such checkpoint. Epochs of tiny that are kept: 1, 2."),
        (["results", "--model", "photo", "--epoch", "9"], "Epochs of photo that are kept: none."),
        (["results", "--model", "tiny", "--data", "toy", "--images", "x"], "--data and --images: say only one"),
        (["results", "--model", "tiny", "--data", "toys"], "toys: no such prepared set. There are: toy."),
        (["results", "--model", "tiny", "--images", "nowhere"], "nowhere: not found"),
        (["results", "--model", "tiny", "--steps", "0"], "steps = 0: must be at least 1"),
        (["results", "--model", "mine"], "Results/mine: holds files that `tinct models results` did not write"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_lost(trained, capsys, arguments, message):
    models = trained / "models"
    for name, file in (("new", "config.json"), ("letters", "dear.txt")):
        (models / name).mkdir()
        (models / name / file).write_text("{}")
    shutil.copytree(models / "tiny", trained / "mine")
    if "mine" in arguments:
        assert run("models", "export", "tiny", trained / "mine.safetensors") == 0
        arguments = [str(trained / "mine.safetensors") if word == "mine" else word for word in arguments]
        (trained / "Results" / "mine").mkdir(parents=True)
        (trained / "Results" / "mine" / "thesis.txt").write_text("mine")
    before = sorted(trained.rglob("*"))
    capsys.readouterr()
    assert run("models", *arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert sorted(trained.rglob("*")) == before


def test_delete_takes_the_typed_name(trained, capsys):
    folder = trained / "models" / "tiny"
    with typed("y"):
        assert run("models", "delete", "tiny") == 130
    assert "Left as it is" in capsys.readouterr().out
    assert folder.is_dir()
    with typed("tiny"):
        assert run("models", "delete", "tiny") == 0
    assert f"Deleted {folder}." in capsys.readouterr().out
    assert not folder.exists()


def test_delete_with_yes_also_a_run_without_any_epoch(trained, capsys):
    folder = trained / "models" / "new"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert run("models", "delete", "new", "--yes") == 0
    assert "1 files, 0.0 MB" in capsys.readouterr().out
    assert [path.name for path in (trained / "models").iterdir()] == ["tiny"]


def test_results_are_the_test_pictures_in_colour_with_a_sheet(trained, capsys):
    results = ["models", "results", "--model", "tiny", "--steps", "2"]
    assert run(*results, "--num-images", "3") == 0
    folder, truth = trained / "Results" / "tiny", np.load(trained / "npzData" / "toy" / "test.rgb.npy")
    assert f"8 pictures of the test part of toy coloured by tiny -> {folder}" in capsys.readouterr().out
    names = [f"{number:05d}.png" for number in range(1, 9)]
    for kind in ("gray", "coloured", "truth"):
        assert sorted(path.name for path in (folder / kind).iterdir()) == names
    for number, name in enumerate(names):
        gray, colour = pixels(folder / "gray" / name), Image.open(folder / "coloured" / name)
        assert (pixels(folder / "truth" / name) == truth[number]).all()
        assert (np.asarray(Image.fromarray(truth[number]).convert("L")) == gray).all()
        assert (np.asarray(colour.convert("L")) == gray).all()
    assert len({(folder / "coloured" / name).read_bytes() for name in names}) == 8
    said = read_json(folder / "results.json")
    assert (said["model"], said["epoch"], said["pictures"], said["steps"], said["seed"]) == ("tiny", 2, 8, 2, 0)
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.height == pytest.approx(3 * (2 * 16 + 8) + 28, abs=20)
    first = (folder / "coloured" / "00001.png").read_bytes()
    assert run(*results, "--first", "2", "--seed", "0") == 0
    assert (folder / "coloured" / "00001.png").read_bytes() == first
    assert sorted(path.name for path in (folder / "coloured").iterdir()) == names[:2]
    assert run(*results, "--epoch", "1", "--first", "1") == 0
    assert read_json(folder / "results.json")["epoch"] == 1
    assert (folder / "coloured" / "00001.png").read_bytes() != first


def test_results_of_a_folder_with_a_bad_a_gray_and_a_namesake_picture(trained, tmp_path, capsys):
    images = tmp_path / "images"
    (images / "deep").mkdir(parents=True)
    rgb, _ = make_pictures(2, side=40)
    (images / "deep" / "a.png").write_bytes(encoded(Image.fromarray(rgb[0]), "PNG"))
    (images / "deep" / "a.jpg").write_bytes(encoded(Image.fromarray(rgb[1]).resize((30, 20))))
    (images / "gray.png").write_bytes(encoded(Image.fromarray(rgb[0]).convert("L"), "PNG"))
    (images / "bad.png").write_bytes(b"no picture")
    assert run("models", "results", "--model", "tiny", "--images", images, "--steps", "2") == 1
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    folder = trained / "Results" / "tiny"
    assert f"3 pictures of {images} coloured by tiny" in captured.out
    found = sorted(path.relative_to(folder / "coloured").as_posix() for path in (folder / "coloured").rglob("*.png"))
    assert found == ["deep/a.png", "deep/a.png.png", "gray.png"]
    assert not (folder / "truth" / "gray.png").exists()
    assert pixels(folder / "coloured" / "deep" / "a.png").shape == (20, 30, 3)
    before = (folder / "sheet.png").read_bytes()
    for path in images.rglob("*.*"):
        path.write_bytes(b"no picture")
    assert run("models", "results", "--model", "tiny", "--images", images) == 1
    assert "none of the pictures can be read" in capsys.readouterr().err
    assert (folder / "sheet.png").read_bytes() == before


def test_an_export_samples_as_it_is_told_by_default(trained, capsys):
    path = trained / "mine.safetensors"
    assert run("models", "export", "tiny", path, "--set", "spacing=karras", "--set", "steps=3") == 0
    own, model = zoo.load("tiny"), zoo.load(str(path))
    assert model.options == replace(own.options, spacing="karras", steps=3)
    assert model.levels() == own.levels(3, spacing="karras")
    capsys.readouterr()
    for wrong, message in {
        "target=v": "default of sampling 'target'",
        "steps=0": "must be at least 1",
        "steps=2000": "2000",
        "steps": "NAME=VALUE",
    }.items():
        assert run("models", "export", "tiny", trained / "other.safetensors", "--set", wrong) == 1
        assert message in capsys.readouterr().err
        assert not (trained / "other.safetensors").exists()
