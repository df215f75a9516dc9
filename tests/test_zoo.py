"""The zoo: which file a name means, and that what it gives is ready to colour."""

import shutil

import pytest
import torch
from torch.testing import assert_close

import tinct
from tinct import weights, zoo
from tinct.errors import UnknownName, WeightsError
from tinct.families import generators_for


def exported(trained, name: str = "mine"):
    path = trained / f"{name}.safetensors"
    state, header = zoo.load_weights(zoo.find("tiny"))
    weights.save(path, state, {**header, "name": name})
    return path


def test_a_run_is_a_model_by_its_name_folder_or_checkpoint(trained):
    folder = trained / "models" / "tiny"
    models = [zoo.load(name) for name in ("tiny", str(folder), str(folder / "best_model.pth"))]
    for model in models[1:]:
        assert_close(dict(model.state_dict()), dict(models[0].state_dict()), rtol=0, atol=0)
    assert models[0].name == "tiny"
    assert models[0].header["steps"] == 8
    assert models[0].header["data"]["pictures"] == 36


def test_the_averaged_weights_are_preferred(trained):
    checkpoint = weights.load_checkpoint(trained / "models" / "tiny" / "best_model.pth")
    loaded = dict(zoo.load("tiny").state_dict())
    assert_close(loaded, dict(checkpoint["ema_state_dict"]), rtol=0, atol=0)
    assert not torch.equal(loaded["network.out.weight"], checkpoint["model_state_dict"]["network.out.weight"])


def test_a_model_is_ready_to_colour_and_not_to_train(trained):
    model = zoo.load("tiny")
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    *_, last = model.sample(torch.full((1, 1, 16, 16), 128.0), generators=generators_for([0]))
    assert model.cbcr(last.x_0, torch.full((1, 1, 16, 16), 128.0)).shape == (1, 2, 16, 16)


def test_exported_weights_are_the_model_in_half_precision(trained):
    model, run = zoo.load(str(exported(trained))), zoo.load("tiny")
    rounded = {name: value.half().float() for name, value in run.state_dict().items()}
    assert_close(dict(model.state_dict()), rounded, rtol=0, atol=0)
    assert model.options == run.options
    assert model.name == "mine"


def test_ones_own_model_hides_a_bundled_one_of_the_same_name(trained, monkeypatch, tmp_path):
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    for name in ("tiny", "other"):
        shutil.move(exported(trained, name), bundled)
    monkeypatch.setattr(zoo, "BUNDLED", bundled)
    there = zoo.available()
    assert there["other"] == bundled / "other.safetensors"
    assert there["tiny"] == trained / "models" / "tiny" / "best_model.pth"


def test_every_bundled_model_loads_and_says_what_it_is():
    for name, path in zoo.available().items():
        if path.parent == zoo.BUNDLED:
            model = zoo.load(str(path))
            assert model.name == name
            assert {"family", "model", "sha256", "data"} <= model.header.keys()


def test_an_unknown_name_has_the_nearest(trained):
    with pytest.raises(UnknownName, match=r"unknown model 'tinny'\. Did you mean 'tiny'\?"):
        zoo.load("tinny")
    with pytest.raises(WeightsError, match="no such checkpoint"):
        zoo.load("no.pth")
    with pytest.raises(WeightsError, match="no such weights file"):
        zoo.load("no.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "unetdpm"}, r"describes no model that this version of tinct has: unknown family 'unetdpm'"),
        ({"family": None}, "describes no model that this version of tinct has"),
        ({"model": {"spase": "rgb"}}, r"unknown option 'spase'"),
        ({"model": None}, "describes no model"),
        (
            {"model": {"network": {"features": [8, 32], "time_embedding": 16}}},
            "describes no model|another architecture",
        ),
    ],
)
def test_a_header_of_another_model_is_refused(trained, change, message):
    path = exported(trained)
    state, header = weights.load(path)
    weights.save(path, state, {**header, **change})
    with pytest.raises(WeightsError, match=message):
        zoo.load(str(path))


def test_a_foreign_checkpoint_is_refused(tmp_path):
    path = tmp_path / "foreign.pth"
    for config in ({}, {"lr": 1e-3}, [1, 2]):
        torch.save({"model_state_dict": {}, "config": config, "epoch": 3}, path)
        with pytest.raises(WeightsError, match=r"foreign\.pth: says nothing of its family, so it is no model of tinct"):
            zoo.load(str(path))


def test_the_python_call_keeps_the_last_model_until_its_file_changes(trained):
    first = tinct.load("tiny")
    assert tinct.load("tiny") is first
    assert tinct.load(str(trained / "models" / "tiny")) is first
    best = trained / "models" / "tiny" / "best_model.pth"
    shutil.copyfile(best, best.with_suffix(".new"))
    best.with_suffix(".new").replace(best)
    assert tinct.load("tiny") is not first
