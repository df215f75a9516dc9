"""Folders in S3, against a server of this machine that speaks it: moto's. Left out where moto or s3fs is not installed."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustering import BY_RAY, colorize, gray_files
from made import written
from test_photo_stores import SCANS, command
from tinct.places import Remote, remote

moto = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),  # connections that are left to the end
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an empty S3 with the bucket `archive`; the environment has a key for it."""
    served = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    _forget()
    s3fs.S3FileSystem().mkdir("archive")
    yield f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    served.stop()
    _forget()


def check_keys_from_now_on(server: str, yes: bool) -> None:
    text = urllib.request.Request(f"{server}/moto-api/reset-auth", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(text, data=b"0" if yes else b"inf").close()


def _forget() -> None:
    remote._opened.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


def scans(files: dict[str, bytes]) -> Remote:
    folder = Remote("s3://archive/scans")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_of_a_bucket(server: str, untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = scans(SCANS), Remote("s3://archive/colour")
    common = ("--model", untrained, "--draws", 1)
    assert command("colorize", source, "-o", out, *common) == 1
    assert "3 coloured, 1 failed" in capsys.readouterr().out
    assert command("colorize", written(tmp_path / "scans", SCANS), "-o", tmp_path / "out", *common) == 1
    names = ["1931/b.jpg", "1931/c.png", "a.png"]
    assert sorted(out.files()) == [*names, "manifest.jsonl"]
    assert all((out / name).read_bytes() == (tmp_path / "out" / name).read_bytes() for name in names)
    capsys.readouterr()
    assert command("colorize", "s3://archive/scans/**/*.jpg", "-o", out, *common) == 0
    assert "1 done before" in capsys.readouterr().out
    assert command("colorize", source, "-o", out, *common) == 1
    assert "0 coloured, 3 done before, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["key", "bucket", "server", "no key"])
def test_what_is_wrong_is_one_error(
    what: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = scans({"a.png": SCANS["a.png"]})
    here = written(tmp_path / "here", {"a.png": SCANS["a.png"]})
    if what == "key":
        check_keys_from_now_on(server, True)
    elif what == "no key":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("HOME", os.devnull)
    elif what == "server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    _forget()
    told = {
        "key": "access is refused",
        "no key": "access is refused",
        "bucket": "not found",
        "server": "can't be reached",
    }
    reading, writing = (
        (Remote("s3://nowhere/*.png"), Remote("s3://nowhere/out"))
        if what == "bucket"
        else (source, source.parent / "x")
    )
    for arguments in ((reading, "-o", tmp_path / "out"), (here, "-o", writing)):
        assert command("gray", *arguments) == 1
        errors = capsys.readouterr().err
        assert errors.count("tinct: error: ") == 1
        assert told[what] in errors or (arguments[0] == reading and "no such file" in errors)
        assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
    if what == "key":
        check_keys_from_now_on(server, False)


@pytest.mark.slow
def test_actors_work_from_bucket_to_bucket(server: str, untrained: str, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in gray_files(tmp_path / "album", 30).rglob("*.jpg")}
    done = colorize(scans(files), "-o", "s3://archive/colour", "--model", untrained, "--draws", 1, *BY_RAY)
    assert done.returncode == 0, done.stderr
    out = Remote("s3://archive/colour")
    assert sorted(out.files()) == [*sorted(files), "manifest.jsonl"]
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_bytes().splitlines()]
    assert sorted(line["output"] for line in lines) == sorted(files)
