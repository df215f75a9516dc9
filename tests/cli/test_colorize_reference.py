"""`tinct colorize` towards a reference: by picture and palette, for folders too; in the manifest."""

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


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    GRAY.save(folder / "a.png")
    GRAY.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b.png")
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.jpg")
    return folder


def test_the_manifest_tells_references_apart(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, coffee = tmp_path / "out", tmp_path / "coffee.jpg"
    ways: list[tuple[tuple[object, ...], str]] = [
        ((), "2 coloured"), (("--reference", coffee), "2 coloured"), (("--reference", coffee), "2 done before"),
        (("--reference", coffee, "--reference-strength", 0.5), "2 coloured"), (("--palette", "#a03020,#E0D0B0"), "2 coloured"),
        (("--palette", "#e0d0b0,#a03020"), "2 done before"),
    ]  # fmt: skip
    for given, said in ways:
        assert run("colorize", album, "-o", out, "--model", untrained, *given) == 0
        assert said in capsys.readouterr().out
    settings = [json.loads(line)["settings"] for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert "reference_strength" not in settings[0]
    assert [row["reference_strength"] for row in settings[2::2]] == [1.0, 0.5, 1.0]
    assert settings[-1]["palette"] == ["#a03020", "#e0d0b0"]
    coloured = Image.open(out / "a.png")
    assert (np.asarray(coloured.convert("L")) == np.asarray(GRAY)).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--palette", "a03020"), "palette: 'a03020': expected #rrggbb"),
        (("--palette", "#a03020", "--reference-strength", "2"), "reference_strength = 2.0: must be at most 1"),
        (("--reference", "nowhere.jpg"), "nowhere.jpg: no such file"),
        (("--reference", "a.png"), "a.png: gray, with 0.0 levels of chroma"),
    ],
)
def test_a_bad_reference_is_one_clear_error(
    untrained: str, album: Path, given: tuple[str, ...], message: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(album)
    assert run("colorize", "a.png", "--model", untrained, *given) == 1
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (album / "a.colour.png").exists()
