"""`tinct gray`: the scan again from its coloured version, sample for sample; gray versions of any picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tinct.cli.main import main

GRAY = Image.fromarray(data.camera()[::4, ::4])
COLOUR = Image.fromarray(data.astronaut()[::4, ::4])


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def test_gray_recovers_the_scan(untrained: str, tmp_path: Path) -> None:
    """8 and 16 bit, with alpha, byte for byte; and the note about synthetic colours goes."""
    deep = (np.asarray(GRAY).astype(np.uint16) * 257) ^ 21
    Image.fromarray(deep).save(tmp_path / "deep.tif")
    Image.merge("LA", [GRAY, Image.linear_gradient("L").resize(GRAY.size)]).save(tmp_path / "alpha.png")
    GRAY.save(tmp_path / "plain.webp", lossless=True)
    names = ["deep.tif", "alpha.png", "plain.webp"]
    assert run("colorize", *(tmp_path / name for name in names), "-o", tmp_path / "colour", "--model", untrained) == 0
    assert run("gray", tmp_path / "colour", "-o", tmp_path / "scan") == 0
    scans = [np.asarray(Image.open(io.BytesIO((tmp_path / "scan" / name).read_bytes()))) for name in names]
    assert (scans[0] == deep).all()
    assert (scans[1] == np.asarray(Image.open(io.BytesIO((tmp_path / "alpha.png").read_bytes())))).all()
    assert (scans[2][..., 0] == np.asarray(GRAY)).all()
    assert all(b"synthetic" not in (tmp_path / "scan" / name).read_bytes() for name in names)
    assert all(b"synthetic" in (tmp_path / "colour" / name).read_bytes() for name in names)


def test_gray_does_not_replace_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    COLOUR.save(tmp_path / "a.png")
    assert run("gray", tmp_path / "a.png") == 0
    assert Image.open(io.BytesIO((tmp_path / "a.gray.png").read_bytes())).tobytes() == COLOUR.convert("L").tobytes()
    assert run("gray", tmp_path / "a.png") == 1
    assert "exists and was not made by tinct" in capsys.readouterr().err
    assert run("gray", tmp_path / "a.png", "--force") == 0
