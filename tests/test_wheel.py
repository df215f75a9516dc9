"""The wheel and the sdist: what they hold, and that the wheel works on its own, offline, in a clean environment."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import tinct as source

ROOT = Path(__file__).parents[1]
LARGEST = 60_000_000  # bytes
NOT_COPIED = (".*", "build", "dist", "*.egg-info", "__pycache__", "imageData", "npzData", "models", "Results")
OFFLINE = '''"""Refuses every connection to another machine."""
import socket

def refuse(self, address, real=socket.socket.connect):
    if self.family != getattr(socket, "AF_UNIX", None):
        raise OSError(f"no network here: {address}")
    return real(self, address)

socket.socket.connect = refuse
'''


def run(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    inherited = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "TINCT_WORKSPACE")}
    done = subprocess.run(
        arguments, cwd=cwd, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, tree: Path, into: Path) -> Path:
    """The one file that a build of this kind, wheel or sdist, of a source tree makes."""
    run(sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", into, tree, cwd=tree)
    (made,) = into.iterdir()
    return made


def content(wheel: Path) -> dict[str, str]:
    """The digest of each file in it, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, so that nothing is left in it, and nothing that was left in it is built."""
    copy = tmp_path_factory.mktemp("source") / "tree"
    return Path(shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED)))


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tree, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, of Python 3.11 if there is one, with the wheel and what pip brings for it."""
    folder = tmp_path_factory.mktemp("clean")
    python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11") or sys.executable
    run(python, "-m", "venv", folder / "venv", cwd=folder)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return programs


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST
    names = content(wheel)
    info = f"tinct-{source.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"tinct", info}
    assert {"tests", "docs", "benchmarks", "examples"}.isdisjoint(part for name in names for part in name.split("/"))
    package = Path(source.__file__).parent
    there = {path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in names if name.startswith("tinct/")} == {
        f"tinct/{path.relative_to(package).as_posix()}" for path in there
    }
    assert {
        "tinct/py.typed",
        "tinct/recipes/photo.toml",
        "tinct/zoo/photo.md",
        "tinct/zoo/photo.safetensors",
    } <= names.keys()
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= names.keys()


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not (unpacked / "tests").exists()
    assert {"LICENSE", "NOTICE", "CITATION.cff", "constraints.txt", "README.md"} <= {
        path.name for path in unpacked.iterdir()
    }
    (tmp_path / "again").mkdir()
    assert content(build("wheel", unpacked, tmp_path / "again")) == content(wheel)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_colours_a_photograph_offline_in_a_clean_environment(clean: Path, tmp_path: Path) -> None:
    (tmp_path / "offline").mkdir()
    (tmp_path / "offline" / "sitecustomize.py").write_text(OFFLINE)
    scan = Image.fromarray(skimage.data.camera())
    scan.save(tmp_path / "scan.png")

    def in_it(*arguments: str) -> str:
        """No cache, no network, none of our source."""
        alone = {
            "PYTHONPATH": str(tmp_path / "offline"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "HOME": str(tmp_path),
        }
        return run(clean / arguments[0], *arguments[1:], cwd=tmp_path, **alone)

    refused = "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9))\nexcept OSError as error:\n    print(error)"
    assert "no network here" in in_it("python", "-c", refused)
    where = in_it("python", "-c", "import tinct; print(tinct.__file__)").strip()
    assert Path(where).resolve().is_relative_to(clean.parent.resolve())
    assert Path(where).with_name("py.typed").is_file()
    assert source.__version__ in in_it("tinct", "--version")
    assert "photo" in in_it("tinct", "models", "list")
    assert "classic" in in_it("tinct", "train", "--help")
    in_it("tinct", "colorize", "scan.png", "-o", "coloured.png")
    coloured = Image.open(tmp_path / "coloured.png")
    assert coloured.convert("L").tobytes() == scan.tobytes()
    assert np.ptp(np.asarray(coloured, dtype=int), axis=2).mean() > 1  # levels: it is in colour
