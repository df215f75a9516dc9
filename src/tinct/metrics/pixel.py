"""Metrics of pixel values: PSNR and SSIM. Both reward gray: they see mostly light, which is the same in every colouring."""

from __future__ import annotations

import torch
from torch import Tensor

from tinct.metrics.base import metric

_PEAK = 255
_REACH = 5  # rows to either side that SSIM's window sees
_STRIP_PIXELS = 1 << 18  # of SSIM at once: some 200 MB


@metric("psnr", better="higher", unit="dB", digits=2)
def psnr(truth: Tensor, result: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, 10 log10(255^2 / MSE), over all samples of a picture's R', G', B'.

    A picture that equals the truth gets what one wrong level in one sample would give, so that a mean stays finite.
    """
    errors = (truth.to(torch.int32) - result.to(torch.int32)).square().sum(dim=(1, 2, 3), dtype=torch.float64)
    samples = truth[0].numel()
    return 10 * torch.log10(_PEAK**2 * samples / errors.clamp_min(1))


@metric("ssim", better="higher", unit="1", digits=3, smallest_side=11)
def ssim(truth: Tensor, result: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) as torchmetrics has it: the mean over R', G', B' and all pixels.

    Gaussian window of 11 x 11 pixels, sigma 1.5, range 0..255, K1 = 0.01, K2 = 0.03, borders mirrored. In float32, one
    picture at a time: as exact as needed (5e-5), twenty times faster than float64, and batches change nothing.
    """
    return torch.tensor([_ssim(one, other) for one, other in zip(truth, result, strict=True)], dtype=torch.float64)


def _ssim(truth: Tensor, result: Tensor) -> float:
    """The mean of the map of similarities, in strips that overlap by half a window: memory does not grow with the picture."""
    height, width = truth.shape[1:]
    rows = max(1, _STRIP_PIXELS // width)
    total = 0.0
    for top in range(0, height, rows):
        first, last = max(0, top - _REACH), min(height, top + rows + _REACH)
        similarities = _ssim_map(truth[:, first:last], result[:, first:last])
        total += similarities[:, top - first : top - first + rows].sum(dtype=torch.float64).item()
    return total / truth.numel()


def _ssim_map(truth: Tensor, result: Tensor) -> Tensor:
    """uint8 (3, H, W) twice -> similarity (3, H, W)."""
    from torchmetrics.functional.image import structural_similarity_index_measure as similarity  # slow to import

    _, whole = similarity(
        result[None].float(), truth[None].float(), gaussian_kernel=True, sigma=1.5, kernel_size=11,
        data_range=float(_PEAK), k1=0.01, k2=0.03, return_full_image=True,
    )  # fmt: skip
    assert isinstance(whole, Tensor)
    return whole[0]
