"""The NPZ of a prepared split: keys grayscale, rgb, labels, category_names; float32 or uint8; written and read as a stream."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinct.data.npy import Array, Rows, read_rows, rows_per_chunk, write_header
from tinct.data.progress import Progress
from tinct.errors import DataError
from tinct.files import replacing
from tinct.registry import Registry

KEYS = ("grayscale", "rgb", "labels", "category_names")
DEFLATE_LEVEL = 1  # level 6 takes a quarter longer and saves one part in a thousand of a photograph

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Normalization:
    """How the NPZ writes levels 0..255: level * scale + shift, as float32; scale 1 is the bytes themselves."""

    option: int  # its number in the dialogue and in metadata.json
    title: str  # in metadata.json
    scale: float
    low: float
    dtype: str

    def encode(self, levels: Bytes) -> Array:
        """Levels as the NPZ holds them."""
        if self.dtype == "uint8":
            return levels
        return levels.astype(np.float32) / np.float32(self.scale) + np.float32(self.low)

    def decode(self, values: Array, where: str) -> Bytes:
        """The levels that the values of an NPZ stand for, exactly; DataError when they leave the range."""
        if self.dtype == "uint8":
            return np.asarray(values, np.uint8)
        levels = (values.astype(np.float32, copy=False) - np.float32(self.low)) * np.float32(self.scale)
        if not (levels.min() > -0.5 and levels.max() < 255.5):  # not-a-number fails too
            raise DataError(f"{where}: values outside {self.title}, which its metadata.json says it is normalized to.")
        rounded: Bytes = np.rint(levels).astype(np.uint8)
        return rounded


NORMALIZATIONS: Registry[Normalization] = Registry("normalization")
NORMALIZATIONS.add("01")(Normalization(1, "[0, 1]", 255.0, 0.0, "float32"))
NORMALIZATIONS.add("-11")(Normalization(2, "[-1, 1]", 127.5, -1.0, "float32"))
NORMALIZATIONS.add("none")(Normalization(3, "none", 1.0, 0.0, "uint8"))


def gray_of(rgb: Bytes) -> Bytes:
    """Pillow's L of pictures (N, H, W, 3) -> (N, H, W, 1)."""
    count, height, width, _ = rgb.shape
    tall = Image.fromarray(rgb.reshape(count * height, width, 3)).convert("L")
    return np.asarray(tall).reshape(count, height, width, 1)


def write_npz(
    path: Path, rgb_file: Path, labels: NDArray[np.int64], categories: Sequence[str], normalization: Normalization
) -> Iterator[Progress]:
    """Writes the compressed NPZ of a store's rgb (N, H, W, 3), which is streamed from its file."""
    shape = np.load(rgb_file, mmap_mode="r").shape
    step = rows_per_chunk(int(np.prod(shape[1:])) * np.dtype(normalization.dtype).itemsize)
    total = 2 * len(labels)
    with (
        replacing(path, sync=True) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=DEFLATE_LEVEL) as archive,
    ):
        for turn, (key, channels) in enumerate((("grayscale", 1), ("rgb", 3))):
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                write_header(member, normalization.dtype, (*shape[:3], channels))
                for index, rows in enumerate(read_rows(rgb_file, step)):
                    member.write(normalization.encode(gray_of(rows) if channels == 1 else rows).tobytes())
                    yield Progress(turn * len(labels) + min((index + 1) * step, len(labels)), total, "pictures")
        _write_looked_up(archive, "labels", np.arange(len(categories)), labels)
        _write_looked_up(archive, "category_names", np.array(categories), labels)


def _write_looked_up(archive: zipfile.ZipFile, key: str, table: Array, labels: NDArray[np.int64]) -> None:
    """table[labels], without ever holding it: names are long."""
    with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
        write_header(member, table.dtype, labels.shape)
        for start in range(0, len(labels), 1 << 14):
            member.write(table[labels[start : start + (1 << 14)]].tobytes())


def checksums(path: Path) -> dict[str, int]:
    """CRC-32 of each key of an NPZ, from its directory: reads a few kilobytes. DataError when keys are missing."""
    with _opened(path) as archive:
        return {key: archive.getinfo(f"{key}.npy").CRC for key in KEYS}


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[dict[str, Rows]]:
    """The arrays of a split's NPZ as row streams, their shapes and dtypes checked against each other."""
    with _opened(path) as archive, contextlib.ExitStack() as stack:
        streams = {key: stack.enter_context(archive.open(f"{key}.npy")) for key in KEYS}
        arrays = {key: Rows.of(stream, f"{path}: {key}") for key, stream in streams.items()}
        _check(path, arrays)
        yield arrays


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole NPZ file ({error}). Run `tinct prepare` again.") from None
    with archive:
        missing = [key for key in KEYS if f"{key}.npy" not in archive.namelist()]
        if missing:
            found = ", ".join(name.removesuffix(".npy") for name in archive.namelist()) or "nothing"
            raise DataError(f"{path}: key {', '.join(missing)} is missing; it has {found}. Needed: {', '.join(KEYS)}.")
        yield archive


def _check(path: Path, arrays: dict[str, Rows]) -> None:
    rgb, gray, labels, names = (arrays[key] for key in ("rgb", "grayscale", "labels", "category_names"))
    if len(rgb.shape) != 4 or rgb.shape[3] != 3 or 0 in rgb.shape:
        raise DataError(f"{path}: rgb has shape {rgb.shape}; expected (N, H, W, 3) with at least one picture.")
    wanted = {gray: (*rgb.shape[:3], 1), labels: rgb.shape[:1], names: rgb.shape[:1]}
    for array, shape in wanted.items():
        if array.shape != shape:
            raise DataError(f"{array.where} has shape {array.shape}; beside rgb of {rgb.shape} expected {shape}.")
    for array in (rgb, gray):
        if array.dtype != np.uint8 and array.dtype.kind != "f":
            raise DataError(f"{array.where} is {array.dtype}; expected float32 or uint8.")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{labels.where} is {labels.dtype}; expected whole numbers.")
    if names.dtype.kind != "U":
        raise DataError(f"{names.where} is {names.dtype}; expected text.")


def normalization_of(dtype: np.dtype[Any], metadata: dict[str, Any], where: str) -> Normalization:
    """The normalization of an NPZ's rgb: bytes are bytes; for floats metadata.json says it."""
    if dtype == np.uint8:
        return NORMALIZATIONS["none"]
    config = metadata.get("config")
    option = config.get("normalize_option") if isinstance(config, dict) else None
    for normalization in (NORMALIZATIONS["01"], NORMALIZATIONS["-11"]):
        if str(option) == str(normalization.option) or metadata.get("normalization") == normalization.title:
            return normalization
    raise DataError(
        f"{where}: holds {dtype}, but its metadata.json does not say how it is normalized. "
        'Add "normalization": "[0, 1]" or "[-1, 1]" to it.'
    )
