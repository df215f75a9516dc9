"""Folders as scanners leave them: hundreds of files, everything broken among them; several workers; dry runs; full disks."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data

from made import encoded, written
from tinct.cli.main import main
from tinct.images import Picture, read
from tinct.photo import Done, Failed, Planned, Record, Result, Work, graying, plan
from tinct.photo import run as work_through

GRAY = Image.fromarray(data.camera()[200:224, 200:232])  # 32 x 24
COLOUR = Image.fromarray(data.astronaut()[::16, ::16])
DEEP = np.asarray(GRAY).astype(np.uint16) * 257 ^ 21


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder by relative name; manifests left out, as they say when things were done."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def entries(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def tiff(*pages: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, metadata=None, **options)
    return file.getvalue()


def bomb() -> bytes:
    """A PNG whose header promises 40,000 x 40,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 40000, 40000, 8, 0, 0, 0, 0)
    whole = encoded(GRAY, "PNG")
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


PNG, JPEG = encoded(GRAY, "PNG"), encoded(GRAY, "JPEG", quality=95)
# Twenty kinds that can't be coloured: name -> content. The first five are left alone without a word, as they are no pictures.
BROKEN = {
    "sidecar.xmp": b"<x:xmpmeta/>",
    "notes.txt": b"the box from the attic",
    "Thumbs.db": b"\xd0\xcf\x11\xe0",
    ".DS_Store": b"\0\0\0\1Bud1",
    "._resource.jpg": b"\0\5\x16\7",
    "empty.jpg": b"",
    "empty.tif": b"",
    "letter.png": b"Dear all, " * 40,
    "zeros.jpg": bytes(2000),
    "cut.jpg": JPEG[: len(JPEG) // 2],
    "cut.png": PNG[:-200],
    "cut.tif": tiff(np.asarray(GRAY))[:300],
    "cut.webp": encoded(GRAY, "WEBP")[:100],
    "header.jpg": JPEG[:20],
    "header.png": PNG[:30],
    "page.tif": tiff(DEEP, DEEP)[:1900],
    "bomb.png": bomb(),
    "float.tif": tiff(np.asarray(GRAY).astype(np.float32)),
    "heic.heic": struct.pack(">I", 16) + b"ftyp????" + bytes(4),
    "gif.gif": encoded(GRAY, "GIF")[:20],
}
SILENT = 5


def good(number: int) -> tuple[str, bytes]:
    """One of eight kinds of whole pictures, another for each number."""
    image = GRAY.rotate(7 * number)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = number % 8 + 1, f"number {number}"
    deep = np.asarray(image).astype(np.uint16) * 257 ^ number
    kinds = [
        (".jpg", lambda: encoded(image, "JPEG", exif=exif)),
        (".png", lambda: encoded(Image.merge("LA", [image, GRAY]), "PNG", exif=exif)),
        (".tif", lambda: tiff(deep)),
        (".webp", lambda: encoded(image.convert("RGB"), "WEBP", lossless=True)),
        (".bmp", lambda: encoded(image, "BMP")),
        (".gif", lambda: encoded(image, "GIF")),
        (".tiff", lambda: tiff(deep, np.asarray(image))),
        (".PNG", lambda: encoded(image, "PNG")),
    ]
    suffix, content = kinds[number % len(kinds)]
    folder = ("", "1931/", "1931/summer \N{SUN WITH FACE}/", "x" * 200 + "/")[number % 4]
    return f"{folder}scan {number}{suffix}", content()


@pytest.fixture
def attic(tmp_path: Path) -> Path:
    """200 files: five of each broken kind, 100 whole ones; and links that go in circles."""
    broken = {f"box {box}/{name}": content for box in range(5) for name, content in BROKEN.items()}
    folder = written(tmp_path / "attic", dict(good(number) for number in range(100)) | broken)
    assert len(files(folder)) == 200
    (folder / "1931" / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "round.jpg").symlink_to(folder / "round.jpg")
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    return folder


def test_a_folder_of_200_with_20_kinds_of_broken_files(
    untrained: str, attic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("colorize", attic, "-o", out, "--model", untrained, "--draws", 1, "--workers", 3) == 1
    captured = capsys.readouterr()
    failed = 5 * (len(BROKEN) - SILENT) + 2
    assert f"100 coloured, {failed} failed: " in captured.out
    assert captured.err.count("failed  ") == failed
    for name in list(BROKEN)[SILENT:]:
        assert captured.err.count(f"/{name}: ") == 5, name
    assert "40000 x 40000 are 1600 megapixels; the limit is 400" in captured.err
    assert len(files(out)) == 100
    assert len(entries(out)) == len({entry["output"] for entry in entries(out)}) == 100
    for number in range(100):
        scan = read(attic / good(number)[0])
        made = out / good(number)[0]
        result = read(made if made.exists() else made.with_suffix(".png"))
        assert len(result.pages) == len(scan.pages)
        assert result.exif.get(0x010E, "").startswith(str(scan.exif.get(0x010E, ""))) or made.suffix == ".bmp"
        if made.suffix != ".jpg":
            for one, other in zip(scan.sheets, result.sheets, strict=True):
                assert one.gray.dtype == other.gray.dtype
                assert (one.gray == other.gray).all()
                assert all((a == b).all() for a, b in zip(one.alphas, other.alphas, strict=True))


def test_several_workers_give_what_one_after_the_other_gives(untrained: str, tmp_path: Path) -> None:
    album = written(tmp_path / "album", dict(good(number) for number in range(24)) | {"cut.png": PNG[:-200]})
    for workers in (0, 4):
        assert (
            run(
                "colorize",
                album,
                "-o",
                tmp_path / str(workers),
                "--model",
                untrained,
                "--draws",
                1,
                "--workers",
                workers,
            )
            == 1
        )
    first = files(tmp_path / "0")
    assert len(first) == 24
    assert first == files(tmp_path / "4")


# --- dry runs -----------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = {"a.png": PNG, "b.gif": encoded(GRAY, "GIF"), "new.png": encoded(COLOUR, "PNG"), "cut.png": PNG[:-200]}
    album, out = written(tmp_path / "album", pictures), tmp_path / "out"
    command = ["colorize", album, "-o", out, "--model", untrained]
    assert run(*command, "--dry-run") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        f"write   {album}/a.png -> {out}/a.png",
        f"write   {album}/b.gif -> {out}/b.png",
        f"skip    {album}/new.png: in colour already; --force colours them too",
        "2 would be coloured, 1 skipped (in colour already; --force colours them too), 1 failed",
    ]
    assert "note    " in captured.err
    assert "cut.png: damaged or cut off" in captured.err
    assert not out.exists()
    assert run(*command) == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()
    run(*command, "--dry-run")
    assert f"skip    {album}/a.png: done before" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (out / "a.png").unlink()
    capsys.readouterr()
    run(*command, "--dry-run", "--force")
    assert f"write   {album}/a.png -> " in capsys.readouterr().out


def test_a_dry_run_meets_the_outputs_that_a_real_one_would(tmp_path: Path) -> None:
    album = written(tmp_path / "album", {"a.gif": encoded(GRAY, "GIF"), "a.png": PNG})
    written(tmp_path / "out", {"b.png": b"precious"})
    written(album, {"b.png": PNG})
    for dry in (True, False):
        planned, taken, precious = work_through(plan([album], tmp_path / "out", label="gray"), graying(), dry=dry)
        assert isinstance(planned, Planned if dry else Done)
        assert "is that of" in refusal(taken)
        assert "not made by tinct" in refusal(precious)


def refusal(record: Record) -> str:
    assert isinstance(record, Failed)
    return record.error


# --- patterns and names -----------------------------------------------------------------------------------------------


def test_a_pattern_in_quotes_is_a_folder_in_part(untrained: str, tmp_path: Path) -> None:
    album = written(tmp_path / "album", dict.fromkeys(("a[1].png", "1931/b.png", "1931/deep/c.png"), PNG))
    written(album, {"1931/d.jpg": JPEG})
    assert run("gray", album / "**" / "*.png", "-o", tmp_path / "out") == 0
    assert set(files(tmp_path / "out")) == {"a[1].png", "1931/b.png", "1931/deep/c.png"}
    assert run("gray", album / "a[1].png", "-o", tmp_path / "one") == 0
    assert set(files(tmp_path / "one")) == {"a[1].png"}


@pytest.mark.skipif(sys.platform != "linux", reason="names as Linux takes them")
def test_names_that_are_long_strange_or_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["n" * 246 + ".png", "m" * 251 + ".png", "a\nb\x1b[31m.png", "[bold]x[/bold].png", "\N{GHOST}\u200d.png"]
    album = written(tmp_path / "album", dict.fromkeys(names, PNG))
    (album / os.fsdecode(b"l\xe4nder.png")).write_bytes(PNG)  # Latin-1, as old archives have it
    out = tmp_path / "out"
    assert run("gray", album, "-o", out, "--workers", 2) == 0
    assert len(files(out)) == len(entries(out)) == 6
    assert run("gray", album, "-o", out) == 0
    assert "6 done before" in capsys.readouterr().out
    assert run("gray", album, "--dry-run") == 0
    assert "a\\nb\\x1b[31m.png" in capsys.readouterr().out
    assert run("gray", album / names[1]) == 1  # beside itself, where five letters more are too many
    assert "File name too long" in capsys.readouterr().err
    assert len(files(album)) == 6


def test_two_kinds_of_one_scan_are_refused_for_one_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    album = written(tmp_path / "album", {"a.jpg": JPEG, "a.png": PNG, "b.png": PNG})
    assert run("gray", album, "-o", tmp_path / "out", "--format", "tiff") == 1
    assert "a.jpg and" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("gray", album, "-o", tmp_path / "out") == 0


# --- places that can't be read or written ---------------------------------------------------------------------------------


@contextmanager
def anybody() -> Iterator[Path]:
    """A folder of somebody without privileges, whom this process then is."""
    folder = Path(tempfile.mkdtemp())
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
        shutil.rmtree(folder)


posix = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")


@posix
def test_a_folder_that_can_not_be_listed_is_a_failure_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with anybody() as place:
        album = written(place / "album", {"a.png": PNG, "secret/b.png": PNG, "c.png": PNG})
        (album / "secret").chmod(0)
        (album / "c.png").chmod(0)
        assert run("gray", album, "-o", place / "out") == 1
        captured = capsys.readouterr()
        assert "1 made gray, 2 failed" in captured.out
        assert "secret: Permission denied" in captured.err
        assert "c.png: no permission to read it" in captured.err
        assert run("gray", album / "secret", "-o", place / "out") == 1
        assert "secret: Permission denied" in capsys.readouterr().err


@posix
def test_an_output_that_is_read_only(capsys: pytest.CaptureFixture[str]) -> None:
    with anybody() as place:
        album = written(place / "album", {"a.png": PNG, "deep/b.png": PNG})
        (place / "out" / "deep").mkdir(parents=True)
        (place / "out" / "deep").chmod(0o500)
        assert run("gray", album, "-o", place / "out") == 1
        captured = capsys.readouterr()
        assert "1 made gray, 1 failed" in captured.out
        assert "b.png: can't be written: Permission denied" in captured.err
        (place / "out").chmod(0o500)
        (place / "out" / "manifest.jsonl").chmod(0o400)
        assert run("gray", album, "-o", place / "out") == 1
        assert "can't be written to (Permission denied). Choose another -o" in capsys.readouterr().err
        assert run("gray", album, "-o", place / "out" / "x", "--dry-run") == 0


@pytest.mark.parametrize("suffix", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_stops_the_run_and_leaves_nothing_half(
    suffix: str, workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real one, of 200 kB, where it may be mounted."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 260), np.uint8))
    album = written(tmp_path / "album", {f"{number}.png": encoded(noise, "PNG") for number in range(9)})
    out = tmp_path / "disk"
    out.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(out)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert run("gray", album, "-o", out, "--format", suffix, "--workers", workers) == 1
        error = capsys.readouterr().err
        assert error.count("can't be written") == 1
        assert "Make room and run the same command again" in error
        made = files(out)
        assert 0 < len(made) < 9
        assert set(made) == {entry["output"] for entry in entries(out)}
        for name in made:
            assert np.abs(read(out / name).gray.astype(int) - np.asarray(noise)).mean() < 3
        subprocess.run(["mount", "-o", "remount,size=9m", str(out)], check=True)
        assert run("gray", album, "-o", out, "--format", suffix, "--workers", workers) == 0
        assert len(entries(out)) == len(files(out)) == 9
    finally:
        subprocess.run(["umount", str(out)], check=True)


# --- broken off -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_interrupted_what_was_made_is_whole_and_recorded(workers: int, tmp_path: Path) -> None:
    album = written(tmp_path / "album", {f"{number}.png": PNG for number in range(9)})
    todo, made = plan([album], tmp_path / "out", label="colour"), []

    def coloured(picture: Picture) -> Result:
        return Result([np.dstack([picture.gray] * 3)])

    def make(picture: Picture) -> Result:
        if len(made) == 4:
            raise KeyboardInterrupt
        made.append(picture.name)
        return coloured(picture)

    with pytest.raises(KeyboardInterrupt):
        list(work_through(todo, Work(make, {}), workers=workers))
    assert len(files(tmp_path / "out")) == len(entries(tmp_path / "out")) == len(made) == 4
    seen = list(work_through(todo, Work(coloured, {}), workers=workers))
    assert sum(isinstance(record, Done) for record in seen) == 5
    outputs = [entry["output"] for entry in entries(tmp_path / "out")]
    assert sorted(outputs) == sorted(f"{number}.png" for number in range(9))
