"""The feature networks, and the published weight file of each: its name, hash and address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tinct.nets.inception import CHANNELS, Inception, beyond
from tinct.nets.taps import Taps, alexnet, squeezenet1_1, vgg16
from tinct.registry import Registry


@dataclass(frozen=True)
class Published:
    """A published weight file: its name, its SHA-256, where it lies and how large it is."""

    file: str
    sha256: str
    address: str
    megabytes: int = 0


@dataclass(frozen=True)
class FeatureNetwork:
    """A network, the file it is published in, and the smallest side in pixels of the pictures it takes.

    Keys of the file that begin with one of `unused` are not needed. A file in a folder that a user names is taken for this
    network's when its name fits one of `patterns`.
    """

    build: Callable[[], Taps]
    published: Published
    unused: tuple[str, ...]
    smallest_side: int
    patterns: tuple[str, ...]


FEATURES: Registry[FeatureNetwork] = Registry("feature network")

_TORCH = "https://download.pytorch.org/models/"
_SQUEEZENET = Published(
    "squeezenet1_1-b8a52dc0.pth",
    "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    _TORCH + "squeezenet1_1-b8a52dc0.pth",
    megabytes=5,
)
_VGG16 = Published(
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    _TORCH + "vgg16-397923af.pth",
    megabytes=553,
)
_ALEXNET = Published(
    "alexnet-owt-7be5be79.pth",
    "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    _TORCH + "alexnet-owt-7be5be79.pth",
    megabytes=244,
)
_INCEPTION = Published(
    "pt_inception-2015-12-05-6726825d.pth",
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    megabytes=96,
)
_BLOCK_5 = ("features.24.", "features.26.", "features.28.")

FEATURES.add("squeezenet1_1")(
    FeatureNetwork(squeezenet1_1, _SQUEEZENET, ("classifier.",), smallest_side=17, patterns=("squeezenet1_1*.pth",))
)
FEATURES.add("vgg16")(
    FeatureNetwork(vgg16, _VGG16, ("classifier.", *_BLOCK_5), smallest_side=8, patterns=("vgg16*.pth",))
)
FEATURES.add("vgg16-relu5_3")(
    FeatureNetwork(partial(vgg16, blocks=5), _VGG16, ("classifier.",), smallest_side=16, patterns=("vgg16*.pth",))
)
FEATURES.add("alexnet")(
    FeatureNetwork(alexnet, _ALEXNET, ("classifier.",), smallest_side=31, patterns=("alexnet*.pth",))
)
for _channels, _side in zip(CHANNELS, (11, 27, 43, 75), strict=True):
    FEATURES.add(f"inception-{_channels}")(
        FeatureNetwork(
            partial(Inception, _channels), _INCEPTION, beyond(_channels), smallest_side=_side,
            patterns=("*inception-2015-12-05*.pth", "fid_inception*.pth"),  # torch-fidelity's file of that name is the same
        )
    )  # fmt: skip
