"""Registries and the error that names the nearest match."""

import importlib
import sys

import pytest

from tinct.errors import ConfigError, DataError, TinctError, UnknownName, nearest, unknown
from tinct.registry import Registry, discover


def fruits() -> Registry[int]:
    registry: Registry[int] = Registry("fruit")
    for number, name in enumerate(("apple", "banana", "cherry")):
        registry.add(name)(number)
    return registry


def test_a_registry_is_a_mapping():
    registry = fruits()
    assert dict(registry) == {"apple": 0, "banana": 1, "cherry": 2}
    assert "apple" in registry
    assert 3 not in registry
    assert len(registry) == 3
    assert registry["cherry"] == 2


def test_adding_gives_the_thing_back():
    registry: Registry[type] = Registry("thing")

    @registry.add("one")
    class One:
        pass

    assert registry["one"] is One


def test_a_name_can_be_taken_once():
    with pytest.raises(AssertionError, match="fruit 'apple' is registered twice"):
        fruits().add("apple")(9)


def test_an_unknown_name_has_the_nearest_and_all_that_there_is():
    with pytest.raises(
        UnknownName, match=r"^unknown fruit 'aple'\. Did you mean 'apple'\? Available: apple, banana, cherry$"
    ):
        fruits()["aple"]
    with pytest.raises(UnknownName, match=r"^unknown fruit 'zzz'\. Available: apple, banana, cherry$"):
        fruits()["zzz"]
    with pytest.raises(UnknownName, match="Available: none"):
        Registry("fruit")["apple"]


def test_an_unknown_name_is_never_silently_none():
    with pytest.raises(UnknownName):
        fruits().get("aple")


def test_the_nearest_name():
    assert nearest("unetdpm", ["unetddpm", "splitdpm"]) == "unetddpm"
    assert nearest("zzzzzz", ["unetddpm"]) is None
    assert "Available: a, b" in str(unknown("thing", "x", {"b", "a"}))


def test_every_error_of_a_user_is_a_tinct_error():
    assert issubclass(UnknownName, ConfigError)
    for kind in (ConfigError, DataError, UnknownName):
        assert issubclass(kind, TinctError)


def test_discover_imports_every_module(tmp_path, monkeypatch):
    package = tmp_path / "orchard"
    package.mkdir()
    (package / "__init__.py").write_text("seen = []\n")
    for name in ("plum", "pear"):
        (package / f"{name}.py").write_text(f"import orchard\norchard.seen.append({name!r})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    discover("orchard")
    assert sorted(importlib.import_module("orchard").seen) == ["pear", "plum"]
    for name in ("orchard", "orchard.plum", "orchard.pear"):
        sys.modules.pop(name)
