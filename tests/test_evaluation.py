"""Evaluation: exact baselines, the same table at any batch size, bounded memory, and what has to be said with it."""

import gc
import json
import math
import time
import weakref
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import skimage.metrics
from PIL import Image
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab

from tinct.data.pictures import spread
from tinct.errors import DataError
from tinct.evaluation import (
    Measured,
    Protocol,
    Table,
    bootstrap,
    csv_rows,
    evaluate,
    markdown,
    measuring,
    picture_rows,
    remarks,
)  # fmt: skip
from tinct.metrics import Measure

MEASURES = [Measure(name) for name in ("psnr", "ssim", "de2000", "colourfulness")]
PHOTOGRAPHS = [data.astronaut(), data.coffee(), data.chelsea()]
Named = tuple[str, np.ndarray]


def crops(count: int, height: int = 32, width: int = 40) -> Iterator[Named]:
    """Small pictures out of photographs, each another one."""
    for number in range(count):
        top, left = 37 * number % 250, 53 * number % 380
        yield f"{number}.png", PHOTOGRAPHS[number % 3][top : top + height, left : left + width].copy()


def noisy(grays: Sequence[np.ndarray], seeds: Sequence[int]) -> list[np.ndarray]:
    """A "model": the gray with noise in every channel, from its seed alone."""
    noise = [
        np.random.default_rng(seed).normal(0, 20, (*gray.shape, 3)) for gray, seed in zip(grays, seeds, strict=True)
    ]
    return [(gray[..., None] + each).clip(0, 255).astype(np.uint8) for gray, each in zip(grays, noise, strict=True)]


def passed_through(grays: Sequence[np.ndarray], seeds: Sequence[int]) -> list[np.ndarray]:
    return [np.repeat(gray[..., None], 3, axis=2) for gray in grays]


def table_of(pictures, colour=passed_through, measures=MEASURES, protocol=None) -> Table:
    *records, table = evaluate(pictures, colour, measures, protocol)
    assert all(isinstance(record, Measured) for record in records)
    assert isinstance(table, Table)
    return table


def means(table: Table) -> dict[str, dict[str, float]]:
    return {row.name: {name: cell.mean for name, cell in row.cells.items()} for row in table.rows}


def test_gray_is_pillows_gray_and_is_measured_as_scikit_image_measures_it():
    table = table_of(crops(5), measures=[Measure("psnr"), Measure("de2000")])
    psnrs, differences = [], []
    for _, rgb in crops(5):
        gray = np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[..., None], 3, axis=2)
        psnrs.append(skimage.metrics.peak_signal_noise_ratio(rgb, gray))
        differences.append(deltaE_ciede2000(rgb2lab(rgb), rgb2lab(gray)).mean())
    assert means(table)["gray"] == pytest.approx({"psnr": np.mean(psnrs), "de2000": np.mean(differences)})
    assert means(table)["model"] == means(table)["gray"]


def test_without_baselines_the_model_is_measured_alone_and_alike():
    whole, alone = table_of(crops(3), noisy), table_of(crops(3), noisy, protocol=Protocol(baselines=False))
    assert [row.name for row in alone.rows] == ["model"]
    assert alone.values["model"] == whole.values["model"]


def test_mean_chroma_has_one_chroma_and_the_exact_luma():
    *records, table = evaluate(crops(3), passed_through, MEASURES, Protocol(mean_cbcr=(-7.0, 4.0)))
    assert isinstance(table, Table)
    (record,) = records
    for rgb, shown in zip(record.shown["truth"], record.shown["mean chroma"], strict=True):
        ycc = np.asarray(Image.fromarray(shown).convert("YCbCr")).astype(int)
        assert Image.fromarray(shown).convert("L").tobytes() == Image.fromarray(rgb).convert("L").tobytes()
        middle = (ycc[..., 0] > 30) & (ycc[..., 0] < 225)  # elsewhere it may have to shrink into the gamut
        assert np.abs(ycc[middle][:, 1:] - (128 - 7, 128 + 4)).max() <= 1
    assert {row.name: row.luma_error for row in table.rows} == {"truth": None, "gray": 0, "mean chroma": 0, "model": 0}


def test_the_truth_is_there_with_its_colourfulness_alone():
    table = table_of(crops(3))
    truth, gray = table.rows[:2]
    assert (truth.name, list(truth.cells)) == ("truth", ["colourfulness"])
    assert truth.cells["colourfulness"].mean > 5
    assert gray.cells["colourfulness"].mean == 0


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_batch_size_changes_nothing(seeds):
    tables = [table_of(crops(7), noisy, protocol=Protocol(batch_size=size, seeds=seeds)) for size in (1, 3, 16)]
    for other in tables[1:]:
        assert other.values == tables[0].values
        assert [row.cells for row in other.rows] == [row.cells for row in tables[0].rows]


def test_the_seeds_make_the_samples_and_dropped_pictures_count():
    asked: list[list[int]] = []

    def colour(grays, seeds):
        asked.append(seeds)
        return passed_through(grays, seeds)

    pictures = list(crops(4))
    pictures[1] = ("gray.png", np.full((32, 40, 3), 90, np.uint8))
    table_of(pictures, colour, protocol=Protocol(seed=5, seeds=2, batch_size=2))
    assert asked == [[5, 7], [1_000_005, 1_000_007], [8], [1_000_008]]


def test_pictures_without_colour_are_dropped_and_named():
    pictures = list(crops(3))
    faint = np.full((32, 40, 3), 90, np.uint8)
    faint[..., 0] += 4  # a spread of exactly 4 does not exceed 4
    pictures.insert(1, ("faint.png", faint))
    table = table_of(pictures)
    assert table.dropped == ("faint.png",)
    assert table.pictures == ("0.png", "1.png", "2.png")
    assert table_of(pictures, protocol=Protocol(min_spread=3.9)).dropped == ()
    assert table_of([("gray.png", np.zeros((20, 20, 3), np.uint8))], protocol=Protocol(min_spread=-1)).dropped == ()


def test_the_spread_is_the_mean_of_largest_minus_smallest():
    assert spread(np.array([[[10, 20, 40], [0, 0, 0]]], np.uint8)) == 15
    assert spread(np.array([[[255, 0, 0]]], np.uint8)) == 255


def test_without_a_picture_left_there_is_no_table():
    with pytest.raises(DataError, match="there are no pictures"):
        table_of([])
    with pytest.raises(DataError, match=r"all 2 have a spread of at most 4 levels.*--min-spread"):
        table_of([(name, np.full((16, 16, 3), 7, np.uint8)) for name in "ab"])


def test_several_samples_are_averaged_and_the_best_of_them_is_shown():
    table = table_of(crops(4), noisy, [Measure("psnr"), Measure("de2000"), Measure("colourfulness")], Protocol(seeds=3))
    psnrs, differences, apart = [], [], []
    for number, (_, rgb) in enumerate(crops(4)):
        gray = np.asarray(Image.fromarray(rgb).convert("L"))
        samples = [noisy([gray], [number + 1_000_000 * k])[0] for k in range(3)]
        labs = [rgb2lab(sample) for sample in samples]
        psnrs.append([skimage.metrics.peak_signal_noise_ratio(rgb, sample) for sample in samples])
        differences.append([deltaE_ciede2000(rgb2lab(rgb), lab).mean() for lab in labs])
        apart.append(np.mean([deltaE_ciede2000(labs[a], labs[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]))
    rows = means(table)
    assert list(rows) == ["truth", "gray", "mean chroma", "model", "model, best of 3"]
    assert rows["model"]["psnr"] == pytest.approx(np.mean(psnrs))
    assert rows["model"]["de2000"] == pytest.approx(np.mean(differences))
    best = {"psnr": np.max(psnrs, axis=1).mean(), "de2000": np.min(differences, axis=1).mean()}
    assert rows["model, best of 3"] == pytest.approx(best)
    assert table.samples_differ is not None
    assert table.samples_differ.mean == pytest.approx(np.mean(apart))
    assert table_of(crops(2)).samples_differ is None


def test_a_model_that_moves_the_luma_is_found_out():
    def brighter(grays, seeds):
        return [rgb.clip(0, 250) + np.uint8(5) for rgb in passed_through(grays, seeds)]

    assert table_of(crops(2), brighter).rows[-1].luma_error == 5


def test_time_is_that_of_the_model_alone():
    def slow(grays, seeds):
        time.sleep(0.02 * len(grays))
        return passed_through(grays, seeds)

    rows = table_of(crops(6), slow, protocol=Protocol(seeds=2, batch_size=4)).rows
    assert [row.seconds for row in rows[:3]] == [None] * 3
    assert rows[3].seconds is not None
    assert 0.02 <= rows[3].seconds < 0.04


def test_pictures_of_all_sizes_are_measured_where_they_can_be():
    sizes = [(1, 1), (10, 40), (11, 11), (300, 2), (60, 50)]
    pictures = [(f"{height}x{width}", PHOTOGRAPHS[1][:height, 100 : 100 + width]) for height, width in sizes]
    table = table_of(pictures, noisy, protocol=Protocol(batch_size=3))
    gray = next(row for row in table.rows if row.name == "gray")
    assert {name: cell.n for name, cell in gray.cells.items()} == {
        "psnr": 5,
        "ssim": 2,
        "de2000": 5,
        "colourfulness": 5,
    }
    assert table.sizes == {"1 x 1": 1, "40 x 10": 1, "11 x 11": 1, "2 x 300": 1, "50 x 60": 1}
    assert [math.isnan(value) for value in table.values["gray"]["ssim"]] == [True, True, False, True, False]


def test_a_metric_that_fits_no_picture_has_no_cell():
    table = table_of([("1", PHOTOGRAPHS[1][:8, :8])])
    assert "ssim" not in table.rows[1].cells


def test_a_model_called_like_a_baseline_keeps_its_own_row():
    assert [row.name for row in table_of(crops(1), protocol=Protocol(model="gray")).rows] == [
        "truth",
        "gray",
        "mean chroma",
        "model gray",
    ]
    assert [row.name for row in table_of(crops(1), protocol=Protocol(model="photo")).rows][-1] == "photo"


def test_the_table_is_plain_json_and_remarks_say_how():
    pictures = [*crops(2), ("tiny", PHOTOGRAPHS[1][:5, :5]), ("gray", np.zeros((9, 9, 3), np.uint8))]
    table = table_of(pictures, noisy, protocol=Protocol(seeds=2, images="a folder", sampling={"steps": 8}))
    plain = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert plain["n"] == 3
    assert plain["dropped"] == ["gray"]
    assert plain["protocol"]["mean_cbcr"] == [-7.8, 5.1]
    assert plain["metrics"]["psnr"] == {"unit": "dB", "better": "higher", "extractor": None}
    said = "\n".join(remarks(table, {"lpips-squeeze": "not available: some.pth"}))
    for needed in (
        "3 pictures of a folder, 2 sizes from 5 x 5 to 40 x 32",
        "1 dropped as colourless (mean over pixels of largest minus smallest channel at most 4 levels): gray.",
        "95%, bootstrap over pictures (1000 resamples)",
        "Cb -7.8, Cr +5.1 at every pixel, the mean of the training pictures of Tiny ImageNet",
        "model: steps 8, seed 0 + picture + 1,000,000 x sample",
        "2 samples per picture differ by",
        "lpips-squeeze is not available: some.pth",
    ):
        assert needed in said


def test_markdown_and_csv_hold_every_cell():
    table = table_of([*crops(2), ("tiny", PHOTOGRAPHS[1][:5, :5])], noisy)
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in markdown(table, {}).splitlines()]
    assert lines[0] == ["psnr ↑", "ssim ↑", "de2000 ↓", "colourfulness → truth", "largest luma error", "s per picture"]
    gray = table.rows[1]
    psnr, ssim = gray.cells["psnr"], gray.cells["ssim"]
    assert lines[3][:2] == ["gray", f"{psnr.mean:.2f} ({psnr.low:.2f}–{psnr.high:.2f})"]
    assert lines[3][2] == f"{ssim.mean:.3f} ({ssim.low:.3f}–{ssim.high:.3f} (n=2))"
    rows = list(csv_rows(table))
    assert ["gray", "ssim", "1", "higher", ssim.mean, ssim.low, ssim.high, 2] in rows
    assert len(rows) == 1 + 1 + 3 * 4
    header, *pictures = picture_rows(table)
    assert [picture[0] for picture in pictures] == ["0.png", "1.png", "tiny"]
    assert pictures[1][header.index("gray: psnr")] == table.values["gray"]["psnr"][1]
    assert pictures[2][header.index("gray: ssim")] == ""


def test_only_one_batch_of_pictures_is_held():
    alive: list[weakref.ref] = []
    most = 0

    def pictures():
        nonlocal most
        for name, rgb in crops(24):
            alive.append(weakref.ref(rgb))
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))
            yield name, rgb

    for record in evaluate(pictures(), passed_through, [Measure("psnr")], Protocol(batch_size=4)):
        del record
    assert len(alive) == 24
    assert most <= 2 * 4 + 1


def test_large_pictures_come_in_smaller_batches(monkeypatch):
    monkeypatch.setattr(measuring, "_BATCH_PIXELS", 2 * 32 * 40)
    sizes: list[int] = []

    def colour(grays, seeds):
        sizes.append(len(grays))
        return passed_through(grays, seeds)

    table_of([*crops(3), *crops(1, 100, 100), *crops(1)], colour, [Measure("psnr")])
    assert sizes == [2, 1, 1, 1]


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(3).normal(7, 2, 400)
    low, high = bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert bootstrap(values) == (low, high)
    assert bootstrap(np.array([3.0])) == (3.0, 3.0)


def test_progress_counts_pictures_and_shows_them():
    *records, _ = evaluate(crops(5), noisy, [Measure("psnr")], Protocol(batch_size=2, seeds=2, model="m"))
    assert [record.done for record in records] == [2, 4, 5]
    assert list(records[0].shown) == ["truth", "gray", "mean chroma", "m, sample 1", "m, sample 2"]
    assert [len(pictures) for pictures in records[-1].shown.values()] == [1] * 5
