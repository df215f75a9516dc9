"""What old prints need: contrast stretched for the model's eyes alone, and borders that stay gray, found only where they are."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tinct.color import SPACES, luma
from tinct.families import Colorizer
from tinct.images import Picture
from tinct.photo import Canvas, PhotoOptions, candidates, colour
from tinct.photo.colouring import full_size, reduced, view
from tinct.photo.preview import previewed
from tinct.photo.prints import inside, stretched, unframed

CAMERA = data.camera()  # 512 x 512
CAST = torch.tensor([-20.0, 30.0]).view(2, 1, 1).expand(2, 32, 32)  # of one colour all over


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 64 * 64, dtype=np.float32).reshape(64, 64)


@pytest.mark.parametrize(
    ("low", "high", "gain"),
    [(0, 255, 1 / 0.99), (60, 240, 255 / (0.99 * 180)), (100, 150, 1.6), (0, 100, 1.6), (200, 255, 1.6), (90, 90, 1.6)],
)
def test_contrast_is_stretched_to_black_and_white_or_by_the_largest_gain(low, high, gain):
    """Half a per cent of the pixels at either end may be cut; the room that is left is shared as it was."""
    levels = ramp(low, high)
    result = stretched(levels)
    cut = 0.005 * (high - low)
    darkest, brightest = low + cut, high - cut
    room = 255 - (brightest - darkest)
    wanted = gain * (levels - darkest) + (255 - gain * (brightest - darkest)) * darkest / room
    np.testing.assert_allclose(result, wanted.clip(0, 255), atol=0.05)


def test_what_was_faded_is_seen_as_it_was():
    levels = reduced(CAMERA, (64, 64))
    faded = 0.85 * levels + 35
    assert np.abs(stretched(faded) - stretched(levels)).max() < 0.1
    black_and_white = np.repeat([0, 120, 255], 32).astype(np.float32).reshape(8, 12)
    assert (stretched(black_and_white) == black_and_white).all()


class Echo(Colorizer):
    """Its chroma is the light it is shown, less a middle gray."""

    working_size, multiple, name = 64, 2, "echo"

    def __init__(self) -> None:
        super().__init__()
        self.header, self.space, self.weight = {}, SPACES["ycbcr"], torch.nn.Parameter(torch.zeros(1))

    def sample(self, gray, *, generators):  # type: ignore[no-untyped-def, override]
        yield Shown(gray.repeat_interleave(len(generators) // len(gray), dim=0))

    def mean(self, gray):  # type: ignore[no-untyped-def]
        return gray

    def cbcr(self, x_0, gray):  # type: ignore[no-untyped-def]
        return torch.cat([0.2 * (x_0 - 128), 0 * x_0], dim=1)


class Shown:
    def __init__(self, x_0: torch.Tensor) -> None:
        self.x_0 = x_0


def echoed(way: str, gray: np.ndarray, stretch: bool) -> np.ndarray:
    """The photograph in the chroma of what the model is shown, by one of the ways to colour."""
    options, picture = PhotoOptions(stretch=stretch), Picture("old.png", (gray,))
    if way == "candidates":
        return candidates(Echo(), picture, options, samples=2).frames(1)[0]
    if way == "preview":
        return previewed(Echo(), picture, options)[0][0]
    if way == "figure":
        canvas = Canvas(Echo(), picture, side=128, stretch=stretch)
        return canvas.estimate(canvas.seen[0])
    return colour(Echo(), gray, options=options)


@pytest.mark.parametrize("way", ["colour", "candidates", "preview", "figure"])
def test_only_the_model_sees_the_stretched_contrast(way):
    faded = (0.6 * CAMERA[::4, ::4].astype(np.float32) + 70).astype(np.uint8)
    plain, given = echoed(way, faded, False), echoed(way, faded, True)
    for rgb in (plain, given):
        assert (np.asarray(Image.fromarray(rgb).convert("L")) == faded).all()
    assert np.ptp(given[..., 2].astype(int) - given[..., 0]) > 1.3 * np.ptp(plain[..., 2].astype(int) - plain[..., 0])
    assert (view(faded, (64, 64), stretch=True) == stretched(reduced(faded, (64, 64)))).all()


# --- borders ----------------------------------------------------------------------------------------------------------


def print_of(
    level: int, widths: tuple[int, int, int, int] = (20, 34, 26, 18), turn: float = 0, quality: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """A print with a border of these widths (top, bottom, left, right), and where its picture is."""
    top, bottom, left, right = widths
    gray = np.full((512 + top + bottom, 512 + left + right), level, np.float32)
    where = np.zeros_like(gray)
    gray[top : top + 512, left : left + 512], where[top : top + 512, left : left + 512] = CAMERA, 255
    gray += np.random.default_rng(0).normal(0, 2, gray.shape)
    turned = [Image.fromarray(part.clip(0, 255).astype(np.uint8)) for part in (gray, where)]
    turned = [
        part.rotate(turn, Image.Resampling.BICUBIC, fillcolor=fill)
        for part, fill in zip(turned, (level, 0), strict=True)
    ]
    if quality:
        file = io.BytesIO()
        turned[0].save(file, "JPEG", quality=quality)
        turned[0] = Image.open(file)
    return np.asarray(turned[0]), np.asarray(turned[1]) > 0


def cast_of(rgb: np.ndarray) -> np.ndarray:
    """Largest minus smallest channel."""
    return np.ptp(rgb.astype(int), axis=2)


@pytest.mark.parametrize("level", [252, 222, 12], ids=["white", "cream", "black"])
@pytest.mark.parametrize(("turn", "quality"), [(0, 0), (0, 60), (0.25, 85)], ids=["clean", "JPEG", "not straight"])
def test_a_plain_border_stays_gray_and_the_picture_has_its_colour(level, turn, quality):
    gray, picture = print_of(level, turn=turn, quality=quality)
    rgb = full_size(gray, CAST)
    assert (luma(torch.from_numpy(rgb).movedim(-1, 0))[0].numpy() == gray).all()
    rows, columns = inside(gray)
    border = np.minimum(rows[:, None], columns) == 0
    assert (cast_of(rgb)[border] == 0).all()
    assert border[~picture].mean() > (0.95 if not turn else 0.75)
    assert border[picture].mean() < 0.005
    assert (cast_of(full_size(gray, CAST, gray_border=False))[border] > 0).mean() > 0.5
    middle = (slice(40, 500), slice(40, 500))
    without = full_size(np.ascontiguousarray(gray[middle]), CAST)
    assert np.abs(rgb[middle].astype(int) - without).max() <= 3  # as where strips join


@pytest.mark.parametrize("level", [252, 222, 12], ids=["white", "cream", "black"])
def test_the_model_sees_the_picture_mirrored_over_its_border(level):
    gray, picture = print_of(level)
    seen = unframed(gray)
    assert (seen[24:530, 30:534] == gray[24:530, 30:534]).all()
    wanted = np.pad(CAMERA, ((20, 34), (26, 18)), mode="symmetric")
    assert (
        np.abs(seen.astype(int) - wanted)[picture == 0].mean()
        < 0.2 * np.abs(gray.astype(int) - wanted)[picture == 0].mean()
    )
    assert unframed(CAMERA) is CAMERA
    np.testing.assert_allclose(view(gray, (64, 64)), reduced(seen, (64, 64)))


def test_a_border_in_16_bit():
    gray, _ = print_of(222)
    assert all(
        (one == other).all() for one, other in zip(inside(gray), inside(gray.astype(np.uint16) * 257), strict=True)
    )
    assert inside(gray)[0].min() == 0


def bird() -> np.ndarray:
    """Something dark in the middle of an even sky: no border, though all sides are alike."""
    y, x = np.mgrid[-1:1:400j, -1.4:1.4:560j]
    return np.where((x / 1.4) ** 2 + y**2 < 0.5, 30, 220).astype(np.uint8)


def horizon() -> np.ndarray:
    return np.repeat(np.where(np.arange(300) < 200, 235, 80).astype(np.uint8)[:, None], 400, axis=1)


def letterbox() -> np.ndarray:
    return np.pad(CAMERA, ((60, 60), (0, 0)), constant_values=0)


@pytest.mark.parametrize(
    "gray",
    [
        CAMERA, data.coins(), data.moon(), data.page(), data.text(), data.clock(), data.astronaut()[..., 1],
        data.chelsea()[..., 1], data.rocket()[..., 1], data.coffee()[..., 1], bird(), horizon(), letterbox(),
        np.full((90, 120), 255, np.uint8), np.full((1, 1), 0, np.uint8), np.zeros((1, 5000), np.uint8),
        np.pad(CAMERA[:200, :200], 20, constant_values=128),
    ],
)  # fmt: skip
def test_nothing_else_is_taken_for_a_border(gray):
    assert all((part == 1).all() for part in inside(gray))
