"""`tinct import`: every question, every flag, and how it ends."""

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from breaking_server import serving
from made import encoded, idx_files, picture, tiny_files, written, zipped
from pseudo_terminal import talk
from tinct.cli.main import main
from tinct.data.discovery import discover_imported
from tinct.data.sources import SOURCES


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    return zipped(tmp_path / "tiny.zip", tiny_files())


def run(*arguments: str | Path) -> int:
    """The exit code of `tinct import ARGUMENTS`, with no terminal to answer at."""
    with pytest.raises(SystemExit) as ended:
        main(["import", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_all_flags(tiny, tmp_path, capsys):
    code = run(
        "tiny-imagenet", "--source", tiny, "--name", "fish", "--resolution", "32x32", "--max-images", "5",
        "--max-size-mb", "1", "--categories", "n01443537,n02124075", "--split", "val", "--resize", "--yes",
    )  # fmt: skip
    assert code == 0
    (found,) = discover_imported(tmp_path)
    assert (found.name, found.images, found.categories) == ("fish", 5, 2)
    assert found.metadata["config"] == {
        "resolution": [32, 32], "max_images": 5, "max_size_mb": 1.0, "categories": "n01443537,n02124075",
    }  # fmt: skip
    out, err = capsys.readouterr()
    for text in ("Import configuration", "32x32 (pictures are resized)", "Import complete", "the limit of 5 images"):
        assert text in out
    summary = dict(
        line.split(maxsplit=1) for line in out.partition("Import complete")[2].splitlines() if line[:2] == "  "
    )
    assert (summary["Images"], summary["Size"], summary["Categories"]) == ("5", "0.0 MB", "2")
    assert summary["Directory"] == str(tmp_path / "imageData" / "fish")
    stages = ["[1/4] Download", "[2/4] Extract", "[3/4] Import", "[4/4] Clean up"]
    assert [line for line in err.splitlines() if line.startswith("[")] == stages


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("folder", {"cat/1.png": encoded(picture(1), "PNG")}),
        ("mnist", idx_files()),
        ("pairs", {"gray/1.png": encoded(picture(1).convert("L"), "PNG"), "color/1.png": encoded(picture(1), "PNG")}),
        ("tiny-imagenet", tiny_files()),
    ],
)
def test_every_kind(tmp_path, monkeypatch, kind, files):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    assert run(kind, "--source", written(tmp_path / "source", files), "--name", "set", "-y") == 0
    assert [one.name for one in discover_imported(tmp_path)] == ["set"]


def test_mnist_is_taken_whole_at_its_own_size_unless_another_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    source = written(tmp_path / "source", idx_files())
    assert run("mnist", "--source", source, "--name", "own", "--yes") == 0
    assert run("mnist", "--source", source, "--name", "said", "--resolution", "8x8", "--max-images", "20", "--yes") == 0
    said = [
        (one.metadata["config"]["resolution"], one.metadata["config"]["max_images"])
        for one in discover_imported(tmp_path)
    ]
    assert said == [([28, 28], 70_000), ([8, 8], 20)]


def test_pairs_in_two_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    png = encoded(picture(1), "PNG")
    colour, gray = written(tmp_path / "c", {"1.png": png, "2.png": png}), written(tmp_path / "g", {"1.jpg": png})
    assert run("pairs", "--source", colour, "--gray", gray, "--name", "set", "--yes") == 0
    assert discover_imported(tmp_path)[0].images == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the kind of set is missing"),
        (("tiny-imagenet",), "--name is missing"),
        (("tinyimagenet", "--name", "x", "--yes"), "Did you mean 'tiny-imagenet'"),
        (("tiny-imagenet", "--name", "x"), "add --yes to go on without questions"),
        (("tiny-imagenet", "--name", "a b", "--yes"), "Try 'a_b'"),
        (("mnist", "--name", "x", "--yes"), "mnist is not downloaded"),
        (("folder", "--name", "x", "--source", "nowhere", "--yes"), "nowhere: not found"),
        (("folder", "--name", "x", "--url", "http://127.0.0.1/x", "--yes"), "folder has none"),
        (("tiny-imagenet", "--name", "x", "--md5", "0", "--yes"), "--md5 is for a file from --url"),
        (("tiny-imagenet", "--name", "x", "--url", "x", "--yes"), "must begin with http"),
        (("tiny-imagenet", "--name", "x", "--max-images", "0", "--yes"), "must be at least 1"),
        (("tiny-imagenet", "--name", "x", "--max-images", "many", "--yes"), "expected a whole number"),
        (("tiny-imagenet", "--name", "x", "--resolution", "big", "--yes"), "expected WIDTHxHEIGHT"),
        (("tiny-imagenet", "--name", "x", "--split", "dev", "--yes"), "unknown split"),
    ],
)
def test_what_can_t_be_done_is_one_error_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    assert run(*arguments) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("tinct: error: ")
    assert message in last
    assert discover_imported(tmp_path) == []


def test_source_and_url_exclude_each_other(tiny, capsys):
    assert run("tiny-imagenet", "--source", tiny, "--url", "http://127.0.0.1/x", "--name", "x", "--yes") == 1
    assert "drop it, or --source" in capsys.readouterr().err


def test_a_taken_name(tiny, tmp_path, capsys):
    common = ("tiny-imagenet", "--source", tiny, "--name", "set")
    run(*common, "--max-images", "4", "--yes")
    assert run(*common, "--yes", "--if-exists", "cancel") == 1
    assert "Cancelled. Nothing was changed." in capsys.readouterr().out
    assert discover_imported(tmp_path)[0].images == 4
    assert run(*common, "--max-images", "8", "--yes") == 0  # what Enter answers: continue
    assert discover_imported(tmp_path)[0].images == 8
    assert run(*common, "--max-images", "4", "--yes", "--if-exists", "replace") == 0
    assert discover_imported(tmp_path)[0].images == 4


def test_the_dialogue_asks_for_everything_and_enter_takes_the_defaults(tiny, tmp_path):
    answers = [
        ("Kind of set [tiny-imagenet]:", ""),
        ("Enter = download:", str(tiny)),
        ("Model name:", "first"),
        ("WIDTHxHEIGHT [64x64]:", ""),
        ("Maximum number of images [10000]:", ""),
        ("Maximum storage size in MB [50.0]:", ""),
        ("comma list [all]:", ""),
        ("Proceed with import? (y/n):", "y"),
    ]
    code, screen = talk(["import"], answers, tmp_path)
    assert code == 0
    for kind, source in SOURCES.items():
        assert f"{kind:<15}{source.title}" in screen
    for text in (
        "Import configuration",
        "[1/4] Download",
        "[3/4] Import",
        "Import complete",
        "Next: tinct prepare first",
    ):
        assert text in screen
    (found,) = discover_imported(tmp_path)
    assert (found.name, found.images) == ("first", 24)
    assert found.metadata["config"] == {
        "resolution": [64, 64], "max_images": 10000, "max_size_mb": 50.0, "categories": "all",
    }  # fmt: skip


def test_the_dialogue_takes_answers_and_asks_again_after_a_wrong_one(tiny, tmp_path):
    answers = [
        ("Kind of set [tiny-imagenet]:", "mnits"),
        ("Did you mean 'mnist'", "folder"),
        ("Zip or folder:", "nowhere"),
        ("nowhere: not found", str(tiny)),
        ("Model name:", "a b"),
        ("Try 'a_b'", "mine"),
        ("WIDTHxHEIGHT [64x64]:", "32"),
        ("expected WIDTHxHEIGHT", "32x16"),
        ("Maximum number of images [10000]:", "-3"),
        ("must be at least 1", "7"),
        ("Maximum storage size in MB [50.0]:", "2.5"),
        ("comma list [all]:", "images"),
        ("Proceed with import? (y/n):", ""),
    ]
    code, _ = talk(["import"], answers, tmp_path)
    assert code == 0
    (found,) = discover_imported(tmp_path)
    assert (found.name, found.images) == ("mine", 7)
    assert found.metadata["config"] == {
        "resolution": [32, 16], "max_images": 7, "max_size_mb": 2.5, "categories": "images",
    }  # fmt: skip


def test_n_cancels(tiny, tmp_path):
    arguments = ["import", "tiny-imagenet", "--source", tiny, "--name", "x"]
    code, screen = talk(arguments, [("Proceed with import? (y/n):", "n")], tmp_path)
    assert code == 1
    assert "Cancelled. Nothing was changed." in screen
    assert not (tmp_path / "imageData").exists()


@pytest.mark.parametrize(("answer", "images", "code"), [("", 8, 0), ("replace", 6, 0), ("cancel", 2, 1)])
def test_a_taken_name_is_asked_about(tiny, tmp_path, answer, images, code):
    run("tiny-imagenet", "--source", tiny, "--name", "set", "--max-images", "2", "--categories", "n01443537", "--yes")
    arguments = ["import", "tiny-imagenet", "--source", tiny, "--categories", "n02124075"]
    answers = [("Model name:", "set"), ("holds a complete import. What now?", answer)]
    if answer != "cancel":
        answers.append(("Proceed with import? (y/n):", "y"))
    got, screen = talk(arguments, answers, tmp_path)
    assert got == code
    assert "(continue, replace, cancel) [continue]:" in screen
    assert discover_imported(tmp_path)[0].images == images


def test_ctrl_c_keeps_what_is_complete_and_says_so(tmp_path):
    source = zipped(tmp_path / "set.zip", {f"a/{n}.jpg": encoded(picture(n % 5, (900, 900))) for n in range(150)})
    command = [
        sys.executable,
        "-m",
        "tinct",
        "import",
        "folder",
        "--source",
        source,
        "--name",
        "set",
        "--yes",
        "--resize",
    ]
    environment = os.environ | {"TINCT_WORKSPACE": str(tmp_path)}
    folder = tmp_path / "imageData" / "set" / "a"
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (folder.exists() and len(list(folder.glob("[0-9]*.jpg"))) > 5):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    (found,) = discover_imported(tmp_path)
    assert found.interrupted
    assert f"Interrupted. {found.folder} holds {found.images} complete pictures" in out
    assert "--if-exists continue goes on" in out
    assert "tinct: error: interrupted" in err
    assert "Traceback" not in err


def test_a_broken_download_goes_on_is_checked_and_cleared_away(tiny, tmp_path, capsys):
    content = tiny.read_bytes()
    with serving(content) as server:
        server.portion = len(content) * 2 // 3
        flags = ("tiny-imagenet", "--url", server.url, "--name", "set", "--yes")
        assert run(*flags, "--md5", "0" * 32) == 1
        assert "has MD5" in capsys.readouterr().err
        assert discover_imported(tmp_path) == []
        server.starts.clear()
        assert run(*flags, "--md5", hashlib.md5(content).hexdigest()) == 0
        assert server.starts == [0, server.portion]
    assert discover_imported(tmp_path)[0].images == 24
    assert not (tmp_path / "temp_download").exists()
    assert discover_imported(tmp_path)[0].metadata["source_path"] == "set.zip"


def test_a_download_shows_how_far_it_is(tmp_path):
    """On a terminal: a bar with the share and the megabytes, of a download that is not over at once."""
    path = zipped(tmp_path / "tiny.zip", tiny_files() | {"ballast.bin": random.Random(0).randbytes(3_000_000)})
    with serving(path.read_bytes()) as server:
        server.pause = 1.0
        flags = ["--url", server.url, "--name", "set", "--yes"]
        code, screen = talk(["import", "tiny-imagenet", *flags], [], tmp_path)
    assert code == 0
    downloading = screen.partition("[1/4] Download")[2].partition("[2/4] Extract")[0]
    assert re.search(r"\d+% MB \S+ [12]/3", downloading), downloading


def test_a_download_is_kept_until_its_import_is_complete(tiny, tmp_path, capsys):
    with serving(tiny.read_bytes()) as server:
        flags = ("tiny-imagenet", "--url", server.url, "--name", "set", "--yes")
        assert run(*flags, "--categories", "n01443538") == 1
        assert (tmp_path / "temp_download" / "set.zip").exists()
        assert run(*flags) == 0
        assert server.starts == [0]
    assert "not checked by MD5" in capsys.readouterr().err
    assert not (tmp_path / "temp_download").exists()


def test_help_has_examples_and_every_question_as_a_flag(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    for flag in (
        "--source", "--gray", "--url", "--md5", "--name", "--resolution", "--max-images", "--max-size-mb", "--categories",
        "--split", "--resize", "--skip-unreadable", "--if-exists", "--yes",
    ):  # fmt: skip
        assert flag in text
    for kind in SOURCES:
        assert f"tinct import {kind}" in text


def test_the_manifest_is_readable_as_text(tiny, tmp_path):
    run("tiny-imagenet", "--source", tiny, "--name", "set", "--yes")
    text = (tmp_path / "imageData" / "set" / "import_metadata.json").read_text(encoding="utf-8")
    assert list(json.loads(text))[:6] == [
        "model_name", "total_images", "total_size_mb", "categories", "category_stats", "config",
    ]  # fmt: skip
