"""`tinct train` without arguments: every question, every way out of a name that is taken, every bad answer."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import make_prepared
from pseudo_terminal import talk, typed
from tinct.cli.main import main
from tinct.cli.train_dialogue import summary, wizard
from tinct.cli.train_plan import Plan
from tinct.errors import ConfigError
from tinct.files import read_json
from tinct.training.run import Run
from tinct.weights import load_checkpoint

KEEP = "Keep these?"


def answered(*answers: str) -> tuple[Plan, Run, str]:
    """The plan and the run that these answers lead to, and the screen."""
    runner = CliRunner()
    with runner.isolation(input="\n".join(answers) + "\n") as (_, _, screen):
        plan, run = wizard()
        summary(plan, run)
        shown = screen.getvalue().decode()
    return plan, run, shown


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_classic_dialogue(toy):
    """Set 1, an own name, 500 steps, cosine, 2 epochs; and each bad answer asks again."""
    make_prepared(toy / "npzData" / "other", {"train": 80, "val": 16, "test": 16}, side=32)
    code, screen = talk(
        ["train"],
        [
            ("2) toy: 40 train, 8 test, 0 val; 16x16 px, 4 categories", "3"),
            ("unknown prepared set '3'", "tou"),
            ("Did you mean 'toy'?", "2"),
            ("Run name [toy]", "a/b"),
            ("Try 'a_b'", "mine"),
            ("Recipe or family, by number or name [unetddpm]", "unetdpm"),
            ("Did you mean 'unetddpm'?", "unetddpm"),
            (KEEP, "features=8,x"),
            ("expected a whole number", "features=8,16"),
            (KEEP, "time_embedding=16"),
            (KEEP, "perhaps"),
            ("'perhaps': answer y, n, or NAME=VALUE", "y"),
            ("Diffusion:", "n"),
            ("timesteps: ", "0"),
            ("must be at least 1", "500"),
            ("schedule: ", "cosin"),
            ("Did you mean 'cosine'?", "cosine"),
            *((f"{name}: ", "") for name in ("target", "levels_per_picture", "sampler", "spacing")),
            ("steps: ", "2"),
            ("draws: ", ""),
            ("Training:", "epoch=2"),
            ("Did you mean 'epochs'?", "epochs=2"),
            (KEEP, "batch_size=8"),
            (KEEP, "y"),
            ("Losses:", "y"),
            ("Early stopping", ""),
            ("Machine and cost:", "device=cpu"),
            (KEEP, "y"),
            ("Start training? (y/n)", "y"),
        ],
        toy,
    )
    assert code == 0, screen
    assert re.search(r"model\.timesteps +500\n", screen)
    assert re.search(r"Time: about [\d.]+ s: 2 epochs of [\d.]+ s", screen)
    assert "epoch 2/2 batch" in screen
    assert "Generating samples…" in screen
    assert "Done. Best validation loss" in screen
    config = read_json(toy / "models" / "mine" / "config.json")
    assert (config["data"], config["family"], config["training"]["epochs"]) == ("toy", "unetddpm", 2)
    assert (config["model"]["timesteps"], config["model"]["schedule"], config["model"]["size"]) == (500, "cosine", 16)
    assert config["model"]["network"]["features"] == [8, 16]


def test_a_name_that_is_taken_can_be_cancelled_left_and_gone_back_to_an_epoch(trained, capsys):
    folder = trained / "models" / "tiny"
    cancel, override, wrong_name, any_checkpoint = "4", "3", "tony", "2"
    menu = ["5", cancel, "tiny", override, wrong_name, any_checkpoint]
    with typed("", "tiny", *menu, "7", "1", "many", "3", "", "y"):
        assert run("train") == 0
    captured = capsys.readouterr()
    screen = captured.out
    for text in (
        f"{folder} exists: 2 epochs done, on toy.",
        "'5': answer 1, 2, 3, 4",
        "Run name [tiny-2]",
        "Left as it is.",
        "  2) epoch 2: train",
        "'7': answer 1, 2, best, last",
        "training.epochs = 'many': expected a whole number",
        "Go on from checkpoint_epoch_1.pth and drop what came after it? (y/n)",
    ):
        assert text in screen + captured.err
    assert "goes on in epoch 2, step 0" in screen
    assert [row["epoch"] for row in read_json(folder / "training_history.json")] == [1, 2, 3]
    assert load_checkpoint(folder / "last.pth")["epoch"] == 3


def test_resume_from_the_latest_checkpoint_with_other_settings(trained):
    before = names(trained / "models" / "tiny")
    plan, run, screen = answered("1", "tiny", "1", "4", "y", "n", *[""] * 4, "1e-4", *[""] * 11, "", "", "")
    assert (plan.goes_on, plan.checkpoint, plan.data) == (True, None, "toy")
    assert plan.changes == ("training.epochs=4", "training.learning_rate=1e-4")
    assert (run.trainer.progress.epoch, run.config.training.epochs, run.rewound) == (3, (4,), False)
    assert run.config.training.learning_rate == 1e-4
    assert re.search(r"run +tiny, goes on in epoch 3, step 0", screen)
    assert re.search(r"training\.learning_rate +0\.0001\n", screen)
    assert names(trained / "models" / "tiny") == before


def test_override_takes_the_typed_name_and_deletes_nothing_yet(trained):
    before = names(trained / "models" / "tiny")
    plan, run, _ = answered("toy", "tiny", "3", "tiny", "small", "features=8,8", "bottleneck=8", *["y"] * 7)
    assert (plan.name, plan.goes_on, plan.data) == ("tiny", False, "toy")
    assert run.config.model.network.features == (8, 8)
    assert run.config.model.timesteps == 300
    assert names(trained / "models" / "tiny") == before


def test_the_name_after_a_cancel_is_one_that_is_free(trained):
    shutil.copytree(trained / "models" / "tiny", trained / "models" / "tiny-2")
    plan, _, _ = answered("toy", "tiny", "4", "", "", "features=8,8", *["y"] * 6)
    assert plan.name == "tiny-3"


def test_a_folder_that_is_no_run_and_a_run_without_a_checkpoint(toy):
    for name, file in (("letters", "dear.txt"), ("new", "config.json")):
        (toy / "models" / name).mkdir(parents=True)
        (toy / "models" / name / file).write_text('{"data": "toy"}')
    plan, _, screen = answered("1", "letters", "3", "4", "new", "1", "4", "", "", "features=8,8", *["y"] * 6)
    assert "letters exists, and holds no training run." in screen
    assert "Error: '3': answer 4" in screen
    assert "Error: '1': answer 3, 4" in screen
    assert plan.name == "new-2"


def test_losses_are_asked_by_yes_and_no(toy):
    """Perceptual stays off as it is by default; the discriminator is wanted, with a weight of its own."""
    losses = ["n", *[""] * 5, "", "yes", "0.02"]
    _, run, screen = answered("", "", "", "features=8,8", "y", "y", "y", *losses, *[""] * 20)
    assert "Perceptual loss?" in screen
    assert run.config.loss.perceptual.weight == 0.0
    assert run.config.loss.adversarial.weight == 0.02
    assert len(run.trainer.players) == 2


def test_another_backbone_brings_its_own_questions(toy):
    one_by_one = ["n", "", "split"]
    recipe = ["small", *one_by_one, *[""] * 30]
    _, run, screen = answered("", "", *recipe)
    assert run.config.model.backbone == "split"
    assert "encoder: " in screen
    assert "stem: " not in screen.partition("backbone: ")[2]


def test_a_family_of_one_pass_is_asked_nothing_of_diffusion(toy):
    _, run, screen = answered("", "", "unetvae", "features=8,8", "latent=8", *[""] * 10)
    assert "Diffusion:" not in screen
    assert "timesteps" not in screen
    assert (run.config.family, run.config.model.latent) == ("unetvae", 8)


def test_what_only_shows_when_the_run_is_made_asks_again(toy):
    """Steps beyond the levels of noise: the settings stand as they were given, and one of them is mended."""
    wrong = ["features=8,8", "y", "timesteps=20", "y", "y", "y", "y", "y"]
    _, run, screen = answered("", "", "", *wrong, "y", "steps=5", *[""] * 5)
    assert "That can't be trained: steps = 50: must be from 1 to the model's 20 levels" in screen
    assert (run.config.model.timesteps, run.config.model.steps) == (20, 5)
    assert run.config.model.network.features == (8, 8)


def test_a_damaged_checkpoint_leads_back_to_the_menu(trained):
    folder = trained / "models" / "tiny"
    (folder / "last.pth").write_bytes(b"no checkpoint")
    plan, run, screen = answered("", "tiny", "1", "3", "", "tiny", "2", "2", "3", "")
    assert "That can't be trained:" in screen
    assert "last.pth: damaged or not a checkpoint" in screen
    assert plan.checkpoint == folder / "checkpoint_epoch_2.pth"
    assert run.trainer.progress.epoch == 3


def test_without_any_set_it_says_how_to_make_one(workspace):
    with pytest.raises(ConfigError, match=r"no prepared set in .*tinct train --images FOLDER"):
        answered("1")
