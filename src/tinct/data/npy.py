"""Arrays on disk, row by row: .npy streams of any length in little memory."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from tinct.errors import DataError
from tinct.files import replacing

CHUNK_BYTES = 4 << 20  # what is held at once of each array

Array = NDArray[Any]


def write_header(stream: IO[bytes], dtype: Any, shape: tuple[int, ...]) -> None:
    """The header of a C-ordered .npy. It has the same length whatever the number of rows, so it can be written again."""
    fields = {"descr": npy_format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(stream, fields)


@contextlib.contextmanager
def growing(
    path: Path, dtype: Any, row_shape: tuple[int, ...], *, sync: bool = False
) -> Iterator[Callable[[Array], None]]:
    """Gives the function that appends rows (B, *row_shape) to a new .npy; the file appears when the block ends well."""
    count = 0

    def append(rows: Array) -> None:
        nonlocal count
        assert rows.shape[1:] == row_shape, (rows.shape, row_shape)
        file.write(np.ascontiguousarray(rows, dtype).data)
        count += len(rows)

    with replacing(path, sync=sync) as temporary, temporary.open("wb") as file:
        write_header(file, dtype, (0, *row_shape))
        yield append
        file.seek(0)
        write_header(file, dtype, (count, *row_shape))


@dataclass(frozen=True)
class Rows:
    """The rows of an .npy stream. `where` names it in errors; the stream is read once, from first to last."""

    where: str
    stream: IO[bytes]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, stream: IO[bytes], where: str) -> Rows:
        """Reads the header; DataError if it is not a plain C-ordered array."""
        try:
            version = npy_format.read_magic(stream)
            read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
        except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{where}: not a readable array ({error})") from None
        if fortran and len(shape) > 1:
            raise DataError(f"{where}: saved in Fortran order. Save np.ascontiguousarray of it.")
        if dtype.hasobject:
            raise DataError(f"{where}: holds Python objects, which are not read. Save it as numbers or text.")
        return cls(where, stream, shape, dtype)

    def chunks(self, rows: int | None = None) -> Iterator[Array]:
        """Consecutive rows, `rows` at a time (default: about 4 MB)."""
        row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        step = rows or rows_per_chunk(row_bytes)
        for start in range(0, self.shape[0], step):
            count = min(step, self.shape[0] - start)
            data = self._read(count * row_bytes)
            yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])

    def _read(self, size: int) -> bytes:
        try:
            data = self.stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"{self.where}: damaged ({error})") from None
        if len(data) != size:
            raise DataError(f"{self.where}: cut short, its header promises {self.shape[0]} rows")
        return data


def rows_per_chunk(row_bytes: int) -> int:
    """How many rows of this size are held at once."""
    return max(1, CHUNK_BYTES // max(row_bytes, 1))


def read_rows(path: Path, rows: int) -> Iterator[Array]:
    """The rows of an .npy file, `rows` at a time."""
    with path.open("rb") as file:
        yield from Rows.of(file, str(path)).chunks(rows)
