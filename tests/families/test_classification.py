"""The classifier: what it minimizes, what it sees, and that a picture's features are its own."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from conftest import make_pictures
from tinct import recipes, weights, zoo
from tinct.config import from_dict, to_dict
from tinct.errors import ConfigError
from tinct.families import FAMILIES, Batch, Classifier, generators_for

FAMILY = FAMILIES["classifier"]


def built(**changes) -> Classifier:
    torch.manual_seed(0)
    values = {"size": 16, "classes": 4, "network": {"features": [8, 16], "width": 16}}
    return FAMILY.build(from_dict(FAMILY.Options, values | changes)).eval()


def pictures(count: int = 8, side: int = 16) -> Tensor:
    return torch.tensor(make_pictures(count, side)[0]).permute(0, 3, 1, 2)


def loss_of(model: Classifier, rgb: Tensor, labels: Tensor) -> float:
    (player,) = FAMILY.objectives(model, FAMILY.Losses(), 4)
    with torch.no_grad():
        (loss,) = player(Batch(rgb, labels, generators_for(range(len(rgb))))).values()
    return loss.item()


def test_the_loss_is_the_mean_of_minus_log_of_the_probability_of_the_truth():
    model, rgb, labels = built(), pictures(), torch.arange(8) % 4
    probabilities = model.scores(rgb).detach().double().softmax(dim=1)
    expected = -sum(math.log(probabilities[place, label]) for place, label in enumerate(labels)) / 8
    assert loss_of(model, rgb, labels) == pytest.approx(expected, rel=1e-5)


def test_a_model_that_knows_nothing_has_a_loss_of_ln_of_its_classes():
    model = built()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    assert loss_of(model, pictures(), torch.arange(8) % 4) == pytest.approx(math.log(4), rel=1e-6)


def test_scores_are_linear_in_the_features():
    model, rgb = built(), pictures()
    features = model.features(rgb)
    assert features.shape == (8, model.width) == (8, 16)
    assert_close(model.scores(rgb), features @ model.head.weight.T + model.head.bias)


def test_a_pictures_features_do_not_depend_on_its_batch():
    model, rgb = built(), pictures()
    alone = torch.cat([model.features(rgb[place : place + 1]) for place in range(8)])
    assert_close(model.features(rgb), alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("space", ["gray", "rgb"])
def test_colour_counts_where_it_is_seen(space):
    model, rgb = built(space=space), pictures(2)
    gray = torch.tensor([[[0.299]], [[0.587]], [[0.114]]])
    as_gray = (rgb.float() * gray).sum(dim=1, keepdim=True).round().to(torch.uint8).expand(-1, 3, -1, -1)
    distance = (model.features(rgb) - model.features(as_gray)).abs().max()
    assert (distance < 0.02) == (space == "gray")  # rounding may differ by one level


def test_pictures_of_other_sizes_have_features_too():
    model = built()
    assert model.features(pictures(2, 9)).shape == model.features(pictures(2, 40)).shape == (2, 16)


def test_dropout_is_of_training_alone():
    model, rgb = built(network={"features": [8, 16], "width": 16, "dropout": 0.5}), pictures()
    assert torch.equal(model.features(rgb), model.features(rgb))
    assert (model.train().features(rgb) == 0).float().mean() > 0.3


def test_it_shows_its_pictures_by_the_class_they_are_taken_for():
    model, rgb = built(), pictures()
    shown = model.examples(rgb)
    taken = model.scores(rgb).argmax(dim=1)
    assert shown.keys() == {str(label) for label in taken.tolist()}
    for label, some in shown.items():
        assert torch.equal(some, rgb[taken == int(label)])


def test_it_survives_its_file_and_is_known_by_it(tmp_path):
    model, rgb = built(), pictures()
    header = {"family": "classifier", "model": to_dict(model.options), "name": "judge"}
    weights.save(tmp_path / "judge.safetensors", model.state_dict(), header)
    loaded = zoo.classifier(zoo.load(str(tmp_path / "judge.safetensors")))
    assert loaded.options == model.options
    model.load_state_dict({key: value.half().float() for key, value in model.state_dict().items()})
    model.to(memory_format=torch.channels_last)  # as a model is loaded: sums are rounded otherwise
    assert torch.equal(loaded.scores(rgb), model.scores(rgb))
    for wanted, message in ((zoo.colorizer, "the model 'judge' does not colour"), (zoo.generator, "makes no pictures")):
        with pytest.raises(ConfigError, match=message):
            wanted(loaded)


def test_what_is_no_classifier_is_refused(untrained):
    with pytest.raises(ConfigError, match="the model 'tiny' tells no pictures apart"):
        zoo.classifier(zoo.load(untrained))


def test_shapes_that_make_no_sense_are_refused():
    with pytest.raises(ConfigError, match="classes = 3: the set has 4 categories"):
        FAMILY.objectives(built(classes=3), FAMILY.Losses(), 4)
    with pytest.raises(ConfigError, match="features: at least one width"):
        built(network={"features": []})


def test_the_shipped_recipe_is_small_and_mirrors_nothing():
    recipe = recipes.load("digit-classifier")
    model = FAMILY.build(from_dict(FAMILY.Options, recipe["model"]))
    assert 2 * sum(value.numel() for value in model.state_dict().values()) < 350_000  # bytes in half precision
    assert recipe["training"]["augment"] == "shift"
