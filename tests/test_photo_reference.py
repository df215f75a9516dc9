"""Colours go towards a reference: the light stays, strength 0 changes nothing, more strength comes nearer; hints still win."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import tinct
from tinct import photo
from tinct.color import SPACES, rgb_to_cbcr
from tinct.config import from_dict
from tinct.errors import ConfigError, PictureError
from tinct.families import FAMILIES, Colorizer
from tinct.images import Samples
from tinct.photo import Hints, PhotoOptions, Reference, colour, colour_hinted, reference_of, towards

GRAY = data.camera()[::4, ::4]  # (128, 128)
WARM = Image.fromarray(data.coffee()[:300, :400])
FAST = PhotoOptions(steps=3)
SHAPES = {"unetddim": {"features": [8, 8]}, "splitdpm": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}}


def build(name: str = "splitdpm", **options: object) -> Colorizer:
    """A real, untrained network, small and quick."""
    family = FAMILIES[name]
    torch.manual_seed(0)
    return family.build(from_dict(family.Options, {"network": SHAPES.get(name), "size": 32, **options})).eval()


@pytest.fixture(scope="module")
def model() -> Colorizer:
    return build()


def goal(strength: float | None = None, picture: Image.Image = WARM) -> Reference:
    found = reference_of(picture, strength=strength)
    assert found is not None
    return found


def away(rgb: Samples, reference: Reference) -> float:
    """Of the mean chroma, from that of the reference, in levels."""
    own = rgb_to_cbcr(torch.from_numpy(rgb.astype(np.float32)).movedim(-1, 0)).mean(dim=(1, 2))
    return float((own - rgb_to_cbcr(reference.colours.T[..., None]).mean(dim=(1, 2))).norm())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", SHAPES)
def test_colours_come_nearer_with_strength_and_the_light_stays(name: str, space: str) -> None:
    plain = build(name, space=space)
    results = [colour(towards(plain, goal(strength)), GRAY, options=FAST) for strength in (0.0, 0.4, 1.0)]
    assert (results[0] == colour(plain, GRAY, options=FAST)).all()
    distances = [away(result, goal()) for result in results]
    assert distances[0] > distances[1] > distances[2]
    for result in results:
        assert (np.asarray(Image.fromarray(result).convert("L")) == GRAY).all()


def test_an_anchor_does_not_take_it_back(model: Colorizer) -> None:
    for anchor in (0.0, 1.5, 3.0):
        options = PhotoOptions(steps=3, anchor=anchor)
        before, after = (colour(one, GRAY, options=options) for one in (model, towards(model, goal())))
        assert away(after, goal()) < 0.4 * away(before, goal())


def test_every_draw_goes_there_and_candidates_too(model: Colorizer) -> None:
    pulled = towards(model, goal())
    found = photo.candidates(pulled, photo_of(GRAY), FAST, samples=3)
    for index in range(3):
        assert away(np.asarray(found.image(index)), goal()) < 0.4 * away(colour(model, GRAY, options=FAST), goal())
    assert len({found.image(index).tobytes() for index in range(3)}) == 3


def photo_of(gray: Samples):  # type: ignore[no-untyped-def]
    from tinct.images import read

    return read(Image.fromarray(gray))


def test_hints_win_at_their_place(model: Colorizer) -> None:
    hints = Hints([(60, 60, "#2040c0", 6)])
    pulled = towards(model, goal())
    with_hint, without = colour_hinted(pulled, GRAY, hints, options=FAST), colour(pulled, GRAY, options=FAST)
    assert with_hint[60, 60, 2] > with_hint[60, 60, 0] + 10
    assert away(without, goal()) < away(colour(model, GRAY, options=FAST), goal())
    alone = colour_hinted(model, GRAY, hints, options=FAST)
    assert np.abs(with_hint[60, 60].astype(int) - alone[60, 60]).max() <= 1


def test_the_model_itself_stays_as_it_was(model: Colorizer) -> None:
    before = colour(model, GRAY, options=FAST)
    towards(model, goal())
    assert (colour(model, GRAY, options=FAST) == before).all()


def test_dark_colours_of_a_palette_go_to_the_shadows(model: Colorizer) -> None:
    pulled = towards(model, reference_of(None, "#203070,#e0b080"))  # type: ignore[arg-type]
    result = colour(pulled, GRAY, options=FAST).astype(int)
    dark, bright = GRAY < 40, GRAY > 150
    assert (result[dark][:, 2] - result[dark][:, 0]).mean() > 0 > (result[bright][:, 2] - result[bright][:, 0]).mean()


@pytest.mark.parametrize("side", [1, 2, 9])
def test_the_smallest_photographs_and_references_do(model: Colorizer, side: int) -> None:
    tiny = goal(picture=WARM.resize((side, 1)))
    result = colour(towards(model, tiny), GRAY[:side, :side], options=FAST)
    assert (np.asarray(Image.fromarray(result).convert("L")) == GRAY[:side, :side]).all()


def test_python_takes_files_pictures_bytes_and_palettes(model: Colorizer, tmp_path: Path) -> None:
    WARM.save(tmp_path / "warm.png")
    ways = [tmp_path / "warm.png", str(tmp_path / "warm.png"), WARM, (tmp_path / "warm.png").read_bytes()]
    old = Image.fromarray(GRAY)
    images = [tinct.colorize(old, model=model, steps=2, reference=way).tobytes() for way in ways]
    assert len(set(images)) == 1
    by_text = tinct.colorize(old, model=model, steps=2, palette="#A03020, #e0d0b0")
    by_list = tinct.colorize(old, model=model, steps=2, palette=["#a03020", "#e0d0b0"])
    assert by_text.tobytes() == by_list.tobytes()
    assert by_text.tobytes() not in images
    half = tinct.colorize(old, model=model, steps=2, reference=WARM, reference_strength=0.5)
    assert half.tobytes() not in images


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"reference": Image.fromarray(GRAY)}, "reference: gray, with 0.0 levels of chroma"),
        ({"palette": "#808080,#404040"}, "the palette: gray"),
        ({"palette": "red"}, "palette: 'red': expected #rrggbb"),
        ({"palette": ""}, "palette: '': expected #rrggbb"),
        ({"palette": []}, "palette: 0 colours: must be from 1 to 64"),
        ({"palette": "#a03020", "reference": WARM}, "both say which colours"),
        ({"reference_strength": 0.5}, "reference_strength = 0.5: of no reference"),
        ({"palette": "#a03020", "reference_strength": 1.5}, "reference_strength = 1.5: must be at most 1"),
        ({"palette": "#a03020", "preview": True}, "reference: a preview is the mean colour"),
    ],
)
def test_what_is_no_reference_is_one_clear_error(model: Colorizer, given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tinct.colorize(Image.fromarray(GRAY), model=model, **given)  # type: ignore[arg-type]


def test_a_file_that_is_no_picture_and_a_model_of_one_pass_are_refused(model: Colorizer, tmp_path: Path) -> None:
    (tmp_path / "letter.jpg").write_text("Dear all")
    for path in (tmp_path / "letter.jpg", tmp_path / "nowhere.jpg"):
        with pytest.raises(PictureError, match=path.name):
            reference_of(path)
    one_pass = build("unet")
    with pytest.raises(ConfigError, match=r"takes none\. Choose one that samples by diffusion"):
        towards(one_pass, goal())
