"""Folders and zips look the same, in natural order; damaged and hostile ones are refused by name."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinct.data.listing import FolderTree, natural, open_tree, pictures_in, refuse_escapes
from tinct.errors import DataError

FILES = {
    "b/val_10.JPEG": b"ten",
    "b/val_2.JPEG": b"two",
    "a.png": b"a",
    "b/.hidden.png": b"no",
    ".thumbs/x.png": b"no",
    "__MACOSX/b/val_2.JPEG": b"no",
    "b/boxes.txt": b"no",
}


def make_folder(root: Path) -> Path:
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def make_zip(path: Path, files: dict[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("make", [lambda root: make_folder(root / "set"), lambda root: make_zip(root / "set.zip")])
def test_pictures_come_in_natural_order_without_hidden_and_other_files(tmp_path, make):
    listed = pictures_in(make(tmp_path))
    assert [name for name, _ in listed] == ["a.png", "b/val_2.JPEG", "b/val_10.JPEG"]
    assert [read() for _, read in listed] == [b"a", b"two", b"ten"]


def test_a_folder_inside_a_zip_is_a_place_too(tmp_path):
    assert [p.name for p in pictures_in(make_zip(tmp_path / "set.zip") / "b")] == ["val_2.JPEG", "val_10.JPEG"]


def test_links_are_followed_and_a_ring_of_links_ends(tmp_path):
    make_folder(tmp_path / "elsewhere")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "set")
    assert [p.name for p in pictures_in(tmp_path / "set")] == [
        "linked/a.png", "linked/b/val_2.JPEG", "linked/b/val_10.JPEG",
    ]  # fmt: skip


def test_a_place_without_pictures_says_what_pictures_are(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"no pictures in it.*\.jpeg"):
        pictures_in(tmp_path)
    with pytest.raises(DataError, match="not found"):
        pictures_in(tmp_path / "missing")
    with pytest.raises(DataError, match="not a whole zip"):
        pictures_in(tmp_path / "notes.txt")


def test_a_truncated_zip_and_a_damaged_member_are_named(tmp_path):
    whole = make_zip(tmp_path / "set.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.zip: not a whole zip"):
        open_tree(tmp_path / "cut.zip")
    start = whole.index(b"val_10.JPEG") + len("val_10.JPEG")
    (tmp_path / "bad.zip").write_bytes(whole[:start] + bytes([whole[start] ^ 0xFF]) + whole[start + 1 :])
    tree = open_tree(tmp_path / "bad.zip")
    with pytest.raises(DataError, match=r"val_10\.JPEG: can't be unpacked"):
        tree.read("b/val_10.JPEG")
    tree.close()


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/etc/out.png", "..\\out.png", "C:/out.png", "a/.."])
def test_members_that_leave_the_target_are_refused(tmp_path, name):
    tree = open_tree(make_zip(tmp_path / "evil.zip", {name: b"x", "good.png": b"y"}))
    with pytest.raises(DataError, match="outside the target folder"):
        refuse_escapes(tree)
    tree.close()


def test_ordinary_names_are_not_refused(tmp_path):
    refuse_escapes(FolderTree(make_folder(tmp_path)))
    tree = open_tree(make_zip(tmp_path / "set.zip", {"a..b/c...png": b"x", "ab:c.png": b"y"}))
    refuse_escapes(tree)
    tree.close()


def test_an_unreadable_file_is_named(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"gone\.png: can't be read"):
        pictures_in(tmp_path)[0].read()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)), st.randoms())
def test_the_order_does_not_depend_on_where_names_came_from(names, random):
    shuffled = random.sample(names, len(names))
    assert [*map(natural, sorted(names, key=natural))] == [*map(natural, sorted(shuffled, key=natural))]


def test_numbers_sort_by_value():
    names = [f"val_{number}.JPEG" for number in (100, 9, 0, 10, 2)]
    assert sorted(names, key=natural) == [f"val_{number}.JPEG" for number in (0, 2, 9, 10, 100)]
    assert sorted(["b/1", "a/2"], key=natural) == ["a/2", "b/1"]
