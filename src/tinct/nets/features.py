"""Feature networks that metrics and losses look through, and where their published weight files come from.

The networks carry the key names of the published files. A file is looked for where the user says, then in the user's
cache, and can be downloaded there with its hash enforced. One network is never used in place of another.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import pickle
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tinct.errors import WeightsError
from tinct.files import replacing
from tinct.registry import Registry


@dataclass(frozen=True)
class Published:
    """A published weight file: its name, its SHA-256 and where it lies."""

    file: str
    sha256: str
    address: str


class Taps(nn.Module):
    """A chain of layers whose outputs at `taps` are the features; `channels` says how many each of them has."""

    def __init__(self, layers: Sequence[nn.Module], taps: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps = tuple(taps)
        self.channels = tuple(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pictures (B, 3, H, W) in the network's own units -> the output (B, C, h, w) of each tap."""
        return tuple(self.walk(x))

    def walk(self, x: Tensor) -> Iterator[Tensor]:
        """The same, tap by tap, so that only one of them need be held."""
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                yield x


class Fire(nn.Module):
    """Squeeze to few channels, expand by 1x1 and 3x3 side by side (Iandola et al. 2016, 1602.07360, section 3.1)."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, 2 expanded, H, W)."""
        x = self.squeeze(x).relu_()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1).relu_()


def squeezenet1_1() -> Taps:
    """SqueezeNet 1.1 without its classifier, tapped where LPIPS taps it. The smallest side it takes is 17 pixels."""

    def pool() -> nn.Module:
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = [
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(inplace=True), pool()),
        *(Fire(64, 16, 64), Fire(128, 16, 64), pool()),
        *(Fire(128, 32, 128), Fire(256, 32, 128), pool()),
        *(Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ]
    return Taps(layers, taps=(1, 4, 7, 9, 10, 11, 12), channels=(64, 128, 256, 384, 384, 512, 512))


@dataclass(frozen=True)
class FeatureNetwork:
    """A network and the file it is published in; keys of the file that begin with `unused` are not needed."""

    build: Callable[[], Taps]
    published: Published
    unused: str


FEATURES: Registry[FeatureNetwork] = Registry("feature network")
FEATURES.add("squeezenet1_1")(
    FeatureNetwork(
        squeezenet1_1,
        Published(
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            "https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        ),
        unused="classifier.",
    )
)


class NotAvailable(WeightsError):
    """A published file that can't be had now."""


@dataclass(frozen=True)
class Loaded:
    """A feature network with its weights, frozen, and what is to be said about where they came from."""

    network: Taps
    label: str


@dataclass(frozen=True)
class Downloaded:
    """Bytes of `file` that have arrived, of `total` (None = the server does not say)."""

    file: str
    done: int
    total: int | None


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/tinct/weights, else ~/.cache/tinct/weights."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinct" / "weights"


def find(name: str, given: str | Path | None = None) -> Path | None:
    """The weight file of a network: at `given` (a folder or a file; else TINCT_FEATURE_WEIGHTS), else in the cache.

    None when it is in neither. WeightsError when `given` does not exist or is ambiguous, or the cached file is damaged.
    """
    published = FEATURES[name].published
    place = given or os.environ.get("TINCT_FEATURE_WEIGHTS")
    found = _given(name, Path(place)) if place else None
    if found:
        return found
    cached = cache_folder() / published.file
    if not cached.is_file():
        return None
    if sha256_of(cached) != published.sha256:
        raise WeightsError(f"{cached}: damaged (its hash is not the published one). Delete it to download it anew.")
    return cached


def how_to_get(published: Published) -> str:
    """What a user can do about a weight file that is not there."""
    return f"get {published.address} and give its folder with --feature-weights or TINCT_FEATURE_WEIGHTS"


def download(published: Published, folder: Path | None = None) -> Iterator[Downloaded]:
    """Fetches a published file into the cache (or `folder`); it appears there only when its hash is right.

    TINCT_FEATURE_ADDRESS names a mirror: the folder's address. NotAvailable when it can't be fetched or is another file.
    """
    mirror = os.environ.get("TINCT_FEATURE_ADDRESS")
    address = f"{mirror.rstrip('/')}/{published.file}" if mirror else published.address
    try:
        with replacing((folder or cache_folder()) / published.file) as temporary:
            yield from _fetch(address, temporary, published.file)
            _require_hash(temporary, published, address)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotAvailable(f"download from {address} failed: {error}") from None


def load(name: str, path: Path) -> Loaded:
    """The network with the weights of `path`, in evaluation mode, without gradients for its weights.

    WeightsError when the file can't be read, lacks a tensor, or has one of another shape or that is not finite.
    """
    entry = FEATURES[name]
    state = _read(path)
    network = entry.build()
    _check(path, name, state, network.state_dict(), entry.unused)
    network.load_state_dict({key: tensor for key, tensor in state.items() if not key.startswith(entry.unused)})
    return Loaded(network.eval().requires_grad_(False), _label(path, state, entry.published))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(name: str, place: Path) -> Path | None:
    """The file for `name` at a place that the user named: the published one first, else the one named like the network."""
    if place.is_file():
        others = [other for other in FEATURES if other != name and place.name.startswith(other)]
        return None if others else place
    if not place.is_dir():
        raise WeightsError(f"{place}: no such folder or file of feature weights")
    if (place / FEATURES[name].published.file).is_file():
        return place / FEATURES[name].published.file
    candidates = sorted(place.glob(f"{name}*.pth"))
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise WeightsError(f"{place}: several files could be {name}: {names}. Name the file itself.")
    return candidates[0] if candidates else None


def _fetch(address: str, path: Path, file: str) -> Iterator[Downloaded]:
    with urllib.request.urlopen(address, timeout=20) as response, path.open("wb") as target:
        total = response.headers.get("Content-Length")
        done = 0
        while block := response.read(1 << 16):
            target.write(block)
            done += len(block)
            yield Downloaded(file, done, int(total) if total else None)


def _require_hash(path: Path, published: Published, address: str) -> None:
    got = sha256_of(path)
    if got != published.sha256:
        raise NotAvailable(
            f"what {address} sent is not the published file: {path.stat().st_size:,} bytes with SHA-256 {got}, "
            f"expected {published.sha256}; nothing was kept"
        )


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd pickles: they end in an error of ours
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: not found") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path}: not a weight file that can be read: {reason}") from None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WeightsError(f"{path}: not a weight file: expected a table of tensors")
    return state


def _check(path: Path, name: str, state: dict[str, Tensor], wanted: dict[str, Tensor], unused: str) -> None:
    """WeightsError unless `state` has exactly the wanted tensors, besides those that are not needed."""
    missing = [key for key in wanted if key not in state]
    surplus = [key for key in state if key not in wanted and not key.startswith(unused)]
    if missing or surplus:
        what = f"lacks {missing[0]}" if missing else f"has {surplus[0]} besides"
        raise WeightsError(f"{path}: not the weights of {name}: it {what}")
    for key, tensor in wanted.items():
        if state[key].shape != tensor.shape:
            shapes = f"{tuple(state[key].shape)}, expected {tuple(tensor.shape)}"
            raise WeightsError(f"{path}: not the weights of {name}: {key} is {shapes}")
        if not state[key].isfinite().all():
            raise WeightsError(f"{path}: damaged: {key} holds values that are not finite")


def _label(path: Path, state: dict[str, Tensor], published: Published) -> str:
    """How a result names its extractor's weights."""
    if sha256_of(path) == published.sha256:
        return f"{published.file}, the published file (hash checked)"
    kernels = [tensor for tensor in state.values() if tensor.dim() == 4]
    rounded = all(torch.equal(kernel, kernel.half().to(kernel.dtype)) for kernel in kernels)
    return f"{path.name}, {'fp16-rounded ' if rounded else ''}file given by path (not the published one)"
