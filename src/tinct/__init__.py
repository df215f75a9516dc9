"""tinct: colour for grayscale photographs by diffusion."""

from __future__ import annotations

import functools
import os
import typing

if typing.TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from tinct.families import Colorizer

__version__ = "0.1.0"

# Read when torch is first imported: threads that spin while they wait slow a busy machine down many times.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def load(name: str = "photo") -> Colorizer:
    """The model of a name (see `tinct models`), a run folder or a weights file, on the CPU. The last one stays loaded."""
    from tinct import zoo

    path = zoo.find(name)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _loaded(str(path.resolve()), changed)


@functools.lru_cache(maxsize=1)
def _loaded(path: str, changed: int) -> Colorizer:
    """The model of a file as it was changed last."""
    from tinct import zoo

    return zoo.load(path)


def colorize(
    photo: str | Path | bytes | Image.Image,
    *,
    model: str | Colorizer = "photo",
    **options: int | float | str | None,
) -> Image.Image:
    """The photograph in colour, at its own size: an RGB image, RGBA if it has transparency, upright, with its ICC profile.

    Options are those of `tinct.photo.PhotoOptions`: steps, sampler, spacing, eta, temperature, draws, size, seed. Converting
    the result to "L" gives the photograph's gray again, exactly (its 8-bit gray, for 16-bit photographs: `tinct.photo.colour`
    keeps all 16). Raises PictureError for what can't be read; warns when memory forces a smaller working size.
    """
    import warnings

    from tinct.photo import coloured_image

    image, notes = coloured_image(load(model) if isinstance(model, str) else model, photo, **options)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return image
