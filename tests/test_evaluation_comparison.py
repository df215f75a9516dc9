"""Models compared: ranks, tests that find what is there and nothing else, and reports that hold all of it."""

import csv
import io
import itertools
import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy import stats
from skimage import data

from tinct.errors import DataError
from tinct.evaluation import Comparison, Entrant, Protocol, Table, compare, evaluate
from tinct.evaluation import comparison_report as report
from tinct.evaluation.comparison_html import html
from tinct.evaluation.significance import holm, sign_flip
from tinct.metrics import Measure, SetMeasure

MEASURES = [Measure(name) for name in ("psnr", "de2000", "colourfulness")]
PHOTOGRAPHS = [data.astronaut(), data.coffee(), data.chelsea()]


def crops(count, side=24):
    for number in range(count):
        top, left = 37 * number % 250, 53 * number % 380
        yield f"{number}.png", PHOTOGRAPHS[number % 3][top : top + side, left : left + side].copy()


def noisy(strength):
    """A "model": the gray with noise in every channel, from the seed alone."""

    def colour(grays, seeds):
        noise = (np.random.default_rng(seed).normal(0, strength, (24, 24, 3)) for seed in seeds)
        return [(gray[..., None] + each).clip(0, 255).astype(np.uint8) for gray, each in zip(grays, noise, strict=True)]

    return colour


def table_of(name, strength, *, pictures=20, baselines=True, seeds=1) -> Table:
    protocol = Protocol(
        model=name, baselines=baselines, seeds=seeds, min_spread=-1, images="crops", sampling={"steps": 3}
    )
    *_, table = evaluate(crops(pictures), noisy(strength), MEASURES, protocol)
    assert isinstance(table, Table)
    return table


def compared(**options) -> Comparison:
    strengths = {"loud": 40, "fine": 8, "middle": 20, "<odd|name>": 60}
    entrants = [
        Entrant(table_of(name, strength, baselines=not number, **options), 10**number * 4200, 0.5 + number / 10)
        for number, (name, strength) in enumerate(strengths.items())
    ]
    return compare(entrants, {"lpips-squeeze": "not available: some.pth"}, {"broken": "it gives no valid colours"})


@pytest.fixture(scope="module")
def four() -> Comparison:
    return compared()


def test_the_flips_are_those_of_every_sign():
    """Against the exact distribution: all 2^10 signs of ten differences."""
    values = np.random.default_rng(1).normal(0.4, 1, 10)
    sums = [abs(np.dot(signs, values)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean(np.array(sums) >= abs(values.sum()) - 1e-9)
    assert sign_flip(values[None])[0] == pytest.approx(exact, abs=0.015)


def test_with_many_pictures_it_agrees_with_students_test():
    values = np.random.default_rng(2).normal([[0.0], [0.1], [0.15], [0.4]], 1, (4, 600))
    assert sign_flip(values) == pytest.approx(stats.ttest_1samp(values, 0, axis=1).pvalue, abs=0.01)
    assert sign_flip(values[:1]) == sign_flip(values)[0]


def test_no_difference_is_no_finding_and_p_is_uniform_without_one():
    assert sign_flip(np.zeros((1, 30)))[0] == 1
    p = sign_flip(np.random.default_rng(3).normal(0, 1, (400, 50)), 499)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert p.mean() == pytest.approx(0.5, abs=0.05)


def test_holm_is_the_worked_example():
    """p = .01, .04, .03, .005: times 4, 3, 2, 1 in order of size, and never less than the one before."""
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_first_three_have_places_by_what_is_better(four):
    assert four.places["psnr"] == {"fine": 1, "middle": 2, "loud": 3}
    assert four.places["de2000"] == {"fine": 1, "middle": 2, "loud": 3}
    truth = next(row for row in four.rows if row.name == "truth").cells["colourfulness"].mean
    means = {row.name: row.cells["colourfulness"].mean for row in four.rows if four.entrant(row.name)}
    nearest = sorted(means, key=lambda name: abs(means[name] - truth))
    assert four.places["colourfulness"] == {name: place for place, name in enumerate(nearest[:3], 1)}


def test_equal_means_share_a_place_and_differ_by_chance():
    twins = compare([Entrant(table_of("one", 9), 1), Entrant(table_of("two", 9, baselines=False), 1)])
    assert twins.places["psnr"] == {"one": 1, "two": 1}
    assert twins.p["psnr"]["two"] == 1
    assert twins.close("psnr", "two")


def test_p_is_against_the_best_and_baselines_are_tested_too(four):
    assert set(four.p["psnr"]) == {"middle", "loud", "<odd|name>", "gray", "mean chroma"}
    assert all(value < 0.01 for name, value in four.p["psnr"].items() if four.entrant(name))
    assert not four.close("psnr", "middle")
    assert "colourfulness" not in four.p


def test_baselines_that_beat_every_model_are_found(four):
    assert four.better_baselines()["gray"] == ["psnr", "de2000"]


def test_the_best_of_several_samples_is_shown_and_not_ranked():
    several = compared(seeds=3)
    assert [row.name for row in several.rows[3:5]] == ["loud", "loud, best of 3"]
    ranked = {name for places in several.places.values() for name in places}
    assert not any("best of" in name for name in ranked)
    assert "diversity-de2000 ↑" in report.titles(several)


def test_a_model_with_one_sample_stands_beside_one_with_several():
    one, several = Entrant(table_of("one", 9), 1), Entrant(table_of("many", 9, baselines=False, seeds=2), 1)
    both = compare([one, several])
    assert {measure.name for measure in both.measures} == {"psnr", "de2000", "colourfulness", "diversity-de2000"}
    assert [row.name for row in both.rows[3:]] == ["one", "many", "many, best of 2"]
    assert both.places["diversity-de2000"] == {"many": 1}
    assert set(both.p) == {"psnr", "de2000"}
    assert "diversity-de2000" in both.to_dict()["metrics"]
    said = "\n".join(report.remarks(both))
    assert "many: steps 3, 2 samples per picture, seed 0 + picture + 1,000,000 x sample" in said


def test_distances_of_sets_are_ranked_and_not_tested():
    entrants = []
    for name, strength in (("a", 9), ("b", 40)):
        protocol = Protocol(model=name, baselines=not entrants, min_spread=-1)
        *_, table = evaluate(crops(12), noisy(strength), MEASURES, protocol, [SetMeasure("colourfulness-gap")])
        entrants.append(Entrant(table, 1))
    both = compare(entrants)
    assert set(both.places["colourfulness-gap"]) == {"a", "b"}
    assert "colourfulness-gap" not in both.p
    assert sum("of all pictures together" in remark for remark in report.remarks(both)) == 1


def test_only_the_same_pictures_are_compared():
    first = Entrant(table_of("a", 9), 1)
    with pytest.raises(DataError, match="b was measured on 7 pictures, a on 20 others"):
        compare([first, Entrant(table_of("b", 9, pictures=7), 1)])
    with pytest.raises(DataError, match="two models have the name a"):
        compare([first, first])
    with pytest.raises(DataError, match="there is no model to compare; it gives no valid colours"):
        compare([], {}, {"x": "it gives no valid colours"})


def test_one_picture_has_no_test_and_says_so():
    single = compare([Entrant(table_of("a", 9, pictures=1), 1), Entrant(table_of("b", 30, pictures=1), 1)])
    assert single.p == {}
    assert "One picture" in "\n".join(report.remarks(single))
    assert "p against" not in report.markdown(single, "one")
    assert "<svg" in html(single, "one")


def test_markdown_has_every_cell_with_its_mark(four):
    text = report.markdown(four, "Four of them")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    width = len(report.titles(four)) + 1
    table = [line.replace("\\|", "¦").strip("|").split("|") for line in lines[: 2 + len(four.rows)]]
    assert all(len(line) == width for line in table)
    fine = next(line for line in table if line[0].strip() == "fine")
    cell = next(row for row in four.rows if row.name == "fine").cells["psnr"]
    assert fine[1].strip() == f"**{cell.mean:.2f}** ({cell.low:.2f}–{cell.high:.2f})"
    assert "*" in next(line for line in table if line[0].strip() == "middle")[1]
    assert "<u>" in next(line for line in table if line[0].strip() == "loud")[1]
    assert [cell.strip() for cell in fine[-4:]][1] == "0.6"
    assert fine[-1].strip() == "42.0k"


def test_the_remarks_say_how(four):
    said = "\n".join(report.remarks(four))
    for needed in (
        "20 pictures of crops, all 24 x 24",
        "95%, bootstrap over pictures",
        "two-sided paired permutation test over pictures (signs of the differences flipped, 9,999 times), Holm-corrected",
        "The baseline gray is better than every model on psnr, de2000.",
        "Training losses, of the epoch whose weights were used, are numbers of different kinds",
        "fine: steps 3, seed 0 + picture (counted from 0).",
        "lpips-squeeze is not available: some.pth",
        "broken is not in the table: it gives no valid colours",
    ):
        assert needed in said, needed


def test_csv_and_json_hold_the_same(four):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(report.csv_rows(four))
    rows = list(csv.DictReader(io.StringIO(buffer.getvalue())))
    plain = json.loads(json.dumps(four.to_dict(), allow_nan=False))
    by_name = {row["name"]: row for row in plain["rows"]}
    for row in rows:
        if row["n"]:
            assert float(row["mean"]) == by_name[row["row"]]["cells"][row["metric"]]["mean"]
            assert row["place"] == str(plain["places"][row["metric"]].get(row["row"], ""))
    assert {row["row"]: float(row["mean"]) for row in rows if row["metric"] == "training loss"} == {
        name: about["train_loss"] for name, about in plain["models"].items()
    }
    assert plain["models"]["fine"]["sampling"] == {"steps": 3}
    assert plain["failed"] == {"broken": "it gives no valid colours"}
    header, *pictures = report.picture_rows(four)
    assert len(pictures) == 20
    psnrs = [line[header.index("middle: psnr")] for line in pictures]
    assert np.mean(psnrs) == pytest.approx(by_name["middle"]["cells"]["psnr"]["mean"])
    assert not any(isinstance(value, float) and math.isnan(value) for line in pictures for value in line)


class Page(HTMLParser):
    """Collects what a page has: tags with their attributes, text by tag; unbalanced tags are an error."""

    EMPTY = ("meta", "img", "line", "circle")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, text):
        if text.strip():
            self.texts.append((self.open[-1] if self.open else "", text.strip()))

    def of(self, tag):
        return [text for inside, text in self.texts if inside == tag]


def test_the_html_report_is_whole_and_asks_for_nothing(four):
    text = html(four, "A <title> & more", sheet=b"\x89PNG")
    page = Page(text)
    assert page.of("title") == ["A <title> & more"]
    cell = next(row for row in four.rows if row.name == "fine").cells["psnr"]
    assert f"{cell.mean:.2f}" in page.of("b")
    assert len(page.of("i")) == len(page.of("u")) == 4  # one a metric, and one in the legend
    assert "<odd|name>" in page.of("td")
    sources = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert sources == ["data:image/png;base64,iVBORw=="]
    assert not any(tag in ("script", "link", "iframe", "a") for tag, _ in page.tags)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    policy = next(attributes for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'")


def test_the_intervals_are_drawn_where_they_are(four):
    page = Page(html(four, "drawn"))
    bars = [attributes for tag, attributes in page.tags if tag == "line"]
    dots = [attributes for tag, attributes in page.tags if tag == "circle"]
    assert len(bars) == len(dots) == sum(len(row.cells) for row in four.rows)
    for bar, dot in zip(bars, dots, strict=True):
        assert 200 <= float(bar["x1"]) <= float(dot["cx"]) <= float(bar["x2"]) <= 630
