"""The models that may be asked for, and what a worker holds of them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from tinct import zoo
from tinct.devices import chosen_device
from tinct.errors import TinctError, unknown
from tinct.families import Colorizer, Model, PictureGenerator

_WARM = 3  # models that stay loaded per worker


class Tools:
    """What a worker has: its device, and the models that it used last, loaded on it."""

    def __init__(self, device: str, models: Models) -> None:
        self.device, self.models = chosen_device(device), models
        self._loaded: OrderedDict[tuple[Path, int], Model] = OrderedDict()
        zoo.colorizer(self.model(models.default))

    def model(self, name: str) -> Model:
        """The model of that name, loaded anew only when its file has changed."""
        path = self.models.path(name)
        key = path, path.stat().st_mtime_ns if path.exists() else 0
        if key not in self._loaded:
            self._loaded[key] = zoo.load(str(path)).to(self.device)
            while len(self._loaded) > _WARM:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]


class Models:
    """The models that may be asked for, by name alone: those of the zoo, and the one that the server was started with."""

    def __init__(self, default: str) -> None:
        self._own = {} if default in zoo.available() else {_name(zoo.find(default)): zoo.find(default)}
        self.default = next(iter(self._own), default)
        self._described: dict[tuple[Path, int], dict[str, Any]] = {}

    def names(self) -> dict[str, Path]:
        """Every name with its file."""
        return {**zoo.available(), **self._own}

    def path(self, name: str) -> Path:
        """The file of a name; UnknownName for every other text, paths too."""
        names = self.names()
        if name not in names:
            raise unknown("model", name, names)
        return names[name]

    def described(self) -> list[dict[str, Any]]:
        """What each model is and says of itself."""
        return [self._description(name, path) for name, path in self.names().items()]

    def _description(self, name: str, path: Path) -> dict[str, Any]:
        key = path, path.stat().st_mtime_ns
        if key not in self._described:
            self._described[key] = _facts(path)
        return {"name": name, "default": name == self.default, **self._described[key]}


def _facts(path: Path) -> dict[str, Any]:
    try:
        model = zoo.load(str(path))
    except TinctError as error:  # one of the user's own that is damaged: the others are there
        return {"error": str(error)}
    card = path.with_suffix(".md")
    return {
        "family": model.header.get("family"),
        "colours": isinstance(model, Colorizer),
        "generates": isinstance(model, PictureGenerator),
        "classes": getattr(model, "classes", 0),
        "bundled": path.parent == zoo.BUNDLED,
        "licence": model.header.get("licence"),
        "trained_on": model.header.get("data", {}).get("name"),
        "card": card.read_text(encoding="utf-8") if path.parent == zoo.BUNDLED and card.is_file() else None,
    }


def _name(path: Path) -> str:
    return path.parent.name if path.stem == "best_model" else path.stem
