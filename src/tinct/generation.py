"""Pictures from noise, many of them: each from its own seed, in files that are whole or not there."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from tinct import __version__
from tinct.config import option, to_dict
from tinct.diffusion import Step
from tinct.errors import OutputError, WeightsError
from tinct.families import PictureGenerator, SamplingOptions, chosen_sampling, generators_for
from tinct.figures import Rgb
from tinct.files import replacing, sweep
from tinct.threads import alone

_NOTE = "tinct"  # the key of the text in a PNG that says how it was made


@dataclass(frozen=True)
class GenerateOptions(SamplingOptions):
    """How pictures are made; None is the model's own default."""

    label: int | None = option(
        None, "class of the pictures, 0 on; without it each picture's is drawn", low=0, high=2**31 - 1
    )
    guidance: float = option(
        1.0, "how far towards the class: 1 as learned, more = more typical, less varied", low=0.0, high=1000.0
    )
    seed: int = option(0, "another seed makes other pictures", low=0)


@dataclass(frozen=True)
class Made:
    """The k-th picture, k from 1, uint8 (H, W, 3); in a folder, the file it was written to, or lay in before."""

    number: int
    picture: Rgb
    path: Path | None = None
    before: bool = False


def generate(
    model: PictureGenerator,
    numbers: Sequence[int],
    options: GenerateOptions,
    batch_size: int = 100,
    at_once: int | None = None,
) -> Iterator[Made]:
    """Makes the pictures of these numbers in batches: each from the seed and its number alone.

    So many batches are made `at_once`, each on one thread: a CPU's default is torch's number of threads, as two threads
    that share a batch of small pictures mostly wait for each other.
    """
    if at_once is None:
        at_once = torch.get_num_threads() if next(model.parameters()).device.type == "cpu" else 1
    batches = [numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size)]
    for some, pictures in zip(batches, _side_by_side(model, batches, options, at_once), strict=True):
        yield from (Made(number, picture) for number, picture in zip(some, pictures, strict=True))


def _side_by_side(
    model: PictureGenerator, batches: Sequence[Sequence[int]], options: GenerateOptions, at_once: int
) -> Iterator[Iterable[Rgb]]:
    """The pictures of each batch, in order."""
    if min(at_once, len(batches)) < 2:
        yield from (_batch(model, some, options) for some in batches)
        return
    pool = alone(at_once, "pictures")
    try:
        under_way: deque[Future[Iterable[Rgb]]] = deque()
        for some in batches:
            under_way.append(pool.submit(_batch, model, some, options))
            if len(under_way) > at_once:
                yield under_way.popleft().result()
        yield from (batch.result() for batch in under_way)
    finally:
        pool.shutdown(cancel_futures=True)


@torch.inference_mode()
def _batch(model: PictureGenerator, numbers: Sequence[int], options: GenerateOptions) -> Iterable[Rgb]:
    *_, last = walk(model, numbers, options)
    return iter(as_pictures(model, last.x_0))


def walk(model: PictureGenerator, numbers: Sequence[int], options: GenerateOptions, **more: bool) -> Iterator[Step]:
    """The Steps of the pictures of these numbers, all at once; `more` is for the model's `sample`."""
    generators = generators_for([picture_seed(options.seed, number) for number in numbers])
    labels = _labels(model, numbers, options)
    chosen = chosen_sampling(model, options)
    return model.sample(generators=generators, labels=labels, guidance=options.guidance, **chosen, **more)


def _labels(model: PictureGenerator, numbers: Sequence[int], options: GenerateOptions) -> Tensor | None:
    """The classes (N,): the one that is asked for, else one of all, drawn from each picture's seed; None without classes."""
    if options.label is not None:
        return torch.full((len(numbers),), options.label)
    if not model.classes:
        return None
    seeds = (np.random.SeedSequence([options.seed, number, 1]) for number in numbers)
    return torch.tensor([np.random.default_rng(seed).integers(model.classes) for seed in seeds])


def as_pictures(model: PictureGenerator, x: Tensor) -> npt.NDArray[np.uint8]:
    """What x (B, C, H, W) in network units looks like, (B, H, W, 3); WeightsError where those are no numbers."""
    if not x.isfinite().all():
        raise WeightsError(f"model '{model.name}' makes no valid pictures: its weights or its training went wrong")
    pictures: npt.NDArray[np.uint8] = model.pictures(x).cpu().permute(0, 2, 3, 1).numpy()
    return pictures


def picture_seed(seed: int, number: int) -> int:
    """Of a picture's own noise: independent of every other picture's, and of those of other seeds."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def generate_into(
    folder: Path,
    model: PictureGenerator,
    count: int,
    options: GenerateOptions,
    *,
    batch_size: int = 100,
    at_once: int | None = None,
    replace: bool = False,
) -> Iterator[Made]:
    """Makes 00001.png and so on in a folder, RGB, and goes on where an earlier call was stopped: a record per picture.

    Each file says in its text how it was made. OutputError for one that was made otherwise, unless they may be replaced.
    """
    width = max(5, len(str(count)))
    paths = {number: folder / f"{number:0{width}d}.png" for number in range(1, count + 1)}
    note = _note(model, options)
    _check_alone(folder, set(paths.values()))
    there = [] if replace else [number for number, path in paths.items() if path.exists() and _is_ours(path, note)]
    yield from (Made(number, np.asarray(Image.open(paths[number])), paths[number], before=True) for number in there)
    rest = sorted(paths.keys() - set(there))
    for made in generate(model, rest, options, batch_size, at_once):
        path = paths[made.number]
        with replacing(path) as temporary:
            Image.fromarray(made.picture).save(temporary, "PNG", pnginfo=_as_text(note))
        yield Made(made.number, made.picture, path)


def _note(model: PictureGenerator, options: GenerateOptions) -> str:
    """What a picture depends on, besides its number."""
    facts = {"model": model.name, "weights": model.header.get("sha256"), "version": __version__}
    return json.dumps({**facts, **to_dict(options)}, sort_keys=True)


def _as_text(text: str) -> PngInfo:
    """The text as part of a PNG."""
    info = PngInfo()
    info.add_itxt(_NOTE, text)
    return info


def _is_ours(path: Path, note: str) -> bool:
    """True for a picture that was made in the same way; OutputError for any other file."""
    try:
        with Image.open(path) as image:
            image.load()
            found = image.info.get(_NOTE)
    except OSError:
        found = None
    if found != note:
        how = "made with other settings" if found else "not made by tinct"
        raise OutputError(f"{path}: is there, and {how}. Choose another --out, or --overwrite")
    return True


def _check_alone(folder: Path, paths: set[Path]) -> None:
    """OutputError for a folder with other pictures, which would be counted among those that are made here."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file. Choose another --out")
    sweep(folder, older_than=0)  # what a killed run left
    other = sorted(path for path in folder.glob("*.png") if path not in paths)
    if other:
        raise OutputError(f"{other[0]}: is none of the pictures asked for. Choose another --out, or a larger --num")
