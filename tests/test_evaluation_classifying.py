"""Accuracy and what is taken for what: against a slow count and another library's interval."""

import numpy as np
import pytest
import scipy.stats
import torch

from conftest import make_pictures
from tinct.config import from_dict
from tinct.evaluation.classifying import Answered, Confusion, classify, csv_rows, markdown, remarks
from tinct.families import FAMILIES, Classifier


def confusion(counts: list[list[int]]) -> Confusion:
    return Confusion(np.array(counts), tuple(f"c{place}" for place in range(len(counts))))


@pytest.mark.parametrize("counts", [[[8, 2], [1, 9]], [[10, 0], [0, 10]], [[0, 7], [3, 0]], [[9900, 3], [7, 90]]])
def test_the_interval_is_wilsons(counts):
    made = confusion(counts)
    expected = scipy.stats.binomtest(made.right, made.n).proportion_ci(0.95, method="wilson")
    assert made.interval == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert made.accuracy == np.trace(counts) / np.sum(counts)


@pytest.fixture(scope="module")
def model() -> Classifier:
    family = FAMILIES["classifier"]
    torch.manual_seed(0)
    return family.build(from_dict(family.Options, {"size": 16, "classes": 5, "network": {"features": [8, 8]}})).eval()


def test_every_picture_is_counted_where_it_belongs(model):
    rgb, labels = make_pictures(50)
    pictures = torch.tensor(rgb).permute(0, 3, 1, 2)
    batches = ((pictures[start : start + 20], torch.tensor(labels[start : start + 20])) for start in range(0, 50, 20))
    *records, got = classify(model, batches, ["clay", "sky", "leaf", "straw"])
    assert records == [Answered(20), Answered(40), Answered(50)]
    expected = np.zeros((5, 5), int)
    for picture, label in zip(pictures, labels, strict=True):
        expected[label, model.scores(picture[None]).argmax().item()] += 1
    np.testing.assert_array_equal(got.counts, expected)
    assert got.names == ("clay", "sky", "leaf", "straw", "4")


def test_mistakes_come_by_their_number():
    made = confusion([[5, 1, 0], [4, 6, 0], [0, 2, 9]])
    assert made.mistakes() == [(4, "c1", "c0"), (2, "c2", "c1"), (1, "c0", "c1")]
    said = " ".join(remarks(made, "judge", "some"))
    assert "judge is right on 20 of 27 pictures of some: accuracy 74.07%" in said
    assert "taking: c1 for c0 (4), c2 for c1 (2), c0 for c1 (1)." in said
    assert len(list(remarks(confusion([[3, 0], [0, 4]]), "judge", "some"))) == 1


def test_lines_say_what_the_counts_say():
    made = confusion([[5, 1], [0, 0]])
    assert list(made.lines()) == [["c0", "5", "1", "83.3%"], ["c1", "", "", ""]]
    assert list(csv_rows(made)) == [["class", "c0", "c1"], ["c0", 5, 1], ["c1", 0, 0]]
    assert "| c0 | 5 | 1 | 83.3% |" in markdown(made, ["word"])
    assert made.to_dict()["confusion"] == [[5, 1], [0, 0]]
