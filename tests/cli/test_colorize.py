"""`tinct colorize` and `tinct gray` on files and folders: mirrored trees, resume, kills, bad input, exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tinct.cli.main import main

GRAY = Image.fromarray(data.camera()[::4, ::4])
COLOUR = Image.fromarray(data.astronaut()[::4, ::4])


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of good and bad files."""
    folder = tmp_path / "album"
    (folder / "1931" / "deep").mkdir(parents=True)
    GRAY.save(folder / "a.png")
    GRAY.rotate(90).save(folder / "1931" / "b.jpg", quality=95)
    GRAY.convert("1").save(folder / "1931" / "deep" / "c.gif")
    COLOUR.save(folder / "coloured.png")
    (folder / "letter.jpg").write_text("Dear all, " * 40)
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def entries(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def gray_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("L"))


def test_one_file_without_output_goes_beside_it(
    untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GRAY.save(tmp_path / "old.png")
    assert run("colorize", tmp_path / "old.png", "--model", untrained) == 0
    assert files(tmp_path) == ["old.colour.png", "old.png"]
    assert (gray_of(tmp_path / "old.colour.png") == np.asarray(GRAY)).all()
    assert "1 coloured: " in capsys.readouterr().out
    assert (
        run("colorize", tmp_path / "old.png", "--model", untrained, "--seed", 4) == 0
    )  # its own output may be made anew
    assert "seed 4" in Image.open(io.BytesIO((tmp_path / "old.colour.png").read_bytes())).text["Comment"]


@pytest.mark.parametrize(
    ("out", "expected"),
    [("out", "out/old.png"), ("new.tif", "new.tif"), ("deep/er", "deep/er/old.png"), ("x.JPEG", "x.JPEG")],
)
def test_outputs_with_a_suffix_are_files_and_others_folders(
    untrained: str, tmp_path: Path, out: str, expected: str
) -> None:
    GRAY.save(tmp_path / "old.png")
    assert run("colorize", tmp_path / "old.png", "-o", tmp_path / out, "--model", untrained) == 0
    assert (tmp_path / expected).is_file()
    assert (tmp_path / out / "manifest.jsonl").exists() == (out in ("out", "deep/er"))


def test_a_folder_is_mirrored_and_bad_files_stop_nothing(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("colorize", album, "-o", out, "--model", untrained, "--seed", 5) == 1
    assert files(out) == ["1931/b.jpg", "1931/deep/c.png", "a.png", "manifest.jsonl"]
    assert (gray_of(out / "a.png") == np.asarray(GRAY)).all()
    assert (gray_of(out / "1931/deep/c.png") == np.asarray(GRAY.convert("1").convert("L"))).all()
    captured = capsys.readouterr()
    assert "3 coloured, 1 skipped (in colour already; --force colours them too), 2 failed: " in captured.out
    assert "letter.jpg: not a picture" in captured.err
    assert "empty.png: the file is empty" in captured.err
    done = {entry["input"]: entry for entry in entries(out)}
    assert set(done) == {"a.png", "1931/b.jpg", "1931/deep/c.gif", "coloured.png"}
    facts = done["a.png"]
    assert (facts["status"], facts["output"], facts["model"], facts["seed"]) == ("done", "a.png", "tiny", 5)
    assert facts["seconds"] > 0
    assert {"version", "time", "bytes", "modified_ns"} <= set(facts)
    assert done["coloured.png"]["status"] == "skipped"


def test_a_second_run_does_only_what_is_new(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run("colorize", album, "-o", out, "--model", untrained)
    first = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    GRAY.rotate(180).save(album / "a.png")  # another photograph under the old name
    (out / "1931/b.jpg").unlink()
    run("colorize", album, "-o", out, "--model", untrained)
    assert "2 coloured, 1 done before, 1 skipped" in capsys.readouterr().out
    second = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    assert {name for name in first if first[name] != second[name]} == {"a.png", "1931/b.jpg", "manifest.jsonl"}
    assert (gray_of(out / "a.png") == np.asarray(GRAY.rotate(180))).all()
    run("colorize", album, "-o", out, "--model", untrained, "--seed", 1)  # other settings: all of it again
    third = {name: (out / name).stat().st_mtime_ns for name in files(out)}
    assert all(third[name] != second[name] for name in third)


def test_an_option_that_fits_no_photograph_stops_at_the_first(
    untrained: str, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("colorize", album, "-o", tmp_path / "out", "--model", untrained, "--sampler", "ddpm", "--eta", 1) == 1
    assert capsys.readouterr().err.count("'eta'") == 1
    assert files(tmp_path / "out") == ["manifest.jsonl"]


def test_force_colours_what_is_in_colour(untrained: str, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("colorize", album, "-o", out, "--model", untrained)
    before = (out / "a.png").stat().st_mtime_ns
    run("colorize", album, "-o", out, "--model", untrained, "--force")
    assert (gray_of(out / "coloured.png") == np.asarray(COLOUR.convert("L"))).all()
    assert (out / "a.png").stat().st_mtime_ns == before


def test_one_picture_in_colour_is_skipped_with_exit_code_0(
    untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COLOUR.save(tmp_path / "new.png")
    assert run("colorize", tmp_path / "new.png", "--model", untrained) == 0
    assert files(tmp_path) == ["new.png"]
    assert "0 coloured, 1 skipped (in colour already; --force" in capsys.readouterr().out


def test_output_inside_the_input_is_not_coloured_again(untrained: str, album: Path) -> None:
    for _ in range(2):
        run("colorize", album, "-o", album / "coloured", "--model", untrained)
    assert not (album / "coloured" / "coloured").exists()
    assert len([entry for entry in entries(album / "coloured") if entry["status"] == "done"]) == 3


@pytest.mark.parametrize("name", ["../album", "."])
def test_a_folder_without_output_gets_a_sibling(
    untrained: str, album: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(album)
    run("colorize", name, "--model", untrained)
    assert (album.parent / "album.colour" / "1931" / "b.jpg").is_file()


def test_what_a_killed_run_left_is_swept_away_when_it_is_old(untrained: str, album: Path, tmp_path: Path) -> None:
    left = [tmp_path / "out" / "1931" / name for name in (".0123456789ab.part.jpg", ".fedcba987654.part.jpg")]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_bytes(b"half a picture")
    os.utime(left[0], (0, 0))  # the other may belong to a run that goes on beside this one
    run("colorize", album, "-o", tmp_path / "out", "--model", untrained)
    assert [path.exists() for path in left] == [False, True]


def test_two_inputs_with_one_output(untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    GRAY.save(folder / "a.gif")
    GRAY.rotate(90).save(folder / "a.png")
    for _ in range(2):  # a second run comes to the same end
        assert run("colorize", folder, "-o", tmp_path / "out", "--model", untrained) == 1
        error = capsys.readouterr().err
        assert "a.png: its output" in error
        assert "is that of" in error
        assert (gray_of(tmp_path / "out" / "a.png") == np.asarray(GRAY)).all()


def test_nothing_is_overwritten_that_was_not_made_here(
    untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GRAY.save(tmp_path / "old.png")
    COLOUR.save(tmp_path / "precious.png")
    precious = (tmp_path / "precious.png").read_bytes()
    assert run("colorize", tmp_path / "old.png", "-o", tmp_path / "precious.png", "--model", untrained) == 1
    assert (tmp_path / "precious.png").read_bytes() == precious
    assert "exists and was not made by tinct" in capsys.readouterr().err
    assert run("colorize", tmp_path / "old.png", "-o", tmp_path / "old.png", "--model", untrained) == 1
    assert run("gray", tmp_path / "precious.png", "-o", tmp_path / "precious.png", "--force") == 1
    assert (tmp_path / "precious.png").read_bytes() == precious


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jpg"], "nowhere.jpg: No such file"),
        (["old.png", "--sampler", "dpm+2m"], "unknown sampler 'dpm+2m'. Did you mean 'dpm++2m'"),
        (["old.png", "--sampler", "ddpm", "--eta", "0.5"], "option of sampler ddpm 'eta'"),
        (["old.png", "--model", "foto"], "unknown model 'foto'"),
        (["old.png", "--steps", "0"], "steps = 0: must be at least 1"),
        (["old.png", "--steps", "many"], "steps = 'many': expected a whole number"),
        (["old.png", "--format", "jpag"], "unknown format 'jpag'. Did you mean 'jpeg'"),
        (["old.png", "--device", "cudo"], "unknown device 'cudo'. Did you mean 'cuda'"),
        (["old.png", "-o", "x.png", "--format", "jpg"], "-o x.png is a png file, but --format says jpeg"),
        (["old.png", "old.png", "-o", "x.png"], "-o x.png is one file, but there is more than one photograph"),
        (["empty"], "empty: no pictures in it"),
        ([".", "-o", "."], "is the folder of the photographs themselves"),
        (["old.png", "--max-megapixels", "0.001"], "the limit is 0.001. Raise it with --max-megapixels"),
        (["old.png", "-o", "old.png/deeper"], "old.png/deeper: can't be written to"),
    ],
)
def test_bad_input_gets_one_clear_error(
    untrained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    GRAY.save("old.png")
    code = run("colorize", *(arguments if "--model" in arguments else [*arguments, "--model", untrained]))
    captured = capsys.readouterr()
    assert code == 1
    assert message in captured.err
    assert files(tmp_path) == ["old.png"]


def test_a_kill_leaves_whole_files_and_the_next_run_goes_on(untrained: str, tmp_path: Path) -> None:
    """SIGKILL in mid-folder, with workers that decode and encode: no output half, none recorded twice."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(12):
        GRAY.resize((700, 500)).rotate(number).save(folder / f"{number}.png")
    command = [sys.executable, "-m", "tinct", "colorize", folder, "-o", out, "--model", untrained, "--workers", "3"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200  # the libraries alone take a minute to load on a busy machine
    while not list(out.glob("[0-9]*.png"))[2:] and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = sorted(out.glob("[0-9]*.png"))
    assert 2 < len(finished) < 12
    for path in finished:
        assert (gray_of(path) == gray_of(folder / path.name)).all()
    with (out / "manifest.jsonl").open("a") as manifest:
        manifest.write('{"input": "11.png", "sta')  # as a kill in mid-line leaves it
    assert run("colorize", folder, "-o", out, "--model", untrained) == 0
    recorded = [line for line in (out / "manifest.jsonl").read_text().splitlines() if line.endswith("}")]
    outputs = [json.loads(line)["output"] for line in recorded]
    assert sorted(outputs) == sorted(f"{number}.png" for number in range(12))
    for number in range(12):
        assert (gray_of(out / f"{number}.png") == gray_of(folder / f"{number}.png")).all()


def test_the_same_seed_gives_the_same_file(untrained: str, tmp_path: Path) -> None:
    GRAY.save(tmp_path / "old.png")
    pictures = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run("colorize", tmp_path / "old.png", "-o", tmp_path / out, "--seed", seed, "--model", untrained) == 0
        pictures.append(Image.open(io.BytesIO((tmp_path / out / "old.png").read_bytes())).tobytes())
    assert pictures[0] == pictures[1] != pictures[2]
