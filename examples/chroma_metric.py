"""A metric in one file: how far the colour is off, whatever the light."""

from torch import Tensor

from tinct.color import rgb_to_cbcr
from tinct.metrics.base import metric


@metric("chroma-rmse", better="lower", unit="levels", digits=2)
def chroma_rmse(truth: Tensor, result: Tensor) -> Tensor:
    """Root of the mean squared error of Cb and Cr (BT.601), over a picture's pixels."""
    errors = rgb_to_cbcr(result.double()) - rgb_to_cbcr(truth.double())  # (N, 2, H, W)
    return errors.square().mean(dim=(1, 2, 3)).sqrt()
