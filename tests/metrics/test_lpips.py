"""LPIPS against a slow one written out, and against the documented values where real weights are at hand."""

import os

import numpy as np
import pytest
import torch
from torch import Tensor

from tinct.errors import DataError
from tinct.metrics import METRICS, Measure, Prepared, prepare
from tinct.metrics import lpips as lpips_module
from tinct.metrics.lpips import heads, lpips, lpips_squeeze
from tinct.nets import features
from tinct.nets.features import FEATURES
from tinct.nets.taps import Taps, squeezenet1_1

NAME = "squeezenet1_1"


def random_network(seed: int = 0) -> Taps:
    torch.manual_seed(seed)
    return squeezenet1_1().requires_grad_(False)


def pair(count: int = 2, height: int = 37, width: int = 52, seed: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randint(0, 256, (2, count, 3, height, width), generator=generator).to(torch.uint8)
    return first, second


def written_out(first: np.ndarray, second: np.ndarray, network: Taps, weights: tuple[Tensor, ...]) -> float:
    """Zhang et al. 2018, equation 1, one place at a time, from pictures (H, W, 3) in 0..255."""
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    outputs = []
    for picture in (first, second):
        scaled = (picture / 255 * 2 - 1 - shift) / scale
        outputs.append(network(torch.from_numpy(scaled.transpose(2, 0, 1)[None]).float()))
    total = 0.0
    for one, other, weight in zip(*outputs, weights, strict=True):
        _, _, height, width = one.shape
        for row in range(height):
            for column in range(width):
                a, b = (tap[0, :, row, column].double().numpy() for tap in (one, other))
                difference = a / np.sqrt(a @ a + 1e-8) - b / np.sqrt(b @ b + 1e-8)
                total += weight.double().numpy() @ difference**2 / (height * width)
    return float(total)


@pytest.mark.parametrize("backbone", ["squeeze", "alex", "vgg"])
def test_lpips_is_its_formula_at_every_place(backbone):
    """Through the network and the learned weights that belong together."""
    torch.manual_seed(0)
    name = f"lpips-{backbone}"
    network = FEATURES[str(METRICS[name].features)].build().eval().requires_grad_(False)
    first, second = pair(height=31, width=45)
    got = Measure(name, features.Loaded(network, "random"))(first, second)
    expected = [
        written_out(a.permute(1, 2, 0).numpy(), b.permute(1, 2, 0).numpy(), network, heads(backbone))
        for a, b in zip(first, second, strict=True)
    ]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-7)


def test_large_pictures_are_compared_in_strips_to_the_same_value(monkeypatch):
    network, (first, second) = random_network(), pair(1, 64, 50)
    whole = lpips_squeeze(first, second, network)
    monkeypatch.setattr(lpips_module, "_STRIP_NUMBERS", 5000)
    torch.testing.assert_close(lpips_squeeze(first, second, network), whole, rtol=1e-5, atol=0)


def test_lpips_is_zero_for_the_same_symmetric_and_alike_in_any_batch():
    network, (first, second) = random_network(), pair(3)
    assert lpips_squeeze(first, first, network).abs().max() == 0
    torch.testing.assert_close(lpips_squeeze(first, second, network), lpips_squeeze(second, first, network))
    alone = torch.cat([lpips_squeeze(first[n : n + 1], second[n : n + 1], network) for n in range(3)])
    torch.testing.assert_close(lpips_squeeze(first, second, network), alone, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["lpips-squeeze", "psnr", "de2000"])
def test_several_results_of_a_truth_are_measured_as_if_each_had_its_own(name):
    measure = Measure(name, features.Loaded(random_network(), "random") if name.startswith("lpips") else None)
    (truth, _), (results, _) = pair(2), pair(6, seed=4)
    together = measure(truth, results)
    torch.testing.assert_close(together, measure(truth.repeat_interleave(3, dim=0), results), rtol=1e-5, atol=1e-8)
    with pytest.raises(DataError, match=f"{name}: sets of two sizes: 2 truths and 5 results"):
        measure(truth, results[1:])


def test_lpips_has_a_gradient_for_the_picture():
    network, (first, second) = random_network(), pair(1)
    result = (second.float() / 127.5 - 1).requires_grad_()
    lpips(first.float() / 127.5 - 1, result, network, heads("squeeze")).sum().backward()
    assert result.grad is not None
    assert result.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("backbone", "channels"),
    [
        ("squeeze", [64, 128, 256, 384, 384, 512, 512]),
        ("alex", [64, 192, 384, 256, 256]),
        ("vgg", [64, 128, 256, 512, 512]),
    ],
)
def test_the_learned_weights_fit_their_backbones_and_are_not_negative(backbone, channels):
    assert [len(weight) for weight in heads(backbone)] == channels
    assert all((weight >= 0).all() for weight in heads(backbone))


def test_pictures_too_small_for_the_network_are_not_measured():
    measure = Measure("lpips-squeeze", features.Loaded(random_network(), "random"))
    side = METRICS["lpips-squeeze"].smallest_side
    first, second = pair(2, side, side)
    assert measure(first, second).isfinite().all()
    assert measure(first[..., 1:], second[..., 1:]).isnan().all()


@pytest.fixture
def nothing_about(monkeypatch, tmp_path):
    monkeypatch.delenv("TINCT_FEATURE_WEIGHTS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TINCT_FEATURE_ADDRESS", "http://127.0.0.1:9")


def prepared(*names: str, weights: str | None = None) -> Prepared:
    *_, last = prepare(names, weights)
    assert isinstance(last, Prepared)
    return last


def test_a_missing_file_takes_away_its_metric_and_no_other(nothing_about):
    ready = prepared("psnr", "lpips-squeeze", "ssim")
    assert [measure.name for measure in ready.measures] == ["psnr", "ssim"]
    (reason,) = ready.missing.values()
    assert list(ready.missing) == ["lpips-squeeze"]
    assert reason.startswith("not available: squeezenet1_1-b8a52dc0.pth (")
    assert "--feature-weights" in reason


def test_a_file_given_by_path_is_used_and_labelled(nothing_about, tmp_path):
    path = tmp_path / "squeezenet1_1_mine.pth"
    torch.save(random_network().state_dict(), path)
    ready = prepared("lpips-squeeze", weights=str(path))
    (measure,) = ready.measures
    assert measure.loaded is not None
    assert measure.loaded.label == "squeezenet1_1_mine.pth, file given by path (not the published one)"
    first, second = pair()
    torch.testing.assert_close(measure(first, second), lpips_squeeze(first, second, random_network()))


@pytest.mark.skipif(
    not os.environ.get("TINCT_FEATURE_WEIGHTS"), reason="TINCT_FEATURE_WEIGHTS is not set: no real weights"
)
def test_the_documented_values_of_torchmetrics_are_reproduced():
    """torchmetrics 1.9, docstrings of LPIPS with net_type="squeeze": 0.1024 and 0.0938 each, 0.1005 in the mean of ten."""
    path = features.find(NAME)
    assert path is not None
    network = features.load(NAME, path).network
    generator = torch.Generator().manual_seed(42)
    first, second = (torch.rand(2, 3, 100, 100, generator=generator) * 2 - 1 for _ in range(2))
    values = lpips(first, second, network, heads("squeeze"))
    torch.testing.assert_close(values, torch.tensor([0.1024, 0.0938]), rtol=0, atol=5.1e-5)
    generator = torch.Generator().manual_seed(42)
    first, second = (torch.rand(10, 3, 100, 100, generator=generator) * 2 - 1 for _ in range(2))
    assert lpips(first, second, network, heads("squeeze")).mean().item() == pytest.approx(0.1005, abs=5.1e-5)
