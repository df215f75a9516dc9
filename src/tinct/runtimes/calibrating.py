"""What each graph meets when photographs are coloured: an 8-bit variant is made for the range of those numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage
from PIL import Image
from torch import Tensor

from tinct.families import Colorizer
from tinct.images import Samples
from tinct.level import Level
from tinct.nets import Denoiser
from tinct.nets.base import Features
from tinct.photo.colouring import PhotoOptions, drawn_chroma, seen_by
from tinct.runtimes.graphs import level_inputs
from tinct.runtimes.precision import Feeds

SHIPPED = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")  # with scikit-image


class _Listening(Denoiser):
    """A denoiser that keeps what it is given."""

    def __init__(self, network: Denoiser) -> None:
        super().__init__()
        self.network, self.reduction, self.multiple = network, network.reduction, network.multiple
        self.heard: dict[str, Feeds] = {"encoder": [], "denoiser": [], "likeness": []}

    def encode(self, gray: Tensor) -> Features:
        self._hear("encoder", {"gray": gray})
        return self.network.encode(gray)

    def mean(self, features: Features) -> Tensor | None:
        return self.network.mean(features)

    def forward(self, x_t: Tensor, level: Level, features: Features, labels: Tensor | None = None) -> Tensor:
        named = {f"feature_{index}": feature for index, feature in enumerate(features)}
        self._hear("denoiser", {"x_t": x_t, **level_inputs(level), **named})
        prediction: Tensor = self.network(x_t, level, features, labels)
        return prediction

    def _hear(self, part: str, inputs: dict[str, Tensor]) -> None:
        self.heard[part].append({name: value.contiguous().numpy() for name, value in inputs.items()})


def inputs_met(model: Colorizer, network: Denoiser) -> dict[str, Feeds]:
    """The inputs of each graph, in the model's own walk, over the photographs that come with scikit-image and parts of them."""
    listening = _Listening(network)
    model.network = listening
    try:
        for number, gray in enumerate(_photographs()):
            drawn_chroma(model, seen_by(model, gray), [number], PhotoOptions(draws=1))
    finally:
        model.network = network
    return listening.heard


def _photographs() -> Iterator[Samples]:
    """Gray, each whole and in quarters: 25."""
    for name in SHIPPED:
        image = Image.open(Path(skimage.__file__).parent / "data" / name).convert("L")
        gray: npt.NDArray[np.uint8] = np.asarray(image)
        top, left = gray.shape[0] // 2, gray.shape[1] // 2
        yield gray
        yield from (gray[rows, columns] for rows in _halves(top) for columns in _halves(left))


def _halves(middle: int) -> tuple[slice, slice]:
    return slice(0, middle), slice(middle, None)
