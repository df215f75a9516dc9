"""Weights and checkpoints: there and back, and every way to be damaged has one clear answer."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from tinct import weights
from tinct.errors import WeightsError

HEADER = {"family": "unetddpm", "name": "Łódź", "metrics": {"lpips": 0.1}}


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "b.weight": torch.randn(4, 3, 2, 2, generator=generator).to(memory_format=torch.channels_last),
        "a.bias": torch.randn(5, generator=generator),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


@pytest.fixture
def path(tmp_path):
    weights.save(tmp_path / "model.safetensors", state(), HEADER)
    return tmp_path / "model.safetensors"


def test_there_and_back_in_half_precision(path):
    loaded, header = weights.load(path)
    assert loaded.keys() == state().keys()
    for name, value in state().items():
        wanted = value.half().float() if value.is_floating_point() else value
        assert_close(loaded[name], wanted, rtol=0, atol=0)
    assert {key: header[key] for key in HEADER} == HEADER
    assert len(header["sha256"]) == 64


def test_the_file_holds_half_precision_and_the_header_as_json(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    described = json.loads(content[8 : 8 + length])
    assert described["b.weight"]["dtype"] == "F16"
    assert json.loads(described["__metadata__"]["tinct"])["name"] == "Łódź"


def test_a_failed_save_leaves_what_was_there(path):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        weights.save(path, state(), {"name": object()})
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_digest_depends_on_every_name_and_value():
    digests = {weights.digest(state())}
    for name in state():
        changed = state()
        changed[name + "x"] = changed.pop(name)
        digests.add(weights.digest(changed))
    changed = state()
    changed["a.bias"][3] += 1e-6
    digests.add(weights.digest(changed))
    assert len(digests) == 6
    assert weights.digest(dict(reversed(state().items()))) == weights.digest(state())


def test_one_changed_bit_is_found(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.safetensors: damaged: its content does not have the checksum"):
        weights.load(path)


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x00" * 100, None])
def test_what_is_no_weights_file_is_named(path, content):
    path.write_bytes(path.read_bytes()[:-10] if content is None else content)
    with pytest.raises(WeightsError, match=r"model\.safetensors: damaged or not a safetensors file"):
        weights.load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"tinct": "{"}, {"tinct": "[]"}])
def test_weights_without_our_header_are_refused(path, metadata):
    save_file({"a": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(WeightsError, match="has no tinct header"):
        weights.load(path)


def test_a_header_without_a_checksum_is_refused(path):
    save_file({"a": torch.zeros(2)}, path, metadata={"tinct": "{}"})
    with pytest.raises(WeightsError, match="does not have the checksum"):
        weights.load(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        weights.load(tmp_path / "no.safetensors")
    with pytest.raises(WeightsError, match="no such checkpoint"):
        weights.load_checkpoint(tmp_path / "no.pth")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(WeightsError):
        weights.load(tmp_path / "folder.safetensors")
    with pytest.raises(WeightsError):
        weights.load_checkpoint(tmp_path / "folder.pth")


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


def test_no_code_in_a_checkpoint_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state_dict": {}, "config": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pth", "old.pth"):
        with pytest.raises(WeightsError, match=name):
            weights.load_checkpoint(tmp_path / name)
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("content", [[1, 2], {"model_state_dict": {}}, {"config": {}}])
def test_a_file_of_something_else_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="not a tinct checkpoint: model_state_dict and config are missing"):
        weights.load_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "cut.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"cut\.pth: damaged or not a checkpoint"):
        weights.load_checkpoint(tmp_path / "cut.pth")
