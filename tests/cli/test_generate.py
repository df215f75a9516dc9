"""`tinct generate`: files that follow from seed and number, gone on with after a stop, and nothing mixed."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tinct
from tinct import generation, zoo
from tinct.cli.main import main
from tinct.errors import ConfigError

OPTIONS = generation.GenerateOptions(steps=4)

SMALL = ("size=16", "features=8,8,8", "bottleneck=8", "stem=8", "time_embedding=16", "steps=3", "classes=4")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def made_once(trained_once, tmp_path_factory) -> Path:
    """A workspace with `dots`, trained for an epoch by the recipe mnist, shrunk, and with the colorizer `tiny`."""
    folder = tmp_path_factory.mktemp("generating")
    shutil.copytree(trained_once, folder, dirs_exist_ok=True)
    settings = [word for setting in SMALL for word in ("--set", setting)]
    settings += ["--epochs", "1", "--batch-size", "8", "--device", "cpu", "--precision", "float32"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINCT_WORKSPACE", str(folder))
        assert run("train", "--data", "toy", "--name", "dots", "--recipe", "mnist", *settings, "--yes") == 0
    return folder


@pytest.fixture
def made(made_once, workspace, monkeypatch) -> Path:
    shutil.copytree(made_once, workspace, dirs_exist_ok=True)
    monkeypatch.chdir(workspace)
    return workspace


def generate(*arguments: object) -> int:
    return run("generate", "--model", "dots", "--device", "cpu", *arguments)


def pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: np.asarray(Image.open(path)).tobytes() for path in sorted(folder.iterdir())}


def test_a_training_shows_classes_and_says_how_to_use_the_model(made, capsys):
    assert run("train", "--data", "toy", "--name", "dots", "--resume", "--epochs", "2", "--yes") == 0
    assert "tinct generate --sheet samples.png --model dots" in capsys.readouterr().out
    with Image.open(made / "models" / "dots" / "samples_epoch_2.png") as sheet:
        assert sheet.width < sheet.height  # four classes, eight samples of each


def test_files_are_numbered_rgb_and_all_there_is(made):
    assert generate("--num", 12, "--out", "many", "--batch-size", 5) == 0
    folder = made / "many"
    assert sorted(path.name for path in folder.iterdir()) == [f"{number:05d}.png" for number in range(1, 13)]
    for path in folder.iterdir():
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (16, 16))
    assert len(set(pixels(folder).values())) == 12


def test_a_picture_does_not_depend_on_how_many_are_made(made):
    assert generate("--num", 7, "--out", "one", "--batch-size", 3) == 0
    assert generate("--num", 3, "--out", "other") == 0
    one, other = pixels(made / "one"), pixels(made / "other")
    for name, picture in other.items():
        difference = np.frombuffer(picture, np.uint8).astype(int) - np.frombuffer(one[name], np.uint8)
        assert np.abs(difference).max() <= 1


def test_it_goes_on_where_it_was_stopped(made, capsys):
    assert generate("--num", 6, "--out", "many") == 0
    folder = made / "many"
    whole = pixels(folder)
    changed = (folder / "00001.png").stat().st_mtime_ns
    for number in (2, 5):
        (folder / f"{number:05d}.png").unlink()
    (folder / ".0123456789ab.part.png").write_bytes(b"half")  # what a killed run leaves
    assert generate("--num", 6, "--out", "many") == 0
    assert "6 pictures, 4 of them before" in capsys.readouterr().out
    assert pixels(folder) == whole
    assert (folder / "00001.png").stat().st_mtime_ns == changed


def test_pictures_of_other_settings_are_not_mixed(made, capsys):
    assert generate("--num", 2, "--out", "many") == 0
    before = pixels(made / "many")
    assert generate("--num", 2, "--out", "many", "--seed", 1) == 1
    assert "00001.png: is there, and made with other settings" in capsys.readouterr().err
    assert pixels(made / "many") == before
    assert generate("--num", 2, "--out", "many", "--seed", 1, "--overwrite") == 0
    assert pixels(made / "many") != before
    assert generate("--num", 1, "--out", "many", "--seed", 1) == 1
    assert "00002.png: is none of the pictures asked for" in capsys.readouterr().err


def test_what_is_not_tincts_is_kept(made, capsys):
    folder = made / "mine"
    folder.mkdir()
    Image.new("RGB", (3, 3)).save(folder / "00001.png")
    assert generate("--num", 2, "--out", folder) == 1
    assert "00001.png: is there, and not made by tinct" in capsys.readouterr().err
    (folder / "00001.png").write_bytes(b"no picture")
    assert generate("--num", 2, "--out", folder) == 1
    assert (folder / "00001.png").read_bytes() == b"no picture"
    assert generate("--num", 2, "--out", folder / "00001.png") == 1
    assert "is a file" in capsys.readouterr().err


def test_a_sheet_alone_writes_no_folder(made):
    assert generate("--num", 10, "--sheet", "dots.png") == 0
    assert not (made / "generated_images").exists()
    with Image.open(made / "dots.png") as sheet:
        assert sheet.size == (4 * (32 + 4) + 4, 3 * (32 + 4) + 4)
    assert generate("--num", 2) == 0
    assert len(list((made / "generated_images").iterdir())) == 2


def test_classes_and_guidance_change_the_pictures(made):
    for name, options in {"any": (), "two": ("--class", 2), "far": ("--class", 2, "--guidance", 3)}.items():
        assert generate("--num", 2, "--out", name, *options) == 0
    assert len({tuple(pixels(made / name).values()) for name in ("any", "two", "far")}) == 3


def test_without_a_class_each_picture_is_of_one_drawn_from_its_seed(made):
    count = 12
    any_class = [picture.tobytes() for picture in tinct.generate(count, model="dots")]
    of_class = [[picture.tobytes() for picture in tinct.generate(count, model="dots", label=k)] for k in range(4)]
    drawn = [[label for label in range(4) if of_class[label][index] == any_class[index]] for index in range(count)]
    assert all(len(labels) == 1 for labels in drawn)
    assert len({labels[0] for labels in drawn}) >= 3
    again = [picture.tobytes() for picture in tinct.generate(count, model="dots", seed=1)]
    assert again != any_class


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--class", 4), 1, "class = 4: the model 'dots' knows the classes 0 to 3"),
        (("--steps", 0), 1, "steps"),
        (("--steps", 2000), 1, "steps = 2000: must be from 1 to the model's 1000 levels"),
        (("--sampler", "ddim", "--eta", 1.5), 1, "eta"),
        (("--sampler", "dimm"), 1, "Did you mean 'ddim'"),
        (("--num", 0), 2, "--num"),
        (("--model", "tiny"), 1, "the model 'tiny' makes no pictures. Models that colour are for `tinct colorize`"),
        (("--sheet", "x.png", "--overwrite"), 2, "--overwrite is for the files of --out"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(options, code, message, made, capsys):
    assert generate(*options) == code
    assert message in capsys.readouterr().err
    assert not (made / "generated_images").exists()
    assert not (made / "x.png").exists()


def test_a_generator_is_refused_where_colour_is_wanted(made, capsys):
    (made / "old").mkdir()
    Image.new("RGB", (20, 20), (90, 120, 30)).save(made / "old" / "old.png")
    for command in (["colorize", "old"], ["evaluate", "--images", "old"], ["compare", "--images", "old"]):
        flag = "--models" if command[0] == "compare" else "--model"
        assert run(*command, flag, "dots") == 1
        assert "the model 'dots' does not colour" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="does not colour"):
        tinct.colorize(made / "old" / "old.png", model="dots")


def test_from_python(made):
    one, two = tinct.generate(2, model="dots", label=1, guidance=2.0, steps=2)
    assert (one.mode, one.size) == ("RGB", (16, 16))
    (again,) = tinct.generate(1, model="dots", label=1, guidance=2.0, steps=2)
    assert np.abs(np.asarray(one).astype(int) - np.asarray(again)).max() <= 1
    assert one.tobytes() != two.tobytes()
    with pytest.raises(ConfigError, match="class = 9"):
        tinct.generate(1, model="dots", label=9)


def test_a_broken_model_is_named(made, capsys):
    path = made / "models" / "dots" / "best_model.pth"
    content = torch.load(path, weights_only=True)
    for name in ("ema_state_dict", "model_state_dict"):
        content[name]["network.out.bias"].fill_(float("nan"))
    torch.save(content, path)
    assert generate("--num", 1) == 1
    assert "model 'dots' makes no valid pictures" in capsys.readouterr().err


def test_batches_at_once_are_the_same_pictures_in_the_same_order(made):
    model, threads = zoo.generator(zoo.load("dots")), torch.get_num_threads()
    alone, beside = (list(generation.generate(model, range(1, 8), OPTIONS, 2, at_once)) for at_once in (1, 3))
    assert [one.number for one in beside] == [*range(1, 8)]
    for one, other in zip(alone, beside, strict=True):
        assert np.abs(one.picture.astype(int) - other.picture).max() <= 1
    assert torch.get_num_threads() == threads


def test_who_takes_no_more_ends_the_batches_at_once(made):
    model, threads = zoo.generator(zoo.load("dots")), torch.get_num_threads()
    pictures = generation.generate(model, range(1, 100), OPTIONS, 2, 3)
    next(pictures)
    pictures.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]
    assert torch.get_num_threads() == threads
