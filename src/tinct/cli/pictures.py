"""What commands share that colour many small pictures: reading them one by one, which weights, how a model colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape

from tinct import zoo
from tinct.cli.common import errors
from tinct.data.dataset import PreparedSet
from tinct.data.listing import ListedPicture
from tinct.errors import DataError, WeightsError
from tinct.families import Colorizer, ColouringOptions, Diffusing
from tinct.images import Samples, read_rgb
from tinct.photo import PhotoOptions
from tinct.training.folder import epoch_checkpoint, epoch_checkpoints, run_folder

_OF_SAMPLING = (*(item.name for item in fields(ColouringOptions)), "draws", "size")
_UNLESS_USUAL = ("saturation", "stretch")  # told where they are not their default


class ListedPictures:
    """The listed pictures by name, read one by one.

    Those that can't be read are counted in `failed` and said, unless `quiet`: when they are read once more.
    """

    def __init__(self, listed: list[ListedPicture], max_megapixels: float, *, quiet: bool = False) -> None:
        self.listed, self.max_megapixels, self.failed, self.quiet = listed, max_megapixels, 0, quiet

    def __len__(self) -> int:
        """Pictures that are listed, whether they can be read or not."""
        return len(self.listed)

    def __iter__(self) -> Iterator[tuple[str, Samples]]:
        for picture in self.listed:
            try:
                rgb = read_rgb(picture.read(), name=picture.name, max_megapixels=self.max_megapixels)
            except DataError as error:
                self.failed += 1
                if not self.quiet:
                    errors.print(f"[red]failed[/red]  {escape(str(error))}")
                continue
            yield picture.name, rgb


@dataclass(frozen=True)
class SetPictures:
    """The first so many pictures of a part of a prepared set, by number."""

    pictures: PreparedSet
    count: int
    failed: int = 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[str, Samples]]:
        yield from ((f"{number + 1:05d}", np.array(self.pictures.rgb[number])) for number in range(self.count))


def weights_file(name: str, epoch: int | None) -> Path:
    """The weights that are meant: the best of a model, or those after an epoch of a run."""
    if epoch is None:
        return zoo.find(name)
    folder = Path(name) if Path(name).is_dir() else run_folder(name)
    path = epoch_checkpoint(folder, epoch)
    if not path.is_file():
        there = ", ".join(path.stem.rpartition("_")[2] for path in epoch_checkpoints(folder))
        raise WeightsError(f"{path}: no such checkpoint. Epochs of {name} that are kept: {there or 'none'}.")
    return path


def sampling_of(model: Colorizer, options: PhotoOptions) -> dict[str, Any]:
    """How the model colours: what was asked for, else its own defaults."""
    defaults: dict[str, Any] = {"draws": model.draws, "size": model.working_size}
    if isinstance(model, Diffusing):
        way = model.way(options.steps, options.sampler, options.spacing)
        defaults |= dict(zip(("steps", "sampler", "spacing"), way, strict=True))
    own = {key: defaults.get(key, getattr(model.options, key, None)) for key in _OF_SAMPLING}
    given = {key: value for key, value in asdict(options).items() if value is not None}
    told = {key: value for key in _OF_SAMPLING if (value := given.get(key, own[key])) is not None}
    changed = {key: given[key] for key in _UNLESS_USUAL if given[key] != getattr(PhotoOptions, key)}
    return {**told, **changed}
