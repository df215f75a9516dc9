"""What commands share that colour many small pictures: reading them one by one, and how a model colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from tinct.cli.common import errors
from tinct.data.listing import ListedPicture
from tinct.errors import DataError
from tinct.families import Colorizer
from tinct.images import Samples, read_rgb
from tinct.photo import PhotoOptions

_OF_SAMPLING = ("steps", "sampler", "spacing", "eta", "temperature", "draws", "size")


class ListedPictures:
    """The listed pictures by name, read one by one; those that can't be read are said and counted in `failed`."""

    def __init__(self, listed: list[ListedPicture], max_megapixels: float) -> None:
        self.listed, self.max_megapixels, self.failed = listed, max_megapixels, 0

    def __len__(self) -> int:
        """Pictures that are listed, whether they can be read or not."""
        return len(self.listed)

    def __iter__(self) -> Iterator[tuple[str, Samples]]:
        for picture in self.listed:
            try:
                rgb = read_rgb(picture.read(), name=picture.name, max_megapixels=self.max_megapixels)
            except DataError as error:
                self.failed += 1
                errors.print(f"[red]failed[/red]  {escape(str(error))}")
                continue
            yield picture.name, rgb


def sampling_of(model: Colorizer, options: PhotoOptions) -> dict[str, Any]:
    """How the model colours: what was asked for, else its own defaults."""
    defaults = {"draws": model.draws, "size": model.working_size}
    own = {key: defaults.get(key, getattr(model.options, key, None)) for key in _OF_SAMPLING}
    given = {key: value for key, value in asdict(options).items() if value is not None}
    return {key: value for key in _OF_SAMPLING if (value := given.get(key, own[key])) is not None}
