"""`tinct evaluate` from the command line: what it prints and writes, and its answer to everything that is wrong."""

import csv
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tinct import weights
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.families import FAMILIES
from tinct.nets import features

PHOTOGRAPHS = [data.astronaut(), data.coffee(), data.chelsea()]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A small untrained model that says what its training set's mean chroma was."""
    family = FAMILIES["splitdpm"]
    shape = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1}
    options = from_dict(family.Options, {"network": shape, "steps": 2, "draws": 1, "size": 32})
    torch.manual_seed(0)
    header = {"format": 1, "name": "small", "family": "splitdpm", "model": to_dict(options), "mean_cbcr": [-6.0, 3.0]}
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    weights.save(path, family.build(options).state_dict(), header)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder of twelve small pictures, numbered without leading zeros; number 3 has no colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(12):
        top, left = 37 * number % 200, 53 * number % 300
        crop = PHOTOGRAPHS[number % 3][top : top + 40, left : left + 48]
        picture = Image.fromarray(crop)
        (picture.convert("L") if number == 3 else picture).save(folder / f"val_{number}.png")
    return folder


@pytest.fixture(autouse=True)
def no_weights_about(monkeypatch, tmp_path, tmp_path_factory):
    """No feature weights anywhere, and nobody who would send them."""
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")
    monkeypatch.chdir(tmp_path)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_the_table_and_its_remarks_are_printed(model, pictures, capsys):
    assert run("--model", model, "--images", pictures, "--first", 5, "--seeds", 2) == 0
    said = capsys.readouterr().out
    for needed in (
        "4 pictures: mean and 95% interval",
        "mean chroma",
        "psnr ↑",
        "small, best",
        f"4 pictures of {pictures.name} (the first 5 of 12 in natural order), all 48 x 40",
        "1 dropped as colourless (mean over pixels of largest minus smallest channel at most 4 levels): val_3.png",
        "Cb -6.0, Cr +3.0 at every pixel, the mean of the pictures that small was trained on",
        "small: steps 2, sampler dpm++2m, spacing karras, anchor 1.5, draws 1, size 32, seed 0 + picture",
        "2 samples per picture differ by",
        "lpips-squeeze is not available: squeezenet1_1-b8a52dc0.pth (download from http://127.0.0.1:9/",
    ):
        assert needed in said, needed


def test_all_files_are_written_and_agree(model, pictures, tmp_path):
    out = tmp_path / "out"
    assert run("--model", model, "--images", pictures, "--metrics", "psnr,de2000", "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "evaluation.csv", "evaluation.json", "evaluation.md", "pictures.csv", "sheet.png",
    ]  # fmt: skip
    figures = json.loads((out / "evaluation.json").read_text())
    assert [row["name"] for row in figures["rows"]] == ["gray", "mean chroma", "small"]
    assert [row["luma_error"] for row in figures["rows"]] == [0, 0, 0]
    assert figures["n"] == 11
    assert figures["dropped"] == ["val_3.png"]
    with (out / "evaluation.csv").open(newline="") as file:
        lines = {(line["row"], line["metric"]): float(line["mean"]) for line in csv.DictReader(file)}
    with (out / "pictures.csv").open(newline="") as file:
        single = list(csv.DictReader(file))
    assert [line["picture"] for line in single] == [f"val_{n}.png" for n in range(12) if n != 3]
    for row in figures["rows"]:
        for metric, cell in row["cells"].items():
            assert lines[row["name"], metric] == cell["mean"]
            values = [float(line[f"{row['name']}: {metric}"]) for line in single]
            assert np.mean(values) == pytest.approx(cell["mean"])
    assert "| gray |" in (out / "evaluation.md").read_text(encoding="utf-8")
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 2 * 4 * 2 * 48  # eleven pictures, four columns, doubled: two blocks side by side


def test_a_part_of_a_prepared_set_is_measured(trained, capsys):
    common = ("--model", "tiny", "--metrics", "psnr,colourfulness-gap", "--min-spread", -1)
    assert run(*common, "--data", "toy", "--json", "test.json") == 0
    assert "8 pictures of the test part of toy, all 16 x 16" in capsys.readouterr().out
    figures = json.loads(Path("test.json").read_text())
    assert (figures["n"], figures["model"]) == (8, "tiny")
    assert figures["protocol"]["mean_cbcr_of"] == "the pictures that tiny was trained on"
    truths = np.load(trained / "npzData" / "toy" / "test.rgb.npy")
    psnrs = []
    for truth in truths:
        gray = np.repeat(np.asarray(Image.fromarray(truth).convert("L"))[..., None], 3, axis=2)
        psnrs.append(10 * np.log10(255**2 / np.square(truth.astype(float) - gray).mean()))
    assert figures["rows"][0]["cells"]["psnr"]["mean"] == pytest.approx(np.mean(psnrs))
    assert run(*common, "--data", "toy", "--split", "train", "--first", 5) == 0
    assert "5 pictures of the train part of toy (the first 5 of 40)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nosuch"], 1, "nosuch: no such prepared set. There are: toy"),
        (["--data", "toy", "--split", "val"], 1, "unknown split of toy 'val'"),
        (["--data", "toy", "--inside", "x"], 2, "--inside is a folder of --images"),
        (["--data", "toy", "--images", "."], 2, "say only one of them"),
        (["--images", ".", "--split", "val"], 2, "--split is a part of a prepared set"),
        (["--data", "toy", "--metrics", "colourfulness-gap", "--first", "1"], 0, "refused for 1 picture"),
    ],
)
def test_wrong_parts_of_sets(arguments, code, message, trained, capsys):
    assert run("--model", "tiny", *arguments, "--min-spread", -1) == code
    captured = capsys.readouterr()
    assert message in captured.out + captured.err


def test_a_zip_gives_the_same_figures_as_its_folder(model, pictures, tmp_path):
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in pictures.iterdir():
            file.write(path, f"val/images/{path.name}")
        file.writestr("train/other.png", b"not asked for")
    common = ("--model", model, "--metrics", "psnr")
    assert run(*common, "--images", pictures, "--json", "folder.json") == 0
    assert run(*common, "--images", archive, "--inside", "val/images/", "--json", "zip.json") == 0
    rows = [json.loads(Path(name).read_text())["rows"] for name in ("folder.json", "zip.json")]
    assert without_time(rows[0]) == without_time(rows[1])


def without_time(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_seed_and_settings_reach_the_model(model, pictures):
    common = ("--model", model, "--images", pictures, "--metrics", "de2000", "--first", "4", "--json", "r.json")
    means = {}
    for name, more in {"a": (), "again": ("--batch-size", 1), "seed": ("--seed", 9), "steps": ("--steps", 5)}.items():
        assert run(*common, *more) == 0
        means[name] = json.loads(Path("r.json").read_text())["rows"][2]["cells"]["de2000"]["mean"]
    assert means["a"] == pytest.approx(means["again"], rel=1e-3)
    assert len({round(means[name], 6) for name in ("a", "seed", "steps")}) == 3


def test_feature_weights_given_by_path_are_used_and_named(model, pictures, tmp_path, capsys):
    torch.manual_seed(1)
    path = tmp_path / "squeezenet1_1_mine.pth"
    torch.save(features.FEATURES["squeezenet1_1"].build().state_dict(), path)
    common = ("--model", model, "--images", pictures, "--first", 3, "--metrics", "lpips-squeeze")
    assert run(*common, "--feature-weights", path) == 0
    said = capsys.readouterr().out
    assert "looks through squeezenet1_1: squeezenet1_1_mine.pth, file given by path (not the published one)" in said
    assert "not available" not in said


def test_a_picture_that_cannot_be_read_is_said_and_the_others_are_measured(model, pictures, tmp_path, capsys):
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("val_1.png", "val_2.png"):
        (folder / name).write_bytes((pictures / name).read_bytes())
    (folder / "val_0.jpg").write_text("words")
    assert run("--model", model, "--images", folder, "--metrics", "psnr", "--json", "r.json") == 1
    assert json.loads(Path("r.json").read_text())["n"] == 2
    assert "val_0.jpg: not a picture" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "psnr,sim"], "unknown metric 'sim'. Did you mean 'ssim'"),
        (["--model", "nosuch"], "unknown model 'nosuch'"),
        (["--sampler", "ddmi"], "unknown sampler 'ddmi'. Did you mean"),
        (["--steps", "many"], "steps = 'many': expected a whole number"),
        (["--images", "nowhere"], "nowhere: not found"),
        (["--images", "empty"], "empty: no pictures in it"),
        (["--images", "torn.zip"], "torn.zip: not a whole zip file"),
        (["--inside", "val"], "not found"),
        (["--min-spread", "300"], "no picture is left: all 12 have a spread of at most 300 levels"),
        (["--feature-weights", "nowhere"], "nowhere: no such folder or file of feature weights"),
        (["--feature-weights", "words.pth"], "words.pth: not a weight file that can be read"),
        (["--out", "words.pth"], "words.pth: is a file, so it can't be the folder of the results"),
        (["--json", "empty"], "empty: is a folder, so no file can be written there"),
        (["--json", "words.pth/result.json"], "words.pth is not a folder that can be written to"),
        (["--sheet", "sheet.nonsense"], "sheet.nonsense: a sheet is a picture; name it like sheet.png"),
        (["--device", "gpu"], "unknown device 'gpu'"),
    ],
)
def test_bad_input_gets_one_clear_message_and_nothing_is_written(arguments, message, model, pictures, capsys, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "words.pth").write_text("words")
    before = sorted(path.name for path in tmp_path.iterdir())
    assert run("--model", model, "--images", pictures, "--json", "result.json", "--out", "out", *arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("tinct: error:") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_refused_before_any_work(model, pictures, tmp_path, capsys):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert run("--model", model, "--images", pictures, "--json", "locked/r.json") == 1
    assert "locked is not a folder that can be written to" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--first", "0"], ["--seeds", "0"], ["--batch-size", "0"], ["--bogus"], []])
def test_wrong_usage_exits_with_2(arguments, pictures):
    images = ["--images", pictures] if arguments else []
    assert run(*images, *arguments) == 2
