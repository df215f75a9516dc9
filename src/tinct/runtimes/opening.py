"""An export read back: checked, and as a model like any other, whose network runs in onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from tinct import zoo
from tinct.errors import DataError, OutputError, WeightsError
from tinct.families import Colorizer
from tinct.files import read_json, safe_name, user_cache
from tinct.nets.features import sha256_of
from tinct.runtimes.description import FORMAT, NAME, VERSION, network_of
from tinct.runtimes.exporting import Exported, Written, export
from tinct.runtimes.sessions import RunDenoiser, onnxruntime

PARTS = ("encoder", "denoiser", "likeness")


def cache_folder() -> Path:
    """Where exports made on first use are kept: $XDG_CACHE_HOME/tinct/onnx, else ~/.cache/tinct/onnx."""
    return user_cache("onnx")


def is_export(path: Path) -> bool:
    """Whether the path is a folder with an export."""
    return (path / NAME).is_file()


def checked(folder: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The description and the files by part; WeightsError for what is damaged, lacks or was written for another version."""
    try:
        about = read_json(folder / NAME)
    except DataError as error:
        raise WeightsError(str(error)) from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise WeightsError(f"{folder / NAME}: is not that of an export by tinct")
    if about.get("version") != VERSION:
        raise WeightsError(
            f"{folder}: is of format {about.get('version')}, this version of tinct reads {VERSION}. Export the model again."
        )
    try:
        files = {part: folder / Path(about["files"][part]["file"]).name for part in PARTS}
        for part, path in files.items():
            _check(path, about["files"][part]["sha256"])
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{folder / NAME}: damaged ({type(error).__name__}: {error}). Export the model again."
        ) from None
    return about, files


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise WeightsError(f"{path}: is missing. Export the model again.")
    if sha256_of(path) != sha256:
        raise WeightsError(f"{path}: damaged: it does not have the checksum that {NAME} says. Export the model again.")


def opened(folder: Path) -> Colorizer:
    """The model of an export, ready for use. Its header is that of the weights, but for the checksum, which is of the graphs."""
    onnxruntime()
    about, files = checked(folder)
    header: Mapping[str, Any] = about.get("header") or {}
    model, trained = network_of(zoo.build(header, folder / NAME))
    try:
        encoder, picture = about["encoder"], about["picture"]
        network = RunDenoiser(
            files, reduction=picture["reduction"], multiple=picture["multiple"],
            features=encoder["features"], mean_place=encoder["mean"], jumps=trained.jumps,
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise WeightsError(
            f"{folder / NAME}: damaged ({type(error).__name__}: {error}). Export the model again."
        ) from None
    model.network = network
    model.name = str(about.get("name", folder.name))
    model.header = {**header, "sha256": "+".join(about["files"][part]["sha256"] for part in PARTS)}
    return model.eval().requires_grad_(False)


def on_first_use(name: str) -> Iterator[Written | Exported | Colorizer]:
    """The model of a name, exported into the cache unless it is there already: at last the model itself.

    A copy in the cache that is damaged is made anew. Two processes that want the same one wait for each other.
    """
    onnxruntime()
    weights = zoo.find(name)
    if not weights.is_file():
        raise WeightsError(f"{weights}: no such weights file")
    folder = cache_folder() / f"{safe_name(weights.stem)}-{sha256_of(weights)[:16]}"  # their header has the defaults
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be made: {error.strerror}. Export with `tinct export onnx`, and give that folder as --model."
        ) from None
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        try:
            model = opened(folder)
        except WeightsError:
            yield from export(zoo.load(name), folder)
            model = opened(folder)
        yield model
