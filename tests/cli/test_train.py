"""`tinct train`: from the command line to the weights, broken off, resumed, and refused."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from conftest import make_prepared
from pseudo_terminal import typed
from tinct.cli.main import main
from tinct.files import read_json
from tinct.weights import load_checkpoint

SMALL = [
    "--features", "8,16", "--time-embedding", "16", "--timesteps", "40", "--steps", "2", "--batch-size", "8",
    "--precision", "float32", "--device", "cpu",
]  # fmt: skip
FIRST = ["train", "--data", "toy", "--name", "first", "--family", "unetddpm", "--epochs", "2", *SMALL]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder / "last.pth")["model_state_dict"])


@pytest.fixture(scope="module")
def whole(trained_once, tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights of the run FIRST that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copytree(trained_once / "npzData", folder / "npzData")
    assert run("--workspace", str(folder), *FIRST, "--yes") == 0
    return weights_of(folder / "models" / "first")


def test_a_training_from_beginning_to_end(toy, capsys):
    assert run(*FIRST, "--yes") == 0
    folder, out = toy / "models" / "first", capsys.readouterr().out
    assert "unetddpm of 0.0M parameters, rgb, into" in out
    assert "36 training pictures, 4 for validation (held out of train with seed 42); 2 epochs of 4 steps of 8" in out
    assert re.search(r"epoch 1: train \d\.\d{4}  val \d\.\d{4}  \d+ s, [\d.]+ pictures/s", out)
    assert re.search(r"Done\. Best validation loss \d\.\d{4}\. The model is first:", out)
    assert len(read_json(folder / "training_history.json")) == 2
    config = read_json(folder / "config.json")
    assert (config["model"]["size"], config["model"]["timesteps"], config["training"]["batch_size"]) == (16, 40, 8)
    assert (folder / "samples_epoch_2.png").is_file()
    assert not (folder / "samples_epoch_1.png").exists()


def test_defaults_are_the_only_set_and_its_name(toy, capsys):
    assert run("train", *SMALL, "--epochs", "1", "--yes") == 0
    assert read_json(toy / "models" / "toy" / "config.json")["data"] == "toy"


def test_flags_sets_and_recipes_lie_over_each_other(toy, capsys):
    recipe = toy / "mine.toml"
    recipe.write_text("family = 'unetddim'\n[model]\ntarget = 'v'\n[training]\nepochs = 9\nlearning_rate = 1e-3\n")
    arguments = ["--recipe", str(recipe), "--epochs", "1", "--set", "learning_rate=3e-3", "--set", "dropout=0.3"]
    assert run("train", *SMALL, *arguments, "--name", "laid", "--yes") == 0
    config = read_json(toy / "models" / "laid" / "config.json")
    assert (config["family"], config["model"]["target"], config["model"]["sampler"]) == ("unetddim", "v", "ddim")
    assert (config["training"]["epochs"], config["training"]["learning_rate"]) == (1, 3e-3)
    assert config["model"]["network"]["dropout"] == 0.3


def test_a_name_with_brackets_is_shown_as_it_is(toy, capsys):
    assert run("train", *SMALL, "--epochs", "1", "--name", "a[b]c", "--yes") == 0
    assert "The model is a[b]c:" in capsys.readouterr().out


def test_resume_says_what_it_does(toy, capsys):
    folder = toy / "models" / "first"
    assert run(*FIRST, "--resume", "--yes") == 0
    out = capsys.readouterr().out
    assert "first: no checkpoint yet, starting anew." in out
    written = (folder / "last.pth").stat().st_mtime_ns
    assert run(*FIRST, "--resume", "--yes") == 0
    assert "first: finished already, 2 epochs done. --epochs N adds more." in capsys.readouterr().out
    assert (folder / "last.pth").stat().st_mtime_ns == written
    assert run("train", "--name", "first", "--resume", "--epochs", "3", "--yes") == 0
    assert "Resuming first in epoch 3, step 0." in capsys.readouterr().out
    assert len(read_json(folder / "training_history.json")) == 3
    assert run("train", "--name", "first", "--resume", "--patience", "1", "--set", "ema_decay=0", "--epochs", "4") == 0


def test_resume_before_the_first_checkpoint_takes_the_settings_of_the_run(toy, capsys):
    assert run(*FIRST, "--learning-rate", "1e-3", "--epochs", "1", "--yes") == 0
    folder = toy / "models" / "first"
    for path in folder.glob("*.pth"):
        path.unlink()
    assert run("train", "--name", "first", "--resume", "--yes") == 0
    assert "no checkpoint yet" in capsys.readouterr().out
    training = read_json(folder / "config.json")["training"]
    assert (training["learning_rate"], training["epochs"], training["batch_size"]) == (1e-3, 1, 8)


def test_a_run_that_is_there_is_neither_mixed_with_nor_lost(trained, capsys):
    folder = trained / "models" / "tiny"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    same = ["train", "--data", "toy", "--name", "tiny", *SMALL, "--epochs", "1"]

    def unchanged() -> bool:
        return {path.name: path.read_bytes() for path in folder.iterdir()} == before

    assert run(*same, "--yes") == 1
    assert (
        "exists: --resume goes on with it, --overwrite starts anew, --name chooses another" in capsys.readouterr().err
    )
    assert run(*same, "--overwrite") == 1
    assert "add --yes to go on without questions" in capsys.readouterr().err
    assert unchanged()
    for wrong in (["--data", "no"], ["--size", "32"], ["--features", "x"], ["--from", "nobody"], ["--steps", "50"]):
        assert run(*same, *wrong, "--overwrite", "--yes") == 1
        assert unchanged()
    assert run(*same, "--overwrite", "--yes") == 0
    assert not (folder / "checkpoint_epoch_2.pth").exists()


def test_a_folder_that_is_no_run_is_never_deleted(toy, capsys):
    folder = toy / "models" / "first"
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_text("dear")
    assert run(*FIRST, "--yes") == 1
    assert run(*FIRST, "--overwrite", "--yes") == 1
    assert "holds no training run, so it is not deleted" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_from_takes_the_shape_and_the_weights(trained, capsys):
    assert run("train", "--from", "tiny", "--name", "next", "--epochs", "1", "--batch-size", "8", "--yes") == 0
    config = read_json(trained / "models" / "next" / "config.json")
    assert config["base"] == "tiny"
    assert config["model"]["network"]["features"] == [8, 16]
    assert run("train", "--from", "tiny", "--name", "more", "--features", "8,24", "--yes") == 1
    assert "its weights are of another architecture" in capsys.readouterr().err
    assert not (trained / "models" / "more").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "tooy"], r"tooy: no such prepared set\. There are: toy\."),
        (["--family", "unetdpm"], r"unknown family 'unetdpm'\. Did you mean 'unetddpm'\?"),
        (["--schedule", "cosin"], r"unknown model\.schedule 'cosin'\. Did you mean 'cosine'\?"),
        (["--epochs", "0"], r"training\.epochs = 0: must be at least 1"),
        (["--epochs", "ten"], r"training\.epochs = 'ten': expected a whole number"),
        (["--learning-rate", "nan"], r"training\.learning_rate = 'nan': expected a number"),
        (["--features", "8,x"], r"model\.network\.features = 'x': expected a whole number"),
        (["--set", "epoch=3"], r"unknown option 'epoch'\. Did you mean 'epochs'\?"),
        (["--set", "epochs"], r"--set epochs: expected NAME=VALUE"),
        (["--set", "encoder=8,8,8"], r"unknown option 'encoder'"),
        (["--family", "splitdpm", "--features", "8"], r"unknown option 'model\.network\.features'"),
        (["--size", "64"], r"16x16 px, the model is for 64 px: add --set size=16, or prepare the set with --size 64"),
        (["--features", "8,8,8,8,8"], r"the network needs sides that divide by 32"),
        (["--timesteps", "20", "--steps", "30"], r"steps = 30: must be from 1 to the model's 20 levels"),
        (["--classes", "2"], r"classes = 2: the set has 4 categories"),
        (["--validation-fraction", "0"], r"patience: there are no validation pictures"),
        (["--recipe", "foto"], r"unknown recipe 'foto'\. Did you mean 'photo'\?"),
        (["--recipe", "no.toml"], r"no\.toml: no such recipe file"),
        (["--from", "fotto"], r"unknown model 'fotto'"),
        (["--name", "a/b"], r"run name 'a/b' can't be a folder name\. Try 'a_b'"),
        (["--resume", "--overwrite"], r"--resume and --overwrite can't go together"),
        (["--resume", "--recipe", "photo"], r"--resume takes its settings from the run"),
        (["--checkpoint", "3"], r"--checkpoint says where to go on: add --resume"),
        (
            ["--resume", "--checkpoint", "3"],
            r"checkpoint_epoch_3\.pth: no such checkpoint\. Epochs of toy .* kept: none",
        ),
        (["--resume", "--checkpoint", "x.pth"], r"x\.pth: no such checkpoint\. Say the number of an epoch, or a file"),
        (["--feature-weights", "nowhere"], r"--feature-weights nowhere: not found"),
        (["--feature-weights", "."], r"no loss of this training looks through a feature network"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(toy, capsys, arguments, message):
    assert run("train", "--data", "toy", *SMALL, *arguments, "--yes") == 1
    err = capsys.readouterr().err
    assert err.startswith("tinct: error: ")
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert not (toy / "models").exists()


def test_more_bad_input(trained, capsys):
    assert run("train", "--resume", "--yes") == 1
    assert "--resume needs to know which run: add --name" in capsys.readouterr().err
    other = make_prepared(trained / "npzData" / "other")
    assert run("train", "--yes") == 1
    assert "--data is missing. Prepared sets: other, toy" in capsys.readouterr().err
    for path in other.glob("*.npy"):
        path.unlink()
    assert run("train", "--data", "other", "--yes") == 1
    assert "other: no prepared set" in capsys.readouterr().err


def test_a_damaged_checkpoint_or_changed_pictures_stop_a_resume(trained, capsys):
    folder, rgb = trained / "models" / "tiny", trained / "npzData" / "toy" / "train.rgb.npy"
    resume = ["train", "--name", "tiny", "--resume", "--epochs", "3", "--yes"]
    values = np.load(rgb)
    np.save(rgb, 255 - values)
    assert run(*resume) == 1
    assert "not the pictures that 'tiny' was trained on so far" in capsys.readouterr().err
    np.save(rgb, values)
    content = (folder / "last.pth").read_bytes()
    (folder / "last.pth").write_bytes(content[:-1000])
    assert run(*resume) == 1
    assert "last.pth: damaged or not a checkpoint" in capsys.readouterr().err
    (folder / "last.pth").unlink()
    assert run(*resume) == 0  # from the last epoch's own checkpoint


def test_somebody_who_says_no_loses_nothing(trained, capsys):
    folder = trained / "models" / "tiny"
    before = sorted(path.name for path in folder.iterdir())
    again = ["train", "--data", "toy", "--name", "tiny", "--overwrite", *SMALL, "--epochs", "1"]
    with typed("y", "n"):
        assert run(*again) == 130
    out = capsys.readouterr()
    assert "and its checkpoints? (y/n)" in out.out
    assert "Time: about" in out.out
    assert "interrupted" in out.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_go_on_from_any_checkpoint(trained, capsys):
    """By its epoch or its file; what came after it is dropped, and only after a yes."""
    folder = trained / "models" / "tiny"
    resume = ["train", "--name", "tiny", "--resume", "--epochs", "3", "--checkpoint"]
    assert run(*resume, "1") == 1
    assert "Go on from checkpoint_epoch_1.pth and drop what came after it? Nobody is there" in capsys.readouterr().err
    assert len(read_json(folder / "training_history.json")) == 2
    assert run(*resume, "2", "--yes") == 0
    assert "Resuming tiny in epoch 3, step 0." in capsys.readouterr().out
    assert run(*resume, "checkpoint_epoch_1.pth", "--yes") == 0
    assert "Resuming tiny in epoch 2, step 0." in capsys.readouterr().out
    shutil.copy(folder / "checkpoint_epoch_2.pth", trained / "kept.pth")
    assert run(*resume, str(trained / "kept.pth"), "--yes") == 0
    assert "Resuming tiny in epoch 3, step 0." in capsys.readouterr().out
    assert [row["epoch"] for row in read_json(folder / "training_history.json")] == [1, 2, 3]


def test_stages_are_told(toy, capsys):
    losses = ["--adversarial-weight", "0.01", "--adversarial-from-stage", "2"]
    assert run(*FIRST, "--epochs", "1+1", *losses, "--yes") == 0
    out = capsys.readouterr().out
    assert "2 epochs in stages of 1+1 of 4 steps of 8" in out
    assert re.search(r"epoch 1: .* best, [\d.]+ s left", out)
    assert [row["stage"] for row in read_json(toy / "models" / "first" / "training_history.json")] == [1, 2]


def test_the_counter_of_early_stopping_is_shown(toy, capsys):
    wild = ["--learning-rate", "0.3", "--set", "ema_decay=0", "--sample-every", "99"]
    assert run(*FIRST, "--epochs", "40", "--patience", "2", *wild, "--yes") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch ")]
    assert len(lines) < 40
    assert "early stop 1/2" in lines[-2]
    assert "early stop 2/2  stopped: no better for so long" in lines[-1]
    assert all(re.search(r", [\d.]+ (s|min).* left$", line) for line in lines[:-1])


def test_one_of_several_processes_speaks_and_none_asks(toy, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with typed("y"):
        assert run(*FIRST) == 1
    assert "several processes can't ask questions: add --yes" in capsys.readouterr().err
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setenv("RANK", "1")
    assert run(*FIRST, "--epochs", "1", "--yes") == 0
    assert "".join(capsys.readouterr()).strip() == ""
    monkeypatch.delenv("RANK")
    assert run(*FIRST, "--resume", "--yes") == 0
    assert "Resuming first in epoch 2" in capsys.readouterr().out


def started(workspace: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "tinct", "--workspace", str(workspace), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_killed_in_its_second_epoch_and_resumed(toy, whole, capsys):
    """By the same command with --resume: the weights are those of a run that nothing interrupted."""
    with started(toy, *FIRST, "--yes") as process:
        wait_for(toy / "models" / "first" / "checkpoint_epoch_1.pth", process)
        process.kill()
    assert process.returncode in (-signal.SIGKILL, 0)
    assert run(*FIRST, "--yes", "--resume") == 0
    assert_close(weights_of(toy / "models" / "first"), whole, rtol=0, atol=0)
    assert [row["epoch"] for row in read_json(toy / "models" / "first" / "training_history.json")] == [1, 2]


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(toy, whole, capsys, asked):
    folder = toy / "models" / "first"
    with started(toy, *FIRST, "--epochs", "400", "--sample-every", "400", "--yes") as process:
        wait_for(folder / "checkpoint_epoch_1.pth", process)
        process.send_signal(asked)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"Saved in {folder}. Go on with: tinct train --data toy --name first --resume" in out
    assert err.rstrip().endswith("tinct: error: interrupted")
    assert "Traceback" not in err
    stopped = load_checkpoint(folder / "last.pth")["progress"]
    assert stopped["epoch"] >= 2
    assert run("train", "--name", "first", "--resume", "--epochs", str(stopped["epoch"])) == 0
    assert f"Resuming first in epoch {stopped['epoch']}, step {stopped['step']}." in capsys.readouterr().out
