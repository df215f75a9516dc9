"""PSNR and SSIM against scikit-image and against formulas written out, and what every metric must hold to."""

import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import skimage.metrics
import torch
from scipy.ndimage import gaussian_filter

from tinct.errors import DataError, UnknownName
from tinct.metrics import METRICS, Measure, pixel, prepare
from tinct.metrics.pixel import psnr, ssim

PLAIN = [name for name, metric in METRICS.items() if metric.features is None]


def pictures(count: int = 3, height: int = 96, width: int = 120) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of a photograph, and the same with noise and another exposure."""
    photograph = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)
    truth = torch.stack([photograph[:, 40 * n : 40 * n + height, 30 * n : 30 * n + width] for n in range(count)])
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    return truth, (0.9 * truth + 12 * noise + 6).clamp(0, 255).to(torch.uint8)


def hwc(picture: torch.Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).numpy()


def test_psnr_is_scikit_images():
    truth, result = pictures()
    expected = [skimage.metrics.peak_signal_noise_ratio(hwc(a), hwc(b)) for a, b in zip(truth, result, strict=True)]
    torch.testing.assert_close(psnr(truth, result), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_psnr_of_a_constant_error_is_closed_form():
    truth = torch.full((2, 3, 8, 9), 100, dtype=torch.uint8)
    torch.testing.assert_close(psnr(truth, truth + 5), torch.full((2,), 20 * np.log10(255 / 5), dtype=torch.float64))
    samples = 3 * 8 * 9
    torch.testing.assert_close(psnr(truth, truth)[0].item(), 10 * np.log10(255**2 * samples))
    one_level = truth.clone()
    one_level[0, 1, 2, 3] += 1
    assert psnr(truth, one_level)[0] == psnr(truth, truth)[0]


def written_out_ssim(truth: np.ndarray, result: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, with a Gaussian window from scipy; borders mirrored as torch's "reflect"."""

    def blur(plane: np.ndarray) -> np.ndarray:
        return gaussian_filter(plane, sigma=1.5, truncate=3.5, mode="mirror")

    values = []
    for channel in range(3):
        x, y = (picture[..., channel].astype(np.float64) for picture in (truth, result))
        mean_x, mean_y = blur(x), blur(y)
        var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
        values.append(light * (2 * covariance + c2) / (var_x + var_y + c2))
    return float(np.mean(values))


def test_ssim_is_its_formula():
    truth, result = pictures()
    expected = [written_out_ssim(hwc(a), hwc(b)) for a, b in zip(truth, result, strict=True)]
    torch.testing.assert_close(ssim(truth, result), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


def test_ssim_is_scikit_images_but_for_the_border_that_it_leaves_out():
    truth, result = pictures(2, 320, 400)
    for ours, a, b in zip(ssim(truth, result), truth, result, strict=True):
        theirs = skimage.metrics.structural_similarity(
            hwc(a),
            hwc(b),
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert abs(ours - theirs) < 0.01


def test_ssim_is_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity

    truth, result = pictures(2, 150, 140)
    theirs = similarity(result.float(), truth.float(), sigma=1.5, kernel_size=11, data_range=255.0, reduction="none")
    torch.testing.assert_close(ssim(truth, result), theirs.double(), rtol=0, atol=5e-5)


@pytest.mark.parametrize("side", [5, 17, 40, 95])
def test_a_large_picture_is_taken_in_tiles_to_the_same_ssim(side, monkeypatch):
    truth, result = pictures()
    whole = ssim(truth, result)
    monkeypatch.setattr(pixel, "_TILE", side)
    torch.testing.assert_close(ssim(truth, result), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_a_picture_is_measured_alike_alone_and_in_a_batch(name):
    truth, result = pictures()
    together = Measure(name)(truth, result)
    alone = torch.cat([Measure(name)(truth[n : n + 1], result[n : n + 1]) for n in range(3)])
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", PLAIN)
def test_the_truth_itself_is_the_best_result(name):
    truth, result = pictures()
    itself, other = Measure(name)(truth, truth), Measure(name)(truth, result)
    best = {"higher": itself > other, "lower": (itself < other) & (itself == 0)}.get(METRICS[name].better)
    assert best is None or best.all()


@pytest.mark.parametrize("name", PLAIN)
def test_pictures_below_the_smallest_side_are_not_measured(name):
    side = METRICS[name].smallest_side
    truth = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert Measure(name)(truth, truth).isfinite().all()
    if side > 1:
        assert Measure(name)(truth[..., 1:], truth[..., 1:]).isnan().all()


@pytest.mark.parametrize(
    ("truth", "result", "message"),
    [
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8), "uint8.*not torch.float32"),
        (
            torch.zeros(3, 8, 8, dtype=torch.uint8),
            torch.zeros(3, 8, 8, dtype=torch.uint8),
            r"not torch.uint8 \(3, 8, 8\)",
        ),
        (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), r"\(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 9, dtype=torch.uint8), "two sizes"),
    ],
)
def test_what_is_not_a_pair_of_pictures_is_refused(truth, result, message):
    with pytest.raises(DataError, match=message):
        Measure("psnr")(truth, result)


def test_an_unknown_metric_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown metric 'sim'\. Did you mean 'ssim'"):
        list(prepare(["sim"]))


def test_metrics_need_neither_torchvision_nor_torchmetrics_to_be_imported():
    code = "import sys, tinct.metrics; print(sum(name.startswith(('torchvision', 'torchmetrics')) for name in sys.modules))"
    answer = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "0"
