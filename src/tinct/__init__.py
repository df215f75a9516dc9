"""tinct: colour for grayscale photographs by diffusion."""

from __future__ import annotations

import functools
import os
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    from PIL import Image

    from tinct.families import Colorizer, Model, PictureGenerator
    from tinct.photo import Candidates
    from tinct.web.client import Client as Client

__version__ = "0.1.0"

# Read when torch is first imported: threads that spin while they wait slow a busy machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def __getattr__(name: str) -> typing.Any:
    """`tinct.Client` is loaded when it is first asked for."""
    if name != "Client":
        raise AttributeError(f"module 'tinct' has no attribute '{name}'")
    from tinct.web.client import Client

    return Client


def load(name: str = "photo") -> Model:
    """The model of a name (see `tinct models`), a run folder or a weights file, on the CPU. The last one stays loaded."""
    from tinct import zoo

    path = zoo.find(name)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _loaded(str(path.resolve()), changed)


@functools.lru_cache(maxsize=1)
def _loaded(path: str, changed: int) -> Model:
    """The model of a file as it was changed last."""
    from tinct import zoo

    return zoo.load(path)


def colorize(
    photo: str | Path | bytes | Image.Image,
    *,
    model: str | Colorizer = "photo",
    hints: Iterable[Any] = (),
    hint_mask: str | Path | bytes | Image.Image | None = None,
    reference: str | Path | bytes | Image.Image | None = None,
    palette: str | Iterable[str] | None = None,
    reference_strength: float | None = None,
    preview: bool = False,
    **options: int | float | str | None,
) -> Image.Image:
    """The photograph in colour, at its own size: an RGB image, RGBA if it has transparency, upright, with its ICC profile.

    `hints` are places with their colours: (x, y, "#rrggbb"), (x, y, "#rrggbb", radius), mappings of these names, or
    `tinct.photo.Hint`; pixels of the upright photograph, from its top left corner. Of a `hint_mask`, RGBA and as large as the
    photograph, the opaque pixels are hints. Colours go towards those of a `reference`, a picture, or of a `palette`,
    "#a03020,#e0d0b0" or a list of such, as far as `reference_strength` says, from 0 to 1. A `preview` is the mean colour alone,
    by one pass of the network.

    The other options are those of `tinct.photo.PhotoOptions`: steps, sampler, spacing, eta, temperature, draws, size, seed,
    saturation, stretch. Converting the result to "L" gives the photograph's gray again, exactly (its 8-bit gray, for 16-bit
    photographs: `tinct.photo.colour` keeps all 16). Raises PictureError for what can't be read and ConfigError for a hint or
    colour that is none; warns when memory forces a smaller working size.
    """
    import warnings

    from tinct import photo as photographs
    from tinct import zoo

    colorizer = zoo.colorizer(load(model)) if isinstance(model, str) else model
    given = photographs.Hints(hints, None if hint_mask is None else photographs.mask_of(hint_mask))
    goal = photographs.reference_of(reference, palette, reference_strength)
    image, notes = photographs.coloured_image(colorizer, photo, hints=given, reference=goal, preview=preview, **options)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return image


def candidates(
    photo: str | Path | bytes | Image.Image,
    samples: int = 8,
    *,
    model: str | Colorizer = "photo",
    **options: int | float | str | None,
) -> Candidates:
    """So many colourings of the photograph: `image(k)` of each, the index of the `representative`, the `uncertainty` in numbers.

    Options are those of `colorize`, without draws. The k-th is the same for the same seed, however many there are.
    """
    from tinct import photo as photographs
    from tinct import zoo
    from tinct.config import from_dict
    from tinct.images import read

    colorizer = zoo.colorizer(load(model)) if isinstance(model, str) else model
    return photographs.candidates(
        colorizer, read(photo).first_page(), from_dict(photographs.PhotoOptions, options), samples=samples
    )


def generate(
    count: int = 1, *, model: str | PictureGenerator = "digits", **options: int | float | str | None
) -> list[Image.Image]:
    """Pictures made from noise, RGB: the k-th is the same for the same seed, however many are made.

    Options are those of `tinct.generation.GenerateOptions`: label, guidance, steps, sampler, spacing, eta, temperature, seed.
    """
    from PIL import Image

    from tinct import generation, zoo
    from tinct.config import from_dict

    generator = zoo.generator(load(model)) if isinstance(model, str) else model
    chosen = from_dict(generation.GenerateOptions, options)
    return [Image.fromarray(made.picture) for made in generation.generate(generator, range(1, count + 1), chosen)]
