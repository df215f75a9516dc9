"""The schema: what is accepted, what is refused and how, there and back."""

from dataclasses import dataclass
from typing import Any

import pytest

from tinct.config import complete, find, from_dict, leaves, load_toml, merge, option, override, parse, to_dict, variant
from tinct.errors import ConfigError, UnknownName


@dataclass(frozen=True)
class Round:
    radius: float = option(1.0, "of the circle", low=0.0)


@dataclass(frozen=True)
class Square:
    side: float = option(2.0, "of the square", low=0.0)
    corners: tuple[int, ...] = option((1, 2), "radii", low=0, high=9)


SHAPES = {"round": Round, "square": Square}


@dataclass(frozen=True)
class Paint:
    colour: str = option("red", "of the paint", choices=lambda: ["red", "green"])
    coats: int = option(1, "of paint", low=1, high=3)
    side: str = option("front", "to paint")


@dataclass(frozen=True)
class Sign:
    shape: str = option("round", "of the sign", choices=lambda: list(SHAPES))
    form: Any = variant("shape", lambda name: SHAPES[name], "options of the shape")
    paint: Paint = Paint()
    lit: bool = option(False, "by night")
    text: str | None = option(None, "on it")


def test_defaults_fill_what_is_absent():
    sign = from_dict(Sign, {})
    assert sign == Sign(form=Round())
    assert from_dict(Sign, {"shape": "square"}).form == Square()
    assert complete(Sign(shape="square")).form == Square()


def test_there_and_back():
    values = {"shape": "square", "form": {"side": 3.5, "corners": [1, 2, 3]}, "paint": {"coats": 2}, "text": "STOP"}
    sign = from_dict(Sign, values)
    assert sign.form == Square(3.5, (1, 2, 3))
    assert from_dict(Sign, to_dict(sign)) == sign
    assert to_dict(sign)["form"] == {"side": 3.5, "corners": [1, 2, 3]}


def test_leaves_are_the_options_at_their_paths():
    found = {leaf.path: leaf for leaf in leaves(from_dict(Sign, {"shape": "square"}))}
    assert list(found) == [
        "shape", "form.side", "form.corners", "paint.colour", "paint.coats", "paint.side", "lit", "text",
    ]  # fmt: skip
    assert found["paint.colour"].choices == ("red", "green")
    assert found["form.side"].help == "of the square"
    assert found["lit"].default is False


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shap": "round"}, r"unknown option 'shap'\. Did you mean 'shape'\?"),
        ({"paint": {"color": "red"}}, r"unknown option 'paint\.color'\. Did you mean 'paint\.colour'\?"),
        ({"form": {"side": 1}}, r"unknown option 'form\.side'"),
        ({"shape": "sqare"}, r"unknown shape 'sqare'\. Did you mean 'square'\?"),
        ({"paint": {"colour": "reed"}}, r"unknown paint\.colour 'reed'\. Did you mean 'red'\?"),
        ({"paint": {"coats": 0}}, r"paint\.coats = 0: must be at least 1"),
        ({"paint": {"coats": 4}}, r"paint\.coats = 4: must be at most 3"),
        ({"paint": {"coats": 1.5}}, r"paint\.coats = 1\.5: expected a whole number"),
        ({"paint": {"coats": True}}, "expected a whole number"),
        ({"paint": {"coats": "many"}}, r"paint\.coats = 'many': expected a whole number"),
        ({"paint": {"coats": float("inf")}}, "expected a whole number"),
        ({"paint": {"colour": 3}}, r"paint\.colour = 3: expected a text"),
        ({"paint": "red"}, "paint = 'red': expected a table of options"),
        ({"paint": False}, "paint = False: expected a table of options"),
        ({"form": {"radius": "nan"}}, r"form\.radius = 'nan': expected a number"),
        ({"form": {"radius": []}}, r"form\.radius = \[\]: expected a number"),
        ({"shape": "square", "form": {"corners": 3}}, r"form\.corners = 3: expected a list of int"),
        ({"shape": "square", "form": {"corners": [1, 10]}}, r"form\.corners = 10: must be at most 9"),
        ({"lit": "perhaps"}, "lit = 'perhaps': expected true or false"),
        ({"lit": 1}, "lit = 1: expected true or false"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(Sign, values)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "12", 12),
        (int, str(2**62 + 1), 2**62 + 1),  # which no float holds
        (float, "1e-3", 1e-3),
        (float, 3, 3.0),
        (bool, "yes", True),
        (bool, "OFF", False),
        (str, "a=b", "a=b"),
        (tuple[int, ...], "16,32", (16, 32)),
        (tuple[int, ...], "16", (16,)),
        (tuple[int, ...], "", ()),
        (tuple[int, ...], [1, 2], (1, 2)),
        (str | None, "none", None),
        (int | None, "4", 4),
        (int | None, "", None),
    ],
)
def test_texts_become_values(kind, text, value):
    parsed = parse(kind, text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


def test_assignments():
    values = override(Sign, {"lit": True}, ["shape=square", "corners=1,2,3", "paint.coats=2", "text=a = b"])
    sign = from_dict(Sign, values)
    assert (sign.form.corners, sign.paint.coats, sign.lit, sign.text) == ((1, 2, 3), 2, True, "a = b")


def test_later_assignments_win_and_the_given_values_stay():
    given = {"paint": {"coats": 2}}
    assert from_dict(Sign, override(Sign, given, ["coats=1", "coats=3"])).paint.coats == 3
    assert given == {"paint": {"coats": 2}}


def test_the_last_part_of_a_path_is_enough_when_it_is_the_only_one():
    square = from_dict(Sign, {"shape": "square"})
    assert find(square, "corners") == "form.corners"
    assert find(square, "paint.side") == "paint.side"
    with pytest.raises(ConfigError, match=r"option 'side' is ambiguous: form\.side, paint\.side"):
        find(square, "side")
    with pytest.raises(UnknownName, match=r"unknown option 'coat'\. Did you mean 'coats'\?"):
        find(square, "coat")
    with pytest.raises(ConfigError, match="--set lit: expected NAME=VALUE"):
        override(Sign, {}, ["lit"])
    with pytest.raises(UnknownName, match="unknown option 'corners'"):
        override(Sign, {}, ["corners=1"])  # a round sign has none


def test_merging_goes_table_by_table():
    assert merge({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"c": 4}, "e": 5}) == {"a": {"b": 1, "c": 4}, "d": 3, "e": 5}
    assert merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}


def test_toml(tmp_path):
    path = tmp_path / "sign.toml"
    path.write_text('shape = "square"\n[form]\ncorners = [1, 2]\n')
    assert from_dict(Sign, load_toml(path)).form.corners == (1, 2)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"sign\.toml: not a readable TOML file"):
        load_toml(path)
    with pytest.raises(ConfigError, match="no such recipe file"):
        load_toml(tmp_path / "no.toml")


def test_a_config_is_frozen_and_equal_by_value():
    sign = from_dict(Sign, {})
    with pytest.raises(AttributeError):
        sign.lit = True  # type: ignore[misc]
    assert hash(sign) == hash(from_dict(Sign, {}))
