"""The example of docs/extending.md is what it says: one file, and every command has the family."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import make_pictures

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


def test_the_example_is_the_one_that_is_printed():
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert EXAMPLE.read_text(encoding="utf-8") == text.partition("```python\n")[2].partition("```")[0]


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
