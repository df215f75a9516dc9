"""The examples of docs/extending.md are what it says: one file each, and every command has it."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from itertools import pairwise
from math import log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from conftest import make_pictures
from tinct.data.sources import SOURCES
from tinct.diffusion import SAMPLERS, Schedule
from tinct.families import FAMILIES
from tinct.metrics import METRICS
from tinct.nets.base import PAINTERS

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "tone_family.py"
COMMANDS = """
import runpy, sys
from tinct.cli.main import main
runpy.run_path(sys.argv[1])
for line in sys.argv[2:]:
    try:
        code = main(line.split())
    except SystemExit as ended:
        code = ended.code
    assert not code, line
"""


# Every example, and the folder of the package where it is there.
PLACES = {
    "tone_family.py": "families",
    "ab2_sampler.py": "diffusion",
    "cifar_source.py": "data/sources",
    "chroma_metric.py": "metrics",
}


def test_the_examples_are_those_that_are_printed():
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    printed = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    assert sorted(printed) == sorted((ROOT / "examples" / name).read_text(encoding="utf-8") for name in PLACES)
    assert all(f"[`examples/{name}`](../examples/{name}); as a file in" in " ".join(text.split()) for name in PLACES)
    assert all(f"src/tinct/{place}/ it is there" in " ".join(text.split()) for place in PLACES.values())


def test_the_example_is_short():
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("import ", "from ", '"""'))]
    assert len(own) <= 30


@pytest.fixture(scope="module")
def printed(tmp_path_factory, trained_once) -> tuple[Path, str]:
    """A workspace in which the commands of the document were given, with the file beside the package; and their output."""
    folder = tmp_path_factory.mktemp("tones")
    (folder / "npzData").symlink_to(trained_once / "npzData")
    (folder / "holiday").mkdir()
    for number, rgb in enumerate(make_pictures(4, 32)[0]):
        Image.fromarray(rgb).save(folder / "holiday" / f"{number}.png")
        Image.fromarray(rgb).convert("L").save(folder / f"old-{number}.png")
    small = (
        "--set size=16 --set tones=8 --epochs 2+1 --batch-size 4 --learning-rate 0.1 --patience 0 --device cpu --yes"
    )
    commands = [
        f"--workspace . train --data toy --name tones --family tone {small}",
        f"--workspace . train --data toy --name game --family gan --backbone tones --discriminator-width 8 {small}",
        "--workspace . colorize old-0.png -o new.png --model tones --device cpu",
        "--workspace . evaluate --model tones --images holiday --metrics psnr,de2000 --json measured.json --device cpu",
    ]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(EXAMPLE), *commands], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_it_trains(printed):
    history = json.loads((printed[0] / "models" / "tones" / "training_history.json").read_text())
    assert len(history) == 3
    assert history[-1]["val_loss"] < history[0]["val_loss"] < 2
    assert "tone of 0.0M parameters, ycbcr" in printed[1]


def test_it_colours_and_keeps_the_light(printed):
    new, old = (Image.open(printed[0] / name) for name in ("new.png", "old-0.png"))
    assert (np.asarray(new.convert("L")) == np.asarray(old)).all()
    assert np.ptp(np.asarray(new).astype(int), axis=2).mean() > 2


def test_it_is_measured(printed):
    rows = {row["name"]: row["cells"] for row in json.loads((printed[0] / "measured.json").read_text())["rows"]}
    assert {"gray", "mean chroma", "tones"} <= rows.keys()


def test_its_backbone_serves_other_families_but_for_latent_vectors(printed):
    config = json.loads((printed[0] / "models" / "game" / "config.json").read_text())
    assert (config["family"], config["model"]["backbone"]) == ("gan", "tones")
    command = "--workspace . train --data toy --name no --family basicvae --backbone tones --set size=16 --yes"
    call = [sys.executable, "-c", COMMANDS, str(EXAMPLE), command]
    done = subprocess.run(call, cwd=printed[0], capture_output=True, text=True)
    assert "the backbone 'tones' takes no latent vector" in done.stderr
    assert done.returncode == 1


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A folder with the package, where every example lies as the document says."""
    folder = tmp_path_factory.mktemp("package")
    source = ROOT / "src" / "tinct"
    shutil.copytree(source, folder / "tinct", ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for name, place in PLACES.items():
        shutil.copy(ROOT / "examples" / name, folder / "tinct" / place)
    return folder


def called(package: Path, cwd: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package)}
    call = [sys.executable, "-c", script, *arguments]
    return subprocess.run(call, cwd=cwd, env=environment, capture_output=True, text=True)


IN_PACKAGE = COMMANDS.replace("runpy.run_path(sys.argv[1])\n", "").replace("sys.argv[2:]", "sys.argv[1:]")


@pytest.fixture(scope="module")
def used(package, tmp_path_factory, trained_once) -> Path:
    """A workspace in which commands used the sampler, the source and the metric."""
    folder = tmp_path_factory.mktemp("used")
    (folder / "models").symlink_to(trained_once / "models")
    (folder / "holiday").mkdir()
    rgb = make_pictures(4, 32)[0]
    for number, picture in enumerate(rgb):
        Image.fromarray(picture).save(folder / "holiday" / f"{number}.png")
    Image.fromarray(rgb[0]).convert("L").save(folder / "old.png")
    cifar(folder / "cifar-10-batches-bin")
    commands = [
        "--workspace . colorize old.png -o new.png --model tiny --sampler ab2 --steps 6 --device cpu",
        "--workspace . colorize old.png -o other.png --model tiny --sampler ddim --steps 6 --device cpu",
        "--workspace . samplers --model tiny --images holiday --samplers ab2,ddim --evaluations 2,4 --reference ddim:8"
        " --seeds 2 --metric de2000 --out walks --device cpu",
        "--workspace . import cifar10 --source cifar-10-batches-bin --name cifar --yes",
        "--workspace . prepare cifar --size 32 --processes 1 --yes",
        "--workspace . evaluate --model tiny --images holiday --metrics psnr,chroma-rmse --json measured.json --device cpu",
    ]
    done = called(package, folder, IN_PACKAGE, *commands)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


LABELS = ["airplane", "automobile", "bird", "cat"]


def cifar(folder: Path) -> None:
    """Eight pictures of four categories as CIFAR-10 has them: two files to train on, of three each, and one to test, of two."""
    folder.mkdir()
    rgb, labels = make_pictures(8, 32)
    records = [
        bytes([label]) + picture.transpose(2, 0, 1).tobytes() for picture, label in zip(rgb, labels, strict=True)
    ]
    for name, part in (("data_batch_1", records[:3]), ("data_batch_2", records[3:6]), ("test_batch", records[6:])):
        (folder / f"{name}.bin").write_bytes(b"".join(part))
    (folder / "batches.meta.txt").write_text("\n".join(LABELS) + "\n")


def test_the_sampler_colours_and_is_measured(used):
    old, new, other = (np.asarray(Image.open(used / name)) for name in ("old.png", "new.png", "other.png"))
    assert (np.asarray(Image.fromarray(new).convert("L")) == old).all()
    assert (new != other).any()  # from the same seed by another way
    walks = [point["walk"] for point in json.loads((used / "walks" / "samplers.json").read_text())["points"]]
    assert {(walk["sampler"], walk["evaluations"]) for walk in walks} >= {("ab2", 2), ("ab2", 4), ("ddim", 4)}


def test_the_source_is_imported_with_names_and_splits(used):
    rgb, labels = make_pictures(8, 32)
    metadata = json.loads((used / "imageData" / "cifar" / "import_metadata.json").read_text())
    assert (metadata["total_images"], metadata["splits"]) == (8, ["train", "test"])
    assert {key: stats["name"] for key, stats in metadata["category_stats"].items()} == dict(
        zip("0123", LABELS, strict=True)
    )
    for number, split, file in (
        (0, "train", "data_batch_1_00000"),
        (4, "train", "data_batch_2_00001"),
        (7, "test", "test_batch_00001"),
    ):
        label = labels[number]
        read = Image.open(used / "imageData" / "cifar" / split / f"{label}_{LABELS[label]}" / f"{file}.png")
        assert (np.asarray(read) == rgb[number]).all()
    assert np.load(used / "npzData" / "cifar" / "test.npz")["rgb"].shape == (2, 32, 32, 3)


def test_a_damaged_file_of_the_source_is_named(package, tmp_path):
    cifar(tmp_path / "cifar")
    (tmp_path / "cifar" / "test_batch.bin").write_bytes(b"12345")
    done = called(package, tmp_path, IN_PACKAGE, "--workspace . import cifar10 --source cifar --name broken --yes")
    assert "test_batch.bin is not a whole file of CIFAR-10" in done.stderr
    assert done.returncode == 1


def test_the_metric_is_that_of_pillows_chroma(used, examples):
    rows = {row["name"]: row["cells"] for row in json.loads((used / "measured.json").read_text())["rows"]}
    rgb = make_pictures(4, 32)[0]
    chroma = [np.asarray(Image.fromarray(one).convert("YCbCr"), dtype=float)[..., 1:] - 128 for one in rgb]
    wanted = np.mean([np.sqrt((one**2).mean()) for one in chroma])  # of whole levels, as Pillow has them
    assert rows["gray"]["chroma-rmse"]["mean"] == pytest.approx(wanted, abs=0.3)
    measure = examples["chroma_metric.py"]["chroma_rmse"]
    pictures = torch.from_numpy(rgb).permute(0, 3, 1, 2)
    assert torch.equal(measure(pictures, pictures), torch.zeros(4, dtype=torch.float64))
    shifted = pictures.clamp(10, 240)
    assert_close(measure(shifted, shifted + 7), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-9)  # light alone


@pytest.fixture
def examples(monkeypatch) -> dict[str, dict[str, Any]]:
    """What each example defines, registered for one test."""
    for registry in (FAMILIES, PAINTERS, SAMPLERS, SOURCES, METRICS):
        monkeypatch.setattr(registry, "_items", dict(registry))
    return {name: runpy.run_path(str(ROOT / "examples" / name)) for name in PLACES}


def test_the_sampler_is_of_order_2(examples):
    """On Gaussian data, mean 0 and deviation 1/2, whose path is known: x_t / alpha goes as sqrt(d^2 + s^2)."""
    schedule, d, errors = Schedule.named("cosine", 1000), 0.5, []
    for steps in (128, 256, 512):
        levels = [schedule.at_ratio(float(ratio)) for ratio in np.geomspace(2.0, 0.2, steps + 1)]
        first, last = levels[0], levels[-1]
        x_t = torch.full((1, 1, 1, 1), first.alpha, dtype=torch.float64)
        *_, end = examples["ab2_sampler.py"]["adams_bashforth_2"](
            lambda x, level: x * level.alpha * d**2 / (level.alpha**2 * d**2 + level.sigma**2), x_t, levels, randn=None
        )
        exact = last.alpha * sqrt((d**2 + last.ratio**2) / (d**2 + first.ratio**2))
        errors.append(abs(end.x_t.item() - exact))
    assert [log2(coarse / fine) for coarse, fine in pairwise(errors)] == pytest.approx([2, 2], abs=0.15)


def test_the_contract_of_samplers_goes_over_it(package, tmp_path):
    """As over every registered one, at 1, 2, 3, 30 and T steps."""
    script = "import sys, pytest\nsys.exit(pytest.main(sys.argv[1:]))"
    tests = str(ROOT / "tests" / "diffusion" / "test_samplers.py")
    done = called(package, tmp_path, script, tests, "-k", "ab2", "-p", "no:cacheprovider", "--rootdir", str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 40
