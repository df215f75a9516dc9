"""Evaluation of whole sets and of several samples, and of models that give what is no picture."""

import gc
import json
import math
import weakref
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from skimage import data

from tinct.errors import DataError, WeightsError
from tinct.evaluation import Measured, Protocol, Table, csv_rows, evaluate, markdown, picture_rows, remarks
from tinct.evaluation.whole import WholeSets, _reduced
from tinct.metrics import Measure, SetMeasure
from tinct.metrics.features import InceptionExtractor, Store, rows_of
from tinct.metrics.saturation import scaled
from tinct.nets.features import FEATURES, Loaded
from tinct.nets.inception import Inception

PHOTOGRAPHS = [data.astronaut(), data.coffee(), data.chelsea()]


def crops(count: int, height: int = 20, width: int = 24) -> Iterator[tuple[str, np.ndarray]]:
    for number in range(count):
        top, left = 37 * number % 250, 53 * number % 380
        yield f"{number}.png", PHOTOGRAPHS[number % 3][top : top + height, left : left + width].copy()


def tinted(grays: Sequence[np.ndarray], seeds: Sequence[int]) -> list[np.ndarray]:
    """A "model": the gray with a colour of its seed's."""
    colours = [np.random.default_rng(seed).integers(-30, 31, 3) for seed in seeds]
    pairs = zip(grays, colours, strict=True)
    return [(gray[..., None].astype(int) + colour).clip(0, 255).astype(np.uint8) for gray, colour in pairs]


def passed_on(grays: Sequence[np.ndarray], seeds: Sequence[int]) -> list[np.ndarray]:
    return [np.repeat(gray[..., None], 3, axis=2) for gray in grays]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    torch.manual_seed(0)
    return Loaded(Inception(64).eval().requires_grad_(False), "random weights")


@pytest.fixture
def sets(loaded) -> list[SetMeasure]:
    store = Store(InceptionExtractor(loaded))
    names = ("fid-64", "kid-64", "fid-64-matched")
    return [*(SetMeasure(name, loaded, store) for name in names), SetMeasure("colourfulness-gap")]


def table_of(pictures, sets, colour=tinted, measures=(), protocol=None) -> Table:
    *records, table = evaluate(pictures, colour, measures, protocol, sets)
    assert all(isinstance(record, Measured) for record in records)
    assert isinstance(table, Table)
    return table


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)


def test_the_distances_are_those_of_all_pictures_together(sets, loaded):
    table = table_of(crops(12), sets, protocol=Protocol(batch_size=5))
    rows = {row.name: row for row in table.rows}
    assert list(rows) == ["gray", "mean chroma", "model"]
    truths = [rgb for _, rgb in crops(12)]
    grays = [np.asarray(rgb @ [0.299, 0.587, 0.114] + 0.5).astype(np.uint8) for rgb in truths]
    results = tinted(grays, range(12))
    extractor = InceptionExtractor(loaded)
    features = [rows_of(extractor([tensor(rgb) for rgb in some])) for some in (results, truths)]
    for name in ("fid-64", "kid-64"):
        value, cell = SetMeasure(name)(*features), rows["model"].cells[name]
        assert (cell.mean, cell.low, cell.high) == pytest.approx((value.value, *value.interval), rel=1e-3, abs=1e-7)
        assert cell.n == 12
    colours = [
        [Measure("colourfulness")(tensor(rgb)[None], tensor(rgb)[None]).item() for rgb in some]
        for some in (results, truths)
    ]
    gap = abs(np.mean(colours[0]) - np.mean(colours[1]))
    assert rows["model"].cells["colourfulness-gap"].mean == pytest.approx(gap, rel=0.02)
    assert rows["gray"].cells["colourfulness-gap"].mean == pytest.approx(np.mean(colours[1]))


def test_dullness_and_gaudiness_win_nothing_at_matched_saturation(sets):
    """The truth with its chroma changed: its matched distance is small, and nearly the same for every change."""
    truths = [tensor(rgb) for _, rgb in crops(12)]

    def changed(factor: float):
        results = iter([scaled(truth, factor).permute(1, 2, 0).numpy() for truth in truths])
        return lambda grays, seeds: [next(results) for _ in grays]

    plain, matched = {}, {}
    for factor in (0.5, 1.0, 1.3):
        model = table_of(crops(12), sets, changed(factor), protocol=Protocol(baselines=False)).rows[0]
        plain[factor], matched[factor] = (model.cells[name].mean for name in ("fid-64", "fid-64-matched"))
    assert plain[0.5] > 10 * plain[1.0]
    assert plain[1.3] > 10 * plain[1.0]
    for factor in (0.5, 1.3):
        assert matched[factor] < 0.1 * plain[factor]
    gray = next(row for row in table_of(crops(12), sets).rows if row.name == "gray")
    assert gray.cells["fid-64-matched"].mean == pytest.approx(gray.cells["fid-64"].mean)


def test_what_has_to_be_said_is_said(sets):
    table = table_of(crops(12), sets, measures=[Measure("psnr")])
    said = "\n".join(remarks(table, {}))
    for needed in (
        "fid-64 looks through inception-64: random weights.",
        "fid-64, kid-64, fid-64-matched, colourfulness-gap: of all pictures together, the first sample of each against its truth",
        "fid-64, fid-64-matched: n is 12; under 2,000 pictures a Frechet distance is mostly bias",
        "Matched: chroma is scaled to the truth's mean chroma,",
        "gray x 1.00, mean chroma x ",
    ):
        assert needed in said, needed
    assert table.to_dict()["notes"] == list(table.notes)
    json.dumps(table.to_dict(), allow_nan=False)
    assert "| fid-64 ↓ | kid-64 ↓ | fid-64-matched ↓ | colourfulness-gap ↓ |" in markdown(table, {})
    cell = table.rows[2].cells["kid-64"]
    assert ["model", "kid-64", "1", "lower", cell.mean, cell.low, cell.high, 12] in list(csv_rows(table))
    assert next(iter(picture_rows(table)))[1:] == ["gray: psnr", "mean chroma: psnr", "model: psnr"]


def test_one_picture_has_no_distance_and_the_others_figures_go_on(sets):
    table = table_of(crops(1), sets, measures=[Measure("psnr")])
    assert [list(row.cells) for row in table.rows] == [["psnr"]] * 3
    assert any(
        note.startswith("fid-64 is refused for 1 picture: it compares the spread of two sets") for note in table.notes
    )
    assert len([note for note in table.notes if "refused" in note]) == 4


def test_the_batch_size_and_the_baselines_change_nothing(loaded):
    def cells(protocol: Protocol):
        store = Store(InceptionExtractor(loaded))
        fresh = [SetMeasure(name, loaded, store) for name in ("fid-64", "kid-64")]
        return table_of(crops(10), fresh, protocol=protocol).rows[-1].cells

    whole, other = cells(Protocol(batch_size=10)), cells(Protocol(batch_size=3, baselines=False))
    for name, cell in whole.items():
        assert other[name].mean == pytest.approx(cell.mean, rel=1e-3, abs=1e-6)


def test_a_picture_that_comes_for_a_second_model_is_not_looked_at_again(loaded):
    looked: list[int] = []

    class Counting(InceptionExtractor):
        def __call__(self, some):
            looked.append(len(some))
            return super().__call__(some)

    measure = SetMeasure("fid-64", loaded, Store(Counting(loaded)))
    table_of(crops(10), [measure], protocol=Protocol(baselines=False))
    assert sum(looked) == 20
    table_of(
        crops(10),
        [measure],
        lambda grays, seeds: tinted(grays, [seed + 99 for seed in seeds]),
        protocol=Protocol(baselines=False),
    )
    assert sum(looked) == 30


def test_only_a_batch_or_two_of_pictures_are_held_though_they_are_needed_again(loaded):
    alive: list[weakref.ref] = []
    most = 0

    def pictures():
        nonlocal most
        for name, rgb in crops(18):
            alive.append(weakref.ref(rgb))
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))
            yield name, rgb

    matched = SetMeasure("fid-64-matched", loaded, Store(InceptionExtractor(loaded)))
    for record in evaluate(pictures(), passed_on, [], Protocol(batch_size=3, baselines=False), [matched]):
        del record
    assert len(alive) == 18
    assert most <= 3 * 3


def test_large_pictures_are_kept_as_large_as_the_extractor_sees_them():
    large = torch.randint(0, 256, (3, 400, 700), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert _reduced(large).shape == (3, 299, 299)
    assert _reduced(large[:, :, :150]) is not large
    assert _reduced(large[:, :, :150]).shape == (3, 400, 150)
    nothing = WholeSets([])
    nothing.add([large], {"model": [large]})
    assert nothing.results() == ({}, ())


def test_samples_differ_in_every_lpips_that_is_ready():
    torch.manual_seed(0)
    network = Loaded(FEATURES["squeezenet1_1"].build().eval().requires_grad_(False), "random weights")
    lpips = Measure("lpips-squeeze", network)
    table = table_of(crops(4), [], measures=[lpips], protocol=Protocol(seeds=3, batch_size=3))
    assert [measure.name for measure in table.measures] == [
        "lpips-squeeze",
        "diversity-de2000",
        "diversity-lpips-squeeze",
    ]
    samples = [tinted([gray] * 3, [n, n + 1_000_000, n + 2_000_000]) for n, gray in enumerate(grays_of(crops(4)))]
    expected = []
    for a, b, c in samples:
        pairs = [(a, b), (a, c), (b, c)]
        expected.append(np.mean([lpips(tensor(x)[None], tensor(y)[None]).item() for x, y in pairs]))
    rows = {row.name: row.cells for row in table.rows}
    assert table.values["model"]["diversity-lpips-squeeze"] == pytest.approx(expected, rel=1e-4)
    assert rows["model"]["diversity-lpips-squeeze"].mean == pytest.approx(np.mean(expected), rel=1e-4)
    assert table.samples_differ == rows["model"]["diversity-de2000"]
    assert not {"diversity-de2000", "diversity-lpips-squeeze"} & {*rows["gray"], *rows["model, best of 3"]}
    without = table_of(crops(2), [], measures=[Measure("psnr")], protocol=Protocol(seeds=2))
    assert [measure.name for measure in without.measures] == ["psnr", "diversity-de2000"]


def grays_of(pictures) -> list[np.ndarray]:
    asked: list[np.ndarray] = []

    def colour(grays, seeds):
        asked.extend(grays)
        return tinted(grays, seeds)

    table_of(pictures, [], colour, [Measure("psnr")])
    return asked


def test_distance_of_colourfulness_is_per_picture():
    table = table_of(crops(5), [], measures=[Measure("colourfulness"), Measure("colourfulness-distance")])
    truth, model = table.values["truth"]["colourfulness"], table.values["model"]["colourfulness"]
    expected = [abs(a - b) for a, b in zip(truth, model, strict=True)]
    assert table.values["model"]["colourfulness-distance"] == pytest.approx(expected)
    assert table.values["gray"]["colourfulness-distance"] == pytest.approx(truth)
    assert list(table.values["truth"]) == ["colourfulness"]


def test_values_that_are_not_finite_are_named_with_picture_and_model():
    def broken(grays, seeds):
        first, second, third = tinted(grays, seeds)
        wrong = second.astype(np.float32)
        wrong[3, 4, 0] = math.nan
        return [first, wrong, third]

    def failing(grays, seeds):
        if any(seed % 4 == 2 for seed in seeds):
            raise WeightsError("model 'bad' gives no valid colours")
        return tinted(grays, seeds)

    protocol = Protocol(model="bad")
    with pytest.raises(DataError, match=r"^1\.png: model 'bad' gives values that are not finite"):
        table_of(crops(3), [], broken, [Measure("psnr")], protocol)
    with pytest.raises(WeightsError, match=r"^2\.png: model 'bad' gives no valid colours"):
        table_of(crops(4), [], failing, [Measure("psnr")], protocol)


@pytest.mark.parametrize(
    ("colour", "message"),
    [
        (lambda grays, seeds: tinted(grays, seeds)[1:], "model 'm' gave 2 pictures for 3: the sets are of different sizes"),
        (lambda grays, seeds: [rgb[1:] for rgb in tinted(grays, seeds)],
         r"0\.png: .* gives uint8 \(19, 24, 3\), expected uint8 \(20, 24, 3\)"),
        (lambda grays, seeds: [rgb / 255 for rgb in tinted(grays, seeds)], r"0\.png: model 'm' gives float64"),
    ],
)  # fmt: skip
def test_what_is_no_picture_of_the_size_is_refused(colour, message):
    with pytest.raises(DataError, match=message):
        table_of(crops(3), [], colour, [Measure("psnr")], Protocol(model="m"))
