"""What is refused: no picture, a damaged one, one over the limit. Always one error that names the file and the cure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import UnidentifiedImageError

from tinct.errors import PictureError
from tinct.images.limits import collecting, unlimited
from tinct.images.opening import Source


def check_file(source: Source) -> None:
    """PictureError for a folder and for a file with nothing in it."""
    if isinstance(source, Path) and source.is_dir():
        raise PictureError("it is a folder, not a picture")
    if not (source if isinstance(source, bytes) else source.stat().st_size):
        raise PictureError("the file is empty (0 bytes). Get it again")


def check_size(sizes: Sequence[tuple[int, int]], limit: float, unit: str = "frames") -> None:
    """PictureError when the frames or pages of these sizes have more megapixels together than the limit allows."""
    megapixels = sum(width * height for width, height in sizes) / 1e6
    if megapixels > limit:
        what = f"{sizes[0][0]} x {sizes[0][1]}" + (f" x {len(sizes)} {unit}" if len(sizes) > 1 else "")
        raise PictureError(
            f"{what} are {megapixels:.0f} megapixels; the limit is {limit:g}. Raise it with --max-megapixels"
        )


@contextmanager
def decoding(name: str) -> Iterator[list[str]]:
    """Every way in which decoding can fail becomes a PictureError that names the file; warnings are collected."""
    try:
        with collecting() as warned, unlimited():
            yield warned
    except (MemoryError, KeyboardInterrupt):
        raise
    except PictureError as error:
        raise PictureError(f"{name}: {error}.") from None
    except UnidentifiedImageError:
        raise PictureError(
            f"{name}: not a picture that can be read. Readable: JPEG, PNG, TIFF, WebP, GIF, BMP, AVIF, HEIC, JPEG 2000, PNM. "
            "Save it as one of them."
        ) from None
    except FileNotFoundError:
        raise PictureError(f"{name}: no such file.") from None
    except PermissionError:
        raise PictureError(f"{name}: no permission to read it.") from None
    except Exception as error:  # decoders raise many kinds on damaged files
        raise PictureError(
            f"{name}: damaged or cut off ({error}). Get it again, or open and save it in an editor."
        ) from None
