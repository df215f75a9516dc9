"""Files that appear whole or not at all, and names that every system takes."""

import os
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinct.errors import ConfigError, DataError
from tinct.files import (
    checked_name,
    mark,
    read_json,
    replacing,
    replacing_folder,
    safe_name,
    sweep,
    workspace,
    write_json,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_and_fail(writing: AbstractContextManager[Path], error: type[BaseException]) -> None:
    with writing as temporary:
        (temporary / "b" if temporary.is_dir() else temporary).write_text("half")
        raise error("broken")


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_appears_when_the_block_ends_well(tmp_path, sync):
    path = tmp_path / "deep" / "er" / "file.txt"
    with replacing(path, sync=sync) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith(".")
    assert path.read_text() == "new"
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_was_there_stays_when_it_does_not(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_and_fail(replacing(path), error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_two_writers_never_mix(tmp_path):
    path = tmp_path / "file.txt"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert names(tmp_path) == ["file.txt"]


def test_a_folder_replaces_another_only_when_it_is_whole(tmp_path):
    path = tmp_path / "set"
    with replacing_folder(path) as new:
        (new / "a").write_text("1")
    with pytest.raises(ValueError, match="broken"):
        write_and_fail(replacing_folder(path), ValueError)
    assert names(path) == ["a"]
    with replacing_folder(path) as new:
        (new / "c").write_text("3")
    assert names(path) == ["c"]
    assert names(tmp_path) == ["set"]


def test_a_folder_whose_replacing_was_killed_between_the_renames_comes_back(tmp_path):
    path = tmp_path / "set"
    old = tmp_path / ".set.old"
    old.mkdir()
    (old / "a").write_text("1")
    with pytest.raises(ValueError, match="broken"), replacing_folder(path):
        raise ValueError("broken")
    assert names(path) == ["a"]


def test_sweeping_takes_only_old_leavings(tmp_path):
    left, fresh = tmp_path / ".0123456789ab.part.pth", tmp_path / ".ba9876543210.part.pth"
    others = [tmp_path / name for name in (".hidden", "notes.part", ".my.part.txt")]
    for path in (left, fresh, *others):
        path.write_text("x")
    os.utime(left, (time.time() - 100,) * 2)
    sweep(tmp_path)
    assert names(tmp_path) == sorted(path.name for path in (fresh, *others))
    sweep(tmp_path, older_than=0)
    assert names(tmp_path) == sorted(path.name for path in others)


def test_json_there_and_back(tmp_path):
    path = tmp_path / "value.json"
    value = {"name": "Łódź", "list": [1, 2.5, None, True]}
    write_json(path, value, sync=True)
    assert read_json(path) == value
    assert "Łódź" in path.read_text(encoding="utf-8")


def test_json_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "value.json"
    with pytest.raises(DataError, match=r"value\.json: not found"):
        read_json(path)
    for content in (b"{", b"\xff\xfe{}"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"value\.json: not readable as JSON"):
            read_json(path)


def test_json_that_cannot_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert read_json(path) == 1
    assert names(tmp_path) == ["value.json"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("with space", "with_space"),
        ("a:b/c\\d", "a_b_c_d"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1", "_com1"),
        ("com10", "com10"),
        ("trailing.", "trailing"),
        ("", "_"),
        ("...", "_"),
        ("?*", "_"),
        ("Łódź", "Łódź"),
    ],
)
def test_safe_names(text, safe):
    assert safe_name(text) == safe


@given(st.text(max_size=20) | st.text(alphabet="ab. :", min_size=115, max_size=130))
def test_a_safe_name_is_safe_and_stays_so(text):
    name = safe_name(text)
    assert 0 < len(name) <= 121
    assert not set(name) & set('<>:"/\\|?*\0\n\t ')
    assert not name.endswith(".")
    assert safe_name(name) == name


def test_a_name_that_cannot_be_a_folder_is_refused_with_one_that_can():
    assert checked_name("fine-name", "run name") == "fine-name"
    for text, better in (("a b", "a_b"), ("../up", "up"), ("", "_"), ("aux", "_aux")):
        with pytest.raises(ConfigError, match=f"run name '{text}' can't be a folder name. Try '{better}'"):
            checked_name(text, "run name")


def test_the_workspace_is_what_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("TINCT_WORKSPACE", str(tmp_path))
    assert workspace() == tmp_path
    monkeypatch.delenv("TINCT_WORKSPACE")
    assert workspace() == Path()


def test_a_mark_finds_just_the_temporary_files_of_its_processes(tmp_path: Path) -> None:
    others, ours = tmp_path / ".aaaaaa012345.part.png", []
    others.write_bytes(b"")
    mark("bbbbbb")
    try:
        with suppress(ZeroDivisionError), replacing(tmp_path / "a.png") as temporary:
            ours.append(temporary.name)
            temporary.with_name(temporary.name.replace(".part", "0.part")).write_bytes(b"of another length")
            (tmp_path / f"{temporary.name[:-4]}.jpg").write_bytes(b"left by a kill")
            raise ZeroDivisionError
    finally:
        mark("")
    assert ours[0].startswith(".bbbbbb")
    sweep(tmp_path, 0, "bbbbbb")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([others.name, ours[0].replace(".part", "0.part")])
    sweep(tmp_path, 60)
    assert others.exists()
