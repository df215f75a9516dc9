"""The runner of examples/: without torch and tinct it colours as tinct does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from tinct import runtimes, zoo
from tinct.photo import PhotoOptions, colour
from tinct.photo.colouring import seen_by
from tinct.photo.prints import inside

ROOT = Path(__file__).parents[2]
RUNNER = ROOT / "examples" / "onnx_runner.py"
# Runs a script in an interpreter to which some packages are as if they were not installed.
WITHOUT = "import runpy, sys\nsys.modules |= {'torch': None, 'tinct': None, 'onnx': None}\nsys.argv = sys.argv[1:]\n"
WITHOUT += "runpy.run_path(sys.argv[0], run_name='__main__')"


def coloured(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, RUNNER, *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def photographs() -> dict[str, np.ndarray]:
    """One that is large, a tall one, and one with a plain border, by name."""
    camera, chelsea = skimage.data.camera(), np.asarray(Image.fromarray(skimage.data.chelsea()).convert("L"))
    framed = np.pad(chelsea[::2, ::2], ((9, 14), (12, 10)), constant_values=250)
    assert min(part.min() for part in inside(framed)) == 0
    return {"camera": camera, "tall": chelsea.T[:, :140], "framed": framed}


@pytest.mark.parametrize(("steps", "sampler"), [(2, None), (2, "ddim"), (8, None), (8, "consistency")])
def test_its_pictures_are_those_of_tinct(
    split: str, exported: Path, tmp_path: Path, steps: int, sampler: str | None
) -> None:
    """By few steps it jumps, as tinct does, unless a sampler is said."""
    model = zoo.colorizer(zoo.load(split))
    for name, gray in photographs().items():
        h, w = (side // 2 for side in seen_by(model, gray).shape[2:])
        generator = torch.Generator().manual_seed(5)
        noise = torch.stack([torch.randn((2, h, w), generator=generator) for _ in range(steps)])
        np.save(tmp_path / "noise.npy", noise.numpy())
        Image.fromarray(gray).save(tmp_path / f"{name}.png")
        known = ("--noise", tmp_path / "noise.npy", "--steps", steps, *(("--sampler", sampler) if sampler else ()))
        done = coloured(exported, tmp_path / f"{name}.png", "-o", tmp_path / "out", *known)
        assert done.returncode == 0, done.stderr
        made, wanted = (
            Image.open(tmp_path / "out" / f"{name}.png"),
            colour(model, gray, seed=5, options=PhotoOptions(steps=steps, sampler=sampler)),
        )
        apart = np.abs(np.asarray(made).astype(int) - wanted).max(axis=2)
        assert np.ptp(wanted.astype(int), axis=2).mean() > 1
        assert (apart <= 1).mean() >= 0.999
        assert made.convert("L").tobytes() == gray.tobytes()


def test_it_takes_folders_and_options_and_says_what_it_does_not_know(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "album" / "1931").mkdir(parents=True)
    gray = Image.fromarray(skimage.data.camera()[::4, ::4])
    gray.save(tmp_path / "album" / "a.jpg")
    gray.rotate(90).save(tmp_path / "album" / "1931" / "b.tif")
    out = tmp_path / "out"
    arguments = ("--steps", 4, "--sampler", "ddim", "--anchor", 0, "--seed", 2)
    assert coloured(exported, tmp_path / "album", "-o", out, *arguments).returncode == 0
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == ["1931/b.png", "a.jpg"]
    assert "there are ladders of" in coloured(exported, tmp_path / "album", "--steps", 7).stderr
    damaged = shutil.copytree(exported, tmp_path / "damaged")
    (damaged / "encoder.onnx").write_bytes(b"abc")
    assert "checksum" in coloured(damaged, tmp_path / "album").stderr
    about = json.loads((damaged / "colorizer.json").read_text())
    (damaged / "colorizer.json").write_text(json.dumps({**about, "version": 1}))
    assert "tinct-onnx 4" in coloured(damaged, tmp_path / "album").stderr


@pytest.mark.slow
def test_it_colours_where_only_onnxruntime_numpy_and_pillow_are_installed(tmp_path: Path) -> None:
    for _ in runtimes.export(zoo.load("photo"), tmp_path / "photo"):
        pass
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", ROOT / "constraints.txt")
    subprocess.run([*pip, "onnxruntime", "numpy", "pillow"], check=True)
    there = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    assert not {package["name"] for package in json.loads(there.stdout)} & {"torch", "tinct", "scikit-image"}
    (tmp_path / "album").mkdir()
    for name in ("chelsea", "astronaut", "coffee", "rocket"):
        Image.fromarray(getattr(skimage.data, name)()).convert("L").save(tmp_path / "album" / f"{name}.png")
    subprocess.run([python, RUNNER, tmp_path / "photo", tmp_path / "album", "-o", tmp_path / "out"], check=True)
    for path in (tmp_path / "album").iterdir():
        made = Image.open(tmp_path / "out" / path.name)
        assert made.convert("L").tobytes() == Image.open(path).tobytes()
        assert np.ptp(np.asarray(made).astype(int), axis=2).mean() > 5
