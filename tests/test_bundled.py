"""The bundled models, right after install and offline."""

from __future__ import annotations

import socket

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

import tinct
from tinct import zoo
from tinct.families import Classifier
from tinct.metrics import Measure


@pytest.fixture(scope="module")
def scan() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea()).convert("L")


def colourfulness(picture: Image.Image) -> float:
    rgb = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    return float(Measure("colourfulness")(rgb, rgb)[0])


def test_it_is_small_and_says_what_it_is() -> None:
    path = zoo.available()["photo"]
    assert path.stat().st_size <= 14e6
    header = zoo.load("photo").header
    assert header["family"] == "splitdpm"
    assert header["data"]["pictures"] > 0
    assert header["pictures_seen"] > 0
    assert {"licence", "metrics", "mean_cbcr", "sha256", "version"} <= header.keys()
    assert path.with_suffix(".md").read_text(encoding="utf-8").startswith("# photo")


def test_it_colours_and_keeps_the_light(scan: Image.Image) -> None:
    coloured = tinct.colorize(scan)
    assert coloured.size == scan.size
    assert coloured.convert("L").tobytes() == scan.tobytes()
    assert colourfulness(coloured) > 10


def test_it_asks_for_no_network(scan: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("somebody outside is asked for")

    for way in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, way, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tinct._loaded.cache_clear()
    assert tinct.colorize(scan).size == scan.size
    assert tinct.generate(1, steps=1)[0].size == (28, 28)


def test_two_seeds_are_two_colourings(scan: Image.Image) -> None:
    first, again, other = (np.asarray(tinct.colorize(scan, seed=seed), dtype=int) for seed in (0, 0, 1))
    assert (first == again).all()
    assert np.abs(first - other).mean() > 1  # levels


@pytest.fixture(scope="module")
def judge() -> Classifier:
    return zoo.classifier(zoo.load("digit-classifier"))


def odds(judge: Classifier, pictures: list[Image.Image]) -> torch.Tensor:
    rgb = torch.from_numpy(np.stack([np.array(picture) for picture in pictures])).permute(0, 3, 1, 2)
    return judge.scores(rgb).softmax(dim=1)


@pytest.mark.parametrize(
    ("name", "family", "megabytes"), [("digits", "generation", 5.0), ("digit-classifier", "classifier", 0.5)]
)
def test_the_models_of_digits_are_small_and_say_what_they_are(name: str, family: str, megabytes: float) -> None:
    path = zoo.available()[name]
    assert path.stat().st_size <= megabytes * 1e6
    header = zoo.load(name).header
    assert header["family"] == family
    assert {"data", "licence", "pictures_seen", "sha256", "version"} <= header.keys()
    assert path.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {name}")


def test_digits_are_made_that_a_classifier_reads(judge: Classifier) -> None:
    found = odds(judge, tinct.generate(100, steps=10))
    assert (found.amax(dim=1) > 0.9).float().mean() >= 0.9
    assert len(set(found.argmax(dim=1).tolist())) == 10


def test_a_digit_is_made_on_request(judge: Classifier) -> None:
    for digit in (3, 7):
        assert (odds(judge, tinct.generate(20, label=digit, steps=10)).argmax(dim=1) == digit).sum() >= 18
