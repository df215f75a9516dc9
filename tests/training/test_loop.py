"""The loop's parts: the moving average, the learning rate's course, the optimizer's groups, Ctrl+C held back."""

import copy
import os
import signal
import threading

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tinct.config import from_dict, merge
from tinct.training.ema import Ema
from tinct.training.engine import ended_like_interrupted, uninterrupted
from tinct.training.options import TrainConfig
from tinct.training.progress import EpochDone, Progress, StepDone
from tinct.training.rates import RATES
from tinct.training.run import Run


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.995])
def test_the_average_against_a_slow_one(decay):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    average = Ema(model, decay)
    slow = copy.deepcopy(dict(model.state_dict()))
    generator = torch.Generator().manual_seed(0)
    for update in range(1, 30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        model[1].num_batches_tracked.add_(1)
        average.update(model)
        now = min(decay, (1 + update) / (10 + update))
        for name, value in model.state_dict().items():
            slow[name] = now * slow[name] + (1 - now) * value if value.is_floating_point() else value.clone()
    assert_close(dict(average.average.state_dict()), slow, rtol=1e-5, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in average.average.parameters())


COURSES = {
    "constant": [1, 1, 1, 1, 1],
    "cosine": [1, 0.853553, 0.5, 0.146447, 0],
    "linear-tail": [1, 1, 1, 1, 0],
    "linear": [1, 0.75, 0.5, 0.25, 0],
}


@pytest.mark.parametrize("name", RATES)
def test_courses_of_the_learning_rate(name):
    assert [RATES[name](place / 4) for place in range(5)] == pytest.approx(COURSES[name], abs=1e-6)
    falling = [RATES[name](place / 100) for place in range(101)]
    assert falling == sorted(falling, reverse=True)


def test_linear_tail_falls_over_the_last_fifth():
    assert [RATES["linear-tail"](place) for place in (0.8, 0.9, 0.95)] == pytest.approx([1, 0.5, 0.25])


def started(toy, tiny, **training) -> Run:
    config = from_dict(TrainConfig, merge(tiny, {"training": training}))
    return Run.new(toy / "models" / "run", toy / "npzData" / "toy", config)


def test_the_rate_warms_up_and_follows_its_course_to_the_end(toy, tiny):
    run = started(toy, tiny, warmup_steps=3, rate="linear", learning_rate=1.0)
    optimizer = run.trainer.optimizers[0]
    rates = [optimizer.param_groups[0]["lr"] for record in run.trainer.run() if isinstance(record, StepDone)]
    steps = 8
    assert rates == pytest.approx([min(1, (done + 1) / 3) * (1 - done / steps) for done in range(steps)])


def test_weight_decay_is_on_matrices_and_convolutions_only(toy, tiny):
    run = started(toy, merge(tiny, {"model": {"classes": 4}}), weight_decay=0.3)
    decayed, other = run.trainer.optimizers[0].param_groups
    assert (decayed["weight_decay"], other["weight_decay"]) == (0.3, 0.0)
    names = {id(parameter): name for name, parameter in run.model.named_parameters()}
    by_group = [{names[id(parameter)] for parameter in group["params"]} for group in (decayed, other)]
    assert by_group[0] | by_group[1] == set(names.values())
    assert "network.out.weight" in by_group[0]
    assert {"network.out.bias", "network.labels.weight", "network.bottleneck.blocks.0.norm_in.weight"} <= by_group[1]
    assert all(name.endswith("weight") for name in by_group[0])


def test_one_step_is_adamw_with_the_clipped_gradient(toy, tiny):
    """The same step with the slow optimizer, from the same gradient, in a contiguous layout."""
    run = started(toy, tiny, clip=0.1, learning_rate=1e-2, weight_decay=0.3)
    before = {name: parameter.detach().clone() for name, parameter in run.model.named_parameters()}
    gradients: dict[str, torch.Tensor] = {}

    def keep(*_) -> None:
        gradients.update({name: parameter.grad.clone() for name, parameter in run.model.named_parameters()})

    run.trainer.optimizers[0].optimizer.register_step_pre_hook(keep)
    next(run.trainer.run())
    norm = torch.cat([gradient.flatten() for gradient in gradients.values()]).norm()
    assert norm == pytest.approx(0.1, rel=1e-4)
    layers = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    decayed = {f"{name}.weight" for name, module in run.model.named_modules() if isinstance(module, layers)}
    for name, parameter in run.model.named_parameters():
        decay = 0.3 if name in decayed else 0.0
        step = gradients[name] / (gradients[name].abs() + 1e-8)  # Adam's first step, bias corrected
        assert_close(parameter.detach(), before[name] * (1 - 1e-2 * decay) - 1e-2 * step, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_for_the_end_of_the_block(asked):
    done = []

    def work() -> None:
        with ended_like_interrupted(), uninterrupted():
            os.kill(os.getpid(), asked)
            done.append("after the signal")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_elsewhere_than_in_the_main_thread_nothing_is_held_back():
    seen = []

    def work() -> None:
        with uninterrupted():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


@pytest.mark.parametrize(("steps", "places"), [(4, [1, 2, 3, 4]), (25, [3, 5, 8, 10, 13, 15, 18, 20, 23, 25])])
def test_the_course_of_a_loss_through_an_epoch(steps, places):
    """Means of tenths, against the losses themselves."""
    progress, losses = Progress(), [1 / (step + 1) for step in range(steps)]
    for step in range(1, steps + 1):
        progress.step, progress.sums = step, {"loss": sum(losses[:step]), **({"late": 2.0} if step > 3 else {})}
        progress.mark(steps)
    course = progress.course()
    assert course["step"] == places
    parts = [losses[start:end] for start, end in zip([0, *places], places, strict=False)]
    assert course["loss"] == pytest.approx([sum(part) / len(part) for part in parts])
    progress.begin_epoch()
    assert progress.course() == {"step": []}


def test_the_history_has_the_course_of_every_term(toy, tiny):
    run = started(toy, tiny, epochs=1)
    row = next(record.row for record in run.trainer.run() if isinstance(record, EpochDone))
    assert row["train_course"]["step"] == [1, 2, 3, 4]
    for name, mean in {"loss": row["train_loss"], **row["train_terms"]}.items():
        assert sum(row["train_course"][name]) / 4 == pytest.approx(mean)
