"""Inception as the Frechet distance uses it: the graph of 2015-12-05, under the key names of its published conversion.

It differs from the published paper (Szegedy et al. 2015, 1512.00567) in two places: averages at a border leave the border's
zeros out, and the last block pools by the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinct.nets.taps import Taps

SIDE = 299  # px of the pictures that it sees
CHANNELS = (64, 192, 768, 2048)  # of the taps: behind both first pools, before the last three blocks, at the end


def inception_units(pictures: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> (N, 3, 299, 299) in [-1, 1]: bilinear, without antialiasing, as pytorch-fid resizes."""
    return F.interpolate(pictures.float() / 255, (SIDE, SIDE), mode="bilinear", align_corners=False) * 2 - 1


def beyond(last: int) -> tuple[str, ...]:
    """What the names of tensors begin with that only later taps, and the classifier, need."""
    later = _STAGES[CHANNELS.index(last) + 1 :]
    return (*(f"{name}." for stage in later for name in stage), "fc.")


class Inception(Taps):
    """As far as the tap of `last` channels: 64, 192, 768 or 2048. What lies beyond has no weights here."""

    def __init__(self, last: int = 2048) -> None:
        super().__init__()
        self.channels = CHANNELS[: CHANNELS.index(last) + 1]
        for stage in _STAGES[: len(self.channels)]:
            for name, build in stage.items():
                self.add_module(name, build())

    def walk(self, x: Tensor) -> Iterator[Tensor]:
        """The maps (B, C, h, w) of each tap; the features of a picture are their means over the places."""
        for number, stage in enumerate(_STAGES[: len(self.channels)]):
            for name in stage:
                x = self.get_submodule(name)(x)
            if number < 2:
                x = F.max_pool2d(x, 3, 2)
            yield x


class _Conv(nn.Module):
    """Convolution without a bias, batch norm, ReLU."""

    def __init__(
        self, channels: int, width: int, kernel: int | tuple[int, int], stride: int = 1, padding: bool = True
    ) -> None:
        super().__init__()
        height, across = (kernel, kernel) if isinstance(kernel, int) else kernel
        border = (height // 2, across // 2) if padding else (0, 0)
        self.conv = nn.Conv2d(channels, width, (height, across), stride, border, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _Branches(nn.Module):
    """Branches side by side; each is a row of convolutions whose names, but for a single one, count from 1."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__()
        self.branch_pool = _Conv(channels, pooled, 1)

    def _run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self.get_submodule(name)(x)
        return x


class _A(_Branches):
    """35 x 35 places: 1x1, 5x5 and two 3x3."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__(channels, pooled)
        self.branch1x1 = _Conv(channels, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = _Conv(channels, 48, 1), _Conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(channels, 64, 1), _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3)

    def forward(self, x: Tensor) -> Tensor:
        wide = self._run(x, "branch5x5_1", "branch5x5_2")
        twice = self._run(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return torch.cat([self.branch1x1(x), wide, twice, self.branch_pool(_average(x))], dim=1)


class _B(nn.Module):
    """From 35 x 35 to 17 x 17 places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = _Conv(channels, 384, 3, 2, padding=False)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(channels, 64, 1), _Conv(64, 96, 3)
        self.branch3x3dbl_3 = _Conv(96, 96, 3, 2, padding=False)

    def forward(self, x: Tensor) -> Tensor:
        twice = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), twice, F.max_pool2d(x, 3, 2)], dim=1)


class _C(_Branches):
    """17 x 17 places: 1x1, and 7x7 in rows and columns, once and twice."""

    def __init__(self, width: int) -> None:
        super().__init__(768, 192)
        row, column = (1, 7), (7, 1)
        self.branch1x1 = _Conv(768, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = _Conv(768, width, 1), _Conv(width, width, row)
        self.branch7x7_3 = _Conv(width, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = _Conv(768, width, 1), _Conv(width, width, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = _Conv(width, width, row), _Conv(width, width, column)
        self.branch7x7dbl_5 = _Conv(width, 192, row)

    def forward(self, x: Tensor) -> Tensor:
        once = self._run(x, *(f"branch7x7_{number}" for number in range(1, 4)))
        twice = self._run(x, *(f"branch7x7dbl_{number}" for number in range(1, 6)))
        return torch.cat([self.branch1x1(x), once, twice, self.branch_pool(_average(x))], dim=1)


class _D(nn.Module):
    """From 17 x 17 to 8 x 8 places."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = _Conv(768, 192, 1), _Conv(192, 320, 3, 2, padding=False)
        self.branch7x7x3_1, self.branch7x7x3_2 = _Conv(768, 192, 1), _Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = _Conv(192, 192, (7, 1)), _Conv(192, 192, 3, 2, padding=False)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, F.max_pool2d(x, 3, 2)], dim=1)


class _E(_Branches):
    """8 x 8 places: 1x1, and 3x3 split into a row and a column, once and twice."""

    def __init__(self, channels: int, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__(channels, 192)
        self.pool, row, column = pool, (1, 3), (3, 1)
        self.branch1x1, self.branch3x3_1 = _Conv(channels, 320, 1), _Conv(channels, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = _Conv(384, 384, row), _Conv(384, 384, column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = _Conv(channels, 448, 1), _Conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = _Conv(384, 384, row), _Conv(384, 384, column)

    def forward(self, x: Tensor) -> Tensor:
        once, twice = self.branch3x3_1(x), self._run(x, "branch3x3dbl_1", "branch3x3dbl_2")
        split = [self.branch3x3_2a(once), self.branch3x3_2b(once)]
        split += [self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)]
        return torch.cat([self.branch1x1(x), *split, self.branch_pool(self.pool(x))], dim=1)


def _largest(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, 1, 1)


_STAGES: tuple[dict[str, Callable[[], nn.Module]], ...] = (  # each ends at a tap
    {
        "Conv2d_1a_3x3": lambda: _Conv(3, 32, 3, 2, padding=False),
        "Conv2d_2a_3x3": lambda: _Conv(32, 32, 3, padding=False),
        "Conv2d_2b_3x3": lambda: _Conv(32, 64, 3),
    },
    {"Conv2d_3b_1x1": lambda: _Conv(64, 80, 1), "Conv2d_4a_3x3": lambda: _Conv(80, 192, 3, padding=False)},
    {
        "Mixed_5b": lambda: _A(192, 32),
        "Mixed_5c": lambda: _A(256, 64),
        "Mixed_5d": lambda: _A(288, 64),
        "Mixed_6a": lambda: _B(288),
        "Mixed_6b": lambda: _C(128),
        "Mixed_6c": lambda: _C(160),
        "Mixed_6d": lambda: _C(160),
        "Mixed_6e": lambda: _C(192),
    },
    {"Mixed_7a": _D, "Mixed_7b": lambda: _E(1280, _average), "Mixed_7c": lambda: _E(2048, _largest)},
)
