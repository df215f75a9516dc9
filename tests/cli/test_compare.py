"""`tinct compare`: every family trained and compared in one command, killed and gone on with; and its answer to what is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tinct import weights, zoo
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.families import FAMILIES, comparing
from tinct.files import read_json

EIGHT = ["resnet", "unet", "gan", "unetgan", "basicvae", "unetvae", "unetddpm", "unetddim"]
SMALL = [
    "--set", "features=8,16", "--set", "batch_size=8", "--set", "precision=float32", "--set", "gan.discriminator_width=8",
    "--set", "unetgan.discriminator_width=8", "--set", "basicvae.latent=8", "--set", "unetvae.latent=8",
    "--set", "unetddpm.timesteps=60",
]  # fmt: skip
TWO = ["--families", "resnet,unet", "--set", "features=8,16", "--set", "batch_size=8"]
MEASURED = ["--metrics", "psnr,de2000,colourfulness", "--min-spread", "-1"]
FILES = ["comparison.csv", "comparison.html", "comparison.json", "comparison.md", "pictures.csv", "sheet.png"]


def compare(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments)])
    return int(ended.value.code or 0)


def train(*arguments: object) -> int:
    return compare("--train", "--data", "toy", *MEASURED, "--yes", *arguments)


def result(workspace: Path, name: str = "compare-toy") -> dict:
    return read_json(workspace / "Results" / name / "comparison.json")


def stamps(workspace: Path) -> dict[str, int]:
    """When each file of the runs was written."""
    return {str(path): path.stat().st_mtime_ns for path in workspace.glob("models/*/*") if path.is_file()}


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory) -> Path:
    """A workspace in which all eight were trained and compared, from nothing but a prepared set."""
    from conftest import make_prepared

    folder = tmp_path_factory.mktemp("compared")
    make_prepared(folder / "npzData" / "toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINCT_WORKSPACE", str(folder))
        assert train("--all-families", "--budget-images", 40, *SMALL) == 0
    return folder


@pytest.fixture
def compared(compared_once, workspace) -> Path:
    shutil.copytree(compared_once, workspace, dirs_exist_ok=True)
    return workspace


def saved(folder: Path, name: str, size: int = 16, family: str = "unet", spoil: bool = False, **options) -> str:
    """A small untrained model as a weights file."""
    row = FAMILIES[family]
    made = from_dict(row.Options, {"size": size, "network": {"features": [8, 8]}, **options})
    torch.manual_seed(0)
    state = row.build(made).state_dict()
    if spoil:
        state = {key: torch.full_like(value, torch.nan) for key, value in state.items()}
    path = folder / f"{name}.safetensors"
    weights.save(path, state, {"format": 1, "family": family, "model": to_dict(made), "name": name})
    return str(path)


def test_all_families_are_those_of_the_published_comparison():
    assert sorted(name for name in FAMILIES if comparing(name).usual) == sorted(EIGHT)


def test_every_family_from_nothing_to_the_report(compared_once):
    runs = sorted(path.name for path in (compared_once / "models").iterdir())
    assert runs == sorted(f"toy-{name}" for name in EIGHT if name != "unetddim")
    for run in runs:
        assert read_json(compared_once / "models" / run / "training_history.json")[-1]["val_loss"] is not None
    folder = compared_once / "Results" / "compare-toy"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    found = result(compared_once)
    assert sorted(found["models"]) == sorted(EIGHT)
    names = [row["name"] for row in found["rows"]]
    assert names[:3] == ["truth", "gray", "mean chroma"]
    assert sorted(names[3:]) == sorted(EIGHT)
    for about in found["models"].values():
        assert about["pictures seen"] == 40
        assert about["of a budget of"] == "40 pictures"
        assert about["train_loss"] > 0
        assert about["seconds_per_picture"] > 0
    assert found["files"] == FILES
    assert found["n"] == 8
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 10 * 2 * 16
        assert sheet.height > 8 * 2 * 16


def test_the_two_names_of_diffusion_are_one_training_sampled_in_two_ways(compared_once):
    models = result(compared_once)["models"]
    assert {key: models["unetddpm"]["sampling"][key] for key in ("sampler", "steps")} == {
        "sampler": "ddpm",
        "steps": 50,
    }
    assert {key: models["unetddim"]["sampling"][key] for key in ("sampler", "steps")} == {
        "sampler": "ddim",
        "steps": 20,
    }
    assert models["unetddpm"]["model"] == models["unetddim"]["model"] == "toy-unetddpm"
    rows = {row["name"]: row["cells"] for row in result(compared_once)["rows"]}
    assert rows["unetddpm"] != rows["unetddim"]


def test_what_is_finished_is_not_trained_again(compared, capsys):
    before = stamps(compared)
    assert train("--all-families", "--budget-images", 40, *SMALL) == 0
    assert capsys.readouterr().out.count("finished already, the budget is spent: 40 pictures") == 7
    assert stamps(compared) == before


def test_a_comparison_alone_takes_the_runs_as_they_are(compared, capsys):
    before = stamps(compared)
    assert compare("--data", "toy", "--all-families", "--steps", 3, "--seeds", 2, *MEASURED) == 0
    assert stamps(compared) == before
    models = result(compared)["models"]
    assert {models[name]["sampling"]["steps"] for name in ("unetddpm", "unetddim")} == {3}
    assert "steps" not in models["unet"]["sampling"]
    varies = {"unetddpm", "unetddim", "basicvae", "unetvae"}
    assert {name for name, about in models.items() if about["samples_per_picture"] == 2} == varies
    names = [row["name"] for row in result(compared)["rows"]]
    assert "unetvae, best of 2" in names
    assert "unet, best of 2" not in names
    said = capsys.readouterr().out
    assert "unetddpm: it draws all of RGB; only the chroma is taken from it" in said
    assert "diversity-de2000" in said


def test_weights_of_an_epoch(compared, capsys):
    common = ("--data", "toy", "--families", "unet,resnet", *MEASURED)
    assert compare(*common, "--weights", 1) == 0
    assert {about["epoch"] for about in result(compared)["models"].values()} == {1}
    assert compare(*common, "--weights", 7) == 1
    assert "no such checkpoint. Epochs of toy-unet that are kept: 1" in capsys.readouterr().err


def test_pictures_of_another_place_with_the_families_of_a_set(compared):
    folder = compared / "holiday"
    folder.mkdir()
    for number, rgb in enumerate(np.load(compared / "npzData" / "toy" / "train.rgb.npy")[:5]):
        Image.fromarray(rgb).resize((40, 24)).save(folder / f"{number}.png")
    assert compare("--data", "toy", "--families", "unet", "--images", folder, *MEASURED) == 0
    found = result(compared, "compare-holiday")
    assert (found["n"], found["sizes"]) == (5, {"40 x 24": 5})
    assert "it sees pictures at 16 px (short side), where these are of 24 px" in found["models"]["unet"]["remarks"][0]


def test_unetddim_alone_is_trained_as_unetddpm(toy):
    assert train("--families", "unetddim", "--budget-images", 8, *SMALL[:6], "--set", "unetddpm.timesteps=60") == 0
    assert [path.name for path in (toy / "models").iterdir()] == ["toy-unetddpm"]
    assert list(result(toy)["models"]) == ["unetddim"]


def test_a_larger_budget_goes_on_and_anything_else_is_refused(compared, capsys):
    common = [*TWO, "--set", "precision=float32"]
    assert train(*common, "--budget-images", 48) == 0
    assert zoo.load("toy-unet").header["pictures_seen"] <= 48
    assert len(read_json(compared / "models" / "toy-unet" / "training_history.json")) == 3
    before = stamps(compared)
    capsys.readouterr()
    for more, message in (
        (["--budget-images", 16], "its budget is 48 pictures, not 16 pictures"),
        (["--budget-cpu-minutes", 1], "its budget is 48 pictures, not 1 CPU minutes"),
        (["--budget-images", 48, "--set", "unet.dropout=0.5"], "model.network.dropout is 0.15, not 0.5"),
    ):
        assert train(*common, *more) == 1
        said = capsys.readouterr().err
        assert message in said
        assert "--overwrite trains it anew" in said
    assert stamps(compared) == before
    assert train(*common, "--budget-images", 16, "--overwrite") == 0
    assert zoo.load("toy-unet").header["pictures_seen"] == 16


def test_a_budget_of_cpu_time_and_a_recipe_for_all(toy):
    (toy / "mine.toml").write_text("[model]\nspace = 'lab'\n[training]\nepochs = 3\n")
    assert train(*TWO, "--budget-cpu-minutes", 0.05, "--recipe", toy / "mine.toml") == 0
    assert {about["space"] for about in result(toy)["models"].values()} == {"lab"}
    assert len(read_json(toy / "models" / "toy-unet" / "training_history.json")) > 3
    for about in result(toy)["models"].values():
        assert about["of a budget of"] == "0.05 CPU minutes"


def test_killed_in_the_middle_and_started_again(toy):
    """Killed in its second training: the first is not touched again, the second goes on."""
    command = [sys.executable, "-m", "tinct", "compare", "--train", "--data", "toy", *TWO, *MEASURED, "--yes"]
    command += ["--budget-images", "256", "--set", "sample_every=1000"]  # eight epochs
    process = subprocess.Popen(command, cwd=toy, stdout=subprocess.DEVNULL, env={**os.environ, "TINCT_WORKSPACE": ""})
    second = toy / "models" / "toy-unet"
    until = time.monotonic() + 120
    while not (second / "checkpoint_epoch_2.pth").exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_json(toy / "models" / "toy-resnet" / "training_history.json")) == 8
    before = {path: stamp for path, stamp in stamps(toy).items() if "toy-resnet" in path}
    first_rows = read_json(second / "training_history.json")
    again = subprocess.run(command, cwd=toy, capture_output=True, text=True, check=True)
    assert "toy-resnet\nfinished already" in again.stdout
    assert {path: stamp for path, stamp in stamps(toy).items() if "toy-resnet" in path} == before
    rows = read_json(second / "training_history.json")
    assert len(rows) == 8
    assert rows[:2] == first_rows[:2]
    assert sorted(result(toy)["models"]) == ["resnet", "unet"]


def test_a_family_that_diverges_is_named_and_the_others_are_compared(toy, capsys):
    assert train(*TWO, "--budget-images", 80, "--set", "unet.learning_rate=1e30", "--set", "unet.clip=0") == 1
    said = capsys.readouterr().out
    assert "toy-unet failed: the loss" in said
    found = result(toy)
    assert list(found["models"]) == ["resnet"]
    assert "its training failed" in found["failed"]["unet"]


def test_a_model_that_gives_no_colours_is_named_and_the_others_are_compared(toy, capsys):
    models = ",".join([saved(toy, "good"), saved(toy, "broken", spoil=True), saved(toy, "wide", size=32)])
    assert compare("--models", models, "--data", "toy", *MEASURED) == 1
    found = result(toy)
    assert list(found["models"]) == ["good", "wide"]
    assert "model 'broken' gives no valid colours" in found["failed"]["broken"]
    assert "it sees pictures at 32 px (short side), where these are of 16 px" in found["models"]["wide"]["remarks"][0]
    said = capsys.readouterr().out
    assert "broken is not in the table: 00001: model 'broken' gives no valid colours" in said
    assert "wide: it sees pictures at 32 px" in said


def test_the_baselines_are_there_when_the_first_model_fails(toy):
    models = ",".join([saved(toy, "broken", spoil=True), saved(toy, "good")])
    assert compare("--models", models, "--data", "toy", *MEASURED) == 1
    assert [row["name"] for row in result(toy)["rows"]] == ["truth", "gray", "mean chroma", "good"]


def test_one_picture(toy, capsys):
    models = ",".join([saved(toy, "one"), saved(toy, "two", space="lab")])
    metrics = ["--metrics", "psnr,colourfulness-gap", "--min-spread", -1]
    assert compare("--models", models, "--data", "toy", "--first", 1, *metrics) == 0
    assert "One picture: its intervals are empty, and there is nothing to test." in capsys.readouterr().out
    found = result(toy)
    assert found["p_against_best"] == {}
    assert any("refused for 1 picture" in note for note in found["notes"])


def test_a_picture_that_cannot_be_read_is_said_once(toy, capsys):
    folder = toy / "some"
    folder.mkdir()
    for number, rgb in enumerate(np.load(toy / "npzData" / "toy" / "test.rgb.npy")[:3]):
        Image.fromarray(rgb).save(folder / f"{number}.png")
    (folder / "torn.png").write_text("words")
    models = ",".join([saved(toy, "one"), saved(toy, "two")])
    assert compare("--models", models, "--images", folder, *MEASURED) == 1
    assert capsys.readouterr().err.count("torn.png: not a picture") == 1
    assert result(toy, "compare-some")["n"] == 3


def test_results_are_replaced_as_a_whole_and_other_files_left_alone(toy, capsys):
    one = ("--models", saved(toy, "one"), "--data", "toy", *MEASURED)
    assert compare(*one, "--out", toy / "out") == 0
    (toy / "out" / "left.txt").write_text("of an earlier comparison")
    assert compare(*one, "--out", toy / "out") == 0
    assert sorted(path.name for path in (toy / "out").iterdir()) == FILES
    (toy / "mine").mkdir()
    (toy / "mine" / "notes.txt").write_text("precious")
    assert compare(*one, "--out", toy / "mine") == 1
    assert "holds files that `tinct compare` did not write" in capsys.readouterr().err
    assert [path.name for path in (toy / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nosuch"], "unknown model 'nosuch'"),
        (["--models", "tiny,tiny"], "tiny: named twice"),
        (["--families", "unett"], "unknown family 'unett'. Did you mean 'unet'"),
        (["--all-families"], "not trained yet: toy-"),
        (["--models", "tiny", "--metrics", "sim"], "unknown metric 'sim'"),
        (["--models", "tiny", "--split", "val"], "unknown split of toy 'val'"),
        (["--models", "tiny", "--eta", "x"], "eta = 'x': expected a number"),
        (["--models", "tiny", "--min-spread", "300"], "there is no model to compare; no picture is left"),
        (["--models", "./one.safetensors", "--steps", "4"], "--steps 4: none of one has such an option"),
        (["--models", "tiny", "--out", "one.safetensors"], "is a file, so it can't be the folder"),
        (["--train", "--families", "unet", "--yes"], "--train needs one budget"),
        (["--train", "--families", "unet", "--budget-images", "8"], "add --yes"),
        (
            ["--train", "--families", "unet", "--budget-images", "8", "--budget-cpu-minutes", "1", "--yes"],
            "--train needs one budget",
        ),
        (
            ["--train", "--families", "unet,resnet", "--budget-images", "8", "--set", "stem=4", "--yes"],
            "resnet: unknown option 'stem'",
        ),
        (
            ["--train", "--families", "unet", "--budget-images", "8", "--set", "gan.clip=1", "--yes"],
            "gan is not trained here. Trained are unet",
        ),
        (
            ["--train", "--families", "unet", "--budget-images", "8", "--name", "a/b", "--yes"],
            "run name 'a/b-unet' can't be a folder name",
        ),
    ],
)
def test_bad_input_gets_one_clear_message_and_nothing_is_written(arguments, message, trained, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    saved(trained, "one")
    before = sorted(map(str, trained.rglob("*")))
    assert compare("--data", "toy", *MEASURED, *arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("tinct: error:") == 1
    assert sorted(map(str, trained.rglob("*"))) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "toy"], "say what to compare"),
        (["--models", "tiny"], "say which pictures: --data NAME, or --images"),
        (["--models", "tiny", "--data", "toy", "--images", "."], "say only one of them"),
        (["--all-families", "--families", "unet", "--data", "toy"], "say only one of them"),
        (["--all-families", "--images", "."], "add --data NAME or --name PREFIX"),
        (["--train", "--models", "tiny", "--data", "toy"], "--train needs --data NAME to train on"),
        (["--all-families", "--data", "toy", "--budget-images", "8"], "--budget-images is for --train"),
        (["--all-families", "--data", "toy", "--set", "clip=1"], "--set is for --train"),
        (["--models", "tiny", "--data", "toy", "--name", "x"], "--name is of the families' runs"),
    ],
)
def test_wrong_usage(arguments, message, trained, capsys):
    assert compare(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_report_asks_for_nothing_and_holds_the_sheet(compared_once):
    folder = compared_once / "Results" / "compare-toy"
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 1
    assert "http" not in page.replace("http-equiv", "")
    assert str(compared_once) not in page
    text = (folder / "comparison.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in text for name in EIGHT)
    assert str(compared_once) not in json.dumps(result(compared_once))
