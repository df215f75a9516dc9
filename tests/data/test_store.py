"""NPZ files and raw stores: the same pictures in every form, streamed, and refused when they are not what they say."""

import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tinct.data.dataset import PreparedSet, keep
from tinct.data.npy import growing, read_rows
from tinct.data.npz import KEYS, NORMALIZATIONS, gray_of, write_npz
from tinct.data.store import ensure_store, seal_store, splits_in
from tinct.errors import DataError, TinctError

NAMES = ["cat", "dog", "owl"]


def pictures(count: int = 20, side: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def arrays(normalize: str = "none", count: int = 20) -> dict[str, np.ndarray]:
    """A split's NPZ as the format says it, made without our writer."""
    rgb = pictures(count)
    gray = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in rgb])[..., None]
    labels = np.arange(count) % 3
    encoded = {
        "01": lambda levels: (levels / 255).astype(np.float32),
        "-11": lambda levels: (levels / 127.5 - 1).astype(np.float32),
        "none": lambda levels: levels,
    }[normalize]
    names = np.array(NAMES)[labels]
    return {"grayscale": encoded(gray), "rgb": encoded(rgb), "labels": labels, "category_names": names}


def make_set(folder: Path, normalize: str = "none", split: str = "train", **changes: np.ndarray | None) -> Path:
    folder.mkdir(exist_ok=True)
    values = arrays(normalize) | changes
    np.savez_compressed(folder / f"{split}.npz", **{key: value for key, value in values.items() if value is not None})
    (folder / "metadata.json").write_text(json.dumps({"normalization": NORMALIZATIONS[normalize].title}))
    return folder


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_every_normalization_comes_back_as_the_exact_bytes(tmp_path, normalize):
    opened = PreparedSet.open(make_set(tmp_path / "set", normalize), "train")
    assert np.array_equal(opened.rgb, pictures())
    assert opened.labels.tolist() == (np.arange(20) % 3).tolist()
    assert opened.names == NAMES


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_every_level_survives_its_normalization(normalize):
    levels = np.arange(256, dtype=np.uint8)
    coded = NORMALIZATIONS[normalize].encode(levels)
    assert np.array_equal(NORMALIZATIONS[normalize].decode(coded, "here"), levels)
    low, high = {"01": (0, 1), "-11": (-1, 1), "none": (0, 255)}[normalize]
    assert (coded.min(), coded.max()) == (low, high)
    assert coded.dtype == (np.uint8 if normalize == "none" else np.float32)


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_what_is_written_is_the_format(tmp_path, normalize):
    rgb, labels = pictures(30), np.arange(30) % 3
    with growing(tmp_path / "train.rgb.npy", np.uint8, rgb.shape[1:]) as append:
        append(rgb[:11])
        append(rgb[11:])
    steps = list(
        write_npz(tmp_path / "train.npz", tmp_path / "train.rgb.npy", labels, NAMES, NORMALIZATIONS[normalize])
    )
    assert steps[-1].done == steps[-1].total
    wanted = arrays(normalize, 30)
    with zipfile.ZipFile(tmp_path / "train.npz") as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_DEFLATED}
    with np.load(tmp_path / "train.npz", allow_pickle=False) as written:
        assert set(written.files) == set(KEYS)
        assert written["category_names"].tolist() == wanted["category_names"].tolist()
        assert np.array_equal(written["labels"], labels)
        for key in ("grayscale", "rgb"):
            assert written[key].dtype == wanted[key].dtype
            np.testing.assert_allclose(written[key], wanted[key], atol=1e-7)


def test_gray_is_pillows(tmp_path):
    rgb = pictures(5, 33)
    expected = [np.asarray(Image.fromarray(picture).convert("L")) for picture in rgb]
    assert np.array_equal(gray_of(rgb)[..., 0], expected)


def test_rows_grow_and_come_back_in_chunks(tmp_path):
    rows = np.arange(70, dtype=np.int64).reshape(10, 7)
    with growing(tmp_path / "rows.npy", np.int64, (7,)) as append:
        append(rows[:4])
        append(rows[4:])
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)
    assert [len(chunk) for chunk in read_rows(tmp_path / "rows.npy", 4)] == [4, 4, 2]


def test_rows_that_fail_leave_nothing(tmp_path):
    with pytest.raises(KeyError), growing(tmp_path / "rows.npy", np.int64, ()) as append:
        append({"rows": np.arange(3)}["missing"])
    assert list(tmp_path.iterdir()) == []


def without(key: str) -> dict[str, np.ndarray | None]:
    return {key: None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *((without(key), f"key {key} is missing") for key in KEYS),
        ({"rgb": pictures()[..., :2]}, r"rgb has shape \(20, 8, 8, 2\); expected \(N, H, W, 3\)"),
        ({"rgb": pictures(0)}, "at least one picture"),
        ({"grayscale": pictures()[..., 0]}, r"grayscale has shape \(20, 8, 8\).*expected \(20, 8, 8, 1\)"),
        ({"labels": np.arange(19)}, r"labels has shape \(19,\).*expected \(20,\)"),
        ({"labels": np.arange(20) - 1}, "-1 is no label"),
        ({"labels": np.linspace(0, 1, 20)}, "labels is float64; expected whole numbers"),
        ({"category_names": np.arange(20)}, "category_names is int64; expected text"),
        ({"category_names": np.array(["x"] * 20, object)}, "holds Python objects"),
        ({"rgb": pictures().astype(np.int16)}, "rgb is int16; expected float32 or uint8"),
        ({"rgb": np.asfortranarray(pictures())}, "Fortran order"),
    ],
)
def test_an_npz_of_the_wrong_form_is_refused_by_name(tmp_path, changes, message):
    folder = make_set(tmp_path / "set", **changes)
    with pytest.raises(DataError, match=message):
        PreparedSet.open(folder, "train")
    assert {file.name for file in folder.iterdir()} <= {"train.npz", "metadata.json", "train.labels.npy"}
    with pytest.raises(DataError, match=message):  # what the first attempt left does not pass for a store
        PreparedSet.open(folder, "train")


def test_values_outside_the_range_are_refused(tmp_path):
    folder = make_set(tmp_path / "set", "01", rgb=arrays("-11")["rgb"])
    with pytest.raises(DataError, match=r"values outside \[0, 1\]"):
        PreparedSet.open(folder, "train")
    folder = make_set(tmp_path / "set", "01", rgb=np.full((20, 8, 8, 3), np.nan, np.float32))
    with pytest.raises(DataError, match=r"values outside \[0, 1\]"):
        PreparedSet.open(folder, "train")


def test_floats_without_a_word_on_their_normalization_are_refused(tmp_path):
    folder = make_set(tmp_path / "set", "01")
    (folder / "metadata.json").unlink()
    with pytest.raises(DataError, match="does not say how it is normalized"):
        PreparedSet.open(folder, "train")
    (folder / "metadata.json").write_text('{"config": {"normalize_option": 1}}')
    assert np.array_equal(PreparedSet.open(folder, "train").rgb, pictures())


def test_a_cut_npz_is_refused(tmp_path):
    folder = make_set(tmp_path / "set")
    whole = (folder / "train.npz").read_bytes()
    (folder / "train.npz").write_bytes(whole[:-200])
    with pytest.raises(DataError, match="not a whole NPZ"):
        PreparedSet.open(folder, "train")
    middle = len(whole) // 2
    (folder / "train.npz").write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    with pytest.raises(DataError, match=r"Bad CRC-32|damaged|cut short"):
        PreparedSet.open(folder, "train")


def test_a_missing_split_names_those_there_are(tmp_path):
    with pytest.raises(TinctError, match=r"Available: train"):
        PreparedSet.open(make_set(tmp_path / "set"), "test")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no prepared set"):
        PreparedSet.open(tmp_path / "empty", "train")


def test_a_changed_npz_is_not_read_by_its_old_store(tmp_path):
    folder = make_set(tmp_path / "set")
    first = PreparedSet.open(folder, "train")
    assert list(ensure_store(folder, "train")) == []  # the store is there: nothing to do
    make_set(folder, rgb=pictures(seed=1))
    second = PreparedSet.open(folder, "train")
    assert np.array_equal(second.rgb, pictures(seed=1))
    assert first.fingerprint != second.fingerprint


def test_a_store_needs_no_npz(tmp_path):
    folder = make_set(tmp_path / "set")
    first = PreparedSet.open(folder, "train").fingerprint
    (folder / "train.npz").unlink()
    assert PreparedSet.open(folder, "train").fingerprint == first
    assert splits_in(folder) == ["train"]
    (folder / "train.labels.npy").unlink()
    with pytest.raises(DataError, match=r"train\.labels\.npy: not found"):
        PreparedSet.open(folder, "train")


def test_a_cut_store_is_refused(tmp_path):
    folder = make_set(tmp_path / "set")
    PreparedSet.open(folder, "train")
    store = folder / "train.rgb.npy"
    store.write_bytes(store.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"train\.rgb\.npy: not a whole array"):
        PreparedSet.open(folder, "train")


def test_names_follow_metadata_unless_the_npz_says_otherwise(tmp_path):
    folder = make_set(tmp_path / "set")
    metadata = {"categories": [*NAMES, "yak"]}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    assert PreparedSet.open(folder, "train").names == [*NAMES, "yak"]
    (folder / "train.store.json").unlink()
    (folder / "metadata.json").write_text(json.dumps({"categories": ["dog", "cat", "owl"]}))
    assert PreparedSet.open(folder, "train").names == NAMES


def test_batches_are_one_read_in_the_asked_order(tmp_path):
    opened = PreparedSet.open(make_set(tmp_path / "set"), "train")
    rgb, labels, indices = opened.__getitems__([7, 0, 7, 19])
    assert (rgb.dtype, rgb.shape, labels.dtype, indices.tolist()) == (
        torch.uint8,
        (4, 3, 8, 8),
        torch.int64,
        [7, 0, 7, 19],
    )
    assert np.array_equal(rgb.permute(0, 2, 3, 1).numpy(), pictures()[[7, 0, 7, 19]])
    assert labels.tolist() == [7 % 3, 0, 7 % 3, 19 % 3]
    one, label, index = opened[5]
    assert (one.shape, int(label), int(index)) == ((3, 8, 8), 5 % 3, 5)
    rgb.zero_()  # a batch is the caller's own
    assert np.array_equal(opened.rgb, pictures())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_every_picture_once(tmp_path, workers):
    opened = PreparedSet.open(make_set(tmp_path / "set"), "train")
    context = {"multiprocessing_context": "spawn"} if workers else {}
    loader = DataLoader(opened, batch_size=8, shuffle=True, collate_fn=keep, num_workers=workers, **context)
    seen = torch.cat([indices for _, _, indices in loader])
    assert sorted(seen.tolist()) == list(range(20))


def test_a_set_travels_as_its_address(tmp_path):
    opened = PreparedSet.open(make_set(tmp_path / "set"), "train")
    assert len(pickle.dumps(opened)) < 1000
    assert pickle.loads(pickle.dumps(opened)).fingerprint == opened.fingerprint


def test_the_hold_out_is_stratified_and_repeats(tmp_path):
    opened = PreparedSet.open(make_set(tmp_path / "set"), "train")
    stay, aside = opened.split_off(0.3, seed=1)
    assert sorted([*stay, *aside]) == list(range(20))
    assert np.bincount(opened.labels[aside]).tolist() == [2, 2, 2]
    assert np.array_equal(opened.split_off(0.3, seed=1)[1], aside)
    assert not np.array_equal(opened.split_off(0.3, seed=2)[1], aside)


_CONVERT = """
import resource, sys
from pathlib import Path
from tinct.data.store import ensure_store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in ensure_store(Path(sys.argv[1]), "train"): pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_npz_is_converted_in_little_memory(tmp_path):
    count, side = 3000, 64
    rgb = np.zeros((count, side, side, 3), np.float32)  # 147 MB
    values = {"rgb": rgb, "grayscale": rgb[..., :1], "labels": np.zeros(count, int)}
    np.savez_compressed(tmp_path / "train.npz", **values, category_names=np.array(["x"] * count))
    (tmp_path / "metadata.json").write_text('{"normalization": "[0, 1]"}')
    result = subprocess.run([sys.executable, "-c", _CONVERT, tmp_path], capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 < 50e6
    assert np.load(tmp_path / "train.rgb.npy", mmap_mode="r").shape == rgb.shape


def test_a_seal_names_the_npz_it_belongs_to(tmp_path):
    folder = make_set(tmp_path / "set")
    PreparedSet.open(folder, "train")
    make_set(folder, rgb=pictures(seed=3))
    seal_store(folder, "train", NAMES)  # declared to belong: taken at its word
    assert np.array_equal(PreparedSet.open(folder, "train").rgb, pictures())
