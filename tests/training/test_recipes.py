"""Every recipe that ships trains, with its networks shrunk; and a recipe that is none is refused."""

import pytest

from tinct import recipes, zoo
from tinct.config import from_dict, leaves, override
from tinct.errors import ConfigError, UnknownName
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run

SHRUNK = [
    "size=16",
    "batch_size=8",
    "warmup_steps=1",
    "compile=false",
    "precision=float32",
]
NETWORKS = {
    "unet": ["features=8,8,8", "bottleneck=8"],
    "split": ["encoder=8,8,16", "denoiser=8,16"],
    "convolutional": ["features=8,8"],
}


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_trains(name, toy, feature_weights):
    """An epoch of two steps in each of its stages; the losses that the last one adds are all there."""
    config = from_dict(TrainConfig, recipes.load(name))
    changes = [*NETWORKS[config.model.backbone], "validation_fraction=0.5"]
    changes += ["model.steps=2"] if hasattr(config.model, "steps") else []
    changes.append("epochs=" + "+".join("1" for _ in config.training.epochs))
    config = from_dict(TrainConfig, override(TrainConfig, recipes.load(name), [*SHRUNK, *changes]))
    run = Run.new(toy / "models" / name, toy / "npzData" / "toy", config, feature_weights=feature_weights)
    steps = [record for record in run.train() if isinstance(record, StepDone)]
    assert len(steps) == 2 * len(config.training.epochs)
    assert all(0.2 < step.loss < 6 for step in steps)
    first, last = (run.trainer.progress.history[place]["train_terms"].keys() for place in (0, -1))
    assert ("perceptual" in last) == (name in ("perceptual", "two-stage"))
    assert last - first == ({"perceptual", "adversarial", "discriminator"} if name == "two-stage" else set())
    assert zoo.load(name).options == config.model


def test_the_recipes_that_are_documented_ship():
    documented = {"classic", "small", "attention", "photo", "perceptual", "two-stage", "comparison", "mnist"}
    assert documented | {"digit-classifier", "lean", "tune-few-steps"} == set(recipes.names())


DEFAULTS = {
    "family": "unetddpm",
    "model.network.features": (64, 128, 256, 512),
    "model.network.blocks": 1,
    "model.network.attention": (),
    "model.network.time_embedding": 256,
    "model.network.dropout": 0.15,
    "model.timesteps": 1000,
    "model.schedule": "cosine",
    "model.sampler": "ddpm",
    "model.steps": 50,
    "loss.mse": 1.0,
    "loss.perceptual.weight": 0.0,
    "loss.perceptual.network": "vgg16",
    "loss.adversarial.weight": 0.0,
    "loss.adversarial.criterion": "bce",
    "training.epochs": 50,
    "training.batch_size": 32,
    "training.optimizer": "adamw",
    "training.learning_rate": 2e-4,
    "training.weight_decay": 0.01,
    "training.ema_decay": 0.995,
    "training.augment": "flip",
    "training.sample_every": 10,
    "training.patience": 10,
    "training.keep": 5,
    "training.seed": 42,
}
PUBLISHED = {
    "classic": {},
    "perceptual": {
        "loss.perceptual.weight": 0.1, "training.batch_size": 16, "training.learning_rate": 1e-4,
        "training.optimizer": "adam", "training.weight_decay": 0.0,
    },
    "two-stage": {
        "loss.perceptual.weight": 0.1, "loss.adversarial.weight": 0.01, "training.epochs": "40+20", "training.batch_size": 16,
        "training.learning_rate": 1e-4, "training.optimizer": "adam", "training.weight_decay": 0.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_settings(name):
    found = {leaf.path: leaf.default for leaf in leaves(from_dict(TrainConfig, recipes.load(name)))}
    assert {path: found[path] for path in DEFAULTS} == DEFAULTS | PUBLISHED[name]


def test_the_published_settings_of_eight_families():
    for family in ("resnet", "unet", "gan", "unetgan", "basicvae", "unetvae", "unetddpm", "unetddim"):
        config = from_dict(TrainConfig, {**recipes.load("comparison"), "family": family})
        training = config.training
        assert (training.epochs, training.batch_size, training.learning_rate) == ((100,), 64, 1e-3)
        assert (training.optimizer, training.seed, config.model.space) == ("adam", 8000, "rgb")
        assert getattr(config.model, "steps", 50) == 50
        assert getattr(config.model, "sampler", None) == {"unetddpm": "ddpm", "unetddim": "ddim"}.get(family)
        assert getattr(config.loss, "kl", 0.001) == 0.001
        assert getattr(config.model, "latent", 256) == 256


def test_a_loss_of_a_stage_that_never_comes_is_refused(toy, feature_weights):
    config = from_dict(TrainConfig, override(TrainConfig, recipes.load("two-stage"), [*SHRUNK, "epochs=3"]))
    with pytest.raises(ConfigError, match=r"a loss sets in at stage 2 and the training has 1: .*epochs=20\+20"):
        Run.new(toy / "models" / "x", toy / "npzData" / "toy", config, feature_weights=feature_weights)


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
