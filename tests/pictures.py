"""Pictures of every kind, made from one that scikit-image ships."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage import data

COLOUR = Image.fromarray(data.astronaut()[:96, 100:220])  # 120 x 96
GRAY = COLOUR.convert("L")
DEEP = np.asarray(COLOUR).astype(np.uint16) * 257 ^ np.arange(120, dtype=np.uint16)[:, None]  # low bytes of their own


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, format, **options)  # a save leaves its settings on the image
    return file.getvalue()


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def png16(samples: np.ndarray) -> bytes:
    """A 16-bit PNG of 1 to 4 channels, every row with the Sub filter."""
    height, width, channels = samples.reshape(*samples.shape[:2], -1).shape
    rows = np.frombuffer(samples.astype(">u2").tobytes(), np.uint8).reshape(height, -1)
    filtered = rows.copy()
    filtered[:, 2 * channels :] -= rows[:, : -2 * channels]
    lines = b"".join(b"\1" + row.tobytes() for row in filtered)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff16(samples: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def full_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x0132] = (
        "Grandmother, Łódź".encode(),
        "José".encode("latin-1"),
        "1931:05:02 10:00:00",
    )
    exif[0x8769] = {0x9003: "1931:05:02 10:00:00", 0xA002: 120, 0xA003: 96, 0x829A: 0.01}
    exif[0x8825] = {1: "N", 2: (51.0, 46.0, 1.0)}
    return exif
