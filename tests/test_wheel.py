"""The wheel: what it installs works on its own, offline, from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

ROOT = Path(__file__).parents[1]


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        arguments, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_colours_a_photograph(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT), cwd=tmp_path)
    (wheel,) = tmp_path.glob("tinct-*.whl")
    installed = tmp_path / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target")
    run(*pip, str(installed), str(wheel), cwd=tmp_path)
    scan = Image.fromarray(skimage.data.camera())
    scan.save(tmp_path / "scan.png")

    def tinct(*arguments: str) -> str:
        return run(sys.executable, "-m", "tinct", *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    where = run(sys.executable, "-c", "import tinct; print(tinct.__file__)", cwd=tmp_path, PYTHONPATH=str(installed))
    assert Path(where.strip()).is_relative_to(installed)
    assert "photo" in tinct("models", "list")
    assert "classic" in tinct("train", "--help")
    tinct("colorize", "scan.png", "-o", "coloured.png")
    coloured = Image.open(tmp_path / "coloured.png")
    assert coloured.convert("L").tobytes() == scan.tobytes()
    assert np.ptp(np.asarray(coloured, dtype=int), axis=2).mean() > 1  # levels: it is in colour
