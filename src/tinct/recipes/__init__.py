"""Recipe files that ship: the settings of each published system, and of the bundled models, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinct.config import load_toml
from tinct.errors import unknown

SHIPPED = Path(__file__).parent


def names() -> list[str]:
    """The recipes that ship."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load(name: str) -> dict[str, Any]:
    """The values of a recipe: a shipped one by name, or a TOML file by path."""
    if name.endswith(".toml"):
        return load_toml(Path(name))
    if name not in names():
        raise unknown("recipe", name, names())
    return load_toml(SHIPPED / f"{name}.toml")


def title(name: str) -> str:
    """What a shipped recipe is, in a line: the comment that it begins with."""
    return (SHIPPED / f"{name}.toml").read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
