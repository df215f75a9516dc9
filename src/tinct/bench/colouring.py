"""The stages of colouring one photograph, JPEG in and out."""

from __future__ import annotations

import io
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tinct.bench.limits import ALL, CONVOLUTION, MEMORY, ONE, Limits, best, named
from tinct.bench.made import photograph
from tinct.bench.records import Limit, Stage, Table
from tinct.families import Colorizer
from tinct.images import Samples, read, write
from tinct.photo import Done, PhotoOptions, plan, run
from tinct.photo import colouring as work_of
from tinct.photo.colouring import drawn_chroma, drawn_here, full_size, goes_alone, seen_by

_QUALITY = 95


@dataclass
class _Part:
    """One of a model's stages: how often it was called, and what `read` grew by meanwhile."""

    calls: int = 0
    total: float = 0.0


def colouring(model: Colorizer, sizes: Sequence[tuple[int, int]], limits: Limits, rounds: int = 5) -> Iterator[Table]:
    """A table for each size, (width, height): medians of so many rounds, after a first one."""
    with tempfile.TemporaryDirectory() as folder:
        for width, height in sizes:
            source, target = Path(folder) / "photograph.jpg", Path(folder) / "coloured.jpg"
            photograph((width, height)).save(source, quality=_QUALITY)
            whole = median([_whole(model, source, target) for _ in range(rounds + 1)][1:])
            taken = [_taken(model, source, target) for _ in range(rounds + 1)][1:]
            seconds = {name: median(row[name] for row in taken) for name in taken[0]}
            stages = _stages(model, source, seconds, limits)
            yield Table(f"a photograph of {width} x {height}", stages, whole)


def _whole(model: Colorizer, source: Path, target: Path) -> float:
    """Seconds of `tinct colorize` on the file, the model loaded."""
    target.unlink(missing_ok=True)  # what was written stage by stage is not known as tinct's, and would be left alone
    todo, work = plan([source], target, label="colour"), work_of(model, PhotoOptions())
    started = time.perf_counter()
    (record,) = run(todo, work)
    seconds = time.perf_counter() - started
    assert isinstance(record, Done), record
    return seconds


def _taken(model: Colorizer, source: Path, target: Path) -> dict[str, float]:
    """Seconds of each stage of one colouring; those of the model's own stages are "model.NAME"."""
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    picture = read(source)
    mark()
    seen = seen_by(model, picture.gray, picture.tone)
    mark()
    with gauged(model, time.perf_counter) as parts:
        chroma = drawn_chroma(model, seen, [0], PhotoOptions())[0, 0]
    mark()
    rgb = full_size(picture.gray, chroma)
    mark()
    write(rgb, target, picture, quality=_QUALITY)
    mark()
    names = ("decode", "reduce", "model", "compose", "encode")
    taken = {name: end - begin for name, begin, end in zip(names, marks[:-1], marks[1:], strict=True)}
    own = {f"model.{name}": part.total for name, part in parts.items()}
    return {**taken, **own, "model": taken["model"] - sum(own.values())}


def _stages(model: Colorizer, source: Path, seconds: dict[str, float], limits: Limits) -> list[Stage]:
    """Each stage beside the limit that binds it."""
    picture = read(source)
    pixels, seen = picture.gray.size, seen_by(model, picture.gray)
    threads = ONE if goes_alone(model, seen.numel()) else ALL
    memory, convolution = limits[named(MEMORY, ONE)], limits[named(CONVOLUTION, "float32", threads)]
    with FlopCounterMode(display=False) as counter, gauged(model, lambda: float(counter.get_total_flops())) as parts:
        chroma = drawn_here(model, seen, [0], PhotoOptions())[0, 0]
    own = [
        Stage.bound(f"network: {name}, {part.calls} times", seconds[f"model.{name}"], part.total, convolution)
        for name, part in parts.items()
    ]
    rgb = full_size(picture.gray, chroma)
    return [
        Stage.bound("decode", seconds["decode"], pixels, Limit("Pillow, decoding", _decoding(source, pixels), "MP/s")),
        Stage.bound("reduce to the working size", seconds["reduce"], pixels, memory),
        *own,
        Stage("steps between the network's, noise", seconds["model"]),
        Stage.bound(
            "bring up, compose", seconds["compose"], 4 * pixels, limits[named(MEMORY, ALL)]
        ),  # gray in, RGB out
        Stage.bound("encode", seconds["encode"], pixels, Limit("Pillow, encoding", _encoding(rgb), "MP/s")),
    ]


def _decoding(source: Path, pixels: int) -> float:
    """Pixels a second that Pillow decodes of the file's bytes."""
    data = source.read_bytes()
    return pixels / best(lambda: Image.open(io.BytesIO(data)).load())


def _encoding(rgb: Samples) -> float:
    """Pixels a second that Pillow encodes as they are written here, into memory."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    seconds = best(lambda: image.save(io.BytesIO(), "JPEG", quality=_QUALITY, subsampling=0))
    return image.width * image.height / seconds


@contextmanager
def gauged(model: Colorizer, read: Callable[[], float]) -> Iterator[dict[str, _Part]]:
    """How often each of the model's stages is called in the block, and by how much `read` grows in its calls."""
    names = {module: name.rpartition(".")[2] for name, module in model.named_modules()}
    parts, begun = defaultdict[str, _Part](_Part), dict[nn.Module, float]()

    def enter(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        begun[module] = read()

    def leave(module: nn.Module, given: tuple[Tensor, ...], result: object) -> None:
        part = parts[names[module] or "model"]
        part.calls, part.total = part.calls + 1, part.total + read() - begun[module]

    handles = [
        handle
        for stage in model.stages()
        for handle in (stage.register_forward_pre_hook(enter), stage.register_forward_hook(leave))
    ]
    try:
        yield parts
    finally:
        for handle in handles:
            handle.remove()
