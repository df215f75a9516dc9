"""What a browser can show: files as they are where it can, else made into JPEG."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tinct.errors import DataError
from tinct.images import Samples, read_rgb
from tinct.photo import Hint
from tinct.web.jobs import Job

_SHOWN = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif"}  # every browser of today has these
SIDE = 1600  # px at most of pictures that are not looked at in full


@dataclass(frozen=True)
class Made:
    """One picture of a result: its name, its bytes, and the number, from 0, of the photograph that it was made of."""

    name: str
    data: bytes
    source: int


def new_folder(folder: Path) -> Path:
    """An empty folder for files to show."""
    return Path(tempfile.mkdtemp(dir=folder, prefix="shown-"))


def in_full(source: Path | bytes, folder: Path, stem: str) -> str:
    """A picture at its own size, as a file that browsers show."""
    with Image.open(source if isinstance(source, Path) else io.BytesIO(source)) as opened:
        suffix = _SHOWN.get(opened.format or "")
    if suffix is None:
        path = folder / f"{stem}.jpg"
        Image.fromarray(read_rgb(source)).save(path, "JPEG", quality=95, subsampling=0)
        return str(path)
    path = folder / f"{stem}{suffix}"
    if isinstance(source, bytes):
        path.write_bytes(source)
    else:
        shutil.copyfile(source, path)
    return str(path)


def small(source: Path | bytes, side: int = SIDE) -> Image.Image:
    """A picture with sides of that many pixels at most, upright."""
    shown = Image.fromarray(read_rgb(source, at_least=side))
    shown.thumbnail((side, side), Image.Resampling.LANCZOS)
    return shown


def marked(picture: Samples, hints: list[Hint], scale: float) -> Image.Image:
    """The photograph (H, W, 3), shown at `scale`, with its hints as discs of their colours."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    pencil = ImageDraw.Draw(image)
    for one in hints:
        reach = max(one.radius * scale, max(image.size) / 100)
        x, y = one.x * scale, one.y * scale
        box = (x - reach, y - reach, x + reach, y + reach)
        pencil.ellipse(box, fill=one.rgb[:3], outline=(255, 255, 255), width=max(1, max(image.size) // 300))
    return image


def pictures_of(job: Job) -> list[Made]:
    """What a job made: one picture, or those of its ZIP."""
    assert job.result is not None
    try:
        if job.result.media_type != "application/zip":
            return [Made(job.result.name, job.result.path.read_bytes(), 0)]
        with zipfile.ZipFile(job.result.path) as archive:
            names = [name for name in archive.namelist() if name != "manifest.json"]
            entries = json.loads(archive.read("manifest.json")) if len(names) < len(archive.namelist()) else []
            return [Made(name, archive.read(name), _source(name, entries)) for name in names]
    except OSError:
        raise DataError("the result is no longer kept. Make it again") from None


def _source(name: str, entries: list[dict[str, Any]]) -> int:
    return next((number for number, entry in enumerate(entries) if name in entry.get("files", ())), 0)
