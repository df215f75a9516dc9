"""Hinted places get their colours, at the pixel; the light stays; far away nothing changes; wrong hints are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

import tinct
from tinct.color import SPACES, cbcr_to_rgb, compose, luma, rgb_to_cbcr
from tinct.config import from_dict
from tinct.errors import ConfigError, PictureError
from tinct.families import FAMILIES, Colorizer
from tinct.images import Picture, Samples
from tinct.images.picture import luma16
from tinct.photo import (
    Hint,
    Hints,
    PhotoOptions,
    colour,
    colour_hinted,
    coloured,
    coloured_image,
    hint,
    hints_in_file,
    mask_of,
)
from tinct.photo.hinted import hinted, refined

GRAY = data.camera()[::4, ::4]  # (128, 128)
FAST = PhotoOptions(steps=2)
SHAPES = {"unetddim": {"features": [8, 8]}, "splitdpm": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}}


def build(name: str = "splitdpm", **options: object) -> Colorizer:
    """A real, untrained network, small and quick."""
    family = FAMILIES[name]
    torch.manual_seed(0)
    return family.build(from_dict(family.Options, {"network": SHAPES[name], "size": 32, **options})).eval()


@pytest.fixture(scope="module")
def model() -> Colorizer:
    return build(draws=3)


def wanted(gray: Samples, x: int, y: int, color: str) -> np.ndarray:
    """The colour at the pixel's own luma, as far as its gamut goes."""
    rgb = torch.tensor(list(bytes.fromhex(color[1:]))).float().view(3, 1, 1)
    levels = torch.tensor([[int(gray[y, x])]]).view(1, 1, 1)
    return compose(levels, rgb_to_cbcr(rgb)).flatten().numpy()


def masked(shape: tuple[int, int], **painted: object) -> Samples:
    """A transparent RGBA picture; painted: a colour for rows and columns."""
    mask = np.zeros((*shape, 4), np.uint8)
    for rows, columns, rgb in painted.values():  # type: ignore[misc, attr-defined]
        mask[rows, columns] = (*rgb, 255)
    return mask


# --- what comes out ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SHAPES)
def test_hinted_pixels_have_their_colour_in_every_space(name: str, space: str) -> None:
    places = [(10, 20, "#c02020"), (90, 100, "#2040c0"), (64, 5, "#30a030")]
    rgb = colour_hinted(build(name, space=space), GRAY, Hints(places), options=FAST)
    for x, y, color in places:
        assert np.abs(rgb[y, x] - wanted(GRAY, x, y, color)).max() <= 1
    assert (np.asarray(Image.fromarray(rgb).convert("L")) == GRAY).all()


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 29), st.integers(0, 2**24 - 1), st.floats(0, 50)), min_size=1,
             max_size=6),
    st.booleans(),
)  # fmt: skip
def test_luma_is_the_photographs(model: Colorizer, places: list[tuple[int, int, int, float]], deep: bool) -> None:
    gray = np.random.default_rng(0).integers(0, 65536, (30, 40), np.uint16)
    gray = gray if deep else (gray >> 8).astype(np.uint8)
    hints = Hints((x, y, f"#{color:06x}", radius) for x, y, color, radius in places)
    rgb = colour_hinted(model, gray, hints, options=PhotoOptions(steps=1, draws=1))
    assert rgb.dtype == gray.dtype
    if deep:
        assert (luma16(rgb) == gray).all()
    else:
        assert (luma(torch.from_numpy(rgb).movedim(-1, 0))[0].numpy() == gray).all()


def test_discs_and_painted_areas_have_their_colour_throughout(model: Colorizer) -> None:
    red, blue = (0xC0, 0x20, 0x20), (0x20, 0x40, 0xC0)
    mask = masked(GRAY.shape, patch=(slice(80, 120), slice(10, 50), blue))
    rgb = colour_hinted(model, GRAY, Hints([(90, 30, "#c02020", 12)], mask), options=FAST)
    rows, columns = np.indices(GRAY.shape)
    disc = (rows - 30) ** 2 + (columns - 90) ** 2 <= 144
    for inside, color in ((disc, red), (mask[..., 3] > 0, blue)):
        chroma = rgb_to_cbcr(torch.tensor(color).float().view(3, 1, 1))
        flat = compose(torch.from_numpy(GRAY.astype(np.int32))[None], chroma.expand(2, *GRAY.shape))
        assert np.abs(rgb - flat.movedim(0, -1).numpy())[inside].max() <= 1


def test_on_a_large_photograph_the_hinted_pixel_has_its_colour(model: Colorizer) -> None:
    gray = np.asarray(Image.fromarray(data.camera()).resize((1500, 1100)))
    x, y = 701, 333
    without = colour(model, gray, options=FAST)
    rgb = colour_hinted(model, gray, Hints([(x, y, "#c02020")]), options=FAST)
    assert np.abs(without[y, x] - wanted(gray, x, y, "#c02020")).max() > 20
    assert np.abs(rgb[y, x] - wanted(gray, x, y, "#c02020")).max() <= 3


def test_far_away_it_is_the_picture_without_hints(model: Colorizer) -> None:
    """Even with several draws: the one that was kept is hinted. What the network itself carries on is small."""
    without = colour(model, GRAY, seed=2, options=FAST).astype(int)
    rgb = colour_hinted(model, GRAY, Hints([(8, 8, "#c02020")]), seed=2, options=FAST)
    rows, columns = np.indices(GRAY.shape)
    change = np.abs(rgb - without).mean(axis=2)
    assert change[np.hypot(rows - 8, columns - 8) < 8].mean() > 5
    assert change[np.hypot(rows - 8, columns - 8) > 70].mean() < 1


def test_it_spreads_to_what_is_alike() -> None:
    """In a picture of a dark and a light half, a hint on one colours that one."""
    gray = np.full((64, 64), 80, np.uint8)
    gray[:, 32:] = 180
    model = build("unetddim")
    without, rgb = (
        colour_hinted(model, gray, hints, options=FAST).astype(int) if hints else colour(model, gray, options=FAST)
        for hints in (None, Hints([(27, 32, "#c02020")]))
    )
    change = np.abs(rgb - without).mean(axis=2)
    assert change[28:36, 20:26].mean() > 4 * change[28:36, 38:44].mean()


def test_the_order_of_hints_and_saying_them_twice_make_no_difference(model: Colorizer) -> None:
    places = [(10, 20, "#c02020"), (14, 20, "#2040c0", 6.0), (64, 5, "#30a030"), (13, 22, "#f0f000", 3.0)]
    first = colour_hinted(model, GRAY, Hints(places), options=FAST)
    second = colour_hinted(model, GRAY, Hints([*places[::-1], places[0]]), options=FAST)
    assert (first == second).all()
    assert Hints(places).settings() == Hints(places[::-1]).settings()


def test_without_hints_nothing_changes(model: Colorizer) -> None:
    picture = Picture("old.png", (GRAY,))
    plain = colour(model, GRAY, options=FAST)
    assert (coloured(model, picture, FAST)[0][0] == plain).all()
    image, _ = coloured_image(model, Image.fromarray(GRAY), hints=Hints(), steps=2)
    assert (np.asarray(image) == plain).all()
    assert (np.asarray(tinct.colorize(Image.fromarray(GRAY), model=model, steps=2, hints=[])) == plain).all()


def test_hints_in_python(model: Colorizer) -> None:
    image, places = Image.fromarray(GRAY), [(10, 20, "#c02020"), {"x": 64, "y": 5, "color": "#30A030", "radius": 2}]
    expected = colour_hinted(model, GRAY, Hints([hint(place) for place in places]), options=FAST)
    assert (np.asarray(tinct.colorize(image, model=model, steps=2, hints=places)) == expected).all()
    mask = masked(GRAY.shape, a=(slice(20, 21), slice(10, 11), (0xC0, 0x20, 0x20)))
    painted = tinct.colorize(image, model=model, steps=2, hint_mask=Image.fromarray(mask))
    assert (np.asarray(painted) == colour_hinted(model, GRAY, Hints(places[:1]), options=FAST)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (3, 2), (33, 700)])
def test_extreme_shapes(model: Colorizer, shape: tuple[int, int]) -> None:
    gray = np.full(shape, 120, np.uint8)
    rgb = colour_hinted(model, gray, Hints([(shape[1] - 1, shape[0] - 1, "#c02020")]), options=FAST)
    assert np.abs(rgb[-1, -1] - wanted(gray, -1, -1, "#c02020")).max() <= 3
    assert (np.asarray(Image.fromarray(rgb).convert("L")) == gray).all()


def test_what_was_hinted_is_refined_around_it_and_nowhere_else() -> None:
    placed = Hints([(40, 24, "#c02020")]).on((64, 96))
    chroma = torch.zeros(2, 8, 12)  # a cell is 8 px
    fine = refined(chroma, placed)
    assert fine.shape == (2, 64, 96)
    red = rgb_to_cbcr(torch.tensor([0xC0, 0x20, 0x20]).float().view(3, 1, 1)).flatten()
    torch.testing.assert_close(fine[:, 24, 40], red)
    rows, columns = np.indices((64, 96))
    distance = torch.from_numpy(np.hypot(rows - 24, columns - 40))
    assert (fine[:, distance >= 8] == 0).all()
    assert (fine[1, 24, 40:48].diff() < 0).all()


def test_places_on_a_grid_are_means_and_counts() -> None:
    placed = Hints([(0, 0, "#c02020"), (1, 1, "#2040c0"), (7, 3, "#30a030")]).on((4, 8))
    grid = placed.grid((2, 4))
    assert grid[2].tolist() == [[2, 0, 0, 0], [0, 0, 0, 1]]
    both = rgb_to_cbcr(torch.tensor([[0xC0, 0x20, 0x20], [0x20, 0x40, 0xC0]]).float().T[:, None])[:, 0]
    torch.testing.assert_close(grid[:2, 0, 0], both.mean(dim=1))
    assert (grid[:2, 0, 1:] == 0).all()


def test_luma_and_chroma_are_the_colour_again() -> None:
    rgb = torch.rand(3, 5, 7) * 255
    y = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    torch.testing.assert_close(cbcr_to_rgb(y, rgb_to_cbcr(rgb)), rgb, rtol=0, atol=1e-3)


# --- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10,20", r"hint '10,20': expected x,y,color"),
        ("10,20,red", r"color = 'red': expected #rrggbb"),
        ("10,20,#c0202", "expected #rrggbb"),
        ("ten,20,#c02020", r"x = 'ten': expected a whole number"),
        ((1.5, 2, "#c02020"), r"x = 1\.5: expected a whole number"),
        ((1, 2, "#c02020", -3), "must be at least 0"),
        ((1, 2, 3), r"color = 3: expected a text"),
        ({"x": 1, "y": 2, "colour": "#c02020"}, "Did you mean 'color'"),
        ({"x": 1, "y": 2}, "'color' is missing"),
        (7, "hint 7: expected x,y,color"),
    ],
)
def test_malformed_hints_are_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hint(value)


def test_a_hint_may_be_said_in_several_ways() -> None:
    expected = Hint(10, 20, "#c02020", 5.0)
    mapping = {"x": 10, "y": 20, "color": "#C02020", "radius": 5}
    for value in ("10,20,#c02020,5", " 10, 20, #C02020, 5", (10, 20, "#c02020", 5), mapping, expected):
        assert hint(value) == expected
    assert hint("10,20,#c02020") == Hint(10, 20, "#c02020")


@pytest.mark.parametrize(("x", "y"), [(128, 0), (0, 128), (-1, 5), (5, 4000)])
def test_places_outside_are_refused(model: Colorizer, x: int, y: int) -> None:
    with pytest.raises(ConfigError, match=rf"hint at {x},{y}: outside the photograph of 128 x 128 pixels.*0 to 127"):
        colour_hinted(model, GRAY, Hints([(x, y, "#c02020")]), options=FAST)


def test_masks_that_do_not_fit_are_refused(model: Colorizer) -> None:
    dot = (slice(3, 4), slice(3, 4), (9, 9, 9))
    with pytest.raises(ConfigError, match="hint mask: 64 x 128 pixels, but the upright photograph has 128 x 128"):
        colour_hinted(model, GRAY, Hints(mask=masked((128, 64), a=dot)), options=FAST)
    with pytest.raises(ConfigError, match="no pixel of it is opaque"):
        Hints(mask=masked((128, 128)))
    with pytest.raises(PictureError, match="no transparency"):
        mask_of(Image.fromarray(GRAY))


def test_a_mask_is_turned_upright(tmp_path: Path) -> None:
    mask = Image.fromarray(masked((20, 30), a=(slice(0, 5), slice(0, 5), (200, 30, 30))))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    mask.save(tmp_path / "mask.png", exif=exif)
    upright = mask_of(tmp_path / "mask.png")
    assert upright.shape == (30, 20, 4)
    assert upright[0, -1, 3] == 255
    with pytest.raises(PictureError, match=r"none\.png: no such file"):
        mask_of(tmp_path / "none.png")


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "hints.json"
    path.write_text(
        json.dumps([{"x": 1, "y": 2, "color": "#c02020"}, {"x": 3, "y": 4, "color": "#112233", "radius": 2.5}])
    )
    assert hints_in_file(path) == [Hint(1, 2, "#c02020"), Hint(3, 4, "#112233", 2.5)]
    for text, message in (
        ("[{", "not JSON"), ('{"x": 1}', "expected a list of hints"), ("[]", "expected a list of hints"),
        ('[{"x": 1, "y": 2, "color": "blue"}]', "expected #rrggbb"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ConfigError, match=rf"hints\.json: .*{message}"):
            hints_in_file(path)
    with pytest.raises(ConfigError, match=r"none\.json: can't be read"):
        hints_in_file(tmp_path / "none.json")


def test_models_and_pictures_that_take_no_hints_say_so(model: Colorizer) -> None:
    family = FAMILIES["unet"]
    painter = family.build(from_dict(family.Options, {"network": {"features": [8, 8]}, "size": 32})).eval()
    with pytest.raises(ConfigError, match="hints: the model 'unnamed' takes none"):
        colour_hinted(painter, GRAY, Hints([(1, 1, "#c02020")]))
    moving = Picture("old.gif", (GRAY, GRAY), durations=(40, 40))
    with pytest.raises(ConfigError, match=r"old\.gif: hints are for one picture, not for an animation"):
        hinted(model, moving, FAST, Hints([(1, 1, "#c02020")]))
    with pytest.raises(ConfigError, match="hints: a preview is the mean colour"):
        tinct.colorize(Image.fromarray(GRAY), model=model, hints=[(1, 1, "#c02020")], preview=True)


def test_the_strength_of_colours_is_that_of_the_models_own(model: Colorizer) -> None:
    """A hint keeps its colour at any of them."""
    for saturation in (0.0, 0.5, 2.0):
        options = PhotoOptions(steps=2, saturation=saturation)
        rgb = colour_hinted(model, GRAY, Hints([(10, 20, "#c02020")]), options=options)
        assert np.abs(rgb[20, 10] - wanted(GRAY, 10, 20, "#c02020")).max() <= 1
        far, plain = rgb[100:, 100:].astype(int), colour(model, GRAY, options=options)[100:, 100:]
        assert np.abs(far - plain).mean() < 1
