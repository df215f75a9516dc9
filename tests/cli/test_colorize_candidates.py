"""`tinct colorize` with candidates, saturation and preview: which files, what the manifest says, resume, refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from pictures import full_exif, opened
from tinct import weights
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.families import FAMILIES

GRAY = Image.fromarray(data.camera()[::4, ::4])
EXTRAS = ["a.candidate-1.png", "a.candidate-2.png", "a.candidate-3.png", "a.sheet.png", "a.uncertainty.png"]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of a PNG, a 16-bit TIFF and a JPEG with EXIF, one of them deeper."""
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    GRAY.save(folder / "a.png")
    tifffile.imwrite(folder / "deep" / "b.tif", np.asarray(GRAY).astype(np.uint16) * 257 + 5, metadata=None)
    GRAY.save(folder / "c.jpg", exif=full_exif(), quality=95)
    return folder


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def coloured(untrained: str, source: Path, out: Path, *arguments: object) -> int:
    return run("colorize", source, "-o", out, "--model", untrained, *arguments)


def entries(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def pixels(path: Path) -> np.ndarray:
    return np.asarray(opened(path), dtype=int)


def gray_of(path: Path) -> np.ndarray:
    return np.asarray(opened(path).convert("L"))


def one_colouring(folder: Path) -> str:
    """The weights file of a model that has one colouring of each photograph."""
    family = FAMILIES["unet"]
    options = from_dict(family.Options, {"network": {"features": [8, 8]}, "size": 32})
    path = folder / "plain.safetensors"
    header = {"format": 1, "family": "unet", "model": to_dict(options), "name": "plain"}
    weights.save(path, family.build(options).state_dict(), header)
    return str(path)


def test_every_photograph_gets_candidates_a_sheet_and_a_map(untrained: str, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert coloured(untrained, album, out, "--samples", 3) == 0
    of_b = [f"deep/b.{label}" for label in
            ("candidate-1.tif", "candidate-2.tif", "candidate-3.tif", "sheet.png", "tif", "uncertainty.png")]  # fmt: skip
    of_c = ["c.candidate-1.jpg", "c.candidate-2.jpg", "c.candidate-3.jpg", "c.jpg", "c.sheet.png", "c.uncertainty.png"]
    assert files(out) == sorted([*EXTRAS, "a.png", *of_b, *of_c, "manifest.jsonl"])
    facts: dict[str, Any] = {str(entry["input"]): entry for entry in entries(out)}
    assert facts["a.png"]["extras"] == EXTRAS
    assert len(facts) == 3
    for index in range(3):
        assert (gray_of(out / EXTRAS[index]) == np.asarray(GRAY)).all()
        assert f"model tiny, seed {facts['a.png']['seeds'][index]}" in opened(out / EXTRAS[index]).text["Comment"]
        deep = tifffile.imread(out / f"deep/b.candidate-{index + 1}.tif")
        assert (deep.dtype, deep.shape) == (np.uint16, (128, 128, 3))
        exif = opened(out / f"c.candidate-{index + 1}.jpg").getexif()
        assert exif[0x0132] == "1931:05:02 10:00:00"
        assert f"seed {facts['c.jpg']['seeds'][index]}" in str(exif[0x010E])
    representative = facts["a.png"]["representative"]
    assert (pixels(out / "a.png") == pixels(out / f"a.candidate-{representative}.png")).all()
    assert pixels(out / "a.uncertainty.png").shape == (128, 128, 3)
    assert "bright yellow 40 levels" in opened(out / "a.uncertainty.png").text["Comment"]


def test_a_candidate_stays_when_there_are_more_and_is_had_alone_by_its_seed(
    untrained: str, album: Path, tmp_path: Path
) -> None:
    for samples in (2, 4):
        coloured(untrained, album / "a.png", tmp_path / str(samples), "--samples", samples)
    for number in (1, 2):
        one, other = (pixels(tmp_path / folder / f"a.candidate-{number}.png") for folder in ("2", "4"))
        assert np.abs(one - other).max() <= 1
    seed = entries(tmp_path / "4")[0]["seeds"][2]
    coloured(untrained, album / "a.png", tmp_path / "alone.png", "--seed", seed)
    third = pixels(tmp_path / "4" / "a.candidate-3.png")
    assert np.abs(third - pixels(tmp_path / "alone.png")).max() <= 1


def test_a_second_run_makes_what_is_missing_and_nothing_else(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    coloured(untrained, album, out, "--samples", 3)
    first = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    coloured(untrained, album, out, "--samples", 3)
    assert first == {name: (out / name).stat().st_mtime_ns for name in files(out)}
    (out / "c.sheet.png").unlink()
    (out / "a.candidate-2.png").unlink()
    capsys.readouterr()
    coloured(untrained, album, out, "--samples", 3)
    assert "2 coloured, 1 done before" in capsys.readouterr().out
    assert first.keys() == set(files(out))
    coloured(untrained, album, out, "--samples", 2)  # other settings: all of it again
    assert "3 coloured" in capsys.readouterr().out
    assert len(entries(out)[-1]["extras"]) == 4
    coloured(untrained, album, out)
    assert "3 coloured" in capsys.readouterr().out


def test_broken_off_between_its_files_a_photograph_is_not_done(
    untrained: str, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Done with seed 1, begun with seed 2, broken off when some of its files are anew: with seed 1 it is done again."""
    out, source = tmp_path / "out", album / "a.png"
    coloured(untrained, source, out, "--samples", 3, "--seed", 1)
    whole = pixels(out / "a.candidate-1.png")
    (out / "a.sheet.png").unlink()
    (out / "a.sheet.png").mkdir()  # can't be written
    assert coloured(untrained, source, out, "--samples", 3, "--seed", 2) == 1
    assert (pixels(out / "a.candidate-1.png") != whole).any()
    (out / "a.sheet.png").rmdir()
    opened(out / "a.uncertainty.png").save(out / "a.sheet.png", pnginfo=None)  # all files are there again
    capsys.readouterr()
    assert coloured(untrained, source, out, "--samples", 3, "--seed", 1) == 0
    assert "1 coloured" in capsys.readouterr().out
    assert (pixels(out / "a.candidate-1.png") == whole).all()


def test_extras_overwrite_nothing_that_was_not_made_here(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    GRAY.save(tmp_path / "out" / "a.sheet.png")
    assert coloured(untrained, album / "a.png", tmp_path / "out", "--samples", 2) == 1
    assert "a.sheet.png: exists and was not made by tinct" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["a.sheet.png", "manifest.jsonl"]
    GRAY.save(album / "a.candidate-1.png")  # another input wants the name
    assert coloured(untrained, album, tmp_path / "other", "--samples", 2) == 1
    assert "is that of" in capsys.readouterr().err


def test_an_animation_gets_animated_candidates(untrained: str, tmp_path: Path) -> None:
    frames = [GRAY.rotate(angle) for angle in (0, 30, 60)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=80)
    assert run("colorize", tmp_path / "a.gif", "-o", tmp_path / "out", "--model", untrained, "--samples", 2) == 0
    assert files(tmp_path / "out") == sorted(
        ["a.candidate-1.webp", "a.candidate-2.webp", "a.sheet.png", "a.uncertainty.png", "a.webp", "manifest.jsonl"]
    )
    assert opened(tmp_path / "out" / "a.candidate-2.webp").n_frames == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "1"], "samples = 1: must be from 2 to 64"),
        (["--samples", "0"], "samples = 0: must be from 2 to 64"),
        (["--samples", "4", "--draws", "8"], "draws = 8: with samples = 4"),
        (["--samples", "4", "--preview"], "samples = 4: a preview is the mean colour"),
        (["--preview", "--seed", "2"], "seed = 2: a preview is the mean colour"),
        (["--preview"], "preview: the model 'tiny' has no head for the mean colour"),
        (["--saturation", "5"], "saturation = 5.0: must be at most 4.0"),
        (["--saturation", "-1"], "saturation = -1.0: must be at least 0.0"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(
    untrained: str, album: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = files(album)
    assert run("colorize", album / "a.png", "--model", untrained, *arguments) == 1
    assert message in capsys.readouterr().err
    assert files(album) == before


def test_a_model_of_one_colouring_has_no_candidates(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("colorize", album / "a.png", "--model", one_colouring(tmp_path), "--samples", 3) == 1
    assert "samples = 3: the model 'plain' has one colouring of each photograph" in capsys.readouterr().err


def test_saturation_is_a_setting_of_the_manifest(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for expected in ("3 coloured", "3 done before"):
        coloured(untrained, album, out, "--saturation", 0)
        assert expected in capsys.readouterr().out
    assert (pixels(out / "a.png") == np.asarray(GRAY)[..., None]).all()
    assert entries(out)[0]["settings"]["saturation"] == 0
    coloured(untrained, album, out)
    assert "3 coloured" in capsys.readouterr().out


def test_a_preview_is_refined_by_the_next_run(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, source = tmp_path / "out", album / "a.png"
    pictures = []
    for more in (["--preview"], ["--draws", "1", "--steps", "2"]):
        assert run("colorize", source, "-o", out, *more) == 0
        assert "1 coloured" in capsys.readouterr().out
        pictures.append(opened(out / "a.png"))
        assert (gray_of(out / "a.png") == np.asarray(GRAY)).all()
    assert "model photo, mean colour" in pictures[0].text["Comment"]
    assert "model photo, seed 0" in pictures[1].text["Comment"]
    assert pictures[0].tobytes() != pictures[1].tobytes()
    first = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])
    assert first["settings"]["preview"] is True
    assert first["seed"] is None
