"""`tinct fid`: what it measures is what the library measures, and its answer to everything that is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import make_pictures, make_prepared
from tinct import weights, zoo
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.evaluation.extractors import ClassifierExtractor
from tinct.families import FAMILIES
from tinct.metrics.distances import frechet_value, kernel_value
from tinct.metrics.features import Extractor, InceptionExtractor, rows_of
from tinct.metrics.frechet import frechet
from tinct.metrics.statistics import load_statistics, statistics_of
from tinct.nets import features
from tinct.nets.inception import Inception


def classifier_file(folder: Path, name: str, family: str = "classifier", seed: int = 0, **shape) -> str:
    row = FAMILIES[family]
    options = from_dict(row.Options, {"size": 16, **shape})
    torch.manual_seed(seed)
    path = folder / f"{name}.safetensors"
    weights.save(path, row.build(options).state_dict(), {"family": family, "model": to_dict(options), "name": name})
    return str(path)


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> str:
    """The weights file of a small classifier that knows nothing: its features are as good as any for arithmetic."""
    return classifier_file(
        tmp_path_factory.mktemp("judge"), "judge", classes=4, network={"features": [8, 8], "width": 6}
    )


def saved(folder: Path, rgb: np.ndarray, start: int = 1) -> Path:
    folder.mkdir(parents=True)
    for number, picture in enumerate(rgb, start):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def place(workspace, monkeypatch, tmp_path_factory) -> Path:
    """A workspace with the set `dots` (60 and 30 pictures), and folders `made` and `real` of 24 and 40; no weights about."""
    make_prepared(workspace / "npzData" / "dots", {"train": 60, "test": 30})
    saved(workspace / "made", 255 - make_pictures(24, seed=5)[0])
    saved(workspace / "real", make_pictures(40, seed=6)[0])
    monkeypatch.chdir(workspace)
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")
    return workspace


def fid(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["fid", *map(str, arguments)])
    return int(ended.value.code or 0)


def measured(*arguments: object) -> dict:
    assert fid(*arguments, "--json", "r.json") == 0
    return json.loads(Path("r.json").read_text())


def rows(extractor: Extractor, rgb: np.ndarray):
    return rows_of(extractor(torch.tensor(rgb).permute(0, 3, 1, 2)).astype(np.float32))


def part(place: Path, split: str) -> np.ndarray:
    return np.load(place / "npzData" / "dots" / f"{split}.rgb.npy")


def test_two_folders_are_measured_as_the_library_does_it(place, judge, capsys):
    got = measured("made", "real", "--extractor", judge)
    extractor = ClassifierExtractor(zoo.classifier(zoo.load(judge)))
    made, real = (rows(extractor, rgb) for rgb in (255 - make_pictures(24, seed=5)[0], make_pictures(40, seed=6)[0]))
    *_, value = frechet_value(made, statistics_of(real))
    kernel = kernel_value(made, real)
    assert got["frechet"]["value"] == pytest.approx(value.value, rel=1e-4)
    assert (got["frechet"]["low"], got["frechet"]["high"]) == pytest.approx(value.interval, rel=1e-3)
    assert got["kernel"]["value"] == pytest.approx(kernel.value, rel=1e-4)
    assert (got["set"], got["reference"]["n"]) == ({"of": "made", "n": 24, "size": "16 x 16 px"}, 40)
    assert (got["extractor"], got["dimension"], got["floor"]) == ("classifier judge, 6 features", 6, None)
    out = capsys.readouterr().out
    for words in ("Frechet distance", f"{value.value:.4g}", "No floor is known", "--floor SET", "seen at 16 x 16 px"):
        assert words in out
    assert "Biased: the 24 pictures of made are fewer than 2,000" in out


def test_the_test_part_of_a_set_is_its_floor_at_as_many_pictures(place, judge):
    extractor = ClassifierExtractor(zoo.classifier(zoo.load(judge)))
    train, test = (rows(extractor, part(place, split)) for split in ("train", "test"))
    got = measured("real", "data:dots", "--extractor", judge)
    assert got["floor"] == {"n": 30, "of": "the test part of dots"}
    assert got["frechet"]["floor"] == pytest.approx(frechet(statistics_of(test), statistics_of(train)), rel=1e-4)
    assert got["kernel"]["floor"] == pytest.approx(kernel_value(test, train).value, rel=1e-3, abs=1e-7)
    assert any("It is of fewer pictures than the 40 of the set" in remark for remark in got["remarks"])
    few = measured("made", "data:dots/train", "--extractor", judge)
    assert few["floor"] == {"n": 24, "of": "the test part of dots (24 of 30, drawn)"}
    drawn = part(place, "test")[np.random.default_rng(0).permutation(30)[:24]]
    expected = frechet(statistics_of(rows(extractor, drawn)), statistics_of(train))
    assert few["frechet"]["floor"] == pytest.approx(expected, rel=1e-4)
    assert measured("made", "data:dots", "--floor", "none", "--extractor", judge)["floor"] is None
    assert measured("made", "data:dots/test", "--extractor", judge)["floor"] is None
    other = measured("made", "data:dots", "--floor", "real", "--extractor", judge)
    assert other["floor"]["of"] == "real (24 of 40, drawn)"


def test_statistics_written_and_read_back_give_the_same_distance_and_floor(place, judge, capsys):
    direct = measured("made", "data:dots", "--extractor", judge)
    assert fid("data:dots", "--save", "kept/dots.npz", "--extractor", judge) == 0
    assert "the train part of dots, 60 pictures; classifier judge, 6 features" in capsys.readouterr().out
    again = measured("made", "kept/dots.npz", "--extractor", judge)
    for key in ("value", "low", "high"):
        assert again["frechet"][key] == pytest.approx(direct["frechet"][key], rel=1e-6)
    assert again["reference"]["of"] == "the train part of dots (kept/dots.npz)"
    kept = load_statistics(Path("kept/dots.npz"))
    assert kept.floor.counts == (10, 20, 30)
    assert again["floor"] == {"n": 24, "of": "the test part of dots"}
    of_20, of_30 = kept.floor.values[1:]
    assert again["frechet"]["floor"] == pytest.approx(of_30 + (of_20 - of_30) * (1 / 24 - 1 / 30) / (1 / 20 - 1 / 30))
    assert again["kernel"] is None
    assert measured("made", "kept/dots.npz", "--extractor", judge, "--floor", "none")["floor"] is None
    with np.load("kept/dots.npz") as file:  # what pytorch-fid reads
        assert (file["mu"][:].shape, file["sigma"][:].shape) == ((6,), (6, 6))


def test_statistics_of_gaussians_have_their_closed_form(place, capsys):
    np.savez("a.npz", mu=np.array([1.0, 2, 0]), sigma=np.diag([4.0, 0.25, 9]))
    np.savez("b.npz", mu=np.array([1.0, 0, 4]), sigma=np.diag([1.0, 2.25, 9]))
    got = measured("a.npz", "b.npz")
    assert got["frechet"]["value"] == pytest.approx(4 + 16 + 1 + 1)
    assert got["extractor"] is None
    out = capsys.readouterr().out
    assert "22" in out
    assert "3 of an extractor that no file names" in out
    assert "a.npz does not say what made its 3 features" in out


def test_a_file_of_pytorch_fid_is_a_reference_and_can_be_given_a_floor(place, judge, capsys):
    extractor = ClassifierExtractor(zoo.classifier(zoo.load(judge)))
    seen = extractor(torch.tensor(part(place, "train")).permute(0, 3, 1, 2))
    np.savez("theirs.npz", mu=seen.mean(axis=0), sigma=np.cov(seen, rowvar=False))
    got = measured("made", "theirs.npz", "--extractor", judge)
    direct = measured("made", "data:dots", "--extractor", judge)
    assert got["frechet"]["value"] == pytest.approx(direct["frechet"]["value"], rel=1e-3)
    assert "theirs.npz does not say what made its 6 features" in capsys.readouterr().out
    assert fid("theirs.npz", "--floor", "real", "--save", "ours.npz", "--extractor", judge) == 0
    assert measured("made", "ours.npz", "--extractor", judge)["floor"]["of"] == "real"


def test_inception_at_a_tap_from_a_file_that_ends_there(place, capsys):
    torch.manual_seed(0)
    torch.save(Inception(64).state_dict(), "fid_inception_64.pth")
    network = features.load("inception-64", Path("fid_inception_64.pth"))
    got = measured("made", "real", "--num", 12, "--extractor", "inception-64", "--feature-weights", ".")
    extractor = InceptionExtractor(network)
    made, real = (
        rows(extractor, rgb) for rgb in (255 - make_pictures(24, seed=5)[0][:12], make_pictures(40, seed=6)[0])
    )
    assert got["frechet"]["value"] == pytest.approx(frechet(statistics_of(made), statistics_of(real)), rel=1e-3)
    assert "fid_inception_64.pth, file given by path (not the published one)" in got["extractor"]
    assert got["resizing"] == "brought to 299 x 299 px, bilinear without antialiasing, as pytorch-fid does"
    assert "no more than features (64)" in capsys.readouterr().out
    assert fid("made", "real", "--feature-weights", ".") == 1
    said = capsys.readouterr().err
    assert "inception-2048 is not available: pt_inception-2015-12-05-6726825d.pth" in said
    assert "--extractor inception-768" in said


def test_statistics_decide_which_inception_is_meant(place, capsys):
    np.savez("s.npz", mu=np.zeros(192), sigma=np.eye(192))
    assert fid("made", "s.npz") == 1
    assert "inception-192 is not available" in capsys.readouterr().err


def test_the_first_pictures_are_those_of_the_lowest_numbers(place, judge):
    whole, first = (measured("made", "real", "--extractor", judge, *more) for more in ((), ("--num", 12)))
    for number in range(13, 25):
        (place / "made" / f"{number}.png").unlink()
    again = measured("made", "real", "--extractor", judge)
    assert first["frechet"]["value"] == pytest.approx(again["frechet"]["value"], rel=1e-5)
    assert whole["frechet"]["value"] != pytest.approx(first["frechet"]["value"], rel=1e-3)
    assert first["set"]["of"] == "made (the first 12 of 24)"
    fewer = measured("made", "real", "--extractor", judge, "--reference-num", 30)
    assert fewer["reference"]["of"] == "real (the first 30 of 40)"
    for number in range(31, 41):
        (place / "real" / f"{number}.png").unlink()
    assert measured("made", "real", "--extractor", judge)["kernel"]["value"] == fewer["kernel"]["value"]


def test_files_that_are_no_pictures_are_named_and_hidden_ones_do_not_matter(place, judge, capsys):
    before = measured("made", "real", "--extractor", judge)
    (place / "made" / "notes.txt").write_text("words")
    (place / "made" / ".DS_Store").write_bytes(b"\0")
    assert measured("made", "real", "--extractor", judge)["frechet"] == before["frechet"]
    assert "made: no pictures, left out: notes.txt" in capsys.readouterr().err


def test_a_zip_is_its_folder(place, judge):
    shutil.make_archive("real", "zip", place, "real")
    folder, archive = (measured("made", name, "--extractor", judge) for name in ("real", "real.zip/real"))
    assert (archive["frechet"], archive["kernel"]) == (folder["frechet"], folder["kernel"])
    assert archive["reference"]["of"] == "real.zip/real"


def test_other_sizes_are_taken_on_request(place, judge, capsys):
    Image.new("RGB", (20, 20)).save(place / "made" / "30.png")
    assert fid("made", "real", "--extractor", judge) == 1
    assert "30.png: 20 x 20 px, and the classifier judge, 6 features sees 16" in capsys.readouterr().err
    got = measured("made", "real", "--extractor", judge, "--any-size")
    assert (got["set"]["n"], got["set"]["size"]) == (25, "2 sizes")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["made"], 2, "say what to measure against"),
        (["made", "real", "--save", "s.npz"], 2, "leave the REFERENCE away"),
        (["made", "--save", "s.npz", "--json", "j.json"], 2, "--json is of a distance"),
        (["made", "--save", "s.json"], 1, "statistics are kept as .npz; name it s.npz"),
        (["made", "real", "--num", "9"], 2, "--num"),
        (["made", "three.npz", "--reference-num", "20"], 2, "--reference-num is of pictures, and three.npz has none"),
        (
            ["made", "--save", "s.npz", "--reference-num", "20"],
            2,
            "--reference-num is of a REFERENCE, and there is none",
        ),
        (["three.npz", "real", "--num", "20"], 2, "--num is of pictures, and three.npz has none"),
        (["made", "real", "--floor", "three.npz"], 2, "--floor is of pictures, and three.npz has none"),
        (["three.npz", "three.npz", "--extractor", "JUDGE"], 2, "--extractor is for pictures, and there are none"),
        (["three.npz", "three.npz", "--any-size"], 2, "--any-size is for pictures"),
        (["three.npz", "two.npz"], 1, "different features can't be compared: 3 and 2 numbers"),
        (["made", "three.npz"], 1, "statistics of 3 features are not Inception's; they come from something else"),
        (
            ["made", "three.npz", "--extractor", "JUDGE"],
            1,
            "three.npz: statistics of different features can't be compared",
        ),
        (
            ["made", "old.npz", "--extractor", "JUDGE"],
            1,
            "old.npz: statistics of different features can't be compared: the",
        ),
        (["made", "words.npz", "--extractor", "JUDGE"], 1, "words.npz: not an NPZ of statistics that can be read"),
        (
            ["made", "nowhere", "--extractor", "JUDGE"],
            1,
            "nowhere: not found. Expected a folder or zip of pictures, data:NAME",
        ),
        (["made", "nowhere.npz", "--extractor", "JUDGE"], 1, "nowhere.npz: not found"),
        (["made", "data:spots", "--extractor", "JUDGE"], 1, "spots: no such prepared set. There are: dots"),
        (["made", "data:dots/val", "--extractor", "JUDGE"], 1, "unknown split of dots 'val'"),
        (["made", "empty", "--extractor", "JUDGE"], 1, "empty: no pictures in it"),
        (["few", "real", "--extractor", "JUDGE"], 1, "a distance of few is refused for 9 pictures"),
        (["wide", "real", "--extractor", "JUDGE"], 1, "1.png: 16 x 12 px, not square"),
        (["torn", "real", "--extractor", "JUDGE"], 1, "4.png: "),
        (
            ["made", "real", "--extractor", "inception-769"],
            1,
            "unknown extractor 'inception-769'. Did you mean 'inception-768'",
        ),
        (["made", "real", "--extractor", "COLORIZER"], 1, "the model 'tiny' tells no pictures apart"),
        (["made", "real", "--extractor", "JUDGE", "--feature-weights", "."], 1, "--feature-weights: is for Inception"),
        (["made", "real", "--extractor", "JUDGE", "--json", "made"], 1, "made: is a folder, so no file can be written"),
    ],
)
def test_what_is_wrong_gets_one_clear_message_and_nothing_is_written(
    arguments, code, message, place, judge, untrained, capsys
):
    np.savez("three.npz", mu=np.zeros(3), sigma=np.eye(3))
    np.savez("two.npz", mu=np.zeros(2), sigma=np.eye(2))
    np.savez("old.npz", mu=np.zeros(6), sigma=np.eye(6), extractor="classifier elder, 6 features")
    Path("words.npz").write_text("words")
    Path("empty").mkdir()
    saved(place / "few", make_pictures(9)[0])
    saved(place / "wide", make_pictures(12)[0][:, :12])
    (saved(place / "torn", make_pictures(12)[0]) / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    before = sorted(path.name for path in place.iterdir())
    given = [{"JUDGE": judge, "COLORIZER": untrained}.get(word, word) for word in arguments]
    if "--json" not in given and "--save" not in given:
        given += ["--json", "r.json"]
    assert fid(*given) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Frechet" not in captured.out
    assert sorted(path.name for path in place.iterdir()) == before


def test_a_classifier_that_was_trained_again_under_its_name_is_another_one(place, judge, capsys):
    assert fid("data:dots", "--save", "dots.npz", "--extractor", judge) == 0
    again = classifier_file(place, "judge", seed=1, classes=4, network={"features": [8, 8], "width": 6})
    assert fid("made", "dots.npz", "--extractor", again) == 1
    assert "dots.npz: " in (said := capsys.readouterr().err)
    assert "both are of classifier judge, 6 features, but its weights were not the same" in said
