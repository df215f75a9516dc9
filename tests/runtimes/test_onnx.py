"""Exported models: what onnxruntime gives is what torch gives, and what is wrong with a model or a folder is said."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import skimage.data
import torch
from PIL import Image

from tinct import runtimes, zoo
from tinct.cli.main import main
from tinct.color import SPACES
from tinct.config import from_dict
from tinct.diffusion import SAMPLERS
from tinct.errors import ConfigError, OutputError, TinctError, WeightsError
from tinct.families import FAMILIES
from tinct.images import Picture
from tinct.nets.features import sha256_of
from tinct.photo import Hint, Hints, PhotoOptions, candidates, colour, colour_batch, colour_hinted
from tinct.runtimes.calibrating import inputs_met
from tinct.runtimes.description import affine_chroma, network_of
from tinct.runtimes.precision import PRECISIONS
from tinct.runtimes.sessions import Session
from tinct.threads import on_one

GRAY = np.asarray(Image.fromarray(skimage.data.chelsea()).convert("L"))[::2, ::2]
WIDE = np.asarray(Image.fromarray(skimage.data.camera()))[100:220:2, ::4]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as result:
        main([str(argument) for argument in arguments])
    return int(result.value.code or 0)


def assert_alike(made: np.ndarray, wanted: np.ndarray) -> None:
    """Within one level at 99.9% of the pixels, of pictures that are in colour."""
    assert np.ptp(wanted.astype(int), axis=-1).mean() > 1
    assert (np.abs(made.astype(int) - wanted).max(axis=-1) <= 1).mean() >= 0.999


@pytest.fixture(scope="module")
def both(split: str, exported: Path) -> tuple[Any, Any]:
    """The model in torch, and in onnxruntime."""
    return zoo.load(split), runtimes.load(str(exported), "onnx")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_gives_the_same_picture(both: tuple[Any, Any], sampler: str) -> None:
    options = PhotoOptions(sampler=sampler, steps=4, anchor=0.0)
    wanted, made = (colour(model, GRAY, seed=3, options=options) for model in both)
    assert_alike(made, wanted)


def test_guides_batches_draws_and_sizes_work_as_in_torch(both: tuple[Any, Any]) -> None:
    hints = Hints([Hint(20, 30, "#c02020"), Hint(100, 60, "#2040c0", 9)])
    ways: list[Callable[[Any], list[np.ndarray]]] = [
        lambda model: colour_batch(model, [GRAY, WIDE, GRAY.T], [1, 2, 3]),  # with the model's anchor
        lambda model: colour_batch(model, [GRAY, WIDE], [1, 2], PhotoOptions(draws=3, steps=3, size=48)),
        lambda model: [colour_hinted(model, GRAY, hints)],
        lambda model: [candidates(model, Picture("", (GRAY,)), samples=2).frames(1)[0]],
    ]
    for way in ways:
        for wanted, made in zip(*map(way, both), strict=True):
            assert_alike(made, wanted)


def test_a_plain_u_net_is_exported_too(plain: str, exported_plain: Path) -> None:
    wanted, made = (colour(model, GRAY) for model in (zoo.load(plain), runtimes.load(str(exported_plain), "onnx")))  # type: ignore[arg-type]
    assert_alike(made, wanted)


def test_the_json_says_what_a_runner_needs(both: tuple[Any, Any], exported: Path) -> None:
    about, (model, opened) = json.loads((exported / "colorizer.json").read_text()), both
    assert (about["format"], about["version"], about["name"]) == ("tinct-onnx", 4, "small")
    walk = about["walk"]
    assert (walk["sampler"], walk["spacing"], walk["steps"], walk["target"]) == ("dpm++2m", "karras", 8, "v")
    for steps in (1, 4, 8, 20):
        for sampler in ("dpm++2m", "ddim", "consistency", "jump"):
            ladder = walk["ladders"][walk["spacings"].get(sampler, "karras")][str(steps)]
            assert ladder == [[one.t, one.alpha, one.sigma] for one in model.levels(steps, sampler)]
    assert about["picture"]["size"] == 32
    assert about["colour"]["cbcr"]["offset"] == pytest.approx([-8.5, 5.6])
    assert opened.header["family"] == "splitdpm"
    assert opened.header["sha256"] != model.header["sha256"]  # so that a manifest tells them apart


def test_chroma_as_a_matrix_is_that_of_the_space() -> None:
    assert affine_chroma(SPACES["lab"]) is None
    x = torch.rand(1, 3, 4, 5) * 2 - 1
    found = affine_chroma(SPACES["rgb"])
    assert found is not None
    made = torch.einsum("ij,bjhw->bihw", torch.tensor(found["matrix"]).float(), x)
    made = made + torch.tensor(found["offset"]).float().view(2, 1, 1)
    torch.testing.assert_close(made, SPACES["rgb"].cbcr(x, torch.zeros(1, 1, 4, 5)), atol=1e-3, rtol=0)


def test_files_tell_nothing_of_the_machine_they_were_made_on(exported: Path) -> None:
    for path in exported.iterdir():
        assert str(Path(runtimes.__file__).parents[1]).encode() not in path.read_bytes()
        assert b"site-packages" not in path.read_bytes()


def test_float16_loses_nothing_of_weights_that_had_no_more(
    both: tuple[Any, Any], exported: Path, tmp_path: Path
) -> None:
    gray = torch.rand(2, 1, 40, 64)
    onnx.save(PRECISIONS["float16"](onnx.load(exported / "encoder.onnx"), list), tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.7 * (exported / "encoder.onnx").stat().st_size
    for made, wanted in zip(Session(tmp_path / "half.onnx")({"gray": gray}), both[1].network.encode(gray), strict=True):
        torch.testing.assert_close(made, wanted, atol=0, rtol=0)


@pytest.mark.usefixtures("two_threads")
def test_a_call_has_as_many_threads_as_torch_has_there(exported: Path) -> None:
    gray, session = torch.rand(1, 1, 64, 64), Session(exported / "encoder.onnx")
    wanted, made = session({"gray": gray}), on_one(lambda: session({"gray": gray}))
    counts = {count: one.get_session_options().intra_op_num_threads for count, one in session.sessions.items()}
    assert counts == {1: 1, 2: 2}
    torch.testing.assert_close(made, wanted)


def test_int8_is_small_and_near(both: tuple[Any, Any], exported: Path, tmp_path: Path) -> None:
    met = inputs_met(*network_of(both[0]))
    assert len(met["denoiser"]) == (both[0].options.steps + 1) * len(met["encoder"])  # one for the mean
    opened = runtimes.load(str(exported), "onnx")
    for part in ("encoder", "denoiser"):
        onnx.save(
            PRECISIONS["int8"](onnx.load(exported / f"{part}.onnx"), partial(met.get, part)), tmp_path / f"{part}.onnx"
        )
        assert (tmp_path / f"{part}.onnx").stat().st_size < 0.6 * (exported / f"{part}.onnx").stat().st_size
        setattr(opened.network, part, Session(tmp_path / f"{part}.onnx"))
    wanted, made = (colour(model, GRAY).astype(int) for model in (both[0], opened))  # type: ignore[arg-type]
    assert 0 < np.abs(made - wanted).mean() < 2  # levels


REFUSED = {
    "generation": ({"network": {"features": [8]}}, "does not colour"),
    "classifier": ({}, "does not colour"),
    "resnet": ({}, "does not sample by diffusion"),
    "unetddpm": ({"classes": 3, "network": {"features": [8]}}, "conditioned on classes"),
}


@pytest.mark.parametrize("family", REFUSED)
def test_other_models_are_refused_with_the_reason(family: str, tmp_path: Path) -> None:
    options, reason = REFUSED[family]
    model = FAMILIES[family].build(from_dict(FAMILIES[family].Options, options))
    with pytest.raises(ConfigError, match=reason):
        next(runtimes.export(model, tmp_path / "out"))
    assert not any(tmp_path.iterdir())


def test_an_export_that_breaks_off_leaves_what_was_there(plain: str, exported: Path, tmp_path: Path) -> None:
    old = shutil.copytree(exported, tmp_path / "small")
    writing = runtimes.export(zoo.load(plain), old)
    assert isinstance(next(writing), runtimes.Written)
    writing.close()  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert runtimes.load(str(old), "onnx").name == "small"


def changed(folder: Path, **values: Any) -> None:
    about = json.loads((folder / "colorizer.json").read_text())
    (folder / "colorizer.json").write_text(json.dumps({**about, **values}))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "newer": (lambda folder: changed(folder, version=5), "of format 5, this version of tinct reads 4"),
    "foreign": (lambda folder: changed(folder, format="other"), "is not that of an export by tinct"),
    "without files": (lambda folder: changed(folder, files={}), "damaged .KeyError"),
    "another shape": (lambda folder: changed(folder, encoder=None), "damaged .TypeError"),
    "no model": (lambda folder: changed(folder, header={}), "says nothing of its family"),
    "no JSON": (lambda folder: (folder / "colorizer.json").write_text("{"), "not readable as JSON"),
    "a list": (lambda folder: (folder / "colorizer.json").write_text("[]"), "is not that of an export"),
    "missing": (lambda folder: (folder / "denoiser.onnx").unlink(), "denoiser.onnx: is missing"),
    "cut off": (lambda folder: (folder / "encoder.onnx").write_bytes(b"abc"), "does not have the checksum"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_or_foreign_folder_is_refused(exported: Path, tmp_path: Path, what: str) -> None:
    folder = shutil.copytree(exported, tmp_path / "export")
    damage, message = DAMAGE[what]
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        runtimes.load(str(folder), "onnx")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"abc")
    with pytest.raises(WeightsError, match="onnxruntime can't run it"):
        Session(tmp_path / "encoder.onnx")


@pytest.mark.parametrize(("package", "call"), [("onnxruntime", "load"), ("onnxscript", "export")])
def test_a_package_that_lacks_is_named_with_its_extra(
    exported: Path, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, call: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    ways = {
        "load": lambda: runtimes.load(str(exported), "onnx"),
        "export": lambda: next(runtimes.export(zoo.load(split), tmp_path / "out")),
    }
    with pytest.raises(ConfigError, match=r"pip install 'tinct\[onnx\]'"):
        ways[call]()


def test_runtimes_and_devices_that_are_not_there(exported: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'onnx'"):
        runtimes.load("photo", "onx")
    with pytest.raises(ConfigError, match="Add --runtime onnx"):
        runtimes.load(str(exported), "torch")
    assert runtimes.device_for("onnx", "auto") == "cpu"
    with pytest.raises(TinctError, match="device cuda"):
        runtimes.device_for("onnx", "cuda")


def test_a_place_with_something_else_is_left_alone(exported: Path, tmp_path: Path) -> None:
    runtimes.check_place(tmp_path / "new")
    runtimes.check_place(tmp_path)  # empty
    runtimes.check_place(exported, force=True)
    with pytest.raises(OutputError, match="Add --force"):
        runtimes.check_place(exported)
    (tmp_path / "letter.txt").write_text("Dear all")
    for place in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(OutputError, match="is no export"):
            runtimes.check_place(place, force=True)


def test_the_command_line_colours_with_an_export(exported: Path, split: str, tmp_path: Path) -> None:
    Image.fromarray(GRAY).save(tmp_path / "old.png")
    assert run("colorize", tmp_path / "old.png", "-o", tmp_path / "torch.png", "--model", split) == 0
    assert (
        run("colorize", tmp_path / "old.png", "-o", tmp_path / "onnx.png", "--model", exported, "--runtime", "onnx")
        == 0
    )
    made, wanted = (Image.open(tmp_path / f"{name}.png") for name in ("onnx", "torch"))
    assert_alike(np.asarray(made), np.asarray(wanted))
    assert made.convert("L").tobytes() == GRAY.tobytes()


def test_a_model_of_a_name_is_exported_once(
    plain: str,
    exported_plain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a cache that holds it nothing is made; what is damaged there is made anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.fromarray(GRAY).save(tmp_path / "old.png")
    arguments = ("colorize", tmp_path / "old.png", "-o", tmp_path / "new.png", "--model", plain, "--runtime", "onnx")
    name = f"plain-{sha256_of(Path(plain))[:16]}"
    folder = shutil.copytree(exported_plain, tmp_path / "cache" / "tinct" / "onnx" / name)
    assert run(*arguments) == 0
    assert "exported to" not in capsys.readouterr().err
    (folder / "denoiser.onnx").write_bytes(b"abc")
    assert run(*arguments) == 0
    assert f"plain.safetensors: exported to {folder}" in capsys.readouterr().err
    assert (folder / "denoiser.onnx").stat().st_size == (exported_plain / "denoiser.onnx").stat().st_size


def test_the_command_line_exports(plain: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "onnx", "--model", plain, "--out", tmp_path / "out", "--precision", "float16") == 0
    assert "denoiser" in (said := capsys.readouterr().out)
    assert "differs from torch by" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "colorizer.json", "denoiser.onnx", "encoder.onnx", "likeness.onnx",
    ]  # fmt: skip
    assert run("export", "onnx", "--model", plain, "--out", tmp_path / "out") == 1
    assert "Add --force" in capsys.readouterr().err
    assert run("export", "onnx", "--model", "digits", "--out", tmp_path / "digits") == 1
    assert "does not colour" in capsys.readouterr().err


@pytest.mark.slow
def test_the_bundled_model_gives_the_same_pictures(tmp_path: Path) -> None:
    for _ in runtimes.export(zoo.load("photo"), tmp_path / "photo"):
        pass
    opened, model = runtimes.load(str(tmp_path / "photo"), "onnx"), zoo.load("photo")
    for name in ("chelsea", "astronaut", "coffee", "rocket"):
        gray = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("L"))
        for options in (PhotoOptions(), PhotoOptions(anchor=0.0, draws=4, size=96)):
            wanted, made = (colour(one, gray, options=options) for one in (model, opened))  # type: ignore[arg-type]
            assert_alike(made, wanted)
