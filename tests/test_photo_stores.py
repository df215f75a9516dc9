"""Folders in stores and photographs of the web, worked through as folders of this machine are; and their manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from made import encoded, picture, written
from tinct.cli.main import main
from tinct.errors import ConfigError, DataError
from tinct.images import Picture
from tinct.photo import Done, Failed, Record, Result, Skipped, Work, graying, plan, run
from tinct.photo.journal import StoreJournal
from tinct.places import Place, Remote

SCANS = {
    "a.png": encoded(picture(0).convert("L"), "PNG"),
    "1931/b.jpg": encoded(picture(1).convert("L")),
    "1931/c.gif": encoded(picture(2).convert("L"), "GIF"),
    "cut.png": encoded(picture(3), "PNG")[:-100],
    "notes.txt": b"no picture",
}


def put(folder: Remote, files: dict[str, bytes]) -> Remote:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def lines(folder: Remote) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def kinds(records: Iterator[Record]) -> list[type]:
    return [type(record) for record in records]


def test_a_folder_of_a_store_gives_the_files_that_a_folder_gives(
    store: str, untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans, out = put(Remote(f"{store}/scans"), SCANS), Remote(f"{store}/colour")
    common = ("--model", untrained, "--draws", 1)
    assert command("colorize", scans, "-o", out, *common) == 1
    shown = capsys.readouterr()
    assert "3 coloured, 1 failed: " in shown.out
    assert f"{scans}/cut.png: damaged or cut off" in shown.err
    assert command("colorize", written(tmp_path / "scans", SCANS), "-o", tmp_path / "out", *common) == 1
    made = {name: (out / name).read_bytes() for name in out.files() if name != "manifest.jsonl"}
    assert made == {name: (tmp_path / "out" / name).read_bytes() for name in ("a.png", "1931/b.jpg", "1931/c.png")}
    assert sorted(str(line["output"]) for line in lines(out)) == sorted(made)
    capsys.readouterr()
    assert command("colorize", scans, "-o", out, *common) == 1
    assert "0 coloured, 3 done before, 1 failed" in capsys.readouterr().out
    put(scans, {"a.png": SCANS["a.png"]})  # another time is another photograph
    assert command("colorize", scans, "-o", out, *common, "--dry-run") == 1
    assert f"write   {scans}/a.png -> {out}/a.png" in capsys.readouterr().out
    (out / "1931" / "b.jpg").unlink()
    assert command("colorize", scans, "-o", out, *common, "--seed", 0) == 1
    assert "2 coloured, 1 done before, 1 failed" in capsys.readouterr().out


def test_from_a_store_to_this_machine_and_back(store: str, tmp_path: Path) -> None:
    scans, here, back = put(Remote(f"{store}/scans"), SCANS), tmp_path / "here", Remote(f"{store}/back")
    assert kinds(run(plan([scans], here, label="gray"), graying())) == [Done, Done, Done, Failed]
    assert kinds(run(plan([here], back, label="gray"), graying(), workers=2)) == [Done, Done, Done]
    assert sorted(back.files()) == ["1931/b.jpg", "1931/c.png", "a.png", "manifest.jsonl"]
    assert (back / "a.png").read_bytes() == (here / "a.png").read_bytes()


def test_patterns_and_places_beside_the_input_in_a_store(store: str) -> None:
    scans = put(Remote(f"{store}/scans"), SCANS)

    def targets(pattern: Place, out: Place | None = None) -> list[str]:
        return [str(job.target) for job in plan([pattern], out, label="gray").jobs]

    out = Remote(f"{store}/out")
    assert targets(scans / "**" / "*.jpg", out) == [f"{out}/1931/b.jpg"]
    assert targets(scans / "1931" / "?.*", out) == [f"{out}/b.jpg", f"{out}/c.gif"]
    assert targets(scans / "a.png") == [f"{store}/scans/a.gray.png"]
    assert targets(scans)[0] == f"{store}/scans.gray/1931/b.jpg"
    put(scans / "out", {"x.png": SCANS["a.png"]})
    assert all("x.png" not in target for target in targets(scans, scans / "out"))
    with pytest.raises(ConfigError, match="folder of the photographs themselves"):
        targets(scans, scans)
    with pytest.raises(DataError, match="no pictures"):
        targets(scans / "none*.jpg", out)


def test_what_others_have_put_there_is_not_overwritten(store: str) -> None:
    scans = put(Remote(f"{store}/scans"), {"a.png": SCANS["a.png"], "b.png": SCANS["a.png"]})
    out = put(Remote(f"{store}/out"), {"a.png": b"precious"})
    work = Work(lambda one: Result([np.dstack([one.gray] * 3)]), {}, note="colours are synthetic: by a test")
    failed, done = run(plan([scans], out, label="colour"), work)
    assert isinstance(failed, Failed)
    assert "not made by tinct" in failed.error
    assert (out / "a.png").read_bytes() == b"precious"
    assert isinstance(done, Done)
    (out / "manifest.jsonl").unlink()
    assert kinds(run(plan([scans], out, label="colour"), work)) == [Failed, Done]  # it bears the note


def test_a_photograph_of_the_web(web: str, untrained: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "web", SCANS)
    common = ("--model", untrained, "--draws", 1)
    out = tmp_path / "out"
    assert command("colorize", f"{web}/1931/b.jpg?x=1", f"{web}/none.jpg", "-o", out, *common) == 1
    shown = capsys.readouterr()
    assert "1 coloured, 1 failed" in shown.out
    assert "none.jpg: not found" in shown.err
    assert command("colorize", f"{web}/1931/b.jpg?x=1", "-o", out, *common) == 0
    assert "1 done before" in capsys.readouterr().out
    assert command("colorize", tmp_path / "web" / "1931" / "b.jpg", "-o", tmp_path / "local.jpg", *common) == 0
    assert (out / "b.jpg").read_bytes() == (tmp_path / "local.jpg").read_bytes()
    assert command("colorize", f"{web}/1931/b.jpg", *common) == 1
    assert "Say with -o where results go" in capsys.readouterr().err
    assert command("colorize", tmp_path / "web", "-o", f"{web}/out", *common) == 1
    assert "nothing can be written to an address of the web" in capsys.readouterr().err


# --- the manifest in a store --------------------------------------------------------------------------------------------


def test_lines_come_in_parts_that_are_joined_at_the_end(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinct.photo.journal.SECONDS", 0.0)
    folder = Remote(store)
    journal = StoreJournal(folder)
    assert journal.opened() == b""
    for number in range(3):
        journal.append(b"%d" % number)
    assert len((folder / ".manifest").files()) == 4
    assert not (folder / "manifest.jsonl").exists()
    assert StoreJournal(folder).text() == b"0\n1\n2\n"  # also as another process reads it meanwhile
    journal.close()
    assert (folder / "manifest.jsonl").read_bytes() == b"0\n1\n2\n"
    assert (folder / ".manifest").files() == {}


def test_what_a_killed_run_has_left_is_joined_once(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinct.photo.journal.SECONDS", 0.0)
    folder = Remote(store)
    killed = StoreJournal(folder)
    killed.opened()
    killed.append(b"first")
    killed.append(b"second")
    part = next(name for name in (folder / ".manifest").files() if name.endswith("1.jsonl"))
    again = StoreJournal(folder)
    assert again.opened() == b"first\nsecond\n"
    (folder / ".manifest" / part).write_bytes(
        b"first\n"
    )  # killed after the manifest was put, before its parts were removed
    again.append(b"third")
    again.close()
    assert (folder / "manifest.jsonl").read_bytes() == b"first\nsecond\nthird\n"
    assert (folder / ".manifest").files() == {}


def test_a_run_that_breaks_off_goes_on_where_it_was(store: str) -> None:
    scans = put(Remote(f"{store}/scans"), {f"{number}.png": SCANS["a.png"] for number in range(5)})
    todo, made = plan([scans], Remote(f"{store}/out"), label="colour"), []

    def make(one: Picture) -> Result:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(one.name)
        return Result([np.dstack([one.gray] * 3)])

    with pytest.raises(KeyboardInterrupt):
        list(run(todo, Work(make, {})))
    assert len(lines(Remote(f"{store}/out"))) == 3
    made.clear()
    again = list(run(todo, Work(lambda one: Result([np.dstack([one.gray] * 3)]), {})))
    assert [type(record) for record in again] == [Skipped] * 3 + [Done] * 2
    other = list(run(todo, Work(lambda one: Result([np.dstack([one.gray] * 3)]), {"another": "model"})))
    assert [type(record) for record in other] == [Done] * 5
