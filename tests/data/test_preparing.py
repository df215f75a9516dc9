"""Preparing: the format, the split, and what kills, interruptions and bad pictures leave."""

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from made import encoded, idx_files, picture, tiny_files, written, zipped
from tinct.data.dataset import PreparedSet
from tinct.data.discovery import discover_imported, discover_prepared
from tinct.data.import_writer import ImportOptions
from tinct.data.importing import ImportJob, run_import
from tinct.data.npz import KEYS
from tinct.data.prepare import Prepared, PrepareOptions, prepare
from tinct.data.progress import Note, Progress, Stage
from tinct.errors import ConfigError, DataError, OutputError, PictureError, TinctError


def bring(workspace: Path, source: Path, kind: str = "folder", name: str = "set", **options: object) -> Path:
    for _ in run_import(ImportJob(kind, name, ImportOptions(**options), source), workspace):
        pass
    return workspace


def do(workspace: Path, processes: int | None = 1, **options: object) -> list:
    (imported,) = discover_imported(workspace)
    return list(prepare(imported, workspace / "npzData" / imported.name, PrepareOptions(**options), processes))


@pytest.fixture
def tiny(tmp_path) -> Path:
    return bring(tmp_path, zipped(tmp_path / "tiny.zip", tiny_files(train=10)), "tiny-imagenet")


def npz(workspace: Path, split: str = "train") -> dict[str, np.ndarray]:
    with np.load(workspace / "npzData" / "set" / f"{split}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def metadata(workspace: Path) -> dict:
    return json.loads((workspace / "npzData" / "set" / "metadata.json").read_text())


@pytest.mark.parametrize(("normalize", "dtype", "low", "high", "title", "option"), [
    ("01", "float32", 0, 1, "[0, 1]", 1), ("-11", "float32", -1, 1, "[-1, 1]", 2), ("none", "uint8", 0, 255, "none", 3),
])  # fmt: skip
def test_the_npz_has_the_keys_shapes_and_numbers_of_the_format(tiny, normalize, dtype, low, high, title, option):
    do(tiny, normalize=normalize, size=32)
    train, test = npz(tiny), npz(tiny, "test")
    assert set(train) == set(test) == set(KEYS)
    assert (train["rgb"].shape, test["rgb"].shape) == ((32, 32, 32, 3), (8, 32, 32, 3))
    assert train["grayscale"].shape == (32, 32, 32, 1)
    assert train["rgb"].dtype == train["grayscale"].dtype == dtype
    assert low <= train["rgb"].min() < train["rgb"].max() <= high
    assert (train["labels"].shape, train["category_names"].shape) == ((32,), (32,))
    found = metadata(tiny)
    assert (found["dtype"], found["normalization"], found["config"]["normalize_option"]) == (dtype, title, option)


def test_the_manifest_has_the_keys_of_the_format(tiny):
    do(tiny, size=16)
    found = metadata(tiny)
    assert {
        key: found[key] for key in ("model_name", "source_dir", "train_samples", "test_samples", "image_shape")
    } == {
        "model_name": "set",
        "source_dir": str(tiny / "imageData" / "set"),
        "train_samples": 32,
        "test_samples": 8,
        "image_shape": {"grayscale": [16, 16, 1], "rgb": [16, 16, 3]},
    }
    wanted = {"test_size": 0.2, "random_state": 42, "image_size": 16, "normalize_option": 2}
    assert found["config"].items() >= wanted.items()
    assert found["categories"] == [
        "n01443537_goldfish", "n02124075_Egyptian_cat", "n03444034_go-kart", "n04067472_reel",
    ]  # fmt: skip


def test_pictures_labels_and_names_belong_together(tiny):
    do(tiny, normalize="none")
    values, categories = npz(tiny), metadata(tiny)["categories"]
    assert values["category_names"].tolist() == [categories[label] for label in values["labels"]]
    by_bytes = {}
    for file in (tiny / "imageData" / "set").rglob("*.JPEG"):
        with Image.open(file) as image:
            by_bytes[np.asarray(image).tobytes()] = (file.parent.name, np.asarray(image.convert("L")))
    for rgb, gray, name in zip(values["rgb"], values["grayscale"], values["category_names"], strict=True):
        folder, luma = by_bytes[rgb.tobytes()]
        assert folder == name
        assert np.array_equal(gray[..., 0], luma)


def test_the_store_is_the_npz_and_needs_no_conversion(tiny):
    do(tiny, normalize="-11")
    before = {file.name: file.stat().st_mtime_ns for file in (tiny / "npzData" / "set").iterdir()}
    opened = PreparedSet.open(tiny / "npzData" / "set", "train")
    values = npz(tiny)
    np.testing.assert_allclose(np.asarray(opened.rgb) / 127.5 - 1, values["rgb"], atol=1e-7)
    assert np.array_equal(opened.labels, values["labels"])
    assert opened.names == metadata(tiny)["categories"]
    assert {file.name: file.stat().st_mtime_ns for file in (tiny / "npzData" / "set").iterdir()} == before


def test_the_split_is_stratified_and_the_same_seed_gives_the_same_bytes(tiny):
    def files() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (tiny / "npzData" / "set").iterdir()}

    do(tiny)
    first = files()
    assert sorted(Counter(npz(tiny, "test")["labels"].tolist()).values()) == [2, 2, 2, 2]
    do(tiny, processes=2)
    assert files() == first
    do(tiny, seed=43)
    assert files()["test.labels.npy"] != first["test.labels.npy"] or files()["test.rgb.npy"] != first["test.rgb.npy"]


def test_train_val_and_test_share_no_picture(tiny):
    do(tiny, val_size=0.3, test_size=0.1, normalize="none")
    rows = {split: [one.tobytes() for one in npz(tiny, split)["rgb"]] for split in ("train", "val", "test")}
    assert {split: len(found) for split, found in rows.items()} == {"train": 24, "val": 12, "test": 4}
    assert len(set().union(*rows.values())) == 40
    (found,) = discover_prepared(tiny)
    assert (found.name, found.train, found.val, found.test, found.image_size) == ("set", 24, 12, 4, (64, 64))
    assert found.megabytes == pytest.approx(sum(f.stat().st_size for f in found.folder.iterdir()) / 1e6)


@pytest.mark.parametrize(("test_size", "splits"), [(0, ["train"]), (1, ["test"])])
def test_a_split_of_nothing_is_not_written(tiny, test_size, splits):
    result = do(tiny, test_size=test_size)[-1]
    assert list(result.samples) == splits
    assert {file.stem for file in (tiny / "npzData" / "set").glob("*.npz")} == set(splits)


def test_a_split_that_the_import_brought_is_kept(tmp_path):
    bring(tmp_path, written(tmp_path / "mnist", idx_files(60, 20)), "mnist")
    do(tmp_path, size=28, normalize="none", val_size=0.25)
    assert {split: len(npz(tmp_path, split)["labels"]) for split in ("train", "val", "test")} == {
        "train": 45, "val": 15, "test": 20,
    }  # fmt: skip
    digits = np.frombuffer(idx_files(60, 20, compress=False)["t10k-images-idx3-ubyte"][16:], np.uint8)
    expected = {one.tobytes() for one in digits.reshape(-1, 28, 28)}
    assert {one[..., 0].tobytes() for one in npz(tmp_path, "test")["rgb"]} == expected
    assert metadata(tmp_path)["config"]["splits_of_import"] == ["test"]
    with pytest.raises(ConfigError, match=r"--test-size: the import brought its own test split.*--resplit"):
        do(tmp_path, size=28, test_size=0.5)
    assert do(tmp_path, size=28, test_size=0.5, resplit=True)[-1].samples == {"train": 40, "test": 40}


def test_shares_that_are_too_much(tiny):
    with pytest.raises(ConfigError, match="more than all pictures together"):
        do(tiny, test_size=0.6, val_size=0.6)
    assert not (tiny / "npzData").exists()


def test_stages_progress_and_result(tiny):
    records = do(tiny)
    assert [(one.number, one.total) for one in records if isinstance(one, Stage)] == [(1, 3), (2, 3), (3, 3)]
    progress = [one for one in records if isinstance(one, Progress)]
    assert all(one.done <= one.total for one in progress)
    assert progress[-1].done == progress[-1].total == 40
    result = records[-1]
    assert isinstance(result, Prepared)
    assert (result.samples, result.skipped) == ({"train": 32, "test": 8}, 0)
    assert result.megabytes["train.rgb.npy"] == pytest.approx((32 * 64 * 64 * 3 + 128) / 1e6)


def test_an_unreadable_picture_is_named_or_skipped(tiny):
    bad = sorted((tiny / "imageData" / "set").rglob("*.JPEG"))[7]
    bad.write_bytes(bad.read_bytes()[:400])
    with pytest.raises(PictureError, match=rf"{bad.name}: .*--skip-unreadable"):
        do(tiny)
    assert discover_prepared(tiny) == []
    assert list((tiny / "npzData").iterdir()) == []
    records = do(tiny, skip_unreadable=True)
    assert sum(isinstance(one, Note) and bad.name in one.text for one in records) == 1
    assert records[-1].skipped == 1
    assert sum(records[-1].samples.values()) == 39
    opened = PreparedSet.open(tiny / "npzData" / "set", "train")
    assert len(opened.rgb) == len(opened.labels) == len(npz(tiny)["labels"])


def test_an_error_in_a_worker_process_is_the_same_error(tiny):
    bad = sorted((tiny / "imageData" / "set").rglob("*.JPEG"))[7]
    bad.write_bytes(b"a text file")
    with pytest.raises(PictureError, match=rf"{bad.name}: not a picture"):
        do(tiny, processes=2)


def test_nothing_readable_is_an_error(tmp_path):
    bring(tmp_path, written(tmp_path / "source", {"a/1.png": encoded(picture(1), "PNG")}))
    (tmp_path / "imageData" / "set" / "a" / "1.png").write_bytes(b"no")
    with pytest.raises(DataError, match="no picture left"):
        do(tmp_path, skip_unreadable=True)
    (tmp_path / "imageData" / "set" / "a" / "1.png").unlink()
    with pytest.raises(DataError, match="no pictures in it"):
        do(tmp_path)


def test_colourless_pictures_are_left_out(tmp_path):
    """Of three pictures, a gray one has a spread of 0, and one of (100, 103, 104) everywhere has 4, which does not exceed 4."""
    flat = {"gray": (90, 90, 90), "edge": (100, 103, 104), "tinted": (100, 103, 105)}
    files = {f"a/{name}.png": encoded(Image.new("RGB", (64, 64), colour), "PNG") for name, colour in flat.items()}
    bring(tmp_path, written(tmp_path / "source", files))
    assert do(tmp_path, test_size=0.0)[-1].samples == {"train": 3}
    left = do(tmp_path, test_size=0.0, min_spread=4.0)[-1]
    assert (left.samples, left.colourless, left.skipped) == ({"train": 1}, 2, 0)
    assert PreparedSet.open(tmp_path / "npzData" / "set", "train").rgb[0, 0, 0].tolist() == [100, 103, 105]
    with pytest.raises(DataError, match=r"no picture left\. Lower --min-spread"):
        do(tmp_path, test_size=0.0, min_spread=5.0)


def test_pictures_taken_away_or_added_by_hand_are_honoured_and_said(tiny):
    next((tiny / "imageData" / "set").rglob("*.JPEG")).unlink()
    records = do(tiny)
    assert any(isinstance(one, Note) and "39 pictures; its manifest says 40" in one.text for one in records)
    assert sum(records[-1].samples.values()) == 39


def test_an_error_keeps_the_set_that_is_there(tiny):
    do(tiny)
    before = {file.name: file.read_bytes() for file in (tiny / "npzData" / "set").iterdir()}
    next((tiny / "imageData" / "set").rglob("*.JPEG")).write_bytes(b"no picture")
    with pytest.raises(TinctError):
        do(tiny)
    assert {file.name: file.read_bytes() for file in (tiny / "npzData" / "set").iterdir()} == before
    assert [entry.name for entry in (tiny / "npzData").iterdir()] == ["set"]


def test_an_interruption_leaves_nothing(tiny):
    (imported,) = discover_imported(tiny)
    running = prepare(imported, tiny / "npzData" / "set", PrepareOptions(), 1)
    for record in running:
        if isinstance(record, Stage) and record.number == 3:
            break
    running.close()
    assert list((tiny / "npzData").iterdir()) == []


def test_somebody_s_own_files_are_never_touched(tiny):
    written(tiny / "npzData" / "set", {"mine.txt": b"precious"})
    with pytest.raises(OutputError, match="files that no conversion wrote"):
        do(tiny)
    assert (tiny / "npzData" / "set" / "mine.txt").read_bytes() == b"precious"


_RUN = """
import sys
from pathlib import Path
from tinct.data.discovery import discover_imported
from tinct.data.prepare import PrepareOptions, prepare
if __name__ == "__main__":
    (imported,) = discover_imported(Path(sys.argv[1]))
    for record in prepare(imported, Path(sys.argv[1]) / "npzData" / "set", PrepareOptions(), 2):
        print(type(record).__name__, getattr(record, "number", ""), flush=True)
"""


@pytest.mark.parametrize("moment", ["Stage 2", "Progress", "Stage 3"])
def test_a_kill_leaves_nothing_that_looks_complete_and_no_process_behind(tiny, moment):
    script = tiny / "run.py"
    script.write_text(_RUN)
    with subprocess.Popen([sys.executable, script, tiny], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith(moment):
                family = psutil.Process(process.pid).children(recursive=True)
                process.send_signal(signal.SIGKILL)
                break
    assert discover_prepared(tiny) == []
    assert not (tiny / "npzData" / "set").exists()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    do(tiny)
    assert discover_prepared(tiny)[0].train == 32
    assert [entry.name for entry in (tiny / "npzData").iterdir()] == ["set"]
