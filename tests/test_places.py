"""Paths and addresses as one kind of place: in a store in memory, and on the web of this machine."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from socket import socket

import pytest

from tinct.errors import ConfigError, DataError, OutputError
from tinct.places import Remote, absolute, content, filling, place, same, within


def test_a_text_names_a_path_or_an_address(tmp_path: Path) -> None:
    assert place("scans/a.jpg") == Path("scans/a.jpg")
    assert place("C:\\scans\\a.jpg") == Path("C:\\scans\\a.jpg")
    assert place("file:///scans/a%20b.jpg") == Path("/scans/a b.jpg")
    assert place("s3://bucket/scans/") == Remote("s3://bucket/scans")
    assert place("HTTPS://host/a.jpg") == Remote("HTTPS://host/a.jpg")
    assert absolute(Path("a.jpg")) == Path.cwd() / "a.jpg"
    assert absolute(Remote("s3://bucket/a.jpg")) == Remote("s3://bucket/a.jpg")


def test_an_address_has_the_parts_that_a_path_has() -> None:
    scan = Remote("s3://bucket/scans/1931/the house.tar.JPG")
    assert (scan.name, scan.stem, scan.suffix) == ("the house.tar.JPG", "the house.tar", ".JPG")
    assert scan.parent == Remote("s3://bucket/scans/1931")
    assert scan.with_suffix(".png") == Remote("s3://bucket/scans/1931/the house.tar.png")
    assert scan.with_name("x") == scan.parent / "x"
    assert scan.relative_to(Remote("s3://bucket/scans")).as_posix() == "1931/the house.tar.JPG"
    assert Remote("s3://bucket").parent == Remote("s3://bucket")
    shown = Remote("https://host/scans/the%20house.jpg?size=full#top")
    assert (shown.name, shown.suffix) == ("the house.jpg", ".jpg")
    for alone in (shown, Remote("s3://bucket")):
        with pytest.raises(ConfigError, match="Say with -o"):
            alone.with_name("x")


def test_within_and_same_know_both_kinds(tmp_path: Path) -> None:
    bucket = Remote("s3://bucket")
    assert within(bucket / "scans" / "a.jpg", bucket / "scans")
    assert not within(bucket / "scans2" / "a.jpg", bucket / "scans")
    assert not within(tmp_path, bucket)
    assert not within(bucket, tmp_path)
    assert same(bucket / "scans", Remote("s3://bucket/scans"))
    assert same(tmp_path, tmp_path / "x" / "..")
    assert not same(tmp_path, tmp_path / "x")


def test_files_of_a_store_are_written_whole_listed_and_read(store: str) -> None:
    folder = Remote(store)
    assert not folder.exists()
    assert folder.files() == {}
    assert folder.names() == []
    for name in ("a.jpg", "1931/b.jpg", "1931/deep/c.jpg"):
        (folder / name).write_bytes(name.encode())
    found = folder.files()
    assert {name: told.size for name, told in found.items()} == {"a.jpg": 5, "1931/b.jpg": 10, "1931/deep/c.jpg": 15}
    assert sorted(folder.names()) == ["1931", "a.jpg"]
    assert folder.is_dir()
    assert not folder.is_file()
    assert (folder / "a.jpg").is_file()
    assert content(folder / "a.jpg") == b"a.jpg"
    assert (folder / "a.jpg").status() == found["a.jpg"]
    assert found["a.jpg"].modified_ns > 1.7e18
    (folder / "a.jpg").unlink()
    (folder / "a.jpg").unlink()
    assert not (folder / "a.jpg").exists()
    with pytest.raises(DataError, match=r"a\.jpg: not found"):
        (folder / "a.jpg").read_bytes()


def test_what_fails_while_it_is_written_leaves_the_old_file(store: str, tmp_path: Path) -> None:
    target = Remote(store) / "a.jpg"
    target.write_bytes(b"old")
    with suppress(ZeroDivisionError), filling(target) as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    with filling(target) as path:
        path.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert not path.exists()
    with filling(tmp_path / "a.jpg") as path:
        assert path == tmp_path / "a.jpg"


def test_a_file_of_the_web_is_read_with_its_size_and_time(web: str, tmp_path: Path) -> None:
    (tmp_path / "web" / "a b.jpg").write_bytes(b"picture")
    scan = Remote(f"{web}/a%20b.jpg?full=1")
    when = int((tmp_path / "web" / "a b.jpg").stat().st_mtime)
    assert scan.status().size == 7
    assert scan.status().modified_ns == when * 10**9
    assert scan.read_bytes() == b"picture"
    assert not scan.is_dir()


@pytest.mark.parametrize(
    ("name", "told"),
    [("none.jpg", "not found"), ("secret.jpg", "access is refused"), ("broken.jpg", "7 of 1000 bytes")],
)
def test_what_the_web_does_not_give_is_one_clear_error(name: str, told: str, web: str) -> None:
    with pytest.raises(DataError, match=told) as raised:
        Remote(f"{web}/{name}").read_bytes()
    assert name in str(raised.value)


def test_a_store_that_can_not_be_reached_or_opened(store: str) -> None:
    with closing(socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/a.jpg"
    with pytest.raises(DataError, match="can't be reached"):
        Remote(address).read_bytes()
    with pytest.raises(ConfigError, match="no kind of store"):
        Remote("quatsch://a/b").exists()
    with pytest.raises(OutputError):
        Remote("https://host/a.jpg").write_bytes(b"")


def test_a_store_whose_library_lacks_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(ConfigError, match=r"pip install 'tinct\[s3\]'"):
        Remote("s3://bucket/a").exists()
    with pytest.raises(ConfigError, match="gcsfs"):
        Remote("gs://bucket/a").exists()
