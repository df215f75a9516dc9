"""The presentation is written, from the docs as they are."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]


def test_it_is_written_whole_with_its_pictures(tmp_path):
    command = [
        sys.executable,
        "examples/presentation.py",
        str(tmp_path / "build" / "tinct.pdf"),
        "--png",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pdf = (tmp_path / "build" / "tinct.pdf").read_bytes()
    pages = sorted(tmp_path.glob("*.png"))
    assert 8 <= len(pages) <= 12
    assert len(re.findall(rb"/Type /Page\b", pdf)) == len(pages)
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["tinct.pdf"]
    for number, least in {1: 0.2, 2: 0.15, 9: 0.2}.items():  # of the page is picture, not paper
        page = np.asarray(Image.open(pages[number - 1]).convert("RGB"))
        assert abs(page.shape[1] / page.shape[0] - 16 / 9) < 0.01
        assert (page < 250).any(axis=2).mean() > least
