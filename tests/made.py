"""Image sets that tests make for themselves."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

TINY_NAMES = {
    "n01443537": "goldfish, Carassius auratus",
    "n02124075": "Egyptian cat",
    "n03444034": "go-kart",
    "n04067472": "reel",
}


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """A smooth coloured picture, another for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def tiny_files(train: int = 6, val: int = 3) -> dict[str, bytes]:
    """Tiny ImageNet in its published layout, with four categories."""
    files = {
        "wnids.txt": "".join(f"{wnid}\n" for wnid in reversed(TINY_NAMES)).encode(),
        "words.txt": "".join(f"{wnid}\t{names}\n" for wnid, names in TINY_NAMES.items()).encode(),
    }
    annotations = []
    for category, wnid in enumerate(TINY_NAMES):
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"0 0 1 1"
        for index in range(train):
            name = f"{wnid}_{index}.JPEG"
            files[f"train/{wnid}/images/{name}"] = encoded(picture(100 * category + index))
        for index in range(val):
            name = f"val_{category * val + index}.JPEG"
            files[f"val/images/{name}"] = encoded(picture(1000 + 100 * category + index))
            annotations.append(f"{name}\t{wnid}\t0\t0\t63\t63\n")
    files["val/val_annotations.txt"] = "".join(annotations).encode()
    return {f"tiny-imagenet-200/{name}": data for name, data in files.items()}


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def written(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def idx_files(train: int = 30, test: int = 10, compress: bool = True) -> dict[str, bytes]:
    """MNIST's four files with random digits."""
    files = {}
    for part, count, seed in (("train", train, 0), ("t10k", test, 1)):
        generator = np.random.default_rng(seed)
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, array in (("images", images), ("labels", labels)):
            header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
            data = header + array.tobytes()
            name = f"{part}-{kind}-idx{array.ndim}-ubyte"
            files[name + (".gz" if compress else "")] = gzip.compress(data) if compress else data
    return files
