"""TIFF files with 8 or 16 bits per sample and all of the photograph's metadata.

tifffile writes the samples. It has no EXIF directories; Pillow has, but writes no 16-bit colour. So Pillow's directory
is appended, and the page's directory is written anew with the entries of both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import tifffile
from PIL import TiffImagePlugin

from tinct.images.metadata import Tags
from tinct.images.picture import Samples


@dataclass(frozen=True)
class Page:
    """One page. Samples: (H, W) gray, (H, W, 2) gray and alpha, (H, W, 3) colour, (H, W, 4) colour and alpha; uint8 or uint16."""

    samples: Samples
    exif: Tags
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    xmp: bytes | None = None


def write_tiff(path: Path, pages: Iterable[Page], count: int, size: int) -> None:
    """Writes `count` pages, one after the other, whose samples have `size` bytes together."""
    directories = []
    with tifffile.TiffWriter(path, byteorder="<", bigtiff=size > _LARGEST) as file:
        for page in pages:
            _write_page(file, page, several=count > 1)
            directories.append(_directory(page))
    with path.open("r+b") as stream:
        chain = _Directories(stream)
        for number, directory in enumerate(directories):
            if directory:
                chain.extend(number, directory)


_LARGEST = 2**32 - 2**26  # bytes of samples; beyond it the offsets of a plain TIFF may not suffice


def _write_page(file: Any, page: Page, *, several: bool) -> None:
    samples = page.samples
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    file.write(
        samples,
        photometric="minisblack" if channels < 3 else "rgb",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        compressionargs={"level": 1},  # 6 takes a quarter longer and saves less than 1%
        predictor=True,
        rowsperstrip=max(1, 2**18 // max(1, samples.shape[1])),
        maxworkers=2,
        iccprofile=page.profile,
        subfiletype=2 if several else 0,  # TIFF 6.0: a page of several
        metadata=None,
        software=False,
    )


def _directory(page: Page) -> Tags:
    """What Pillow's directory adds."""
    resolution = {282: page.dpi[0], 283: page.dpi[1], 296: 2} if page.dpi else {}
    return page.exif | resolution | ({700: page.xmp} if page.xmp else {})


class _Directories:
    """The chain of directories of a little-endian TIFF, one per page; that of a BigTIFF has wider numbers."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        self._big = file.read(4)[2] == 43
        self._count, self._pointer, self._entry_size = ("<Q", "<Q", 20) if self._big else ("<H", "<I", 12)

    def extend(self, number: int, tags: Tags) -> None:
        """Writes that page's directory anew at the end of the file, with these tags (sub-directories as dicts)."""
        pointer_place = self._pointer_place(number)
        entries, next_one = self._entries(self._number(pointer_place, self._pointer))
        entries |= self._appended(tags)
        place = _padded_end(self._file)
        self._file.write(struct.pack(self._count, len(entries)) + b"".join(entries[tag] for tag in sorted(entries)))
        self._file.write(struct.pack(self._pointer, next_one))
        self._file.seek(pointer_place)
        self._file.write(struct.pack(self._pointer, place))

    def _pointer_place(self, number: int) -> int:
        """Where the pointer to a directory lies: in the header, or behind the directory before it."""
        place = 8 if self._big else 4
        for _ in range(number):
            before = self._number(place, self._pointer)
            place = before + struct.calcsize(self._count) + self._number(before, self._count) * self._entry_size
        return place

    def _entries(self, place: int) -> tuple[dict[int, bytes], int]:
        """The entries of the directory there by tag, and the place of the next one."""
        count = self._number(place, self._count)
        data = self._file.read(count * self._entry_size)
        return self._by_tag(data), self._number(self._file.tell(), self._pointer)

    def _appended(self, tags: Tags) -> dict[int, bytes]:
        """Pillow's directory of the tags, written to the end with all it points to: its entries."""
        header = b"II\x2b\0\x08\0\0\0" + bytes(8) if self._big else b"II\x2a\0" + bytes(4)
        directory = TiffImagePlugin.ImageFileDirectory_v2(header)
        directory.update(tags)
        data = directory.tobytes(_padded_end(self._file))
        self._file.write(data)
        (count,), start = struct.unpack_from(self._count, data), struct.calcsize(self._count)
        return self._by_tag(data[start : start + count * self._entry_size])

    def _by_tag(self, data: bytes) -> dict[int, bytes]:
        each = (data[place : place + self._entry_size] for place in range(0, len(data), self._entry_size))
        return {struct.unpack_from("<H", entry)[0]: entry for entry in each}

    def _number(self, place: int, form: str) -> int:
        self._file.seek(place)
        return int(struct.unpack(form, self._file.read(struct.calcsize(form)))[0])


def _padded_end(file: BinaryIO) -> int:
    """Goes to the end of the file, padded: directories begin at even places."""
    file.seek(0, 2)
    file.write(bytes(file.tell() % 2))
    return file.tell()
