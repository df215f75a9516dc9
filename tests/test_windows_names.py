"""Names as Windows has them: drives, backslashes, devices, signs it forbids. What Windows takes is asked of `PureWindowsPath`."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from made import encoded, picture, written
from pictures import COLOUR
from tinct import photo
from tinct.cli.main import main
from tinct.data.discovery import discover_imported
from tinct.data.import_writer import Imported, ImportOptions
from tinct.data.importing import ImportJob, run_import
from tinct.errors import ConfigError, DataError, TinctError
from tinct.files import checked_name, safe_name
from tinct.photo.manifest import Identity
from tinct.places import place, relative
from tinct.zoo import load

PNG = encoded(picture(0, (8, 8)), "PNG")
DEVICES = ["CON", "nul", "PRN.txt", "aux.jpg", "COM1", "lpt9.tar.gz", "COM\u00b2.png", "CONIN$", "conout$.txt"]
FORBIDDEN = [
    "a:b",
    "C:\\photos\\a.jpg",
    "..\\up",
    "\\\\server\\share\\a",
    'say "hi"',
    "a|b",
    "what?",
    "a*",
    "<a>",
    "tab\there",
]
TRAILING = ["cats.", "cats ", "cats . .", " cats", "...", " "]
posix_only = pytest.mark.skipif(os.name == "nt", reason="makes files with names that Windows refuses")


def taken_by_windows(name: str) -> bool:
    """Whether Windows makes a file of just this name in the folder that is meant."""
    path = PureWindowsPath(name)
    plain = not (set(name) & set('<>:"/\\|?*') or any(ord(sign) < 32 for sign in name) or name[-1:] in (".", " ", ""))
    return plain and not path.is_reserved() and not path.anchor and path.name == name


def imported(workspace: Path, source: Path, name: str = "set") -> set[str]:
    """Imports, and gives the paths of the pictures below the set's folder."""
    *_, last = run_import(ImportJob("folder", name, ImportOptions(), source), workspace)
    assert isinstance(last, Imported)
    return {path.relative_to(last.folder).as_posix() for path in last.folder.rglob("*.png") if path.is_file()}


@given(st.text(max_size=30) | st.sampled_from(DEVICES + FORBIDDEN + TRAILING))
@example("con .txt")
@example("COM\u00b9 . x")
def test_a_safe_name_is_one_that_windows_takes(text: str) -> None:
    assert taken_by_windows(safe_name(text)), safe_name(text)


@pytest.mark.parametrize("name", DEVICES + FORBIDDEN + TRAILING)
def test_a_run_or_set_of_such_a_name_is_refused_with_a_better_one(name: str, workspace: Path) -> None:
    assert not taken_by_windows(name) or name[0] == " "
    with pytest.raises(ConfigError, match=r"can't be a folder name\. Try '") as refused:
        checked_name(name, "run name")
    assert taken_by_windows(str(refused.value).rpartition("Try '")[2].removesuffix("'."))
    with pytest.raises(ConfigError, match="can't be a folder name"):
        list(run_import(ImportJob("folder", name, ImportOptions(), workspace), workspace))
    assert not list(workspace.iterdir())


@posix_only
def test_folders_and_files_of_such_names_are_imported_under_safe_ones(tmp_path: Path) -> None:
    names = [name for name in DEVICES + FORBIDDEN + TRAILING if not name.startswith(".")]  # that would be hidden
    source = written(tmp_path / "source", {f"{name}/{name}{end}.png": PNG for name in names for end in ("", "1")})
    found = imported(tmp_path / "work", source)
    assert len(found) == 2 * len(names)
    assert all(taken_by_windows(part) for path in found for part in path.split("/"))
    folders = {path.rpartition("/")[0].lower() for path in found}
    assert len(folders) == len(names)  # as Windows sees capitals
    assert discover_imported(tmp_path / "work")[0].categories == len(names)


@posix_only
def test_a_name_like_a_drive_is_but_a_name_in_a_folder(tmp_path: Path) -> None:
    source = written(tmp_path / "source", {"sea/K: at sea.png": PNG, "C:/x\\a.png": PNG})
    assert imported(tmp_path / "work", source) == {"sea/K_at_sea.png", "C/x_a.png"}


def zip_of_windows(path: Path, names: list[str]) -> Path:
    """A zip whose members' names have backslashes, as the older tools of Windows write them."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name  # past what the constructor makes of a backslash on Windows
            archive.writestr(info, b"" if name.endswith("\\") else PNG)
    assert all(name.encode() in path.read_bytes() for name in names)
    return path


def test_backslashes_in_a_zip_are_folders(tmp_path: Path) -> None:
    source = zip_of_windows(
        tmp_path / "set.zip", ["set\\", "set\\cats\\a.png", "set\\cats\\aux.png", "set\\dogs\\b.png"]
    )
    assert imported(tmp_path / "work", source) == {"cats/a.png", "cats/_aux.png", "dogs/b.png"}
    assert imported(tmp_path / "work", source / "set" / "cats", "inside") == {"cats/a.png", "cats/_aux.png"}
    manifest = (tmp_path / "work" / "imageData" / "set" / "import_metadata.json").read_text()
    assert sorted(json.loads(manifest)["categories"]) == ["cats", "dogs"]


@pytest.mark.parametrize(
    "name", ["C:\\photos\\a.png", "C:a.png", "..\\a.png", "a\\..\\..\\b.png", "\\a.png", "\\\\host\\x\\a.png"]
)
def test_a_zip_that_leaves_its_folder_by_backslashes_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="outside the target folder"):
        imported(tmp_path / "work", zip_of_windows(tmp_path / "evil.zip", [name, "good.png"]))
    assert not list((tmp_path / "work").rglob("*.png"))


def test_paths_in_a_manifest_have_forward_slashes() -> None:
    """`relative` is what writes them, for photographs, results and extras; here of paths as Windows has them."""
    folder = PureWindowsPath("C:\\photos")
    assert relative(folder / "1931" / "house.jpg", folder) == "1931/house.jpg"  # type: ignore[arg-type]
    share = PureWindowsPath("\\\\server\\scans")
    assert relative(share / "a" / "b.jpg", share) == "a/b.jpg"  # type: ignore[arg-type]


def test_a_coloured_folder_s_manifest_has_forward_slashes(untrained: str, tmp_path: Path) -> None:
    (tmp_path / "album" / "1931").mkdir(parents=True)
    COLOUR.convert("L").save(tmp_path / "album" / "1931" / "house.png")
    with pytest.raises(SystemExit) as ended:
        main(["colorize", str(tmp_path / "album"), "-o", str(tmp_path / "out"), "--model", untrained, "--samples", "2"])
    assert not ended.value.code
    (line,) = (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert (entry["input"], entry["output"]) == ("1931/house.png", "1931/house.png")
    assert entry["extras"]
    assert all(name.startswith("1931/house.") for name in entry["extras"])


def test_a_drive_is_a_path_and_no_address() -> None:
    for text in ("C:\\photos\\a.jpg", "C:/photos/a.jpg", "c:a.jpg", "\\\\server\\share\\a.jpg"):
        assert place(text) == Path(text)


@pytest.mark.parametrize(
    "address", ["https://host/C%3A%5Ca.jpg", "https://host/x/..%5C..%5Ca.jpg", "https://host/b%3Aa.jpg"]
)
def test_a_photograph_of_the_web_gets_a_name_and_no_path(address: str) -> None:
    """Its result is written under that name."""
    name = place(address).name
    assert taken_by_windows(name)
    assert name.endswith("a.jpg")


@posix_only
@pytest.mark.parametrize("text", ["C:\\photos\\a.jpg", "C:\\photos", "NUL", "aux.jpg"])
def test_what_is_not_there_is_said_to_be_not_there(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["colorize", text, "-o", str(tmp_path / "out")])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert text in "".join((said.out + said.err).split("\n"))
    with pytest.raises(DataError, match="not found"):
        imported(tmp_path, Path(text))
    with pytest.raises(TinctError, match="unknown model"):
        load(text)


def test_an_identity_keeps_the_name_that_it_is_given(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    assert Identity.of(file, "1931/a.png").input == "1931/a.png"
    plan = photo.plan([file], tmp_path / "out", label="colorized")
    assert [job.name for job in plan.jobs] == ["a.png"]
