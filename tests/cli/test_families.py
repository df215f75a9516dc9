"""Every family from the command line: trained, gone on with, shown, coloured with, measured; and what it lacks is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import make_pictures
from tinct.cli.main import main
from tinct.config import from_dict
from tinct.families import FAMILIES

NAMES = ("resnet", "unet", "gan", "unetgan", "basicvae", "unetvae")
ONE_COLOURING = ("resnet", "unet", "gan", "unetgan")
SMALL = {"features": "8,8", "blocks": "1", "latent": "8", "discriminator_width": "8", "encoder_width": "8"}


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def small(name: str) -> list[str]:
    """Those of the small settings that a family has."""
    options = from_dict(FAMILIES[name].Options, {})
    losses = FAMILIES[name].Losses()
    parts = (options, options.network, losses, getattr(losses, "adversarial", None))
    there = [key for key in SMALL if any(hasattr(part, key) for part in parts)]
    return [word for key in there for word in ("--set", f"{key}={SMALL[key]}")]


def train(name: str, *more: str) -> int:
    settings = ["--batch-size", "8", "--device", "cpu", "--precision", "float32", *small(name)]
    return run("train", "--data", "toy", "--name", name, "--family", name, *settings, *more, "--yes")


@pytest.fixture(scope="module")
def trained_all(trained_once, tmp_path_factory) -> Path:
    """A workspace with a run of one epoch of each family."""
    folder = tmp_path_factory.mktemp("families")
    shutil.copytree(trained_once / "npzData", folder / "npzData")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINCT_WORKSPACE", str(folder))
        for name in NAMES:
            assert train(name, "--epochs", "1") == 0
    (folder / "pictures").mkdir()
    for number, rgb in enumerate(make_pictures(3, 40)[0]):
        Image.fromarray(rgb).save(folder / "pictures" / f"{number}.png")
    Image.fromarray(make_pictures(1, 40)[0][0]).convert("L").save(folder / "old.png")
    return folder


@pytest.fixture
def ready(trained_all, workspace) -> Path:
    """A copy of it, as the workspace."""
    shutil.copytree(trained_all, workspace, dirs_exist_ok=True)
    return workspace


@pytest.mark.parametrize("name", NAMES)
def test_a_run_has_what_a_run_has_and_goes_on(name, ready):
    folder = ready / "models" / name
    assert {"samples_epoch_1.png", "best_model.pth", "loss_curve.png"} <= {path.name for path in folder.iterdir()}
    assert run("train", "--data", "toy", "--name", name, "--resume", "--epochs", "2", "--yes") == 0
    history = json.loads((folder / "training_history.json").read_text())
    terms = {"gan": {"l1", "adversarial", "discriminator"}, "vae": {"reconstruction", "kl"}}
    wanted = next((terms[kind] for kind in terms if name.endswith(kind)), {"mse"})
    assert [set(row["train_terms"]) for row in history] == [wanted, wanted]


@pytest.mark.parametrize("name", NAMES)
def test_it_colours_and_is_measured(name, ready, capsys):
    assert run("colorize", ready / "old.png", "-o", ready / "new.png", "--model", name, "--device", "cpu") == 0
    with Image.open(ready / "new.png") as new, Image.open(ready / "old.png") as old:
        assert (np.asarray(new.convert("L")) == np.asarray(old)).all()
    out = ("--json", ready / "measured.json", "--metrics", "psnr,de2000", "--device", "cpu")
    assert run("evaluate", "--model", name, "--images", ready / "pictures", *out) == 0
    rows = [row["name"] for row in json.loads((ready / "measured.json").read_text())["rows"]]
    assert name in rows
    assert run("models", "show", name) == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flags", [("--steps", "4"), ("--sampler", "ddim"), ("--spacing", "karras"), ("--eta", "1")])
def test_flags_of_a_walk_are_refused_once_and_nothing_is_written(name, flags, ready, capsys):
    shutil.copytree(ready / "pictures", ready / "album")
    for place in ((ready / "album",), (ready / "old.png",)):
        assert run("colorize", *place, "-o", ready / "out", "--force", "--model", name, "--device", "cpu", *flags) == 1
        error = capsys.readouterr().err
        assert error.count(f"unknown option of model {name} '{flags[0][2:]}'") == 1
        assert not list((ready / "out").glob("*.png"))
    assert run("evaluate", "--model", name, "--images", ready / "pictures", "--device", "cpu", *flags) == 1
    assert f"unknown option of model {name}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ONE_COLOURING)
@pytest.mark.parametrize("flags", [("--seed", "3"), ("--draws", "4"), ("--temperature", "0.5")])
def test_what_asks_for_variety_is_refused_where_there_is_none(name, flags, ready, capsys):
    assert run("colorize", ready / "old.png", "-o", ready / "new.png", "--model", name, "--device", "cpu", *flags) == 1
    assert flags[0][2:] in capsys.readouterr().err
    assert not (ready / "new.png").exists()


@pytest.mark.parametrize("name", ["basicvae", "unetvae"])
def test_seeds_and_temperature_of_a_latent_vector(name, ready):
    def coloured(*flags: str) -> np.ndarray:
        assert (
            run("colorize", ready / "old.png", "-o", ready / "x.png", "--model", name, "--device", "cpu", *flags) == 0
        )
        with Image.open(ready / "x.png") as picture:
            pixels = np.asarray(picture).astype(int)
        (ready / "x.png").unlink()
        return pixels

    assert (coloured() != coloured("--seed", "1")).any()
    assert (coloured("--temperature", "0") == coloured("--temperature", "0", "--seed", "1")).all()
    assert (coloured("--draws", "8") == coloured("--draws", "8")).all()


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("unetvae", ["--timesteps", "10"], "unknown option 'model.timesteps'"),
        ("resnet", ["--set", "latent=8"], "unknown option 'latent'"),
        ("unetvae", ["--set", "latent=0"], "latent = 0: must be at least 1"),
        ("basicvae", ["--set", "kl=-1"], "kl = -1.0: must be at least 0"),
        ("unet", ["--backbone", "split"], "unknown model.backbone 'split'"),
        ("gan", ["--set", "l1=0", "--adversarial-weight", "0"], "nothing is minimized in stage 1"),
        ("gan", ["--set", "features=8,8,8,8,8"], "the network needs sides that divide by 32"),
    ],
)
def test_wrong_settings_are_refused(name, flags, message, toy, capsys):
    assert train(name, *flags) == 1
    assert message in capsys.readouterr().err
    assert not (toy / "models" / name).exists()
