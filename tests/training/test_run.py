"""What a run writes, what it starts from, when it stops, and what it refuses."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from tinct import weights, zoo
from tinct.config import from_dict, merge
from tinct.errors import ConfigError, DataError, OutputError, TinctError, WeightsError
from tinct.files import read_json
from tinct.training.folder import clear, data_folder, link, occupied
from tinct.training.options import TrainConfig
from tinct.training.pictures import Pictures
from tinct.training.progress import EpochDone
from tinct.training.run import Run, Saved

PUBLISHED = {
    "epoch",
    "model_state_dict",
    "optimizer_state_dict",
    "loss_state_dict",
    "train_loss",
    "val_loss",
    "best_val_loss",
    "config",
}
PUBLISHED_LOSS = {
    "mse_weight",
    "perceptual_weight",
    "adversarial_weight",
    "use_gan",
    "discriminator_state_dict",
    "discriminator_optimizer_state_dict",
}


def start(workspace, tiny, name="run", base=None, **training) -> Run:
    config = from_dict(TrainConfig, merge(tiny, {"training": training}))
    return Run.new(workspace / "models" / name, workspace / "npzData" / "toy", config, base)


def finish(run: Run) -> list:
    return list(run.train())


def test_the_artefacts_of_a_run(trained):
    folder = trained / "models" / "tiny"
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "training_history.json", "loss_curve.png", "best_model.pth", "last.pth", "checkpoint_epoch_1.pth",
        "checkpoint_epoch_2.pth", "samples_epoch_1.png", "samples_epoch_2.png",
        "cost_analysis_report.json",
    }  # fmt: skip
    for picture in folder.glob("*.png"):
        Image.open(picture).verify()
    config = read_json(folder / "config.json")
    assert (config["name"], config["data"], config["model"]["network"]["features"]) == ("tiny", "toy", [8, 16])
    assert from_dict(TrainConfig, {key: config[key] for key in ("family", "model", "training")})


def test_a_row_of_history_per_epoch(trained):
    rows = read_json(trained / "models" / "tiny" / "training_history.json")
    assert [row["epoch"] for row in rows] == [1, 2]
    for row in rows:
        assert 0 < row["train_loss"] < 2
        assert 0 < row["val_loss"] < 2
        assert row["train_loss"] == pytest.approx(sum(row["train_terms"].values()))
        assert row["learning_rate"] == 2e-4
        assert row["seconds"] > 0
        assert row["pictures_per_second"] > 0


def test_the_checkpoint_has_the_published_keys(trained):
    checkpoint = weights.load_checkpoint(trained / "models" / "tiny" / "checkpoint_epoch_2.pth")
    assert checkpoint.keys() >= PUBLISHED
    assert checkpoint["loss_state_dict"].keys() == PUBLISHED_LOSS
    rows = read_json(trained / "models" / "tiny" / "training_history.json")
    assert checkpoint["epoch"] == 2
    assert checkpoint["train_loss"] == rows[-1]["train_loss"]
    assert checkpoint["best_val_loss"] == min(row["val_loss"] for row in rows)
    assert checkpoint["config"]["model"]["size"] == 16
    parameters = sum(value.numel() for value in checkpoint["model_state_dict"].values())
    assert parameters == sum(value.numel() for value in zoo.load("tiny").state_dict().values())
    facts = checkpoint["facts"]
    assert (facts["steps"], facts["pictures_seen"], facts["data"]["pictures"]) == (8, 64, 36)


def test_the_best_model_is_that_of_the_lowest_validation_loss(toy, tiny):
    run = start(toy, tiny, epochs=4, learning_rate=0.4, ema_decay=0.0)  # so high that it gets worse at times
    done = [record for record in run.train() if isinstance(record, EpochDone)]
    best = min(done, key=lambda record: record.row["val_loss"])
    assert [record.best for record in done] == [
        all(record.row["val_loss"] < before.row["val_loss"] for before in done[:index])
        for index, record in enumerate(done)
    ]
    assert weights.load_checkpoint(run.folder / "best_model.pth")["epoch"] == best.epoch
    assert best.epoch < 4


def test_the_last_five_checkpoints_are_kept_and_a_sheet_ends_the_run(toy, tiny):
    run = start(toy, tiny, epochs=6, sample_every=4)
    finish(run)
    names = {path.stem for path in run.folder.glob("*_epoch_*")}
    assert names == {f"checkpoint_epoch_{n}" for n in range(2, 7)} | {f"samples_epoch_{n}" for n in (4, 6)}


def test_early_stopping(toy, tiny):
    run = start(toy, tiny, epochs=20, patience=2, learning_rate=0.3, ema_decay=0.0, sample_every=99)
    done = [record for record in run.train() if isinstance(record, EpochDone)]
    losses = [record.row["val_loss"] for record in done]
    since_best = [index - losses.index(min(losses[: index + 1])) for index in range(len(losses))]
    assert [record.row["early_stop_counter"] for record in done] == since_best
    assert [record.stopped for record in done] == [count == 2 for count in since_best]
    assert done[-1].stopped
    assert len(done) < 20
    assert (run.folder / f"samples_epoch_{len(done)}.png").is_file()
    again = Run.resumed(run.folder, run.data, [])
    assert again.finished
    assert again.trainer.stopped_early
    assert not Run.resumed(run.folder, run.data, ["patience=0"]).finished


def test_the_same_seed_gives_the_same_run_and_another_another(toy, tiny):
    losses = {}
    for name, seed in (("a", 42), ("b", 42), ("c", 43)):
        run = start(toy, tiny, name, epochs=1, seed=seed)
        losses[name] = [record.row["train_loss"] for record in run.train() if isinstance(record, EpochDone)]
    assert losses["a"] == losses["b"] != losses["c"]


def test_from_starts_with_the_averaged_weights_of_a_model(trained, tiny):
    run = start(trained, tiny, base="tiny")
    checkpoint = weights.load_checkpoint(trained / "models" / "tiny" / "best_model.pth")
    assert_close(dict(run.model.state_dict()), dict(checkpoint["ema_state_dict"]), rtol=0, atol=0)
    assert_close(dict(run.trainer.ema.average.state_dict()), dict(checkpoint["ema_state_dict"]), rtol=0, atol=0)
    finish(run)
    assert read_json(run.folder / "config.json")["base"] == "tiny"
    facts = weights.load_checkpoint(run.folder / "last.pth")["facts"]
    assert facts["base"]["name"] == "tiny"
    assert facts["base"]["steps"] == 8


def test_from_a_model_of_another_shape_is_refused(trained, tiny):
    with pytest.raises(WeightsError, match="--from tiny: its weights are of another architecture"):
        start(trained, merge(tiny, {"model": {"network": {"features": [8, 24]}}}), base="tiny")
    with pytest.raises(ConfigError, match=r"unknown model 'tony'\. Did you mean 'tiny'"):
        start(trained, tiny, base="tony")
    assert not (trained / "models" / "run").exists()


def test_validation_never_overlaps_training_and_test_is_never_read(toy, tiny):
    pictures = Pictures.open(toy / "npzData" / "toy", from_dict(TrainConfig, tiny).training)
    assert pictures.held_out
    assert not set(pictures.train_indices) & set(pictures.validation_indices)
    assert sorted([*pictures.train_indices, *pictures.validation_indices]) == list(range(40))
    held = np.bincount(pictures.train.labels[pictures.validation_indices], minlength=4)
    assert held.tolist() == [1, 1, 1, 1]  # stratified
    (toy / "npzData" / "toy" / "test.rgb.npy").unlink()
    finish(start(toy, tiny, epochs=1))


def test_a_val_part_is_used_where_there_is_one(toy, tiny):
    data = toy / "npzData" / "toy"
    for kind in ("rgb", "labels"):
        shutil.copy(data / f"test.{kind}.npy", data / f"val.{kind}.npy")
    pictures = Pictures.open(data, from_dict(TrainConfig, merge(tiny, {"training": {"validation_limit": 5}})).training)
    assert not pictures.held_out
    assert len(pictures.train_indices) == 40
    assert len(pictures.validation_indices) == 5
    assert pictures.validation.split == "val"


def test_mean_chroma_is_of_training_pictures_spread_over_the_set(toy, tiny):
    data = toy / "npzData" / "toy"
    pictures = Pictures.open(data, from_dict(TrainConfig, tiny).training)
    rgb = np.load(data / "train.rgb.npy")[pictures.train_indices].astype(float)
    y = rgb @ [0.299, 0.587, 0.114]
    wanted = [np.mean((rgb[..., 2] - y) / 1.772), np.mean((rgb[..., 0] - y) / 1.402)]
    assert pictures.mean_cbcr() == pytest.approx(wanted, abs=1e-3)


def test_pictures_that_do_not_fit_the_model_are_refused(toy, tiny):
    with pytest.raises(ConfigError, match=r"16x16 px, the model is for 32 px: add --set size=16"):
        start(toy, merge(tiny, {"model": {"size": 32}}))
    with pytest.raises(ConfigError, match=r"16x16 px, the network needs sides that divide by 32"):
        start(toy, merge(tiny, {"model": {"network": {"features": [8] * 5}}}))
    with pytest.raises(ConfigError, match="classes = 3: the set has 4 categories"):
        start(toy, merge(tiny, {"model": {"classes": 3}}))
    assert not (toy / "models").exists()


def test_patience_without_validation_pictures_is_refused(toy, tiny):
    with pytest.raises(ConfigError, match="patience: there are no validation pictures"):
        start(toy, tiny, validation_fraction=0)
    finish(start(toy, tiny, validation_fraction=0, patience=0, epochs=1))


def test_a_single_picture_can_be_trained_on(toy, tiny):
    data = toy / "npzData" / "toy"
    for kind in ("rgb", "labels"):
        np.save(data / f"train.{kind}.npy", np.load(data / f"train.{kind}.npy")[:1])
    with pytest.raises(ConfigError, match="patience: there are no validation pictures"):
        start(toy, tiny)
    run = start(toy, tiny, patience=0, epochs=1)
    finish(run)
    assert run.facts()["pictures_seen"] == 1


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_good(toy, tiny):
    run = start(toy, tiny)
    records = run.train()
    while not isinstance(record := next(records), Saved) or record.path.suffix != ".pth":
        pass
    good = {name: value.clone() for name, value in run.model.state_dict().items()}
    with torch.no_grad():
        run.model.network.out.weight.fill_(float("nan"))
    with pytest.raises(
        TinctError, match=r"not a number in epoch 2, step 1\. .*--resume --learning-rate 7e-05 \(was 0\.0002\)"
    ):
        list(records)
    again = Run.resumed(run.folder, run.data, [])
    assert_close(dict(again.model.state_dict()), good, rtol=0, atol=0)


def test_a_device_that_is_not_there_is_refused(toy, tiny):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(ConfigError, match="device cuda: this machine has none"):
        start(toy, tiny, device="cuda")


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_one_process_trains_in_either_precision(toy, tiny, precision):
    run = start(toy, tiny, precision=precision, epochs=1)
    finish(run)
    assert run.trainer.accelerator.mixed_precision == {"bfloat16": "bf16", "float32": "no"}[precision]
    assert next(run.model.parameters()).dtype == torch.float32


def test_only_a_run_is_cleared(workspace):
    folder = workspace / "models" / "letters"
    folder.mkdir(parents=True)
    clear(folder)
    assert not folder.exists()
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    assert occupied(folder)
    with pytest.raises(OutputError, match="holds no training run"):
        clear(folder)
    assert (folder / "letter.txt").read_text() == "dear"


HOLDING = """
import sys, time
from pathlib import Path
from tinct.training.folder import alone

with alone(Path(sys.argv[1])):
    print("holds", flush=True)
    time.sleep(600)
"""


def test_two_processes_do_not_train_in_one_folder_and_none_deletes_it_meanwhile(trained, tiny):
    folder = trained / "models" / "tiny"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "holds\n"
        with pytest.raises(OutputError, match="another process trains there now"):
            finish(start(trained, tiny, "tiny"))
        with pytest.raises(OutputError, match="another process trains there now"):
            clear(folder)
        other.kill()
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir() if path in before} == before
    finish(start(trained, tiny, "tiny"))  # a lock ends with its process
    clear(folder)
    assert not folder.exists()


def test_a_missing_set_names_those_that_are_there(toy):
    with pytest.raises(DataError, match=r"no such prepared set\. There are: toy\."):
        data_folder("tiy")


def test_a_second_name_is_a_copy_where_links_do_not_exist(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    (tmp_path / "a").write_text("content")
    monkeypatch.setattr("os.link", refuse)
    link(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "content"
    assert (tmp_path / "b").stat().st_mtime_ns == (tmp_path / "a").stat().st_mtime_ns
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["a", "b"]'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"degrade_share": 0.2}}, "degrade_share = 0.2: nothing is degraded"),
        ({"training": {"degrade": "old"}, "family": "generation"}, "degrade = old: a model is shown degraded"),
        ({"training": {"degrade": "old"}, "family": "classifier"}, "degrade = old: a model is shown degraded"),
        ({"training": {"degrade": "odl"}}, "Did you mean 'old'"),
    ],
)
def test_a_degradation_that_nobody_would_see_is_refused(toy, tiny, changes, message):
    shape = {"model": {"size": 16}} if "family" in changes else {}
    values = {key: value for key, value in tiny.items() if key != "model"} if shape else tiny
    with pytest.raises(ConfigError, match=message):
        Run.new(
            toy / "models" / "run",
            toy / "npzData" / "toy",
            from_dict(TrainConfig, merge(merge(values, shape), changes)),
        )
