"""`tinct colorize` with hints: by flag, file and mask; in the manifest; for one photograph alone."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tinct.cli.main import main

GRAY = Image.fromarray(data.camera()[::4, ::4])


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB")).astype(int)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    GRAY.save(tmp_path / "old.png")
    return tmp_path / "old.png"


def test_flags_files_and_masks_say_the_same(untrained: str, old: Path, tmp_path: Path) -> None:
    (tmp_path / "hints.json").write_text('[{"x": 20, "y": 10, "color": "#c02020"}]')
    mask = np.zeros((128, 128, 4), np.uint8)
    mask[10, 20] = (0xC0, 0x20, 0x20, 255)
    Image.fromarray(mask).save(tmp_path / "painted.png")
    ways = {"flag": ("--hint", "20,10,#c02020"), "file": ("--hints", tmp_path / "hints.json"),
            "mask": ("--hint-mask", tmp_path / "painted.png"), "none": ()}  # fmt: skip
    for name, given in ways.items():
        assert run("colorize", old, "-o", tmp_path / f"by-{name}.png", "--model", untrained, *given) == 0
    flag, file, painted, none = (pixels(tmp_path / f"by-{name}.png") for name in ways)
    assert (flag == file).all()
    assert (flag == painted).all()
    assert flag[10, 20, 0] > flag[10, 20, 1] + 30
    assert (flag != none).any()
    assert (np.asarray(Image.fromarray(flag.astype(np.uint8)).convert("L")) == np.asarray(GRAY)).all()


def test_coordinates_are_those_of_the_upright_photograph(untrained: str, tmp_path: Path) -> None:
    turned, exif = GRAY.crop((0, 0, 128, 64)).rotate(90, expand=True), Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: 128 x 64 again
    turned.save(tmp_path / "turned.png", exif=exif)
    out = tmp_path / "out.png"
    assert run("colorize", tmp_path / "turned.png", "-o", out, "--model", untrained, "--hint", "120,60,#c02020") == 0
    assert pixels(out).shape == (64, 128, 3)
    assert pixels(out)[60, 120, 0] > pixels(out)[60, 120, 1] + 30


def test_the_manifest_tells_hints_apart(
    untrained: str, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, red = tmp_path / "out", ("--hint", "40,50,#C02020", "--hint", "9,9,#2040c0,4")
    runs = [((), "1 coloured"), (red, "1 coloured"), (red, "1 done before"), (red[:2], "1 coloured")]
    for given, said in runs:
        assert run("colorize", old, "-o", out, "--model", untrained, *given) == 0
        assert said in capsys.readouterr().out
    settings = [json.loads(line)["settings"] for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert "hints" not in settings[0]
    assert settings[1]["hints"] == [
        {"x": 9, "y": 9, "color": "#2040c0", "radius": 4.0}, {"x": 40, "y": 50, "color": "#c02020", "radius": 0.0}
    ]  # fmt: skip


def test_hints_are_for_one_photograph(
    untrained: str, old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GRAY.save(tmp_path / "other.png")
    red = ("--hint", "40,50,#c02020", "--model", untrained)
    assert run("colorize", old, tmp_path / "other.png", *red) == 1
    assert "hints are for one photograph, not for 2 inputs" in capsys.readouterr().err
    assert run("colorize", tmp_path, *red) == 1
    assert "not for a folder" in capsys.readouterr().err
    assert run("colorize", old, "--samples", 3, *red) == 1
    assert "samples = 3: there are no candidates with hints" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--hint", "40,50,red"), "expected #rrggbb, such as #c02020"),
        (("--hint", "400,50,#c02020"), "outside the photograph of 128 x 128 pixels"),
        (("--hints", "nowhere.json"), "nowhere.json: can't be read"),
        (("--hint-mask", "nowhere.png"), "nowhere.png: no such file"),
    ],
)
def test_bad_hints_are_one_clear_error(
    untrained: str, old: Path, given: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("colorize", old, "--model", untrained, *given) == 1
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not old.with_name("old.colour.png").exists()
