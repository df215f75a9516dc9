"""The exported model against torch: agreement, size of files, loss of the variants, and time of the networks.

    python -m benchmarks.onnx [--model NAME] [--data ZIP] [--feature-weights DIR|FILE] [--first 500] [--runs 41]

Pictures are validation pictures (val_0 ... of Tiny ImageNet with a spread above 4 levels), coloured as `tinct colorize` does.
Times are of one pass, milliseconds, medians of runs in which all take turns, with as many threads as tinct gives them, one at
all of these sizes; torch works in float32, eager, channels last, as in tinct. "float16 arithmetic" is the graph with all of its
numbers in float16: it is not offered, and stands here to say why. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import operator
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.output_rules import Bench
from benchmarks.validation import missing, parser, validation, verdict
from tinct import runtimes, zoo
from tinct.families import Colorizer
from tinct.images import Samples
from tinct.level import Level
from tinct.metrics.colour import de2000
from tinct.photo import PhotoOptions
from tinct.photo.colouring import goes_alone
from tinct.runtimes.sessions import Session
from tinct.threads import on_one

SIZES = ((1, 64, 64), (1, 64, 96), (8, 64, 96), (1, 128, 192))  # batch, height and width of what the model sees
SHARE = 0.999  # of the pixels, that are to be within a level of torch's


def main() -> int:
    """Prints the tables and both targets; the exit code is 1 when one is missed."""
    arguments = parser(__doc__, feature_weights=True)
    arguments.add_argument("--first", type=int, default=500)
    arguments.add_argument("--runs", type=int, default=41)
    options = arguments.parse_args()
    model = zoo.colorizer(zoo.load(options.model))
    with tempfile.TemporaryDirectory() as folder:
        variants = exported(options.model, Path(folder))
        verdicts = timed(model, variants, options.runs)
        if not missing(options):
            truths = [*validation(options.data, options.first)]
            verdicts |= compared(Bench(model, truths, options.feature_weights), variants)
        else:
            print(f"{missing(options)[0]} is not there: no loss is measured.")
    return 0 if verdict(verdicts.items()) else 1


def exported(name: str, folder: Path) -> dict[str, Colorizer]:
    """The model in onnxruntime by variant, and a table of their files."""
    for precision in runtimes.PRECISIONS:
        for _ in runtimes.export(zoo.load(name), folder / precision, precision=precision):
            pass
    models = {
        precision: zoo.colorizer(runtimes.load(str(folder / precision), "onnx")) for precision in runtimes.PRECISIONS
    }
    half = "float16 arithmetic"
    models[half] = zoo.colorizer(runtimes.load(str(folder / "float32"), "onnx"))
    (folder / half).mkdir()
    for part in ("encoder", "denoiser"):
        setattr(models[half].network, part, Session(_in_float16(folder / "float32" / f"{part}.onnx", folder / half)))
    print(f"{'MB':24}{'encoder':>10}{'denoiser':>10}{'all':>10}")
    for variant in models:
        sizes = [(folder / variant / f"{part}.onnx").stat().st_size / 1e6 for part in ("encoder", "denoiser")]
        print(f"{variant:24}{sizes[0]:10.2f}{sizes[1]:10.2f}{sum(sizes):10.2f}")
    return models


def _in_float16(path: Path, folder: Path) -> Path:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    made = folder / path.name
    onnx.save(convert_float_to_float16(onnx.load(path), keep_io_types=True, disable_shape_infer=True), made)
    return made


def timed(model: Colorizer, variants: Mapping[str, Colorizer], runs: int) -> dict[str, bool]:
    """A table of the time of both networks at every size, and whether float32 is at least as fast as torch at each."""
    models, verdicts = {"torch float32": model, **variants}, {}
    print(f"\nmilliseconds, median of {runs}")
    for batch, height, width in SIZES:
        gray = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
        alone = goes_alone(model, gray.numel())
        threads = 1 if alone else torch.get_num_threads()
        for what, milliseconds in _interleaved(models, gray, runs, alone=alone).items():
            print(f"{what:9}{batch} x {height} x {width}, threads: {threads}")
            for name, value in milliseconds.items():
                print(f"    {name:22}{value:8.2f}{milliseconds['torch float32'] / value:8.2f}x")
            here = f"{what} at {batch} x {height} x {width}"
            taken = f"onnxruntime {milliseconds['float32']:.2f} ms, torch {milliseconds['torch float32']:.2f} ms"
            verdicts[f"{here}: {taken}"] = milliseconds["float32"] <= milliseconds["torch float32"]
    return verdicts


@torch.inference_mode()
def _interleaved(
    models: Mapping[str, Colorizer], gray: torch.Tensor, runs: int, *, alone: bool
) -> dict[str, dict[str, float]]:
    """Milliseconds by network and model."""
    within = on_one if alone else operator.call
    calls: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, one in models.items():
        network: Any = one.network
        features = network.encode(gray)
        x_t = torch.randn(len(gray), one.space.channels, *(side // network.reduction for side in gray.shape[2:]))
        level = Level(500.0, 0.3, 0.95).batched(x_t)
        calls["encoder", name] = partial(network.encode, gray)
        calls["denoiser", name] = partial(network, x_t, level, features)
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(runs + 2):  # the first two warm up
        for key, call in calls.items():
            started = time.perf_counter()
            within(torch.inference_mode()(call))
            seconds[key].append(time.perf_counter() - started)
    medians = {key: 1000 * statistics.median(values[2:]) for key, values in seconds.items()}
    return {what: {name: medians[what, name] for name in models} for what in ("encoder", "denoiser")}


def compared(bench: Bench, variants: Mapping[str, Colorizer]) -> dict[str, bool]:
    """A table of what the variants lose, against the truth and against torch, and whether float32 agrees with torch."""
    print(f"\n{len(bench.truths)} pictures; dE to torch is the mean CIEDE2000 between a variant's pictures and torch's")
    wanted, verdicts = bench.coloured(PhotoOptions()), {}
    bench.row("torch", wanted)
    for name, one in variants.items():
        bench.model = one
        made = bench.coloured(PhotoOptions())
        bench.row(name[:13], made)
        alike = _share_alike(wanted, made)
        apart = float(torch.cat([de2000(_tensor(a), _tensor(b)) for a, b in zip(wanted, made, strict=True)]).mean())
        print(f"{'':14}dE to torch {apart:.4f}, within 1 level at {alike:.4%} of the pixels")
        if name == "float32":
            verdicts[f"float32 within 1 level of torch at {alike:.4%} of the pixels, at least {SHARE:.1%}"] = (
                alike >= SHARE
            )
    return verdicts


def _share_alike(first: list[Samples], second: list[Samples]) -> float:
    apart = [np.abs(a.astype(int) - b).max(axis=-1).ravel() for a, b in zip(first, second, strict=True)]
    return float((np.concatenate(apart) <= 1).mean())


def _tensor(picture: Samples) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]


if __name__ == "__main__":
    sys.exit(main())
