"""Patterns name the pictures that a shell's would, `**` included; a name with brackets that exists is just a name."""

from pathlib import Path

import pytest

from made import written
from tinct.errors import ConfigError, DataError
from tinct.photo import plan
from tinct.photo.patterns import is_pattern, matched

NAMES = [
    "a.jpg", "b.JPG", "scan 1.tif", "scan 10.tif", "scan 2.tif", "no.txt", ".hidden.jpg", "x[1].jpg", "1.jpg",
    "1931/a.jpg", "1931/c.tif", "1931/deep/er/d.tif", "1931/.cache/e.jpg", "19[31]/f.jpg", "1932/a.jpg", "1932/dir.jpg/g.tif",
]  # fmt: skip


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = written(tmp_path / "al bum", dict.fromkeys(NAMES, b"x"))
    (folder / "1931" / "loop").symlink_to(folder, target_is_directory=True)
    return folder


@pytest.mark.parametrize(
    "pattern",
    ["*.jpg", "*.tif", "*", "19*/*.jpg", "193?/*", "193[12]/a.jpg", "193[!2]/*.jpg", "*/*/*/*", "1931/*.tif", "scan ?.tif"],
)  # fmt: skip
def test_matches_are_those_of_the_standard_library(album: Path, pattern: str) -> None:
    """Pictures by their suffix only, and none that is hidden."""
    expected = [path.relative_to(album) for path in album.glob(pattern) if path.is_file()]
    expected = [path for path in expected if path.suffix != ".txt" and not any(part[0] == "." for part in path.parts)]
    assert sorted(matched(album / pattern).values()) == sorted(album / path for path in expected)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.tif", ["scan 1.tif", "scan 2.tif", "scan 10.tif", "1931/c.tif", "1931/deep/er/d.tif", "1932/dir.jpg/g.tif"]),
        ("**/a.*", ["a.jpg", "1931/a.jpg", "1932/a.jpg"]),
        ("1931/**", ["a.jpg", "c.tif", "deep/er/d.tif"]),
        ("**/deep/**/*.tif", ["1931/deep/er/d.tif"]),
        ("**/er/*", ["1931/deep/er/d.tif"]),
        ("19[31]/*.jpg", ["f.jpg"]),  # the folder of that name exists
        ("**/*.webp", []),
    ],
)  # fmt: skip
def test_two_stars_stand_for_any_folders_and_no_loop_is_gone_round(
    album: Path, pattern: str, expected: list[str]
) -> None:
    names = list(matched(album / pattern))
    if pattern == "1931/**":  # the loop leads to what lies above, once
        names = [name for name in names if not name.startswith("loop/")]
    elif pattern.startswith("**"):
        assert len(names) == len(expected)
    assert sorted(names) == sorted(expected)


def test_what_exists_is_no_pattern(album: Path) -> None:
    assert not is_pattern(album / "x[1].jpg")
    assert not is_pattern(album / "a.jpg")
    assert is_pattern(album / "x[2].jpg")
    (job,) = plan([album / "x[1].jpg"], None, label="colour").jobs
    assert job.target == album / "x[1].colour.jpg"


def test_patterns_mirror_the_folders_below_where_they_begin(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    jobs = plan([album / "19*" / "*.jpg"], out, label="colour").jobs
    assert {job.target.relative_to(out).as_posix() for job in jobs} == {"1931/a.jpg", "19[31]/f.jpg", "1932/a.jpg"}
    beside = plan([album / "*.tif"], None, label="colour")
    assert beside.folder is None
    assert beside.jobs[0].target == album / "scan 1.colour.tif"
    inside = plan([album / "**" / "*.tif"], album / "1931", label="colour").jobs
    assert all("1931" not in job.name for job in inside)


def test_a_pattern_without_pictures_is_an_error(album: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\*\.webp: no such file, and no pictures match it"):
        plan([album / "*.webp"], tmp_path / "out", label="colour")
    with pytest.raises(ConfigError, match="is one file, but there is more than one"):
        plan([album / "*.jpg"], tmp_path / "x.png", label="colour")


@pytest.mark.parametrize(
    ("inputs", "format"),
    [(["a.jpg", "a.tif"], "png"), (["p/a.jpg", "q/a.jpg"], None), (["p", "q"], None), (["p", "q/a.jpg"], "jpeg")],
)
def test_two_inputs_of_one_output_are_refused_before_anything_is_done(
    tmp_path: Path, inputs: list[str], format: str | None
) -> None:
    written(tmp_path, dict.fromkeys(("a.jpg", "a.tif", "p/a.jpg", "q/a.jpg"), b"x"))
    with pytest.raises(
        ConfigError, match=r"a\.jpg and .*a\.(jpg|tif) would both become .*out/a\.(png|jpg)\. Nothing was done"
    ):
        plan([tmp_path / name for name in inputs], tmp_path / "out", label="colour", format=format)
    assert not (tmp_path / "out").exists()


def test_one_photograph_given_twice_is_one(tmp_path: Path) -> None:
    written(tmp_path, {"p/a.jpg": b"x", "p/a.jpeg": b"x"})
    given = [tmp_path / "p", tmp_path / "p/a.jpg"]
    assert len(plan(given, tmp_path / "out", label="colour").jobs) == 3 - 1
    assert (
        len(plan([tmp_path / "p"], tmp_path / "out", label="colour", format="jpeg").jobs) == 2
    )  # each keeps its suffix
