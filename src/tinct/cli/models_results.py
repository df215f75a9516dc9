"""`tinct models results`: the test pictures, coloured by a model, in Results/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np
import torch
from PIL import Image

from tinct import __version__, figures, zoo
from tinct.cli.common import chosen_values, console, device_option, progress, schema_options
from tinct.cli.pictures import ListedPictures, SetPictures, sampling_of, weights_file
from tinct.color import luma
from tinct.config import from_dict, leaves, override
from tinct.data.dataset import PreparedSet
from tinct.data.listing import pictures_in
from tinct.data.pictures import spread
from tinct.devices import chosen_device
from tinct.errors import ConfigError, OutputError
from tinct.evaluation import batches
from tinct.families import Colorizer
from tinct.files import replacing_folder, safe_name, workspace, write_json
from tinct.images import MAX_MEGAPIXELS, Samples
from tinct.photo import PhotoOptions, colour_batch
from tinct.training.folder import data_folder

MANIFEST = "results.json"
_BATCH = 32  # pictures held at once
_COLOURLESS = 4.0  # levels; a picture of no more spread is no truth to show
_SHEET_SIDE = 256  # px; larger pictures are shrunk for the sheet, those up to a third of it are doubled


@click.command()
@click.option("--model", "name", required=True, metavar="NAME|FILE", help="See `tinct models`.")
@click.option("--epoch", type=click.IntRange(min=1), metavar="N", help="Weights after this epoch (default: the best).")
@click.option(
    "--data", metavar="NAME", help="Prepared set whose test pictures are coloured (default: the model's own)."
)
@click.option("--images", metavar="DIR|ZIP", type=click.Path(path_type=Path), help="Colour these pictures instead.")
@click.option("--first", type=click.IntRange(min=1), metavar="N", help="Only the first N pictures.")
@click.option(
    "--num-images", type=click.IntRange(min=1), default=4, show_default=True, metavar="N",
    help="Pictures on the sheet, evenly spread over all.",
)  # fmt: skip
@schema_options(leaves(PhotoOptions()))
@device_option
def results(
    name: str,
    epoch: int | None,
    data: str | None,
    images: Path | None,
    first: int | None,
    num_images: int,
    device: str,
    **flags: Any,
) -> int:
    """Colour the test pictures with a model, into Results/NAME/: gray/, coloured/, truth/ and sheet.png.

    \b
    tinct models results --model first
    tinct models results --model first --epoch 40 --steps 50 --num-images 8
    tinct models results --model first --images holiday/ --first 100

    Results of an earlier call are replaced. The exit code is 1 if any picture could not be read.
    """
    if data and images:
        raise ConfigError("--data and --images: say only one of them")
    options = from_dict(PhotoOptions, override(PhotoOptions, {}, chosen_values(flags)))
    weights = weights_file(name, epoch)
    model = zoo.colorizer(zoo.load(str(weights))).to(chosen_device(device))
    pictures, source = _listed(images, first) if images else _tested(model, data, first)
    target = _target(model.name)
    with replacing_folder(target) as folder:
        count = _colour(pictures, model, options, folder, _Sheet(len(pictures), num_images))
        if not count:
            raise OutputError(f"{images}: none of the pictures can be read, so there are no results")
        facts = {"model": model.name, "weights": str(weights), "epoch": model.header.get("epoch"), "pictures": count}
        facts |= {"source": source, "seed": options.seed, **sampling_of(model, options)}
        write_json(folder / MANIFEST, {**facts, "tinct_version": __version__}, sync=True)
    console.print(f"{count} pictures of {source} coloured by {model.name} -> {target}", markup=False)
    return 1 if pictures.failed else 0


_Pictures = ListedPictures | SetPictures


def _listed(images: Path, first: int | None) -> tuple[_Pictures, str]:
    """The pictures of a folder or zip, and what they are in words."""
    return ListedPictures(pictures_in(images)[:first], MAX_MEGAPIXELS), str(images)


def _tested(model: Colorizer, data: str | None, first: int | None) -> tuple[_Pictures, str]:
    """The test pictures of the named set, else of the one that the model was trained on, and what they are in words."""
    name = data or model.header.get("data", {}).get("name")
    if not name:
        raise ConfigError(f"{model.name} does not say what it was trained on: add --data NAME or --images FOLDER")
    pictures = PreparedSet.open(data_folder(name), "test")
    return SetPictures(pictures, min(first or len(pictures), len(pictures))), f"the test part of {name}"


def _target(model: str) -> Path:
    """Where the results go; OutputError when something else lies there."""
    target = workspace() / "Results" / safe_name(model)
    if target.exists() and not (target.is_dir() and ((target / MANIFEST).is_file() or not any(target.iterdir()))):
        raise OutputError(f"{target}: holds files that `tinct models results` did not write. Move them away.")
    return target


class _Sheet:
    """Collects the pictures of the sheet: so many, evenly spread."""

    def __init__(self, total: int, count: int) -> None:
        self.places = set(np.linspace(0, total - 1, num=min(count, total), dtype=int).tolist())
        self.columns: dict[str, list[Samples]] = {"gray": [], "coloured": [], "truth": []}
        self.in_colour = False

    def add(self, number: int, row: Mapping[str, Samples], in_colour: bool) -> None:
        """Takes the picture of this number in, if it is one of the chosen."""
        if number in self.places:
            self.in_colour |= in_colour
            for column, picture in row.items():
                rgb = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
                self.columns[column].append(figures.reduced(rgb, _SHEET_SIDE))

    def write(self, path: Path) -> None:
        """Writes it; without a picture in colour there is no column of truth."""
        columns = {title: column for title, column in self.columns.items() if title != "truth" or self.in_colour}
        largest = max(max(picture.shape[:2]) for column in columns.values() for picture in column)
        figures.sheet(columns, path, scale=2 if 3 * largest <= _SHEET_SIDE else 1)


def _colour(pictures: _Pictures, model: Colorizer, options: PhotoOptions, folder: Path, sheet: _Sheet) -> int:
    """Writes every picture in gray and in colour, and as it was if that is in colour; how many they were."""
    count, taken = 0, set[str]()
    with progress(transient=True) as bar:
        task = bar.add_task("pictures", total=len(pictures))
        numbered = ((number, name, rgb) for number, (name, rgb) in enumerate(pictures))
        for batch in batches(numbered, _BATCH):
            grays = [luma(torch.from_numpy(rgb).permute(2, 0, 1)).squeeze(0).numpy() for *_, rgb in batch]
            coloured = colour_batch(model, grays, [options.seed + number for number, *_ in batch], options)
            for (number, name, rgb), gray, result in zip(batch, grays, coloured, strict=True):
                in_colour, place = spread(rgb) > _COLOURLESS, _free(name, taken)
                row = {"gray": gray, "coloured": result, "truth": rgb}
                for kind in row if in_colour else ("gray", "coloured"):
                    _save(row[kind], folder / kind / place)
                sheet.add(number, row, in_colour)
            count += len(batch)
            bar.update(task, completed=count + pictures.failed)
    if count:
        sheet.write(folder / "sheet.png")
    return count


def _free(name: str, taken: set[str]) -> PurePosixPath:
    """The picture's path as PNG; where another has that stem already, its suffix stays in the name."""
    path = PurePosixPath(name)
    place = path.with_suffix(".png")
    if str(place).lower() in taken:
        place = path.with_name(path.name + ".png")
    taken.add(str(place).lower())
    return place


def _save(picture: Samples, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
