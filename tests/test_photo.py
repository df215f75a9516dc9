"""A photograph is coloured at its own size with its own luma; the model sees it reduced; seeds decide, batches don't."""

import io
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

import tinct
from tinct.color import luma
from tinct.config import from_dict
from tinct.errors import PictureError, UnknownName, WeightsError
from tinct.families import FAMILIES, Colorizer
from tinct.images import Picture
from tinct.images.picture import luma16
from tinct.photo import PhotoOptions, colour, colour_batch, coloured
from tinct.photo.colouring import draw_seed, full_size, medoid, reduced, working_shape

FAST = PhotoOptions(steps=2)
DEEP = data.camera()[::4, ::4].astype(np.uint16) * 257 + 77  # (128, 128)


def build(**options: object) -> Colorizer:
    """A real, untrained network, small and quick."""
    family = FAMILIES["unetddim"]
    torch.manual_seed(0)
    return family.build(from_dict(family.Options, {"network": {"features": [8, 8]}, "size": 32, **options})).eval()


@pytest.fixture(scope="module")
def model() -> Colorizer:
    return build()


def gray_of(rgb: np.ndarray) -> np.ndarray:
    """Pillow's L, and its formula on 16 bit."""
    return np.asarray(Image.fromarray(rgb).convert("L")) if rgb.dtype == np.uint8 else luma16(rgb)


@pytest.mark.parametrize("gray", [data.camera()[::2, ::3], DEEP], ids=["8 bit", "16 bit"])
def test_luma_is_the_photographs(model: Colorizer, gray: np.ndarray) -> None:
    rgb = colour(model, gray, options=FAST)
    assert rgb.shape == (*gray.shape, 3)
    assert rgb.dtype == gray.dtype
    assert (gray_of(rgb) == gray).all()
    spread = (rgb.max(axis=2) - rgb.min(axis=2)) * (255 / np.iinfo(gray.dtype).max)
    assert spread.mean() > 5  # even an untrained model gives colour


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 4), st.integers(0, 2**32), st.booleans())
def test_luma_is_the_photographs_at_any_saturation(model: Colorizer, saturation: float, seed: int, deep: bool) -> None:
    gray = np.random.default_rng(seed).integers(0, 65536 if deep else 256, (9, 14), np.uint16 if deep else np.uint8)
    rgb = colour(model, gray, seed=seed, options=PhotoOptions(steps=1, saturation=saturation))
    assert (gray_of(rgb) == gray).all()


def test_saturation_scales_the_chroma(model: Colorizer) -> None:
    """Where the gamut holds it: twice the distance from gray, within the rounding of red and blue."""
    gray = np.full((32, 40), 128, np.uint8)
    half, plain, none = (
        colour(model, gray, options=PhotoOptions(steps=2, saturation=saturation)).astype(int)
        for saturation in (0.25, 0.5, 0)
    )
    assert np.abs(2 * (half - 128) - (plain - 128))[..., [0, 2]].max() <= 2
    assert np.abs(plain - 128).mean() > 4
    assert (none == 128).all()
    neutral = colour(model, gray, options=PhotoOptions(steps=2, saturation=1.0))
    assert (neutral == colour(model, gray, options=FAST)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2), (33, 700)])
def test_extreme_shapes_are_coloured(model: Colorizer, shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rgb = colour(model, gray, options=FAST)
    assert (gray_of(rgb) == gray).all()


def test_seeds_decide_and_batches_do_not(model: Colorizer) -> None:
    grays = [data.camera()[::8, ::8], data.coins()[::4, ::6], data.moon()[::8, ::8], data.page()[::3, ::6]]
    together = colour_batch(model, grays, [1, 2, 3, 4], FAST)
    for gray, seed, rgb in zip(grays, [1, 2, 3, 4], together, strict=True):
        alone = colour(model, gray, seed=seed, options=FAST)
        assert np.abs(alone.astype(int) - rgb).max() <= 1  # rounding of the networks' sums may differ with the batch
        assert (alone == colour(model, gray, seed=seed, options=FAST)).all()
        other = colour(model, gray, seed=seed + 10, options=FAST)
        assert np.abs(alone.astype(int) - other).mean() > 2
    assert colour_batch(model, [], [], FAST) == []


def test_draws_are_joined_to_their_medoid(model: Colorizer) -> None:
    gray = data.camera()[::8, ::8]
    several = colour(model, gray, seed=5, options=PhotoOptions(steps=2, draws=5))
    each = [colour(model, gray, seed=draw_seed(5, draw), options=FAST) for draw in range(5)]
    assert sum(np.abs(several.astype(int) - one).max() <= 1 for one in each) == 1
    assert len({draw_seed(seed, draw) for seed in range(50) for draw in range(50)}) == 2500


def test_the_medoid_is_the_one_in_the_middle() -> None:
    values = torch.tensor([[0.0, 1.0, 2.0, 9.0], [5.5, 5.0, -3.0, 5.2]])  # means 3 and 3.175
    chroma = values[:, :, None, None, None].expand(2, 4, 2, 16, 24)
    assert medoid(chroma).tolist() == [2, 1]  # by squares, the sample nearest to the mean of all
    assert medoid(chroma[:, :1]).tolist() == [0, 0]


@settings(deadline=None)
@given(st.integers(1, 6000), st.integers(1, 6000), st.sampled_from([16, 64, 100, 128]), st.sampled_from([1, 4, 8, 16]))
def test_working_shapes(height: int, width: int, size: int, multiple: int) -> None:
    shape = working_shape((height, width), size, multiple)
    assert all(side % multiple == 0 and side >= multiple for side in shape)
    assert abs(min(shape) - size) <= multiple / 2
    assert max(shape) <= 4 * min(shape)
    aspect = min(4, max(height, width) / min(height, width))
    assert abs(max(shape) - aspect * min(shape)) <= multiple / 2
    assert (shape[0] <= shape[1]) == (height <= width) or shape[0] == shape[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(64, 64), (37, 301), (700, 1200), (2000, 900)])
def test_the_model_sees_the_antialiased_photograph(size: tuple[int, int], dtype: type) -> None:
    levels = np.asarray(Image.fromarray(data.camera()).resize(size[::-1], Image.Resampling.BICUBIC))
    shape = working_shape(size, 64, 8)
    seen = reduced((levels.astype(np.uint32) * (np.iinfo(dtype).max // 255)).astype(dtype), shape)
    direct = np.asarray(Image.fromarray(levels.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))
    assert seen.shape == shape
    assert np.abs(seen - direct.clip(0, 255)).mean() < 0.7  # the box filter first is a little softer
    if size == (64, 64):
        assert (seen == levels).all()


def test_the_profiles_tone_is_what_the_model_sees() -> None:
    gray = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, axis=0)
    tone = (255 * (np.arange(256) / 255) ** 2).astype(np.float32)
    np.testing.assert_allclose(reduced(gray, (64, 256), tone), tone[None].repeat(64, axis=0), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (701, 1203), (1500, 900)])
def test_strips_join_without_a_seam(shape: tuple[int, int]) -> None:
    """Against Pillow's bicubic on the whole picture at once, and the same composition."""
    gray = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    chroma = 30 * torch.randn((2, 24, 32), generator=torch.Generator().manual_seed(2))
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize(shape[::-1], Image.Resampling.BICUBIC)) for plane in chroma
    ]
    from tinct.color import compose

    whole = compose(torch.from_numpy(gray)[None].int(), torch.from_numpy(np.stack(planes))).movedim(0, -1).numpy()
    strips = full_size(gray, chroma)
    assert np.abs(whole - strips).max() <= 3  # a chroma on the other side of .5 moves green by up to 2.4 levels
    assert (whole != strips).mean() < 1e-3
    assert (luma(torch.from_numpy(strips).movedim(-1, 0))[0].numpy() == gray).all()


def test_options_reach_the_sampler(model: Colorizer) -> None:
    gray = data.camera()[::8, ::8]
    results = [
        colour(model, gray, options=from_dict(PhotoOptions, {"steps": 3, **options}))
        for options in ({}, {"steps": 4}, {"sampler": "dpm++2m"}, {"spacing": "karras"}, {"eta": 1.0}, {"temperature": 0.5},
                        {"draws": 4}, {"size": 48}, {"seed": 9}, {"saturation": 1.3})
    ]  # fmt: skip
    assert all((first != second).any() for first, second in pairwise(results))


def test_wrong_options_are_refused_with_the_nearest_match(model: Colorizer) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'ddim'"):
        from_dict(PhotoOptions, {"sampler": "dimm"})
    with pytest.raises(UnknownName, match="eta"):  # that sampler has none
        colour(model, DEEP, options=PhotoOptions(steps=2, sampler="dpm++2m", eta=0.5))


def test_a_model_without_an_option_says_so() -> None:
    with pytest.raises(UnknownName, match="option of model blue 'steps'"):
        colour(Blue(), DEEP, options=FAST)
    rgb = colour(Blue(), np.full((5, 7), 100, np.uint8))
    assert (rgb[..., 2] > rgb[..., 0]).all()


class Blue(Colorizer):
    """A one-shot family from outside: everything is blue, at half the gray's size. It fits in memory up to `largest` px."""

    working_size, multiple, name, largest, value = 64, 2, "blue", 10**6, 40.0

    def __init__(self) -> None:
        super().__init__()
        self.header, self.weight = {}, torch.nn.Parameter(torch.zeros(1))

    def sample(self, gray, *, generators):  # type: ignore[no-untyped-def, override]
        if min(gray.shape[2:]) > self.largest:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory")
        yield Once(gray[:, :, ::2, ::2])

    def cbcr(self, x_0, gray):  # type: ignore[no-untyped-def]
        return torch.cat([x_0 * 0 + self.value, x_0 * 0], dim=1)


@dataclass
class Once:
    x_0: torch.Tensor


def test_lack_of_memory_takes_a_smaller_size_and_says_so() -> None:
    model, picture = Blue(), Picture("old.png", (DEEP,))
    assert coloured(model, picture, PhotoOptions())[1] == ()
    model.largest = 40
    frames, notes = coloured(model, picture, PhotoOptions())
    assert notes == ("worked at size 32 instead of 64 for lack of memory",)
    assert (luma16(frames[0]) == DEEP).all()
    model.largest = 20
    with pytest.raises(PictureError, match=r"old\.png: not enough memory for 128 x 128, even at working size 32"):
        coloured(model, picture, PhotoOptions())


def test_other_errors_of_a_model_are_not_taken_for_lack_of_memory() -> None:
    model = Blue()
    model.value = float("nan")
    with pytest.raises(WeightsError, match="model 'blue' gives no valid colours"):
        coloured(model, Picture("x", (DEEP,)), PhotoOptions())


# --- Python ------------------------------------------------------------------------------------------------------------


def test_colorize_in_python(model: Colorizer) -> None:
    image = Image.fromarray(data.chelsea())
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    result = tinct.colorize(image, model=model, steps=2, seed=3)
    assert result.mode == "RGBA"
    assert (np.asarray(result.convert("RGB").convert("L")) == np.asarray(image.convert("L"))).all()
    assert result.getchannel("A").tobytes() == alpha.tobytes()
    file = io.BytesIO()
    Image.fromarray(DEEP).save(file, "PNG")
    deep = tinct.colorize(file.getvalue(), model=model, steps=2)
    assert (np.asarray(deep.convert("L")) == (DEEP.astype(int) + 128) // 257).all()


def test_colorize_refuses_what_it_does_not_know(model: Colorizer) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'steps'"):
        tinct.colorize(Image.new("L", (9, 9)), model=model, step=2)
    with pytest.raises(PictureError, match="no such file"):
        tinct.colorize("nowhere.jpg", model=model)
    with pytest.raises(UnknownName, match="unknown model"):
        tinct.load("no-such-model")
