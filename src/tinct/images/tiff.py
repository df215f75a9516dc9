"""TIFF files with 8 or 16 bits per sample and all of the photograph's metadata.

tifffile writes the samples. It has no EXIF directories; Pillow has, but writes no 16-bit colour. So Pillow's directory
is appended, and the file's first directory is written anew with the entries of both.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

import tifffile
from PIL import TiffImagePlugin

from tinct.images.metadata import Tags
from tinct.images.picture import Samples


def write_tiff(
    path: Path,
    samples: Samples,
    *,
    exif: Tags,
    profile: bytes | None,
    dpi: tuple[float, float] | None,
    xmp: bytes | None,
) -> None:
    """Writes (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) colour or (H, W, 4) colour and alpha; uint8 or uint16."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    tifffile.imwrite(
        path,
        samples,
        byteorder="<",
        photometric="minisblack" if channels < 3 else "rgb",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        compressionargs={"level": 1},  # 6 takes a quarter longer and saves less than 1%
        predictor=True,
        rowsperstrip=max(1, 2**18 // max(1, samples.shape[1])),
        maxworkers=2,
        iccprofile=profile,
        metadata=None,
        software=False,
    )
    directory = dict(exif)
    if dpi:
        directory |= {282: dpi[0], 283: dpi[1], 296: 2}
    if xmp:
        directory[700] = xmp
    if directory:
        with path.open("r+b") as file:
            _add_to_first_directory(file, directory)


def _add_to_first_directory(file: BinaryIO, tags: dict[int, Any]) -> None:
    """Writes the first directory anew at the end of a little-endian file, with these tags (sub-directories as dicts)."""
    head = file.read(16)
    big = head[2] == 43
    count_format, pointer, entry_size = ("<Q", "<Q", 20) if big else ("<H", "<I", 12)
    pointer_place = 8 if big else 4

    def entries(data: bytes) -> dict[int, bytes]:
        (count,) = struct.unpack_from(count_format, data)
        start = struct.calcsize(count_format)
        each = (data[start + n * entry_size : start + (n + 1) * entry_size] for n in range(count))
        return {struct.unpack_from("<H", entry)[0]: entry for entry in each}

    file.seek(struct.unpack_from(pointer, head, pointer_place)[0])
    old = entries(file.read(8 + 100 * entry_size))
    place = _padded_end(file)
    header = b"II\x2b\0\x08\0\0\0" + bytes(8) if big else b"II\x2a\0" + bytes(4)
    added = TiffImagePlugin.ImageFileDirectory_v2(header)
    added.update(tags)
    data = added.tobytes(place)
    file.write(data)
    merged = old | entries(data)
    place = _padded_end(file)
    file.write(struct.pack(count_format, len(merged)) + b"".join(merged[tag] for tag in sorted(merged)))
    file.write(struct.pack(pointer, 0))
    file.seek(pointer_place)
    file.write(struct.pack(pointer, place))


def _padded_end(file: BinaryIO) -> int:
    """Goes to the end of the file, padded: directories begin at even places."""
    file.seek(0, 2)
    file.write(bytes(file.tell() % 2))
    return file.tell()
