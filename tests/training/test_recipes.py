"""Every recipe that ships trains, with its networks shrunk; and a recipe that is none is refused."""

import pytest

from tinct import recipes, zoo
from tinct.config import from_dict, override
from tinct.errors import ConfigError, UnknownName
from tinct.training.loop import StepDone
from tinct.training.options import TrainConfig
from tinct.training.run import Run

SHRUNK = [
    "size=16",
    "model.steps=2",
    "epochs=1",
    "batch_size=8",
    "warmup_steps=1",
    "compile=false",
    "precision=float32",
]
NETWORKS = {"unet": ["features=8,8,8", "bottleneck=8"], "split": ["encoder=8,8,16", "denoiser=8,16"]}


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_trains(name, toy):
    values = override(TrainConfig, recipes.load(name), SHRUNK)
    backbone = from_dict(TrainConfig, values).model.backbone
    config = from_dict(TrainConfig, override(TrainConfig, values, [*NETWORKS[backbone], "validation_fraction=0.5"]))
    run = Run.new(toy / "models" / name, toy / "npzData" / "toy", config)
    steps = [record for record in run.train() if isinstance(record, StepDone)]
    assert len(steps) == 2
    assert all(0.2 < step.loss < 3 for step in steps)
    assert zoo.load(name).options == config.model


def test_the_recipes_that_are_documented_ship():
    assert {"classic", "small", "attention", "photo"} <= set(recipes.names())


def test_a_recipe_of_ones_own_is_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("family = 'unetddim'\n[training]\nepochs = 3\n")
    assert from_dict(TrainConfig, recipes.load(str(path))).training.epochs == (3,)
    path.write_text("family = \n")
    with pytest.raises(ConfigError, match=r"mine\.toml: not a readable TOML file: .*line 1"):
        recipes.load(str(path))
    with pytest.raises(ConfigError, match=r"other\.toml: no such recipe file"):
        recipes.load(str(tmp_path / "other.toml"))
    with pytest.raises(UnknownName, match=r"unknown recipe 'foto'\. Did you mean 'photo'"):
        recipes.load("foto")
