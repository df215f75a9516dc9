"""Downloads go on where they broke off and are checked; the server here breaks off on purpose."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from breaking_server import BreakingServer, serving
from tinct.data.download import Download, fetch
from tinct.data.progress import Note, Progress
from tinct.errors import DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[BreakingServer]:
    with serving(CONTENT) as running:
        yield running


def get(server: BreakingServer, target: Path, size: int | None = len(CONTENT), md5: str | None = MD5) -> list:
    return list(fetch(Download(server.url, size, md5), target, pause=0.001))


def test_a_whole_download(server, tmp_path):
    records = get(server, tmp_path / "temp" / "set.zip")
    assert (tmp_path / "temp" / "set.zip").read_bytes() == CONTENT
    assert records[-1] == Progress(len(CONTENT), len(CONTENT), "bytes")
    assert [file.name for file in (tmp_path / "temp").iterdir()] == ["set.zip"]


def test_one_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    server.portion = 700_000
    records = get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT
    assert server.starts == [0, 700_000, 1_400_000, 2_100_000, 2_800_000]
    done = [record.done for record in records if isinstance(record, Progress)]
    assert done == sorted(done)
    assert Note("goes on at 0.7 MB") in records


def test_a_second_run_goes_on_from_what_the_first_left(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:1_234_567])
    get(server, tmp_path / "set.zip")
    assert server.starts == [1_234_567]
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_stopped_download_keeps_what_came(server, tmp_path):
    records = fetch(Download(server.url, len(CONTENT), MD5), tmp_path / "set.zip")
    next(records)
    next(records)
    records.close()
    kept = (tmp_path / "set.zip.part").read_bytes()
    assert kept
    assert kept == CONTENT[: len(kept)]
    get(server, tmp_path / "set.zip")
    assert server.starts == [0, len(kept)]


def test_a_server_that_only_sends_whole_files(server, tmp_path):
    server.ranges = False
    (tmp_path / "set.zip.part").write_bytes(b"something else")
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_fetched_anew(server, tmp_path):
    (tmp_path / "set.zip.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "set.zip", size=None)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_without_any_size_the_end_is_the_end(server, tmp_path):
    server.says_length = False
    get(server, tmp_path / "set.zip", size=None)
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


def test_what_is_already_there_is_not_fetched(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(CONTENT)
    assert get(server, tmp_path / "set.zip") == [Note(f"already here: {tmp_path / 'set.zip'}")]
    assert server.starts == []


def test_another_file_of_that_name_is_not_taken_for_it(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"something else")
    get(server, tmp_path / "set.zip")
    assert (tmp_path / "set.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(("size", "md5", "message"), [
    (len(CONTENT), "0" * 32, f"has MD5 {MD5}, not 0000"),
    (len(CONTENT) - 1, MD5, f"has {len(CONTENT)} bytes, not the {len(CONTENT) - 1}"),
])  # fmt: skip
def test_a_wrong_file_is_refused_and_removed(server, tmp_path, size, md5, message):
    with pytest.raises(DataError, match=message):
        get(server, tmp_path / "set.zip", size, md5)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_gets_on_ends_in_an_error_that_names_the_cure(server, tmp_path):
    server.portion = 0
    (tmp_path / "set.zip.part").write_bytes(CONTENT[:2_000_000])
    with pytest.raises(DataError, match=r"2\.0 MB are kept in .*set\.zip\.part; the same command goes on"):
        get(server, tmp_path / "set.zip")
    assert len(server.starts) == 5
    assert (tmp_path / "set.zip.part").read_bytes() == CONTENT[:2_000_000]


def test_a_refusal_is_not_asked_again(server, tmp_path):
    server.status = 404
    with pytest.raises(DataError, match=r"404.*give --source"):
        get(server, tmp_path / "set.zip")
    assert len(server.starts) == 1


def test_nobody_there_and_no_address(tmp_path):
    with pytest.raises(DataError, match="can't be fetched"):
        list(fetch(Download("http://127.0.0.1:9/set.zip"), tmp_path / "set.zip", pause=0.001))
    with pytest.raises(DataError, match="must begin with http"):
        list(fetch(Download("set.zip"), tmp_path / "set.zip"))


def test_the_published_file_is_named_and_checked():
    from tinct.data.sources import SOURCES

    published = SOURCES["tiny-imagenet"].download
    assert published.url == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert (published.size, published.md5) == (248_100_043, "90528d7ca1a48142e341f4ef8d21d0de")
    assert published.file_name == "tiny-imagenet-200.zip"
