"""`tinct evaluate`: measures a model by what it does: colour, pictures from noise, or telling pictures apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tinct import zoo
from tinct.cli import evaluate_classification, evaluate_colour, evaluate_generation
from tinct.cli.common import device_option, schema_options
from tinct.cli.evaluate_generation import generation_options
from tinct.cli.kinds import Kind, batch_size, kind_of
from tinct.cli.measuring import measuring_options
from tinct.config import leaves
from tinct.devices import chosen_device
from tinct.families import Classifier, Colorizer, PictureGenerator, SamplingOptions
from tinct.photo import PhotoOptions

_SAMPLING = {leaf.path for leaf in leaves(SamplingOptions())}
_PHOTO = {leaf.path for leaf in leaves(PhotoOptions())}
_ALWAYS = {"name", "device", "batch_size", "out", "json_file"}


KINDS = (
    Kind(
        Colorizer, "colours", "--images DIR or --data NAME",
        {"data", "split", "images", "inside", "first", "min_spread", "names", "feature_weights", "seeds", "max_megapixels",
         "sheet", *_PHOTO},
        evaluate_colour.run,
    ),
    Kind(
        PictureGenerator, "does not colour, it makes pictures", "--stats FILE.npz or --stats data:NAME",
        {"stats", "num", "label", "guidance", "extractor", "feature_weights", "sheet", "seed", *_SAMPLING},
        evaluate_generation.run,
    ),
    Kind(
        Classifier, "does not colour, it tells pictures apart", "--data NAME",
        {"data", "split", "first"},
        evaluate_classification.run,
    ),
)  # fmt: skip


@click.command(context_settings={"max_content_width": 110})
@click.option("--model", "name", default="photo", show_default=True, metavar="NAME|FILE", help="See `tinct models`.")
@measuring_options()
@generation_options()
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write evaluation.json, .csv and .md, sheet.png and, of colour, pictures.csv here.",
)
@click.option("--sheet", metavar="FILE", type=click.Path(path_type=Path), help="Write a contact sheet of the first 24.")
@click.option("--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Write the figures as JSON.")
@device_option
@schema_options(leaves(PhotoOptions()))
def command(name: str, device: str, **given: Any) -> int:
    """Measure a model: one that colours on pictures in colour, beside the baselines that need none.

    \b
    tinct evaluate --images holiday/
    tinct evaluate --model first --data tiny
    tinct evaluate --model first --images set.zip --inside val/images --first 500 --out results/

    Each picture is made gray, coloured at its own size as `tinct colorize` does it, and compared with the original.
    The exit code is 1 if any picture could not be read.

    One that makes pictures, against real ones (see `tinct fid`); a classifier, on a part of a prepared set:

    \b
    tinct evaluate --model digits --stats mnist.npz --num 2000
    tinct evaluate --model judge --data mnist --split test
    """
    place, model = chosen_device(device), zoo.load(name)
    kind = kind_of(model, KINDS, _ALWAYS)
    given |= {"batch_size": batch_size(kind, given["batch_size"]), "weights": zoo.find(name)}
    code: int = kind.run(model.to(place), given, {key: given[key] for key in _PHOTO})
    return code
