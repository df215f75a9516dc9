"""Writes requirements.txt and environment.yml, from pyproject.toml and constraints.txt: `make requirements`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHON = "3.12"  # of the conda environment
HEAD = "# Made by `make requirements` from pyproject.toml and constraints.txt; change those."


def main() -> None:
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")


def files() -> dict[str, str]:
    """Both files' texts by their names. ValueError where a dependency has no version, or one that is too old."""
    lines = ["-c constraints.txt", *pins()]  # the constraints hold what these bring with them
    return {
        "requirements.txt": "\n".join([HEAD, *lines, ""]),
        "environment.yml": "\n".join([
            HEAD, "name: tinct", "channels:", "  - conda-forge", "dependencies:", f"  - python={PYTHON}", "  - pip", "  - pip:",
            *(f'      - "{line}"' for line in [*lines, "."]), "",
        ]),
    }  # fmt: skip


def pins() -> list[str]:
    """The dependencies of a plain tinct, `name==version`, as pyproject.toml has them in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = _versions((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    return [_pin(Requirement(text), versions) for text in project["dependencies"]]


def _versions(constraints: str) -> dict[str, str]:
    pairs = (line.partition("==") for line in constraints.splitlines() if "==" in line)
    return {canonicalize_name(name): version for name, _, version in pairs}


def _pin(wanted: Requirement, versions: dict[str, str]) -> str:
    version = versions.get(canonicalize_name(wanted.name))
    if version is None or not wanted.specifier.contains(version):
        raise ValueError(f"{wanted}: constraints.txt has {version or 'no version of it'}")
    return f"{wanted.name}=={version}"


if __name__ == "__main__":
    main()
