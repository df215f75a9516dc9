"""States on a photograph: the walk that `colour` takes, its last state the picture that `colour` gives."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tinct import figures, zoo
from tinct.color import SPACES
from tinct.config import from_dict
from tinct.errors import WeightsError
from tinct.families import FAMILIES, Colorizer
from tinct.images import read
from tinct.photo import Canvas, PhotoOptions, colour, coloured_image, kept, walk

SMALL = data.astronaut()[::8, ::10]  # (64, 52, 3)


def built(space: str, **options: object) -> Colorizer:
    """A real, untrained network, small and quick."""
    family = FAMILIES["unetddpm"]
    torch.manual_seed(0)
    settings = {"network": {"features": [8, 8]}, "size": 32, "space": space, "sampler": "ddim", "steps": 3, **options}
    return family.build(from_dict(family.Options, settings)).eval().requires_grad_(False)


@pytest.mark.parametrize("space", SPACES)
def test_the_last_estimate_is_the_coloured_photograph(space):
    """At a size that needs no reducing, pixel by pixel; also where the picture is the most typical of several draws."""
    model = built(space, draws=4)
    picture = read(Image.fromarray(SMALL))
    canvas = Canvas(model, picture, side=128, saturation=0.7)
    steps = list(walk(canvas, options := PhotoOptions(seed=3, saturation=0.7)))
    assert [step.done for step in steps] == [0, 1, 2, 3]
    draw = kept(canvas, steps[-1].x_0)
    shown = canvas.estimate(steps[-1].x_0[draw])
    assert (shown == colour(model, picture.gray, options=options)).all()
    assert (np.asarray(Image.fromarray(shown).convert("L")) == picture.gray).all()


def test_a_large_photograph_is_shown_small(untrained):
    model = zoo.load(untrained)
    photograph = Image.fromarray(data.camera())
    canvas = Canvas(model, read(photograph), side=100)
    *_, last = walk(canvas, PhotoOptions(seed=1))
    shown = canvas.estimate(last.x_0[kept(canvas, last.x_0)])
    whole, other = (np.asarray(coloured_image(model, photograph, seed=seed)[0]) for seed in (1, 2))
    assert shown.shape == (100, 100, 3)
    near, far = (np.abs(shown.astype(int) - figures.reduced(rgb, 100)).mean() for rgb in (whole, other))
    assert near < 0.2 * far  # colours that the gamut holds at one size and not at the other make a difference


def test_noise_in_chroma_leaves_the_light_and_noise_in_rgb_does_not():
    picture, noise = read(Image.fromarray(SMALL)), torch.randn(3, 64, 52, generator=torch.manual_seed(0))
    for space, channels in {"ycbcr": 2, "lab": 2, "rgb": 3}.items():
        canvas = Canvas(built(space), picture, side=128)
        x = noise[:channels, : canvas.seen.shape[2], : canvas.seen.shape[3]]
        gray = np.asarray(Image.fromarray(canvas.state(x)).convert("L"), dtype=int)
        assert gray.shape == (64, 52)
        assert (gray == picture.gray).all() == (space != "rgb")


def test_a_state_in_rgb_is_cut_at_black_and_white_and_not_smoothed():
    canvas = Canvas(built("rgb"), read(Image.fromarray(SMALL)), side=128)
    h, w = canvas.seen.shape[2:]
    x = torch.zeros(3, h, w)
    x[:, :, 0], x[:, :, -1] = -7, 7
    shown = canvas.state(x)
    assert set(np.unique(shown)) == {0, 128, 255}
    assert (shown[:, 0] == 0).all()
    assert (shown[:, -1] == 255).all()


def test_a_broken_model_is_named():
    model = built("ycbcr")
    model.name = "broken"
    next(model.parameters()).fill_(float("nan"))
    canvas = Canvas(model, read(Image.fromarray(SMALL)), side=64)
    *_, last = walk(canvas, PhotoOptions())
    with pytest.raises(WeightsError, match="'broken' gives no valid colours"):
        kept(canvas, last.x_0)
