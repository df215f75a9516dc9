"""Candidates: honest draws with seeds of their own, their representative, and where they differ."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import tinct
from tinct import zoo
from tinct.config import from_dict
from tinct.errors import ConfigError
from tinct.families import FAMILIES, Colorizer
from tinct.images import Picture, read
from tinct.images.picture import luma16
from tinct.photo import PhotoOptions, candidates, colour
from tinct.photo.candidates import Candidates
from tinct.photo.extras import MAP_SIDE, sheet, uncertainty_map

GRAY = data.camera()[::8, ::8]  # (64, 64)
MIDDLE = np.full((64, 64), 128, np.uint8)  # the gray with the most room for colour
FAST = PhotoOptions(steps=2, seed=3)


def built(family: str, **options: object) -> Colorizer:
    """A real, untrained network, small and quick."""
    torch.manual_seed(0)
    settings = {"network": {"features": [8, 8]}, "size": 32, **options}
    return FAMILIES[family].build(from_dict(FAMILIES[family].Options, settings)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def model() -> Colorizer:
    return built("unetddim")


def difference(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other).max())


def test_a_candidate_does_not_depend_on_how_many_there_are(model: Colorizer) -> None:
    """And its seed alone gives it again; the sums of a network may be rounded otherwise in another batch."""
    few, many = (candidates(model, read(Image.fromarray(GRAY)), FAST, samples=samples) for samples in (2, 5))
    assert many.seeds[:2] == few.seeds
    assert len(set(many.seeds)) == len(many) == 5
    assert many.seeds[0] == FAST.seed
    pictures = [many.frames(index)[0] for index in range(5)]
    for index, picture in enumerate(pictures):
        assert difference(picture, colour(model, GRAY, seed=many.seeds[index], options=FAST)) <= 1
        assert (np.asarray(Image.fromarray(picture).convert("L")) == GRAY).all()
    assert all(difference(few.frames(index)[0], pictures[index]) <= 1 for index in range(2))
    assert all(np.abs(one.astype(int) - other).mean() > 2 for one, other in pairwise(pictures))


def test_the_representative_is_what_a_colouring_of_as_many_draws_gives(model: Colorizer) -> None:
    found = candidates(model, Picture("", (GRAY,)), FAST, samples=6)
    typical = colour(model, GRAY, options=PhotoOptions(steps=2, seed=3, draws=6))
    assert (found.frames(found.representative)[0] == typical).all()


def test_candidates_of_an_anchored_model_are_honest_samples() -> None:
    network = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}
    model = built("splitdpm", network=network, anchor=1.5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.05)
    found = candidates(model, Picture("", (GRAY,)), FAST, samples=3)
    for index, seed in enumerate(found.seeds):
        sample = colour(model, GRAY, seed=seed, options=PhotoOptions(steps=2, draws=1, anchor=0.0))
        assert difference(found.frames(index)[0], sample) <= 1
    anchored = candidates(model, Picture("", (GRAY,)), PhotoOptions(steps=2, seed=3, anchor=1.5), samples=2)
    assert difference(anchored.frames(0)[0], found.frames(0)[0]) > 1
    assert difference(anchored.frames(0)[0], colour(model, GRAY, options=PhotoOptions(steps=2, seed=3, draws=1))) <= 1


def test_the_uncertainty_is_the_spread_of_the_chroma() -> None:
    """Two candidates with Cb 3 levels apart on the left, Cr 4 apart in one more corner: s = d / sqrt 2 for two values."""
    chroma = torch.zeros(1, 2, 2, 4, 4)
    chroma[0, 1, 0, :, :2] = 3
    chroma[0, 1, 1, 0, 0] = -4
    found = Candidates(Picture("", (MIDDLE,)), chroma, (0, 1), 0)
    expected = np.zeros((4, 4))
    expected[:, :2] = 3 / np.sqrt(2)
    expected[0, 0] = 5 / np.sqrt(2)
    np.testing.assert_allclose(found.uncertainty, expected, rtol=1e-4, atol=1e-4)


def test_there_is_no_uncertainty_where_no_colour_can_be_seen() -> None:
    """Black and white have none; on a gray of 251 the farthest that Cb goes up is 4 / 1.772."""
    gray = np.repeat(np.array([0, 251, 255], np.uint8), 20)[None].repeat(20, axis=0)  # (20, 60)
    chroma = torch.zeros(1, 2, 2, 20, 60)
    chroma[0, 1, 0] = 50
    found = Candidates(Picture("", (gray,)), chroma, (0, 1), 0)
    assert (found.uncertainty[:, [*range(18), *range(42, 60)]] < 0.01).all()
    np.testing.assert_allclose(found.uncertainty[:, 22:38], 4 / 1.772 / np.sqrt(2), rtol=1e-3)


def test_the_spread_of_noise_does_not_grow_with_the_number_of_candidates() -> None:
    """Unbiased: independent noise of 10 levels in both channels has a mean square of 2 x 10^2, for 3 and for 40 of them."""
    for samples in (3, 40):
        noise = 10 * torch.randn((1, samples, 2, 100, 100), generator=torch.Generator().manual_seed(samples))
        found = Candidates(Picture("", (MIDDLE,)), noise, tuple(range(samples)), 0)
        assert (found.uncertainty**2).mean() == pytest.approx(200, rel=0.05)


def test_all_frames_of_an_animation_have_one_representative(model: Colorizer) -> None:
    frames = tuple(np.ascontiguousarray(data.camera()[top : top + 64, ::8]) for top in (0, 200, 400))
    found = candidates(model, Picture("", frames, durations=(100, 100, 100)), FAST, samples=4)
    assert found.chroma.shape[:3] == (3, 4, 2)
    together = found.chroma.movedim(0, 1).flatten(1, 2)  # (N, 2F, h, w)
    cells = torch.nn.functional.adaptive_avg_pool2d(together, 8).flatten(1)
    distances = torch.cdist(cells, cells).square().sum(dim=1)
    assert found.representative == int(distances.argmin())
    assert [frame.shape for frame in found.frames(1)] == [(*gray.shape, 3) for gray in frames]


def test_candidates_keep_16_bit_and_colours_are_scaled_with_their_spread(model: Colorizer) -> None:
    deep = GRAY.astype(np.uint16) * 257 + 77
    plain, strong = (
        candidates(model, Picture("", (deep,)), PhotoOptions(steps=2, saturation=saturation), samples=3)
        for saturation in (1.0, 1.5)
    )
    assert (luma16(plain.frames(2)[0]) == deep).all()
    assert plain.image(2).mode == "RGB"
    assert strong.representative == plain.representative
    np.testing.assert_allclose(strong.chroma, 1.5 * plain.chroma, rtol=1e-5)
    assert 1 < strong.uncertainty.mean() / plain.uncertainty.mean() <= 1.5  # not all of it fits the gamut


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (40, 3000)])
def test_sheets_and_maps_of_extreme_shapes_are_bounded(model: Colorizer, shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = candidates(model, Picture("", (gray,)), FAST, samples=2)
    drawn, mapped = sheet(found), uncertainty_map(found)
    assert max(drawn.shape) < 3000
    assert min(drawn.shape[:2]) > 20
    assert mapped.shape == ((*shape, 3) if max(shape) <= MAP_SIDE else (27, MAP_SIDE, 3))


@pytest.mark.parametrize(
    ("family", "samples", "options", "message"),
    [
        ("unet", 4, {}, "samples = 4: the model 'unnamed' has one colouring of each photograph"),
        ("unetddim", 1, {}, "samples = 1: must be from 2 to 64"),
        ("unetddim", 65, {}, "samples = 65: must be from 2 to 64"),
        ("unetddim", 4, {"draws": 4}, "draws = 4: with samples = 4, the picture is the most typical of those"),
    ],
)
def test_what_cannot_be_is_refused(family: str, samples: int, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        candidates(built(family), Picture("", (GRAY,)), PhotoOptions(**options), samples=samples)


def test_candidates_in_python(untrained: str) -> None:
    image = Image.fromarray(data.chelsea()[::4, ::4])
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    found = tinct.candidates(image, 3, model=untrained, seed=5)
    assert found.image(0).mode == "RGBA"
    assert found.uncertainty.shape == tuple(found.chroma.shape[3:])
    whole = tinct.colorize(image, model=untrained, seed=5, draws=3)
    assert found.image(found.representative).tobytes() == whole.tobytes()
    with pytest.raises(ConfigError, match="Did you mean 'steps'"):
        tinct.candidates(image, model=untrained, step=3)


# --- preview -----------------------------------------------------------------------------------------------------------


def test_a_preview_is_near_the_mean_of_many_candidates() -> None:
    """Of the bundled model: nearer than any single candidate, and much nearer than gray."""
    model, picture = zoo.colorizer(zoo.load("photo")), Image.fromarray(data.chelsea()[::2, ::2]).convert("L")
    found = candidates(model, read(picture), samples=64)
    mean = Candidates(found.picture, found.chroma.mean(dim=1, keepdim=True), (0,), 0).frames(0)[0].astype(int)
    preview = np.asarray(tinct.colorize(picture, model=model, preview=True, anchor=1.0), dtype=int)
    assert (np.asarray(Image.fromarray(preview.astype(np.uint8)).convert("L")) == np.asarray(picture)).all()
    near = np.abs(preview - mean).mean()
    assert near < min(np.abs(found.frames(index)[0] - mean).mean() for index in range(64))
    assert near < 0.5 * np.abs(np.asarray(picture, dtype=int)[..., None] - mean).mean()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 4}, "steps = 4: a preview is the mean colour"),
        ({"temperature": 0.0}, "temperature = 0.0: a preview"),
        ({"draws": 2}, "draws = 2: a preview"),
        ({"seed": 1}, "seed = 1: a preview"),
    ],
)
def test_a_preview_refuses_what_it_would_ignore(options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tinct.colorize(Image.new("L", (64, 64)), model=built("unetddim"), preview=True, **options)


@pytest.mark.parametrize("family", ["unet", "unetddim", "basicvae"])
def test_a_model_without_a_mean_has_no_preview(family: str) -> None:
    with pytest.raises(ConfigError, match="preview: the model 'unnamed' has no head for the mean colour"):
        tinct.colorize(Image.new("L", (64, 64)), model=built(family), preview=True)


def test_a_preview_takes_size_and_saturation() -> None:
    model, picture = zoo.colorizer(zoo.load("photo")), Image.fromarray(data.chelsea()[::2, ::2]).convert("L")
    plain, *others = (
        np.asarray(tinct.colorize(picture, model=model, preview=True, **options), dtype=int)
        for options in ({}, {"size": 32}, {"saturation": 1.5})
    )
    assert all(np.abs(plain - other).mean() > 1 for other in others)
    gray = np.asarray(tinct.colorize(picture, model=model, preview=True, saturation=0))
    assert (gray == np.asarray(picture)[..., None]).all()
