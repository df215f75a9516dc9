"""Every kind of source gives its categories and pictures, or one clear error."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

from made import TINY_NAMES, encoded, idx_files, picture, tiny_files, written, zipped
from tinct.data.sources import SOURCES, Content, Request
from tinct.errors import DataError, TinctError

PNG = encoded(picture(0), "PNG")


def contents(kind: str, path: Path, split: str | None = None, gray: Path | None = None) -> Content:
    """An opened source, its pictures read while it is open."""
    source = SOURCES[kind]
    with source.open(Request(path, split or source.splits[0], gray)) as content:
        for category in content.categories:
            category.pictures[:] = [one._replace(read=one.read()) for one in category.pictures]
        return content


def shape(content: Content) -> dict[str, list[tuple[str, str]]]:
    return {one.key: [(picture.split, picture.name) for picture in one.pictures] for one in content.categories}


def lay(tmp_path: Path, files: dict[str, bytes], form: str) -> Path:
    return zipped(tmp_path / "set.zip", files) if form == "zip" else written(tmp_path / "set", files)


def test_all_four_kinds_are_offered():
    assert set(SOURCES) == {"tiny-imagenet", "folder", "pairs", "mnist"}


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_tiny_imagenet(tmp_path, form):
    files = tiny_files()
    content = contents("tiny-imagenet", lay(tmp_path, files, form))
    assert {one.key: one.name for one in content.categories} == {
        wnid: names.split(",")[0] for wnid, names in TINY_NAMES.items()
    }
    assert [one.folder for one in content.categories] == [
        "n01443537_goldfish", "n02124075_Egyptian_cat", "n03444034_go-kart", "n04067472_reel",
    ]  # fmt: skip
    goldfish = content.categories[0]
    assert [one.name for one in goldfish.pictures] == [f"n01443537_{index}.JPEG" for index in range(6)]
    assert goldfish.pictures[2].read == files["tiny-imagenet-200/train/n01443537/images/n01443537_2.JPEG"]


def test_tiny_imagenet_val_by_its_annotations_and_all_of_it(tmp_path):
    path = zipped(tmp_path / "tiny.zip", tiny_files())
    assert shape(contents("tiny-imagenet", path, "val"))["n02124075"] == [
        ("val", "val_3.JPEG"), ("val", "val_4.JPEG"), ("val", "val_5.JPEG"),
    ]  # fmt: skip
    both = contents("tiny-imagenet", path, "all").categories[3].pictures
    assert [one.split for one in both] == ["train"] * 6 + ["val"] * 3


def test_tiny_imagenet_without_words_is_named_by_wnid(tmp_path):
    files = tiny_files()
    del files["tiny-imagenet-200/words.txt"]
    assert contents("tiny-imagenet", zipped(tmp_path / "tiny.zip", files)).categories[0].folder == "n01443537"


def without(*parts: str) -> dict[str, bytes]:
    return {name: data for name, data in tiny_files().items() if not any(part in name for part in parts)}


@pytest.mark.parametrize(
    ("files", "split", "message"),
    [
        (without("wnids"), "train", r"not Tiny ImageNet \(no wnids\.txt"),
        (without("train/"), "train", "not Tiny ImageNet .*no pictures of its 4 categories"),
        (without("annotations"), "val", r"not Tiny ImageNet .*no tiny-imagenet-200/val/val_annotations\.txt"),
        (
            tiny_files() | {"tiny-imagenet-200/val/images/val_99.JPEG": PNG},
            "val",
            r"val_99\.JPEG has no line in .*val_annotations\.txt",
        ),
        ({"photos/a.png": PNG}, "train", "tinct import folder --source"),
    ],
)
def test_what_is_not_tiny_imagenet_says_why(tmp_path, files, split, message):
    with pytest.raises(DataError, match=message):
        contents("tiny-imagenet", zipped(tmp_path / "other.zip", files), split)


FOLDERS = {
    "class folders": (["cat/1.png", "cat/2.png", "dog/1.png"], {"cat": "train train", "dog": "train"}),
    "one root, as zips have": (["set/cat/1.png", "set/dog/1.png"], {"cat": "train", "dog": "train"}),
    "flat": (["1.png", "2.png"], {"photos": "train train"}),
    "a single class": (["cat/1.png", "cat/2.png"], {"cat": "train train"}),
    "some outside of classes": (["cat/1.png", "2.png"], {"cat": "train", "photos": "train"}),
    "deeper folders": (["cat/a/1.png", "cat/b/1.png", "dog/1.png"], {"cat": "train train", "dog": "train"}),
    "a split": (["train/cat/1.png", "val/cat/2.png", "test/dog/3.png"], {"cat": "train val", "dog": "test"}),
    "other words": (["Dataset/1.png", "TestImages/2.png"], {"photos": "train test"}),
    "a split without classes": (["x/training/1.png", "x/Valid/2.png"], {"x": "train val"}),
    "only train": (["train/cat/1.png", "train/dog/1.png"], {"cat": "train", "dog": "train"}),
    "a class called test": (["test/1.png", "cat/2.png"], {"test": "train", "cat": "train"}),
}


@pytest.mark.parametrize("form", ["zip", "folder"])
@pytest.mark.parametrize("layout", FOLDERS)
def test_folders_of_every_layout(tmp_path, layout, form):
    names, expected = FOLDERS[layout]
    files = dict.fromkeys(names, PNG)
    path = zipped(tmp_path / "photos.zip", files) if form == "zip" else written(tmp_path / "photos", files)
    found = {key: " ".join(split for split, _ in entries) for key, entries in shape(contents("folder", path)).items()}
    assert found == expected


def test_one_split_of_a_folder(tmp_path):
    path = written(tmp_path / "set", dict.fromkeys(["train/cat/1.png", "test/cat/2.png"], PNG))
    assert shape(contents("folder", path, "test")) == {"cat": [("test", "2.png")]}
    with pytest.raises(DataError, match=r"no val split in it. Splits it has: test, train"):
        contents("folder", path, "val")


@pytest.mark.parametrize("kind", ["folder", "pairs", "mnist"])
def test_a_place_without_pictures(tmp_path, kind):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="no pictures in it"):
        contents(kind, tmp_path)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_zip_that_would_write_elsewhere_is_refused(tmp_path, kind):
    path = zipped(tmp_path / "evil.zip", tiny_files() | {"../../evil.png": PNG})
    with pytest.raises(DataError, match=r"member '\.\./\.\./evil\.png' would be written outside"):
        contents(kind, path)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_mnist_from_its_idx_files(tmp_path, compress, form):
    content = contents("mnist", lay(tmp_path, idx_files(compress=compress), form))
    assert [one.folder for one in content.categories] == [str(digit) for digit in range(10)]
    assert [one.split for one in content.categories[3].pictures] == ["train"] * 3 + ["test"]
    raw = idx_files(compress=False)["train-images-idx3-ubyte"][16:]
    third = np.asarray(Image.open(io.BytesIO(content.categories[3].pictures[0].read)))
    assert np.array_equal(third, np.frombuffer(raw, np.uint8).reshape(-1, 28, 28)[3])


def test_one_split_of_mnist(tmp_path):
    content = contents("mnist", written(tmp_path, idx_files()), "test")
    assert sum(len(one.pictures) for one in content.categories) == 10


@pytest.mark.parametrize("names", [["1.png", "2.png"], ["0/1.png", "7/2.png"]])
def test_mnist_as_png(tmp_path, names):
    path = written(tmp_path / "mnist", dict.fromkeys(names, PNG))
    assert len(contents("mnist", path).categories) == len({Path(name).parent for name in names})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: files.pop("t10k-labels-idx1-ubyte"), "no t10k-labels-idx file"),
        (lambda f: f.update({"train-images-idx3-ubyte": f["train-images-idx3-ubyte"][:-9]}), "not a whole idx file"),
        (lambda f: f.update({"train-images-idx3-ubyte": b"no"}), "not a whole idx file"),
        (lambda f: f.update({"train-labels-idx1-ubyte": f["t10k-labels-idx1-ubyte"]}), "30 train images but 10 labels"),
        (lambda f: f.update({"train-images-idx3-ubyte": f["train-labels-idx1-ubyte"]}), "its header is not"),
    ],
)
def test_damaged_mnist_names_the_file(tmp_path, change, message):
    files = idx_files(compress=False)
    change(files)
    with pytest.raises(DataError, match=message):
        contents("mnist", written(tmp_path, files))


def test_damaged_gzip(tmp_path):
    files = idx_files()
    files["train-images-idx3-ubyte.gz"] = files["train-images-idx3-ubyte.gz"][:-50]
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is not a whole idx file"):
        contents("mnist", written(tmp_path, files))


def test_pairs_in_one_folder(tmp_path):
    names = ["set/gray/1.jpg", "set/gray/2.png", "set/color/1.png", "set/color/2.png", "set/color/3.png"]
    content = contents("pairs", written(tmp_path / "root", dict.fromkeys(names, PNG)))
    assert [name for entries in shape(content).values() for _, name in entries] == ["1.png", "2.png"]
    assert content.notes == ("1 colour pictures have no gray partner and are left out",)


def test_pairs_in_two_places_keep_class_folders(tmp_path):
    gray = written(tmp_path / "g", dict.fromkeys(["sea/1.png", "hill/2.png"], PNG))
    colour = zipped(tmp_path / "c.zip", dict.fromkeys(["sea/1.png", "hill/2.png"], PNG))
    content = contents("pairs", colour, gray=gray)
    assert shape(content) == {"hill": [("train", "2.png")], "sea": [("train", "1.png")]}
    assert content.notes == ()


def test_pairs_without_partners(tmp_path):
    names = ["gray/1.png", "color/2.png"]
    with pytest.raises(DataError, match="no colour picture has a gray one of the same name"):
        contents("pairs", written(tmp_path, dict.fromkeys(names, PNG)))
    with pytest.raises(DataError, match=r"no pairs in it.*gray/ and color/"):
        contents("pairs", written(tmp_path / "other", {"a/1.png": PNG}))


def lab_arrays(root: Path, rgb: np.ndarray, rows: tuple[int, ...]) -> Path:
    """The Kaggle layout: CIELAB by scikit-image, in OpenCV's 8 bit."""
    lab = rgb2lab(rgb)
    (root / "l").mkdir(parents=True)
    (root / "ab" / "ab").mkdir(parents=True)
    np.save(root / "l" / "gray_scale.npy", np.rint(lab[..., 0] * 2.55).astype(np.uint8))
    ab = np.rint(lab[..., 1:] + 128).astype(np.uint8)
    for number, part in enumerate(np.split(ab, np.cumsum(rows)[:-1]), 1):
        np.save(root / "ab" / "ab" / f"ab{number}.npy", part)
    return root


def test_pairs_as_lab_arrays(tmp_path):
    rgb = np.stack([np.asarray(picture(seed, (24, 24))) for seed in range(5)])
    (category,) = contents("pairs", lab_arrays(tmp_path / "kaggle", rgb, (3, 2))).categories
    assert [one.name for one in category.pictures] == [f"{index:05d}.png" for index in range(5)]
    back = np.stack([np.asarray(Image.open(io.BytesIO(one.read))) for one in category.pictures])
    assert np.abs(back.astype(int) - rgb).mean() < 1.5  # what rounding to 8-bit Lab costs
    lab = np.rint(rgb2lab(rgb) * (2.55, 1, 1)) / (2.55, 1, 1)
    assert np.abs(back - 255 * lab2rgb(lab)).max() < 0.51  # exactly what scikit-image makes of the same numbers


def test_lab_arrays_that_do_not_fit(tmp_path):
    rgb = np.stack([np.asarray(picture(seed, (8, 8))) for seed in range(4)])
    path = lab_arrays(tmp_path / "kaggle", rgb, (4,))
    ab = path / "ab" / "ab" / "ab1.npy"
    np.save(ab, np.load(ab)[:3])
    assert "4 lightness and 3 colour rows" in contents("pairs", path).notes[0]
    np.save(ab, np.load(ab)[:, :4])
    with pytest.raises(DataError, match=r"ab1\.npy has shape \(3, 4, 8, 2\)"):
        contents("pairs", path)
    np.save(ab, np.zeros((3, 8, 8, 2)))
    with pytest.raises(DataError, match=r"ab1\.npy: float64"):
        contents("pairs", path)
    ab.write_bytes(b"\x93NUMPY no")
    with pytest.raises(DataError, match=r"ab1\.npy: not a whole array"):
        contents("pairs", path)
    ab.unlink()
    with pytest.raises(DataError, match=r"gray_scale\.npy without"):
        contents("pairs", path)


def test_lab_arrays_in_a_zip_are_to_be_unpacked(tmp_path):
    files = {"l/gray_scale.npy": b"", "ab/ab/ab1.npy": b""}
    with pytest.raises(DataError, match="unpack it first"):
        contents("pairs", zipped(tmp_path / "kaggle.zip", files))


def test_an_unknown_kind_names_the_nearest():
    with pytest.raises(TinctError, match="Did you mean 'tiny-imagenet'"):
        SOURCES["tinyimagenet"]
