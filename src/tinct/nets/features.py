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
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import torch
from torch import Tensor

from tinct.errors import WeightsError
from tinct.files import replacing, user_cache
from tinct.nets.published import FEATURES, FeatureNetwork, Published
from tinct.nets.taps import Taps

__all__ = [
    "FEATURES", "Downloaded", "FeatureNetwork", "Loaded", "NotAvailable", "Published", "cache_folder", "download",
    "find", "load", "obtain", "sha256_of",
]  # fmt: skip

_COUNTERS = ".num_batches_tracked"  # of batch norm: some files have them, nobody needs them


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
    return user_cache("weights")


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


def obtain(name: str, given: str | Path | None = None) -> Generator[Downloaded, None, Path]:
    """The weight file of a network, as `find` finds it, else downloaded into the cache; the records tell of the download.

    NotAvailable says which file is missing and what can be done about it.
    """
    published = FEATURES[name].published
    path = find(name, given)
    try:
        if path is None:
            yield from download(published)
    except NotAvailable as error:
        how = f"get {published.address} and give its folder with --feature-weights or TINCT_FEATURE_WEIGHTS"
        raise NotAvailable(f"not available: {published.file} ({error}). To have it, {how}.") from None
    return path or cache_folder() / published.file


def load(name: str, path: Path) -> Loaded:
    """The network with the weights of `path`, in evaluation mode, without gradients for its weights.

    WeightsError when the file can't be read, lacks a tensor, or has one of another shape or that is not finite.
    """
    entry = FEATURES[name]
    state = _read(path)
    network = entry.build()
    state = {key: tensor for key, tensor in state.items() if not _is_unused(key, entry)}
    _check(path, name, state, _needed(network))
    network.load_state_dict(state, strict=False)  # without the counters
    return Loaded(network.eval().requires_grad_(False), _label(path, state, entry.published))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(name: str, place: Path) -> Path | None:
    """The file for `name` at a place that the user named: the published one first, else the one that is named like it."""
    if place.is_file():
        return place if _is_meant(place, name) else None
    if not place.is_dir():
        raise WeightsError(f"{place}: no such folder or file of feature weights")
    if (place / FEATURES[name].published.file).is_file():
        return place / FEATURES[name].published.file
    candidates = [path for path in sorted(place.iterdir()) if _is_named(path, name) and _is_meant(path, name)]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates)
        raise WeightsError(f"{place}: several files could be {name}: {names}. Name the file itself.")
    return candidates[0] if candidates else None


def _is_named(path: Path, name: str) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in FEATURES[name].patterns)


def _is_meant(path: Path, name: str) -> bool:
    """False when the file's name, or else what is in it, says that it is another network's; True when nothing says so."""
    if path.name == FEATURES[name].published.file:
        return True
    named = [other for other in FEATURES if _is_named(path, other)]
    if named and name not in named:
        return False
    try:
        state = _read(path)
    except WeightsError:
        return True  # `load` says what is wrong with it
    with torch.device("meta"):  # for their tensors' names alone
        networks = {other: FEATURES[other].build() for other in named or FEATURES}
    fitting = [other for other, network in networks.items() if _needed(network).keys() <= state.keys()]
    return not fitting or name in fitting


def _is_unused(key: str, entry: FeatureNetwork) -> bool:
    return key.startswith(entry.unused) or key.endswith(_COUNTERS)


def _needed(network: Taps) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in network.state_dict().items() if not key.endswith(_COUNTERS)}


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


def _check(path: Path, name: str, state: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """WeightsError unless `state` has exactly the wanted tensors."""
    missing = [key for key in wanted if key not in state]
    surplus = [key for key in state if key not in wanted]
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
