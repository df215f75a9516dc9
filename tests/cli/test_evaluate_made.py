"""`tinct evaluate` of models that make pictures and of classifiers, both trained from the command line on a small set."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import make_prepared
from tinct import weights, zoo
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.families import FAMILIES
from tinct.files import read_json

COMMON = ("--data", "dots", "--device", "cpu", "--precision", "float32", "--yes")
DOTS = ("size=16", "features=8,8,8", "bottleneck=8", "stem=8", "time_embedding=16", "steps=3", "classes=4", "epochs=1")
JUDGE = (
    "size=16",
    "classes=4",
    "model.space=rgb",
    "features=8,16",
    "width=12",
    "dropout=0",
    "batch_size=2",
    "epochs=6",
)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory) -> Path:
    """A workspace with the set `dots` (60 and 30 pictures), and the generator `dots` and the classifier `judge` of it."""
    folder = tmp_path_factory.mktemp("measured")
    make_prepared(folder / "npzData" / "dots", {"train": 60, "test": 30})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINCT_WORKSPACE", str(folder))
        for name, recipe, settings in (("dots", "mnist", DOTS), ("judge", "digit-classifier", JUDGE)):
            words = [word for setting in settings for word in ("--set", setting)]
            assert run("train", "--name", name, "--recipe", recipe, *COMMON, *words) == 0
    return folder


@pytest.fixture
def place(made_once, workspace, monkeypatch, tmp_path_factory) -> Path:
    shutil.copytree(made_once, workspace, dirs_exist_ok=True)
    monkeypatch.chdir(workspace)
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")
    return workspace


def evaluate(*arguments: object) -> int:
    return run("evaluate", "--device", "cpu", *arguments)


def measured(*more: object) -> dict:
    common = ("--model", "dots", "--stats", "data:dots", "--extractor", "judge", "--num", 24)
    assert evaluate(*common, *more, "--json", "r.json") == 0
    return json.loads(Path("r.json").read_text())


def test_a_generator_is_measured_as_its_files_are(place, capsys):
    assert run("generate", "--model", "dots", "--device", "cpu", "--num", 24, "--out", "files") == 0
    assert run("fid", "files", "data:dots", "--extractor", "judge", "--json", "files.json") == 0
    files, got = read_json(place / "files.json"), measured()
    for key in ("frechet", "kernel"):
        for number in ("value", "low", "high", "floor"):
            assert got[key][number] == pytest.approx(files[key][number], rel=1e-5, abs=1e-9)
    assert got["floor"] == {"n": 24, "of": "the test part of dots (24 of 30, drawn)"}
    assert got["extractor"] == "classifier judge, 12 features"
    assert (got["model"], got["num"], got["epoch"]) == ("dots", 24, 1)
    assert got["sampling"]["steps"] == 3
    assert 0 < got["seconds_per_picture"] < 5
    out = capsys.readouterr().out
    assert "Set: model dots, 24 pictures, 16 x 16 px" in out
    assert "dots: steps 3, sampler dpm++2m, spacing karras, temperature 0.93" in out
    assert "s per picture on cpu" in out


def test_a_generator_is_measured_against_a_file_and_its_floor(place):
    assert run("fid", "data:dots", "--save", "dots.npz", "--extractor", "judge") == 0
    direct, got = measured(), measured("--stats", "dots.npz")
    assert got["frechet"]["value"] == pytest.approx(direct["frechet"]["value"], rel=1e-5)
    assert got["floor"] == {"n": 24, "of": "the test part of dots"}
    assert got["kernel"] is None


def test_sampling_reaches_the_model_and_the_record(place):
    chosen = {
        "seed": ("--seed", 1), "steps": ("--steps", 2), "sampler": ("--sampler", "ddim"), "label": ("--class", 2),
        "guidance": ("--class", 2, "--guidance", 3.0), "temperature": ("--temperature", 0.5),
    }  # fmt: skip
    values = {"plain": measured()["frechet"]["value"]}
    for name, options in chosen.items():
        got = measured(*options)
        assert str(got["sampling"][name]) == str(options[-1])
        values[name] = got["frechet"]["value"]
    assert len(set(values.values())) == len(values)
    assert measured("--batch-size", 5)["frechet"]["value"] == pytest.approx(values["plain"], rel=0.02)


def test_the_files_of_a_generator_agree(place):
    got = measured("--out", "out", "--sheet", "more.png")
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "evaluation.csv", "evaluation.json", "evaluation.md", "sheet.png",
    ]  # fmt: skip
    assert read_json(place / "out" / "evaluation.json") == got
    with (place / "out" / "evaluation.csv").open(newline="") as file:
        lines = {line["distance"]: line for line in csv.DictReader(file)}
    for name in ("frechet", "kernel"):
        assert float(lines[name]["value"]) == got[name]["value"]
        assert float(lines[name]["floor"]) == got[name]["floor"]
    text = (place / "out" / "evaluation.md").read_text(encoding="utf-8")
    assert f"| Frechet distance | {got['frechet']['value']:.4g} |" in text
    assert all(f"- {remark}" in text for remark in got["remarks"])
    for path in ("out/sheet.png", "more.png"):
        with Image.open(place / path) as sheet:
            assert sheet.size == (8 * (32 + 4) + 4, 3 * (32 + 4) + 4)


def test_a_run_keeps_what_was_measured_of_it(place, capsys):
    first, second = measured(), measured("--steps", 2)
    kept = read_json(place / "models" / "dots" / "evaluations.json")
    assert [one["frechet"] for one in kept] == [first["frechet"], second["frechet"]]
    assert {one["weights"] for one in kept} == {"best_model.pth"}
    assert all(one["time"].endswith("+00:00") for one in kept)
    assert run("models", "export", "dots", "elsewhere.safetensors") == 0
    measured("--model", "elsewhere.safetensors")
    assert len(read_json(place / "models" / "dots" / "evaluations.json")) == 2
    (place / "models" / "dots" / "evaluations.json").write_text("{}")
    common = ("--model", "dots", "--stats", "data:dots", "--extractor", "judge", "--num", 24)
    assert evaluate(*common) == 1
    assert "evaluations.json: no list of evaluations" in capsys.readouterr().err


def test_a_classifier_has_learned_its_classes_and_is_counted(place, capsys):
    assert evaluate("--model", "judge", "--data", "dots", "--out", "out", "--json", "r.json") == 0
    got, out = read_json(place / "r.json"), capsys.readouterr().out
    model = zoo.classifier(zoo.load("judge"))
    folder = place / "npzData" / "dots"
    rgb, labels = (np.load(folder / f"test.{part}.npy") for part in ("rgb", "labels"))
    taken = model.scores(torch.tensor(rgb).permute(0, 3, 1, 2)).argmax(dim=1).numpy()
    assert got["accuracy"]["value"] == np.mean(taken == labels) > 0.9
    assert np.array(got["confusion"])[0, 0] == np.sum((taken == 0) & (labels == 0))
    assert got["names"] == ["clay", "sky", "leaf", "straw"]
    assert f"judge is right on {np.sum(taken == labels)} of 30 pictures of the test part of dots: accuracy" in out
    for word in ("pictures of, taken for", "clay", "straw", "right"):
        assert word in out
    assert sorted(path.name for path in (place / "out").iterdir()) == [
        "evaluation.csv", "evaluation.json", "evaluation.md",
    ]  # fmt: skip
    assert read_json(place / "models" / "judge" / "evaluations.json")[0]["accuracy"] == got["accuracy"]
    assert evaluate("--model", "judge", "--data", "dots", "--split", "train", "--first", 12, "--json", "r.json") == 0
    assert read_json(place / "r.json")["of"] == "the train part of dots (the first 12 of 60)"


def test_a_training_says_how_a_classifier_is_measured(place, capsys):
    assert run("train", "--data", "dots", "--name", "judge", "--resume", "--epochs", "7", "--yes") == 0
    assert "tinct evaluate --data SET --model judge" in capsys.readouterr().out
    assert (place / "models" / "judge" / "samples_epoch_7.png").is_file()


@pytest.fixture
def others(place, untrained) -> dict[str, str]:
    """Weights files by name: a colorizer, and classifiers that fit `dots` in nothing."""
    files = {"COLORIZER": untrained}
    for name, changes in {"LARGE": {"size": 32, "classes": 4}, "FEW": {"size": 16, "classes": 3}}.items():
        family = FAMILIES["classifier"]
        options = from_dict(family.Options, {"network": {"features": [8]}, **changes})
        header = {"family": "classifier", "model": to_dict(options), "name": name.lower()}
        weights.save(place / f"{name}.safetensors", family.build(options).state_dict(), header)
        files[name] = f"{name}.safetensors"
    return files


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "dots"], 2, "the model 'dots' makes pictures: say which real ones they are measured against, --stats SET"),
        (["--model", "dots", "--images", "."], 1, "--images: has no meaning here, as the model 'dots' does not colour"),
        (["--model", "dots", "--stats", "data:dots", "--draws", "2"], 1, "--draws: has no meaning here"),
        (["--model", "dots", "--stats", "data:dots", "--metrics", "psnr"], 1, "--metrics: has no meaning here"),
        (["--model", "dots", "--stats", "data:dots", "--num", "9"], 2, "--num"),
        (["--model", "dots", "--stats", "data:dots"], 1, "inception-2048 is not available"),
        (["--model", "dots", "--stats", "data:spots", "--extractor", "judge"], 1, "spots: no such prepared set"),
        (["--model", "dots", "--stats", "old.npz", "--extractor", "judge"], 1, "old.npz: statistics of different features"),
        (["--model", "dots", "--stats", "data:dots", "--extractor", "judge", "--class", "4"], 1, "class = 4"),
        (["--model", "dots", "--stats", "data:dots", "--extractor", "LARGE"], 1, "classifier large, 128 features sees 32"),
        (["--model", "dots", "--stats", "data:dots", "--extractor", "dots"], 1, "the model 'dots' tells no pictures apart"),
        (["--model", "COLORIZER", "--stats", "data:dots"], 1, "--stats: has no meaning here, as the model 'tiny' colours"),
        (["--model", "COLORIZER", "--images", ".", "--num", "50"], 1, "--num: has no meaning here, as the model 'tiny' colours"),
        (["--model", "judge"], 2, "the model 'judge' tells pictures apart: say of which set, --data NAME"),
        (["--model", "judge", "--images", "."], 1, "--images: has no meaning here, as the model 'judge' does not colour"),
        (["--model", "judge", "--data", "dots", "--steps", "3"], 1, "--steps: has no meaning here"),
        (["--model", "judge", "--data", "dots", "--sheet", "s.png"], 1, "--sheet: has no meaning here"),
        (["--model", "LARGE", "--data", "dots"], 1, "the pictures of dots are 16x16 px, the classifier 'large' sees 32 px"),
        (["--model", "FEW", "--data", "dots"], 1, "dots has 4 categories, the classifier 'few' 3"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_and_nothing_written(arguments, code, message, place, others, capsys):
    np.savez("old.npz", mu=np.zeros(12), sigma=np.eye(12), extractor="classifier elder, 12 features")
    assert evaluate(*(others.get(word, word) for word in arguments), "--json", "r.json") == code
    assert message in capsys.readouterr().err
    assert not (place / "r.json").exists()
    assert not list(place.glob("models/*/evaluations.json"))


def samplers(*arguments: object) -> int:
    return run("samplers", "--model", "dots", "--device", "cpu", "--extractor", "judge", "--num", 24, *arguments)


def test_walks_of_a_generator_are_measured_as_tinct_evaluate_measures_each(place, capsys):
    asked = ("--samplers", "ddim,heun", "--evaluations", "2,3", "--reference", "ddim:4", "--spacings", "karras")
    assert samplers("--stats", "data:dots", *asked) == 0
    folder = place / "Results" / "samplers-dots"
    assert {path.name for path in folder.iterdir()} == {"samplers.json", "samplers.csv", "samplers.md", "samplers.png"}
    points = read_json(folder / "samplers.json")["points"]
    walks = [tuple(point["walk"].values()) for point in points]
    assert walks[0] == ("ddim", "uniform", 4, 4)
    assert set(walks[1:]) == {("ddim", "karras", n, n) for n in (2, 3)} | {
        ("heun", "karras", 1, 1),
        ("heun", "karras", 2, 3),
    }
    alone = measured("--sampler", "ddim", "--spacing", "karras", "--steps", 3)
    (same,) = (point for point in points if tuple(point["walk"].values()) == ("ddim", "karras", 3, 3))
    assert same["frechet"]["value"] == pytest.approx(alone["frechet"]["value"], rel=1e-6)
    rows = list(csv.reader((folder / "samplers.csv").read_text().splitlines()))
    assert rows[0] == ["sampler", "spacing", "steps", "asks", "Frechet distance", "over the floor", "s"]
    ratios = [float(row[5]) for row in rows[1:]]
    assert ratios == pytest.approx(
        [point["frechet"]["value"] / point["frechet"]["floor"] for point in points], abs=0.006
    )
    assert "All walks start from the same seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ((), 2, "--stats SET"),
        (("--stats", "data:dots", "--seeds", 3), 1, "--seeds: has no meaning here"),
        (("--stats", "data:dots", "--metric", "de2000"), 1, "--metric: has no meaning here"),
        (("--stats", "data:dots", "--model", "judge"), 1, "the model 'judge' is none that this command measures"),
        (("--stats", "data:dots", "--evaluations", "2000"), 1, "the model 'dots' has 1000 levels"),
    ],
)
def test_walks_that_cant_be_measured_are_refused_at_once(options, code, message, place, capsys):
    assert samplers("--samplers", "ddim", "--reference", "ddim:2", *options) == code
    assert message in capsys.readouterr().err
    assert not (place / "Results").exists()
