"""The importer: limits, evenness, manifests, and what interruptions, kills and bad input leave."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from made import TINY_NAMES, encoded, idx_files, picture, tiny_files, written, zipped
from tinct.data.discovery import discover_imported
from tinct.data.import_writer import Imported, ImportOptions, Origin
from tinct.data.importing import ImportJob, import_pictures, run_import, standing
from tinct.data.progress import Note, Progress, Stage
from tinct.data.sources import Category, Content, SourcePicture
from tinct.errors import ConfigError, DataError, OutputError, PictureError, TinctError

PNG = encoded(picture(0, (8, 8)), "PNG")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return zipped(tmp_path_factory.mktemp("source") / "tiny.zip", tiny_files())


def do(workspace: Path, path: Path, kind: str = "tiny-imagenet", name: str = "set", **options: object) -> list:
    if_exists = options.pop("if_exists", None)
    job = ImportJob(kind, name, ImportOptions(**options), path, if_exists=if_exists)
    return list(run_import(job, workspace))


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.suffix != ".json"
    }


def manifest(workspace: Path, name: str = "set") -> dict:
    return json.loads((workspace / "imageData" / name / "import_metadata.json").read_text())


def test_pictures_come_byte_for_byte_into_category_folders(tiny, tmp_path):
    do(tmp_path, tiny)
    assert files_in(tmp_path / "imageData" / "set") == {
        f"{wnid}_{names.split(',')[0].replace(' ', '_')}/{wnid}_{index}.JPEG": tiny_files()[
            f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{index}.JPEG"
        ]
        for wnid, names in TINY_NAMES.items()
        for index in range(6)
    }


def test_the_manifest_has_the_keys_of_the_format(tiny, tmp_path):
    do(tmp_path, tiny, max_images=10, categories="n02124075, n01443537", resolution="32x48")
    found = manifest(tmp_path)
    assert {key: found[key] for key in ("model_name", "total_images", "categories", "config")} == {
        "model_name": "set",
        "total_images": 10,
        "categories": ["n01443537", "n02124075"],
        "config": {
            "resolution": [32, 48], "max_images": 10, "max_size_mb": 50.0, "categories": "n02124075, n01443537",
        },
    }  # fmt: skip
    size = sum(map(len, files_in(tmp_path / "imageData" / "set").values()))
    assert found["total_size_mb"] == pytest.approx(size / 1e6, abs=0.0006)
    assert found["category_stats"]["n02124075"] == {
        "wnid": "n02124075", "name": "Egyptian cat", "folder": "n02124075_Egyptian_cat", "count": 5,
    }  # fmt: skip
    assert (found["source"], found["interrupted"], found["splits"]) == ("tiny-imagenet", False, [])


def test_stages_progress_and_result(tiny, tmp_path):
    records = do(tmp_path, tiny, max_images=7)
    assert [(one.number, one.total) for one in records if isinstance(one, Stage)] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [one.done for one in records if isinstance(one, Progress)] == list(range(1, 8))
    result = records[-1]
    assert isinstance(result, Imported)
    assert (result.images, result.categories, result.reason) == (7, 4, "the limit of 7 images")


def test_a_limit_is_filled_evenly(tiny, tmp_path):
    do(tmp_path, tiny, max_images=10)
    counts = [stats["count"] for stats in manifest(tmp_path)["category_stats"].values()]
    assert counts == [3, 3, 2, 2]
    assert "n01443537_goldfish/n01443537_2.JPEG" in files_in(tmp_path / "imageData" / "set")


def made_content(sizes: list[list[int]]) -> Content:
    """Categories of "pictures" of given sizes: a real PNG followed by zeros, which readers pass over."""

    def read(size: int):
        return lambda: PNG + bytes(size)

    return Content([
        Category(f"c{number}", f"c{number}", [SourcePicture(f"{i}.png", read(size)) for i, size in enumerate(row)])
        for number, row in enumerate(sizes)
    ])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=6), min_size=1, max_size=5),
    st.integers(1, 20),
    st.integers(1, 20_000),
)
def test_limits_are_never_overshot_and_shares_are_even(tmp_path_factory, sizes, most, most_bytes):
    folder = tmp_path_factory.mktemp("limits") / "set"
    options = ImportOptions(max_images=most, max_size_mb=most_bytes / 1e6)
    if len(PNG) + sizes[0][0] > most_bytes:
        with pytest.raises(DataError, match="no picture could be imported"):
            list(import_pictures(made_content(sizes), Origin("folder", "here", "all"), folder, options, None))
        assert not folder.exists()
        return
    list(import_pictures(made_content(sizes), Origin("folder", "here", "all"), folder, options, None))
    found = files_in(folder)
    assert len(found) <= most
    assert sum(map(len, found.values())) <= most_bytes
    counts = [sum(name.startswith(f"c{number}/") for name in found) for number in range(len(sizes))]
    for count, had in zip(counts, map(len, sizes), strict=True):
        assert count == had or count >= max(counts) - 1  # in turn: only one that is used up falls behind
    order = [(i, number) for i in range(6) for number, row in enumerate(sizes) if i < len(row)]
    if len(found) < min(most, len(order)):  # then the next picture would have been too much
        i, number = order[len(found)]
        assert sum(map(len, found.values())) + len(PNG) + sizes[number][i] > most_bytes


def test_a_name_is_safe_on_windows(tmp_path):
    files = dict.fromkeys(["con/aux.png", "con/a:b.png", "con/x?.png", "a<b>/1.png", "a_b_/2.png", "A_B_/3.png"], PNG)
    do(tmp_path, zipped(tmp_path / "odd.zip", files), "folder")
    assert sorted(files_in(tmp_path / "imageData" / "set")) == [
        "A_B_3/3.png", "_con/_aux.png", "_con/a_b.png", "_con/x.png", "a_b/1.png", "a_b_2/2.png",
    ]  # fmt: skip
    assert discover_imported(tmp_path)[0].categories == 4


def test_names_that_differ_in_capitals_only_don_t_meet(tmp_path):
    do(tmp_path, zipped(tmp_path / "odd.zip", dict.fromkeys(["a.png", "A.png", "a_2.png"], PNG)), "folder")
    names = [Path(name).name.lower() for name in files_in(tmp_path / "imageData" / "set")]
    assert len(set(names)) == 3


def test_resize_writes_the_resolution(tmp_path):
    files = {"a/1.jpg": encoded(picture(1, (100, 60))), "a/2.bmp": encoded(picture(2, (30, 90)), "BMP")}
    do(tmp_path, zipped(tmp_path / "set.zip", files), "folder", resize=True, resolution="40x20")
    found = files_in(tmp_path / "imageData" / "set")
    opened = {name: Image.open(io.BytesIO(data)) for name, data in found.items()}
    assert {name: (one.size, one.format) for name, one in opened.items()} == {
        "a/1.jpg": ((40, 20), "JPEG"), "a/2.png": ((40, 20), "PNG"),
    }  # fmt: skip
    assert manifest(tmp_path)["resized"] == [40, 20]


def test_a_split_is_kept_and_cut_in_proportion(tmp_path):
    do(tmp_path, written(tmp_path / "mnist", idx_files(90, 30)), "mnist", max_images=40)
    found = manifest(tmp_path)
    assert found["splits"] == ["train", "test"]
    names = files_in(tmp_path / "imageData" / "set")
    assert sum(name.startswith("train/") for name in names) == 30
    assert sum(name.startswith("test/") for name in names) == 10
    assert found["category_stats"]["7"] == {"wnid": "7", "name": "7", "folder": "7", "count": 4}


def test_tiny_imagenet_s_validation_pictures(tiny, tmp_path):
    do(tmp_path, tiny, split="val")
    assert "n01443537_goldfish/val_2.JPEG" in files_in(tmp_path / "imageData" / "set")
    assert manifest(tmp_path)["splits"] == []


BAD = {
    "unknown category": ({"categories": "n01443538"}, r"unknown category 'n01443538'. Did you mean 'n01443537'"),
    "no category": ({"categories": " , "}, "expected all, or a comma list"),
    "unknown split": ({"split": "dev"}, r"unknown split of tiny-imagenet 'dev'"),
    "resolution": ({"resolution": "64"}, "expected WIDTHxHEIGHT in pixels, like 64x64"),
    "no room": ({"max_size_mb": 0.0001}, r"no picture could be imported \(the limit of 0\.0001 MB\)"),
    "too large": ({"max_megapixels": 0.001}, r"limit is 0\.001.*--max-megapixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_can_t_be_done_leaves_nothing(tiny, tmp_path, case):
    options, message = BAD[case]
    with pytest.raises(TinctError, match=message):
        do(tmp_path, tiny, **options)
    assert files_in(tmp_path) == {}
    assert discover_imported(tmp_path) == []
    assert standing(tmp_path / "imageData" / "set") == "nothing"


def test_a_file_that_is_no_picture_is_named_with_its_cure(tmp_path):
    files = {"a/1.jpg": encoded(picture(1)), "a/2.jpg": b"a text file", "a/3.jpg": b"", "a/4.jpg": encoded(picture(2))}
    path = zipped(tmp_path / "set.zip", files)
    with pytest.raises(PictureError, match=r"set\.zip: 2\.jpg: not a picture.*--skip-unreadable"):
        do(tmp_path, path, "folder")
    assert not (tmp_path / "imageData" / "set").exists()
    records = do(tmp_path, path, "folder", skip_unreadable=True)
    assert sum(isinstance(one, Note) and one.text.startswith("skipped") for one in records) == 2
    assert (records[-1].images, records[-1].skipped) == (2, 2)


def test_a_damaged_zip_leaves_nothing(tmp_path):
    whole = zipped(tmp_path / "whole.zip", tiny_files()).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-3000])
    with pytest.raises(DataError, match=r"cut\.zip: not a whole zip file"):
        do(tmp_path, tmp_path / "cut.zip")
    at = whole.index(b"n03444034_4.JPEG") + 40
    (tmp_path / "bad.zip").write_bytes(whole[:at] + bytes(100) + whole[at + 100 :])
    with pytest.raises(DataError, match=r"n03444034_4\.JPEG: can't be unpacked"):
        do(tmp_path, tmp_path / "bad.zip")
    assert not (tmp_path / "imageData" / "set").exists()


def test_a_hostile_zip_writes_nothing_anywhere(tmp_path):
    (tmp_path / "inner").mkdir()
    path = zipped(tmp_path / "evil.zip", {"a/1.png": PNG, "../../evil.png": PNG})
    with pytest.raises(DataError, match="outside the target folder"):
        do(tmp_path / "inner", path, "folder")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["evil.zip"]


@pytest.mark.parametrize("name", ["", "a/b", "con", "a b", "..", "x."])
def test_a_name_that_can_t_be_a_folder(tiny, tmp_path, name):
    with pytest.raises(ConfigError, match="can't be a folder name"):
        do(tmp_path, tiny, name=name)


def test_options_that_could_have_no_effect_are_refused(tmp_path):
    job = ImportJob("folder", "set", ImportOptions(), tmp_path, gray=tmp_path)
    with pytest.raises(ConfigError, match="--gray: folder has no gray half"):
        list(run_import(job, tmp_path))
    with pytest.raises(ConfigError, match=r"mnist is not downloaded.*--source"):
        list(run_import(ImportJob("mnist", "set", ImportOptions()), tmp_path))


def test_a_name_that_is_taken_needs_a_word(tiny, tmp_path):
    do(tmp_path, tiny, max_images=4)
    with pytest.raises(OutputError, match="--if-exists continue or replace"):
        do(tmp_path, tiny)
    assert manifest(tmp_path)["total_images"] == 4


def test_continue_adds_what_is_missing_and_rewrites_nothing(tiny, tmp_path):
    do(tmp_path, tiny, max_images=9)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "imageData").rglob("*.JPEG")}
    do(tmp_path, tiny, if_exists="continue")
    assert manifest(tmp_path)["total_images"] == 24
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert do(tmp_path, tiny, if_exists="continue")[-1].images == 24


def test_continue_counts_what_is_there(tiny, tmp_path):
    do(tmp_path, tiny, max_images=8, categories="n01443537,n02124075")
    do(tmp_path, tiny, max_images=10, categories="n03444034", if_exists="continue")
    counts = {key: stats["count"] for key, stats in manifest(tmp_path)["category_stats"].items()}
    assert counts == {"n01443537": 4, "n02124075": 4, "n03444034": 2}


def test_continue_refuses_another_kind(tiny, tmp_path):
    do(tmp_path, tiny, max_images=4)
    with pytest.raises(ConfigError, match="its import has split train, not val"):
        do(tmp_path, tiny, split="val", if_exists="continue")
    with pytest.raises(ConfigError, match="its import has resized None"):
        do(tmp_path, tiny, resize=True, if_exists="continue")
    assert manifest(tmp_path)["total_images"] == 4


def test_replace_keeps_the_old_set_until_the_new_one_is_whole(tiny, tmp_path):
    do(tmp_path, tiny, max_images=4)
    old = files_in(tmp_path / "imageData")
    with pytest.raises(TinctError, match="unknown category"):
        do(tmp_path, tiny, categories="n9", if_exists="replace")
    running = run_import(ImportJob("tiny-imagenet", "set", ImportOptions(), tiny, if_exists="replace"), tmp_path)
    for record in running:
        if isinstance(record, Progress) and record.done == 10:
            break
    assert files_in(tmp_path / "imageData" / "set") == {name.removeprefix("set/"): data for name, data in old.items()}
    running.close()
    assert files_in(tmp_path / "imageData") == old
    do(tmp_path, tiny, max_images=2, if_exists="replace")
    assert len(files_in(tmp_path / "imageData")) == 2
    assert manifest(tmp_path)["model_name"] == "set"


@pytest.mark.parametrize("if_exists", ["continue", "replace", None])
def test_somebody_s_own_files_are_never_touched(tiny, tmp_path, if_exists):
    written(tmp_path / "imageData" / "set", {"mine.txt": b"precious"})
    with pytest.raises(OutputError, match="files that no import wrote"):
        do(tmp_path, tiny, if_exists=if_exists)
    assert files_in(tmp_path / "imageData" / "set") == {"mine.txt": b"precious"}


def test_an_interruption_keeps_what_is_complete_and_says_so(tiny, tmp_path):
    running = run_import(ImportJob("tiny-imagenet", "set", ImportOptions(), tiny), tmp_path)
    for record in running:
        if isinstance(record, Progress) and record.done == 10:
            break
    running.close()
    assert manifest(tmp_path)["interrupted"] is True
    assert manifest(tmp_path)["total_images"] == len(files_in(tmp_path / "imageData" / "set")) == 10
    (found,) = discover_imported(tmp_path)
    assert found.interrupted
    do(tmp_path, tiny, if_exists="continue")
    assert manifest(tmp_path)["interrupted"] is False
    assert manifest(tmp_path)["total_images"] == 24


def test_an_interruption_before_the_first_picture_leaves_nothing(tiny, tmp_path):
    running = run_import(ImportJob("tiny-imagenet", "set", ImportOptions(), tiny), tmp_path)
    assert isinstance(next(running), Stage)
    running.close()
    assert not (tmp_path / "imageData").exists()


def test_an_error_in_a_continued_import_loses_nothing(tmp_path):
    files = {f"a/{number}.png": PNG for number in range(4)}
    path = zipped(tmp_path / "set.zip", files)
    do(tmp_path, path, "folder")
    zipped(path, files | {"a/9.png": b"no picture"})
    with pytest.raises(PictureError, match=r"9\.png"):
        do(tmp_path, path, "folder", if_exists="continue")
    assert manifest(tmp_path)["total_images"] == 4
    assert len(files_in(tmp_path / "imageData" / "set")) == 4


_SLOW = """
import sys, time
from pathlib import Path
from tinct.data.import_writer import ImportOptions
from tinct.data.importing import ImportJob, run_import
from tinct.data.progress import Progress
job = ImportJob("folder", "set", ImportOptions(), Path(sys.argv[2]), if_exists=sys.argv[3])
for record in run_import(job, Path(sys.argv[1])):
    if isinstance(record, Progress):
        print(record.done, flush=True)
        time.sleep(0.002)
"""


def kill_after(pictures: int, workspace: Path, source: Path, if_exists: str = "continue") -> None:
    command = [sys.executable, "-c", _SLOW, workspace, source, if_exists]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= pictures:
                process.kill()
                break


@pytest.mark.parametrize("form", ["in one go", "torn"])
def test_a_kill_leaves_nothing_that_looks_complete_and_a_second_run_finishes(tmp_path, form):
    source = zipped(tmp_path / "set.zip", {f"{c}/{number}.png": PNG for c in "ab" for number in range(60)})
    kill_after(50, tmp_path, source)
    folder = tmp_path / "imageData" / "set"
    assert discover_imported(tmp_path) == []
    assert standing(folder) == "unfinished"
    assert all(data == PNG for name, data in files_in(folder).items() if "/." not in name)
    if form == "torn":  # what a power cut can leave: an empty file, and a temporary one
        next(folder.rglob("*.png")).write_bytes(b"")
        (folder / "a" / ".0123456789ab.part.png").write_bytes(PNG[:20])
    assert do(tmp_path, source, "folder", if_exists="continue")[-1].images == 120
    assert set(files_in(folder).values()) == {PNG}
    assert len(files_in(folder)) == 120
    assert discover_imported(tmp_path)[0].images == 120


def test_a_kill_while_replacing_keeps_the_old_set(tmp_path):
    source = zipped(tmp_path / "set.zip", {f"a/{number}.png": PNG for number in range(80)})
    do(tmp_path, source, "folder", max_images=5)
    kill_after(40, tmp_path, source, "replace")
    assert discover_imported(tmp_path)[0].images == 5
    assert do(tmp_path, source, "folder", if_exists="replace")[-1].images == 80
    assert [entry.name for entry in (tmp_path / "imageData").iterdir()] == ["set"]


def test_ctrl_c_in_a_process_keeps_what_is_complete(tmp_path):
    source = zipped(tmp_path / "set.zip", {f"a/{number}.png": PNG for number in range(400)})
    command = [sys.executable, "-c", _SLOW, tmp_path, source, "continue"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= 20:
                os.kill(process.pid, signal.SIGINT)
                break
        process.communicate()
    deadline = time.monotonic() + 5
    while not discover_imported(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    (found,) = discover_imported(tmp_path)
    assert found.interrupted
    assert found.images == len(files_in(found.folder)) < 400
