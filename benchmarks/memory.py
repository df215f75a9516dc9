"""Storage and memory, as the tables of docs/memory.md: prepared sets, models, training steps.

    python -m benchmarks.memory [--only sets|models|training] [--pictures 400] [--feature-weights DIR]

Sets are prepared by `tinct prepare` from pieces of scikit-image's photographs. Each training step is taken in a process of its
own, on the CPU and not compiled, by the recipe's own batches on made pictures; a loss whose network's weights are not there is
not measured, and its row says so. What a step takes depends on nothing in the pictures but their size.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data as photographs

from tinct import recipes
from tinct.cli.train_plan import settings
from tinct.config import from_dict, merge, override
from tinct.families import FAMILIES
from tinct.files import write_json
from tinct.nets import features
from tinct.training import cost
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run

STEPS = 2  # of training: in the second the optimizer has its moments
SIDE = 256  # px, of what is prepared
SIZES, NORMALIZATIONS = (32, 64, 128), {"none": 1, "01": 4, "-11": 4}  # bytes of a number in the NPZ
SECOND_STAGE = ("epochs=1", "perceptual.from_stage=1", "adversarial.from_stage=1")  # what it is made of, at once
ROWS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(recipes.names(), ()),
    "two-stage": SECOND_STAGE,
    "perceptual, through SqueezeNet": ("perceptual.network=squeezenet",),
    "two-stage, through SqueezeNet": ("perceptual.network=squeezenet", *SECOND_STAGE),
}


def main() -> int:
    """Prints the tables; the number of rows that could not be measured for another reason than absent weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("sets", "models", "training"))
    parser.add_argument("--pictures", type=int, default=400, help="of the prepared sets")
    parser.add_argument("--feature-weights", type=Path, help="default: TINCT_FEATURE_WEIGHTS, the cache")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(training(options.case, options.feature_weights)))
        return 0
    if options.only in (None, "sets"):
        table(sets(options.pictures))
    if options.only in (None, "models"):
        table(models())
    return table(trainings(options.feature_weights)) if options.only in (None, "training") else 0


def table(rows: Iterator[tuple[str, ...]]) -> int:
    """Prints rows as Markdown, the first one as their titles; how many say that they failed."""
    failed = 0
    for number, row in enumerate(rows):
        failed += row[1].startswith("failed")
        print(f"| {' | '.join(row)} |", *(["|" + "---|" * len(row)] if not number else []), sep="\n", flush=True)
    print()
    return failed


def sets(count: int) -> Iterator[tuple[str, ...]]:
    """What prepared sets of so many pictures take: in memory as the arrays' shapes say, on the disk as measured."""
    yield "size, px", "`--normalize`", "in memory, per picture", "train.npz, per picture", "store, per picture"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "source").mkdir()
        for number, piece in enumerate(pieces(count, SIDE)):
            Image.fromarray(piece).save(f"{folder}/source/{number}.jpg", quality=95)
        command(folder, "import", "folder", "--source", f"{folder}/source", "--name", "made", "--max-size-mb", "10000")
        for size in SIZES:
            for normalize, width in NORMALIZATIONS.items():
                command(folder, "prepare", "made", "--size", str(size), "--normalize", normalize, "--test-size", "0")
                set_ = Path(folder) / "npzData" / "made"
                files = [(set_ / "train.npz").stat().st_size, (set_ / "train.rgb.npy").stat().st_size]
                files[1] += (set_ / "train.labels.npy").stat().st_size
                sizes = (4 * width * size**2 + 8, *(round(bytes_ / count) for bytes_ in files))
                yield str(size), f"`{normalize}`", *(f"{bytes_:,} B" for bytes_ in sizes)


def pieces(count: int, side: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Squares of photographs, (side, side, 3), each another one."""
    whole = [getattr(photographs, name)() for name in ("astronaut", "coffee", "chelsea")]
    random = np.random.default_rng(0)
    for number in range(count):
        photograph = whole[number % 3]
        top, left = (int(random.integers(0, length - side + 1)) for length in photograph.shape[:2])
        yield photograph[top : top + side, left : left + side]


def command(workspace: str, *arguments: str) -> None:
    """Runs tinct, quietly."""
    call = [sys.executable, "-m", "tinct", "--workspace", workspace, *arguments, "--yes"]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)


def models() -> Iterator[tuple[str, ...]]:
    """Parameters of each recipe's and each family's model, and their size."""
    yield "model", "parameters", "in float32", "in float16, as exported"
    named = {f"recipe `{name}`": configured(name) for name in recipes.names()}
    for family in FAMILIES:
        named[f"family `{family}`"] = from_dict(TrainConfig, {"family": family})
    for name, config in named.items():
        parameters = sum(one.numel() for one in FAMILIES[config.family].build(config.model).parameters())
        yield name, f"{parameters:,}", f"{4 * parameters / 1e6:.1f} MB", f"{2 * parameters / 1e6:.1f} MB"


def configured(row: str) -> TrainConfig:
    """The training of a row: one epoch of its recipe on the CPU, not compiled; tuning starts from `photo`."""
    recipe = row.partition(",")[0]
    base = "photo" if "endpoint" in recipes.load(recipe).get("loss", {}) else None
    own = {"training": {"device": "cpu", "compile": False, "patience": 0, "sample_every": 1000}}
    return from_dict(TrainConfig, override(TrainConfig, merge(settings(recipe, base), own), ROWS[row]))


def trainings(feature_weights: Path | None) -> Iterator[tuple[str, ...]]:
    """What a step of each recipe takes, one process after the other."""
    yield (
        "recipe",
        "picture, px",
        "batch",
        "precision",
        "before the first step",
        "at most",
        "of it in the steps",
        "checkpoint",
    )
    for row in ROWS:
        call = [sys.executable, "-m", "benchmarks.memory", "--case", row]
        call += ["--feature-weights", str(feature_weights)] if feature_weights else []
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        said = json.loads(done.stdout.splitlines()[-1]) if not done.returncode else {"failed": done.stderr[-200:]}
        title = f"`{row}`" if row in recipes.names() else f"`{row.replace(',', '`,', 1)}"
        yield title, *cells(said)


def cells(said: Mapping[str, Any]) -> tuple[str, ...]:
    """A row but its title."""
    if "before" not in said:
        return tuple([f"{name}: {reason}" for name, reason in said.items()] + [""] * 6)
    before, most = (f"{said[name] / 1e6:,.0f} MB" for name in ("before", "most"))
    steps, kept = (f"{bytes_ / 1e6:,.0f} MB" for bytes_ in (said["most"] - said["before"], said["checkpoint"]))
    return str(said["size"]), str(said["batch"]), said["precision"], before, most, steps, kept


def training(row: str, feature_weights: Path | None) -> dict[str, Any]:
    """Takes some steps in this process; what it had in memory before the first of them and at most, and of a checkpoint."""
    config = configured(row)
    for network in config.loss.feature_networks():
        if features.find(network, feature_weights) is None:
            return {"not measured": f"{features.FEATURES[network].published.file} is not there"}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set"
        made(data, 2 * STEPS * config.training.batch_size, config.model.size)
        run = Run.new(Path(folder) / "run", data, config, feature_weights=feature_weights)
        before = cost.peak_memory()
        taken = 0
        for record in run.trainer.run():
            taken += isinstance(record, StepDone)
            if taken == STEPS:
                break
        kept = sum(cost.storages(run.trainer.state()).values())
    precision = "bfloat16" if run.trainer.accelerator.mixed_precision == "bf16" else "float32"
    return {"size": config.model.size, "batch": config.training.batch_size, "precision": precision, "before": before,
            "most": cost.peak_memory(), "checkpoint": kept}  # fmt: skip


def made(folder: Path, count: int, side: int) -> None:
    """A prepared set without NPZ."""
    folder.mkdir()
    np.save(folder / "train.rgb.npy", np.stack(list(pieces(count, side))))
    np.save(folder / "train.labels.npy", np.zeros(count, dtype=np.int64))
    metadata = {"categories": ["pieces"], "normalization": "none", "train_samples": count}
    write_json(folder / "metadata.json", metadata)


if __name__ == "__main__":
    sys.exit(main())
