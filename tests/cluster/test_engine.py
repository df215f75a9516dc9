"""`tinct colorize --engine ray`: the files and records of the plain command, by actors; and what is refused."""

import io
import pickle
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

from clustering import BY_RAY, colorize, colorizing, entries, files, gray_files, until, unused_port
from made import encoded, picture, written
from tinct import __version__, zoo
from tinct.cli.main import main
from tinct.cluster import head
from tinct.cluster.runs import _looked_at
from tinct.cluster.worker import Worker
from tinct.errors import ConfigError
from tinct.photo import PhotoOptions, Planned, colouring, plan
from tinct.photo.desk import Desk
from tinct.photo.records import series
from tinct.photo.steps import Made, Steps


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["colorize", *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return gray_files(tmp_path / "album", 3)


# --- refused at once, before anything is written -------------------------------------------------------------------------


def test_without_ray_the_extra_is_named(
    untrained: str, album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(album, "-o", album.parent / "out", "--model", untrained, "--engine", "ray") == 1
    assert "pip install 'tinct[ray]'" in capsys.readouterr().err
    assert not (album.parent / "out").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "ray", "--address", f"127.0.0.1:{unused_port()}"], "can't be reached"),
        (["--engine", "ray", "--address", "head"], "HOST:PORT"),
        (["--engine", "ray", "--address", "127.0.0.1:99999999"], "can't be reached"),
        (["--engine", "ray", "--address", "ray://127.0.0.1:10001"], "with HOST:PORT of the head"),
        (["--engine", "ray", "--workers", "0"], "Give at least 1"),
        (["--engine", "rey"], "Did you mean 'ray'?"),
        (["--address", "127.0.0.1:6379"], "Add --engine ray"),
    ],
)
def test_what_can_not_be_is_refused_soon(
    options: list[str], told: str, untrained: str, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(album, "-o", album.parent / "out", "--model", untrained, *options) == 1
    assert told in capsys.readouterr().err
    assert not (album.parent / "out").exists()


def test_a_cluster_in_the_environment_is_for_the_engine_that_uses_it(
    untrained: str, album: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{unused_port()}")
    common = (album, "-o", album.parent / "out", "--model", untrained, "--draws", 1)
    assert run(*common, "--engine", "ray") == 1
    assert "can't be reached" in capsys.readouterr().err
    assert run(*common) == 0


def test_a_head_that_is_gone_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "_LOOKED_EVERY", 0.05)
    with closing(socket.create_server(("127.0.0.1", 0))) as heard:
        address = f"127.0.0.1:{heard.getsockname()[1]}"
        with head.watched(address):
            time.sleep(0.5)  # it is there
        with pytest.raises(KeyboardInterrupt), head.watched(address):
            raise KeyboardInterrupt
    with pytest.raises(ConfigError, match=f"{address} is gone"), head.watched(address):
        time.sleep(60)


def test_what_is_done_already_takes_no_cluster(untrained: str, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = (album, "-o", album.parent / "out", "--model", untrained, "--draws", 1)
    assert run(*common) == 0
    assert run(*common, *BY_RAY) == 0
    assert "0 coloured, 3 done before" in capsys.readouterr().out
    assert "ray" not in sys.modules


@pytest.mark.parametrize("samples", [None, 2])
def test_photographs_whose_results_might_get_one_name_go_together(
    samples: int | None, untrained: str, tmp_path: Path
) -> None:
    """Whatever a photograph becomes is of the series of its name."""
    names = ["a.gif", "a.png", "A.Sheet.tif", "a.b.jpg", "sub/a.png", "a.candidate-1.png"]
    folder = written(tmp_path / "album", dict.fromkeys(names, encoded(picture(0).convert("L"), "PNG")))
    work = colouring(zoo.colorizer(zoo.load(untrained)), PhotoOptions(), samples=samples)
    todo, waiting = plan([folder], tmp_path / "out", label="colour"), {}
    assert not list(_looked_at(Desk(work, todo, False), todo, waiting))
    together = sorted(sorted(item.job.name for item in items) for items in waiting.values())
    assert together == [["A.Sheet.tif", "a.candidate-1.png", "a.gif", "a.png"], ["a.b.jpg"], ["sub/a.png"]]
    steps = Steps(work, todo.folder, False)
    for items in waiting.values():
        for item in items:
            made = steps.make(steps.decode(item))
            if isinstance(made, Made):
                assert {series(path.name) for path in [made.decoded.path, *made.places]} == {series(item.job.name)}


def test_what_an_actor_runs_is_made_without_torch(tmp_path: Path) -> None:
    """It is made in a moment: Ray does not surely take up an actor that dies while it is made."""
    script = (
        "import sys\nfrom tinct.cluster.worker import Worker\n"
        "Worker(b'', None, dry=True, device='cpu', mark='abcdef', version='0')\n"
        "print(*sys.modules.keys() & {'torch', 'numpy', 'PIL', 'tinct.photo'})"
    )
    assert not subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_an_error_that_would_meet_every_photograph_comes_back_from_an_actor(untrained: str, album: Path) -> None:
    work = colouring(zoo.colorizer(zoo.load(untrained)), PhotoOptions(draws=1))
    todo = plan([album], album.parent / "out", label="colour")
    seen = Desk(work, todo, True).look(todo.jobs[0])
    row = {"number": 3, "series": pickle.dumps([seen])}

    def answer(version: str = __version__, device: str = "cpu") -> object:
        packed = pickle.dumps(replace(work, make=str, skip=None))
        given = Worker(packed, todo.folder, dry=True, device=device, mark="", version=version)(row)
        assert given["number"] == 3
        return pickle.loads(given["answer"])

    (outcome,) = answer()
    assert isinstance(outcome.record, Planned)
    with pytest.raises(ConfigError, match=r"this one has 0\.0"):
        raise answer("0.0")
    with pytest.raises(ConfigError, match="unknown device"):
        raise answer(device="abacus")


# --- with Ray ------------------------------------------------------------------------------------------------------------


def attic(folder: Path) -> Path:
    """Many kinds, some of which contend for one name, and broken ones."""
    gray = picture(0).convert("L")
    deep = io.BytesIO()
    tifffile.imwrite(deep, np.asarray(gray).astype(np.uint16) * 257)
    kinds = {
        "a.gif": encoded(gray, "GIF"),
        "a.png": encoded(gray, "PNG"),
        "b.bmp": encoded(gray, "BMP"),
        "c.png": encoded(Image.fromarray(np.asarray(gray).astype(np.uint16) * 256), "PNG"),
        "colour.jpg": encoded(picture(1)),
        "cut.png": encoded(gray, "PNG")[:-100],
        "d.sheet.png": encoded(gray, "PNG"),
        "d.png": encoded(gray, "PNG"),
        "deep/e.tif": deep.getvalue(),
        "nothing.jpg": b"",
        "l\N{LATIN SMALL LETTER A WITH DIAERESIS}nder \N{GHOST}.webp": encoded(gray, "WEBP", lossless=True),
        **{f"many/{number}.jpg": encoded(picture(number).convert("L")) for number in range(40)},
    }
    return written(folder, kinds)


def told(entry: dict[str, object]) -> dict[str, object]:
    """What a line says but for when it was."""
    return {key: value for key, value in entry.items() if key not in ("seconds", "time")}


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--samples", 2), ("--format", "png", "--seed", 3)])
def test_files_and_lines_are_those_of_the_plain_command(
    options: tuple[object, ...], untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = attic(tmp_path / "attic")
    if "--format" in options:
        for name in ("a.gif", "c.png"):  # two that would be refused together
            (folder / name).unlink()
    common = (folder, "--model", untrained, *(options if "--samples" in options else ("--draws", 1, *options)))
    written(tmp_path / "plain", {"b.bmp": b"precious", "b.png": b"precious"})
    written(tmp_path / "out", {"b.bmp": b"precious", "b.png": b"precious"})
    assert run(*common, "-o", tmp_path / "plain") == 1
    plain = capsys.readouterr()
    done = colorize(*common, "-o", tmp_path / "out", *BY_RAY)
    assert done.returncode == 1
    assert files(tmp_path / "out") == files(tmp_path / "plain")
    assert done.stdout.split(": ")[0] == plain.out.split(": ")[0]
    assert done.stderr.count("failed  ") == plain.err.count("failed  ") >= 3
    assert all(line.startswith(("failed  ", "note  ")) for line in done.stderr.splitlines() if line.strip())
    by_input = [{str(line["input"]): told(line) for line in entries(tmp_path / name)} for name in ("out", "plain")]
    assert by_input[0] == by_input[1]


@pytest.mark.slow
def test_it_goes_on_with_what_the_plain_command_began_and_does_again_what_another_model_did(
    untrained: str, trained: Path, tmp_path: Path
) -> None:
    album, out = gray_files(tmp_path / "album", 6), tmp_path / "out"
    common = (album, "-o", out, "--draws", 1)
    (album / "000" / "00005.jpg").rename(tmp_path / "later.jpg")
    assert run(*common, "--model", untrained) == 0
    before = files(out)
    (tmp_path / "later.jpg").rename(album / "000" / "00005.jpg")
    done = colorize(*common, "--model", untrained, *BY_RAY)
    assert "1 coloured, 5 done before" in done.stdout, done.stderr
    assert before.items() <= files(out).items()
    other = colorize(*common, "--model", trained / "models" / "tiny", *BY_RAY)
    assert "6 coloured" in other.stdout, other.stderr
    assert not before.items() <= files(out).items()


@pytest.mark.slow
def test_nobody_else_can_reach_it_and_it_says_nothing(untrained: str, tmp_path: Path) -> None:
    album, out = gray_files(tmp_path / "album", 300), tmp_path / "out"
    with colorizing(album, "-o", out, "--model", untrained, "--draws", 1, *BY_RAY) as process:
        assert until(lambda: entries(out) or process.poll() is not None)
        started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        heard = [one for child in started for one in child.net_connections("inet") if one.status == psutil.CONN_LISTEN]
        everyone = [one for child in started for one in child.net_connections("inet")]
        told, errors = process.communicate(timeout=300)
    assert len(heard) > 3
    assert {one.laddr.ip.removeprefix("::ffff:") for one in heard} == {"127.0.0.1"}
    assert {one.raddr.ip.removeprefix("::ffff:") for one in everyone if one.raddr} == {"127.0.0.1"}
    assert "300 coloured" in told
    assert not errors.strip()


@pytest.mark.slow
def test_a_photograph_that_kills_its_worker_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """In a process of its own, as Ray stays in one."""
    album = gray_files(tmp_path / "album", 40)
    script = f"""
import os, signal
from pathlib import Path
import numpy as np
from tinct.cluster.runs import run
from tinct.photo import Result, Work, plan

def make(picture):
    if picture.name.endswith("00007.jpg"):
        os.kill(os.getpid(), signal.SIGKILL)
    return Result([np.dstack([picture.gray] * 3)])

todo = plan([Path({str(album)!r})], Path({str(tmp_path / "out")!r}), label="colour")
for record in run(todo, Work(make, {{}}), workers=2):
    print(type(record).__name__, getattr(record, "error", ""))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(line.startswith("Done") for line in lines) == 39
    assert [line for line in lines if "Failed" in line and "00007.jpg: 6 workers died over it" in line]
    assert len(entries(tmp_path / "out")) == len(files(tmp_path / "out")) == 39
