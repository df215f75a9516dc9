"""What a training costs: operations against a slow count, the report of a run, and that counting changes nothing."""

import copy
import re
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from conftest import make_prepared
from tinct.config import from_dict, merge
from tinct.errors import ConfigError
from tinct.files import read_json
from tinct.training import cost
from tinct.training.options import CostOptions, TrainConfig
from tinct.training.progress import EpochDone, StepDone
from tinct.training.run import Run

JUDGED = {"weight": 0.01, "from_stage": 2, "discriminator_width": 8}


def made(toy, tiny, **values) -> Run:
    config = from_dict(TrainConfig, merge(tiny, values))
    return Run.new(toy / "models" / "run", toy / "npzData" / "toy", config)


def report_of(toy) -> dict:
    return read_json(toy / "models" / "run" / "cost_analysis_report.json")


def products(layer: nn.Module, outputs: torch.Tensor) -> int:
    """Operations of one pass of a layer: a product and a sum for every weight that every output takes in."""
    if isinstance(layer, nn.ConvTranspose2d):  # every input goes out through every weight
        spread = layer.stride[0] * layer.stride[1] * layer.out_channels
        return 2 * outputs.numel() // spread * layer.weight.numel()
    return 2 * outputs.numel() * layer.weight[0].numel()


def slow_count(run: Run) -> float:
    """Forward and backward of the first player for one picture, layer by layer: once for the outputs, once for the weights'
    gradients, and once for the inputs' where something before wants them."""
    counted = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor], outputs: torch.Tensor) -> None:
        counted.append((2 + inputs[0].requires_grad) * products(layer, outputs))

    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    hooks = [m.register_forward_hook(note) for m in run.model.modules() if isinstance(m, layers)]
    ((batch,), *_) = run.trainer.feed.epoch(1)
    run.trainer.players[0](batch)
    for hook in hooks:
        hook.remove()
    return sum(counted) / len(batch.rgb)


@pytest.mark.parametrize(
    "network", [{}, {"resample": "conv", "skips": "add", "block": "residual", "time_in": "blocks"}]
)
def test_operations_against_a_slow_count(toy, tiny, network):
    run = made(toy, tiny, model={"network": network})
    assert cost.operations_per_picture(run.trainer) == (slow_count(run),)


def test_attention_is_counted(toy, tiny):
    """Two products of N x N x C forward and four backward; N = 8 x 8 tokens, 16 channels, one block down, and as many up."""
    run = made(toy, tiny, model={"network": {"block": "residual", "attention": [2]}})
    attentions = [m for m in run.model.modules() if type(m).__name__ == "Attention"]
    assert attentions
    between = len(attentions) * 6 * 2 * 64 * 64 * 16
    assert cost.operations_per_picture(run.trainer) == (slow_count(run) + between,)


@pytest.mark.parametrize("done", [0, 2])
def test_counting_changes_nothing(toy, tiny, done):
    run = made(toy, tiny, model={"network": {"dropout": 0.5}}, training={"epochs": "1+1"}, loss={"adversarial": JUDGED})
    for record in run.trainer.run() if done else ():
        if isinstance(record, StepDone) and record.step == done:
            break
    before, random = copy.deepcopy(run.trainer.state()), torch.get_rng_state()
    stages = [player.stage for player in run.trainer.players]
    cost.operations_per_picture(run.trainer)
    assert_close(run.trainer.state(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert [player.stage for player in run.trainer.players] == stages
    assert not any(parameter.grad is not None for parameter in run.model.parameters())


def test_a_later_stage_costs_what_its_players_add(toy, tiny):
    run = made(toy, tiny, training={"epochs": "1+1"}, loss={"adversarial": JUDGED})
    first, second = cost.operations_per_picture(run.trainer)
    alone = cost.operations_per_picture(made(toy, tiny).trainer)
    assert (first,) == alone
    judge = sum(p.numel() for p in run.trainer.players[1].parameters())
    assert second > first + 2 * judge  # each of its weights is used at least once


def test_what_the_other_losses_of_the_classic_network_cost(toy, feature_weights):
    """The figures of docs/training.md, in GFLOP per picture of 64 px."""
    data = make_prepared(toy / "npzData" / "large", side=64)

    def counted(values: dict) -> list[float]:
        run = Run.new(toy / "models" / "run", data, from_dict(TrainConfig, values), feature_weights=feature_weights)
        return [operations / 1e9 for operations in cost.operations_per_picture(run.trainer)]

    training = {"batch_size": 2, "precision": "float32", "device": "cpu"}
    game = {"perceptual": {"weight": 0.1, "from_stage": 2}, "adversarial": {"weight": 0.01, "from_stage": 3}}
    alone, seen, played = counted({"training": {**training, "epochs": "1+1+1"}, "loss": game})
    (squeezed,) = counted({"training": training, "loss": {"perceptual": {"weight": 0.1, "network": "squeezenet"}}})
    gflop = [alone, seen, squeezed, alone + played - seen]
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    printed = text.partition("**What they cost.**")[2].partition("##")[0]
    assert [f"{value:.1f}" for value in gflop] == re.findall(r"\d+\.\d", printed)


@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # torch's own, when it loads its compiler
def test_compiled_parts_are_counted_as_they_are(toy, tiny):
    plain = made(toy, tiny)
    compiled = made(toy, tiny, training={"compile": True})
    assert all(stage._compiled_call_impl for stage in compiled.model.stages())
    assert cost.operations_per_picture(compiled.trainer) == cost.operations_per_picture(plain.trainer)
    assert all(stage._compiled_call_impl for stage in compiled.model.stages())


def test_the_report_of_a_whole_run(toy, tiny):
    run = made(toy, tiny)
    for _ in run.train():
        pass
    report = report_of(toy)
    assert report["family"] == "unetddpm"
    assert report["parameters"] == sum(p.numel() for p in run.model.parameters())
    assert report["operations_per_picture"] == slow_count(run)
    assert report["operations_per_step"] == 8 * slow_count(run)
    rate = run.trainer.progress.history[-1]["pictures_per_second"]
    assert report["pictures_per_second"] == rate
    assert report["gflop_per_second"] == pytest.approx(slow_count(run) * rate / 1e9, abs=1e-3)
    assert (report["epochs_done"], report["epochs_left"], report["seconds_left"]) == (2, 0, 0)
    assert report["seconds_total"] == report["seconds_spent"] > 0
    assert report["seconds_per_epoch"] == pytest.approx(report["seconds_spent"] / 2, abs=0.01)
    parts = {"load", "forward", "backward", "clip", "optimizer", "average", "other"}
    assert set(report["share_of_time"]) == parts
    assert sum(report["share_of_time"].values()) == pytest.approx(1, abs=1e-3)
    assert all(share >= 0 for share in report["share_of_time"].values())
    assert report["peak_memory_bytes"] >= psutil.Process().memory_info().rss // 2
    assert report["peak_device_memory_bytes"] is None
    assert report["rates"] == {"watts": None, "price_per_kwh": None, "price_per_hour": None, "currency": "EUR"}
    nothing = {"energy_kwh": None, "money": None, "currency": None}
    assert {key: report["spent"][key] for key in nothing} == {key: report["total"][key] for key in nothing} == nothing


def test_a_checkpoint_takes_what_the_report_says(toy, tiny):
    run = made(toy, tiny, model={"network": {"features": [32, 64]}}, training={"epochs": 1, "sample_every": 9})
    for _ in run.train():
        pass
    said, written = report_of(toy)["checkpoint_bytes"], (toy / "models" / "run" / "last.pth").stat().st_size
    assert said == pytest.approx(written, rel=0.05)


def test_after_each_epoch_it_tells_what_is_left(toy, tiny):
    run = made(toy, tiny, training={"epochs": 4}, cost={"watts": 200, "price_per_kwh": 0.4, "price_per_hour": 2})
    begun = (r for r in run.train() if isinstance(r, StepDone) and r.step == 1 and r.epoch > 1)
    seen = [report_of(toy) for _ in begun]
    assert [(report["epochs_done"], report["epochs_left"]) for report in seen] == [(1, 3), (2, 2), (3, 1)]
    for report in seen:
        assert report["seconds_left"] == pytest.approx(report["epochs_left"] * report["seconds_per_epoch"], abs=0.05)
        assert report["seconds_total"] == pytest.approx(report["seconds_spent"] + report["seconds_left"], abs=0.02)
        for name, seconds in (("spent", report["seconds_spent"]), ("total", report["seconds_total"])):
            charged = report[name]
            assert charged["energy_kwh"] == pytest.approx(0.2 * seconds / 3600, abs=2e-6)
            assert charged["money"] == pytest.approx(2 * seconds / 3600 + 0.4 * charged["energy_kwh"], abs=1e-5)
            assert charged["currency"] == "EUR"


def test_what_is_left_of_a_later_stage_goes_by_its_operations(toy, tiny):
    run = made(toy, tiny, training={"epochs": "1+2", "patience": 0}, loss={"adversarial": JUDGED})
    for record in run.train():
        if isinstance(record, StepDone) and record.epoch == 2:
            break
    report = report_of(toy)
    first, second = report["operations_per_picture_by_stage"]
    assert (report["operations_per_picture"], report["epochs_left"]) == (first, 2)
    assert report["seconds_left"] == pytest.approx(report["seconds_spent"] * 2 * second / first, rel=0.01)


def test_a_run_that_goes_on_adds_to_what_was_spent(toy, tiny):
    run = made(toy, tiny, cost={"price_per_hour": 3600, "currency": "USD"})
    run.hours_before = 10.0  # as if it had taken so long already
    for record in run.train():
        if isinstance(record, EpochDone):
            break
    run = Run.resumed(toy / "models" / "run", toy / "npzData" / "toy", [])
    for _ in run.train():
        pass
    report = report_of(toy)
    assert 36000 <= report["seconds_spent"] < 36300
    assert report["seconds_per_epoch"] == pytest.approx(report["seconds_spent"] / 2, abs=0.01)
    assert report["spent"]["money"] == pytest.approx(report["seconds_spent"], abs=0.01)
    assert report["spent"]["currency"] == "USD"


def test_stopped_by_patience_nothing_is_left(toy, tiny):
    run = made(toy, tiny, training={"epochs": 40, "patience": 1, "learning_rate": 0.3})
    for _ in run.train():
        pass
    report = report_of(toy)
    assert report["epochs_done"] < 40
    assert (report["epochs_left"], report["seconds_left"]) == (0, 0)


def test_a_price_that_nothing_can_be_reckoned_from_is_refused(toy, tiny):
    with pytest.raises(ConfigError, match=r"price_per_kwh.*watts"):
        made(toy, tiny, cost={"price_per_kwh": 0.3})
    assert not (toy / "models").exists()


@pytest.mark.parametrize(
    ("rates", "energy", "money"),
    [
        ({}, None, None),
        ({"watts": 500.0}, 1.0, None),
        ({"price_per_hour": 1.5}, None, 3.0),
        ({"watts": 500.0, "price_per_kwh": 0.25}, 1.0, 0.25),
        ({"watts": 500.0, "price_per_kwh": 0.25, "price_per_hour": 1.5}, 1.0, 3.25),
    ],
)
def test_two_hours_at_stated_rates(rates, energy, money):
    charged = cost.charged(CostOptions(**rates), 7200)
    assert (charged["hours"], charged["energy_kwh"], charged["money"]) == (2.0, energy, money)
    assert (charged["currency"] is None) == (money is None)


def test_peak_memory_stays_when_memory_is_given_back():
    now, before = psutil.Process().memory_info().rss, cost.peak_memory()
    size = before - now + 64 * 2**20
    assert torch.ones(size, dtype=torch.uint8).sum() == size
    assert cost.peak_memory() >= before + 32 * 2**20


def test_shared_memory_counts_once():
    tensor = torch.zeros(10, 10)
    assert sum(cost.storages({"a": tensor, "b": [tensor.view(100), (torch.zeros(5),)], "c": 3}).values()) == 420
