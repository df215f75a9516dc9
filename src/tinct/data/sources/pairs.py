"""Pairs of gray and colour pictures: two folders, or the arrays of the Kaggle "Image Colorization" set.

What is imported is the colour half: tinct makes the gray by Pillow's formula, the one that it must invert on a photograph.
The gray half says which pictures belong to the set; in the array form it is the lightness.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinct.data.listing import Tree, natural, no_pictures, only_pictures
from tinct.data.sources.base import SOURCES, Category, Content, Request, Source, SourcePicture
from tinct.data.sources.folder import grouped, opened, plain
from tinct.errors import DataError

_GRAY = {"gray", "grey", "grayscale", "greyscale", "l", "bw", "blackandwhite", "blackwhite"}
_COLOUR = {"color", "colour", "colors", "colours", "rgb", "colored", "coloured"}
_EXPECTED = "Expected gray/ and color/ folders, --gray beside --source, or l/gray_scale.npy with ab/ab/ab*.npy."


@contextlib.contextmanager
def pairs(request: Request) -> Iterator[Content]:
    """Partners have the same name without suffix; class folders under the colour half are kept.

    DataError when no picture has a partner, or the arrays don't fit each other.
    """
    with opened(request.path) as tree, contextlib.ExitStack() as stack:
        if request.gray:
            gray = stack.enter_context(opened(request.gray))
            yield _paired(tree, only_pictures(tree.names), "", only_pictures(gray.names), "", request)
        elif arrays := [name for name in tree.names if name.endswith("gray_scale.npy")]:
            yield _from_arrays(tree, arrays[0])
        else:
            yield _in_one_folder(tree, request)


SOURCES.add("pairs")(
    Source("pairs: gray/ and color/ folders, or l/gray_scale.npy with ab/ab/ab*.npy", pairs, ("all",), takes_gray=True)
)


def _in_one_folder(tree: Tree, request: Request) -> Content:
    names = only_pictures(tree.names)
    if not names:
        raise no_pictures(request.path)
    gray, colour = _half(names, _GRAY), _half(names, _COLOUR)
    if not (gray and colour):
        raise DataError(f"{tree.path}: no pairs in it. {_EXPECTED}")
    return _paired(tree, names, colour, names, gray, request)


def _half(names: list[str], called: set[str]) -> str:
    """The path, with a slash behind, of the first folder that is called so; empty when there is none."""
    for name in names:
        folders = name.split("/")[:-1]
        for depth, folder in enumerate(folders, 1):
            if plain(folder) in called:
                return "/".join(folders[:depth]) + "/"
    return ""


def _paired(tree: Tree, names: list[str], colour: str, grays: list[str], gray: str, request: Request) -> Content:
    partners = {_stem(name.removeprefix(gray)) for name in grays if name.startswith(gray)}
    colours = [name for name in names if name.startswith(colour)]
    paired = [name for name in colours if _stem(name.removeprefix(colour)) in partners]
    if not paired:
        raise DataError(f"{tree.path}: no colour picture has a gray one of the same name. {_EXPECTED}")
    alone = len(colours) - len(paired)
    notes = (f"{alone} colour pictures have no gray partner and are left out",) if alone else ()
    return Content(grouped(tree, paired, request), notes)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].lower()  # noqa: PTH122 - a path inside an archive


def _from_arrays(tree: Tree, lightness: str) -> Content:
    """l (N, H, W) and ab (n_i, H, W, 2): CIELAB as OpenCV writes it in 8 bit, L * 255/100, a + 128, b + 128."""
    root = lightness.removesuffix("gray_scale.npy").removesuffix("l/")
    files = sorted((n for n in tree.names if n.startswith(root + "ab/") and n.endswith(".npy")), key=natural)
    if not files:
        raise DataError(f"{tree.path}: {lightness} without {root}ab/ab/ab*.npy. {_EXPECTED}")
    gray = _mapped(tree, lightness, 3)
    colours = [_mapped(tree, name, 4) for name in files]
    for name, ab in zip(files, colours, strict=True):
        if ab.shape[1:] != (*gray.shape[1:], 2):
            raise DataError(f"{tree.path}: {name} has shape {ab.shape}; beside {gray.shape} expected (n, H, W, 2).")
    pixels = [ab[index] for ab in colours for index in range(len(ab))][: len(gray)]
    pictures = [SourcePicture(f"{index:05d}.png", partial(_png, gray[index], ab)) for index, ab in enumerate(pixels)]
    count = sum(map(len, colours))
    notes = (f"{len(gray)} lightness and {count} colour rows: the first {len(pictures)} are read",)
    name = tree.path.resolve().name
    return Content([Category(name, name, pictures)], notes if len(gray) != count else ())


def _mapped(tree: Tree, name: str, dimensions: int) -> NDArray[np.uint8]:
    if not tree.path.is_dir():
        raise DataError(f"{tree.path}: unpack it first; its arrays are too large to be read inside a zip.")
    try:
        array = np.load(Path(tree.path) / name, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{tree.path / name}: not a whole array ({error}). Get it again.") from None
    if array.dtype != np.uint8 or array.ndim != dimensions:
        raise DataError(
            f"{tree.path / name}: {array.dtype} {array.shape}; expected uint8 with {dimensions} dimensions."
        )
    return np.asarray(array)


def _png(lightness: NDArray[np.uint8], ab: NDArray[np.uint8]) -> bytes:
    import torch

    from tinct.color import lab_to_rgb

    lab = np.concatenate([lightness[None] * (100 / 255), ab.transpose(2, 0, 1) - 128.0])  # 3 H W
    rgb = lab_to_rgb(torch.from_numpy(lab)).round().clamp(0, 255).to(torch.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb.permute(1, 2, 0).contiguous().numpy()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
