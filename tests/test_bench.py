"""The tables of `tinct bench`: their parts are all of the work, their operations those of torch's counter."""

from itertools import product
from pathlib import Path

import pytest
import torch

from tinct import bench
from tinct.bench.colouring import gauged
from tinct.bench.limits import ALL, CONVOLUTION, MEMORY, ONE, PRODUCT, best, named
from tinct.bench.records import Limit, Stage, Table
from tinct.cli.main import main
from tinct.config import from_dict
from tinct.families import FAMILIES

SPLIT = {"network": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}, "size": 32, "steps": 3}
SMALL = {
    "family": "unetddpm",
    "model": {"size": 64, "timesteps": 40, "steps": 4, "network": {"features": [8, 16], "time_embedding": 16}},
    "training": {"batch_size": 4, "precision": "float32"},
}


def limits(seconds_each: float = 1e-9) -> bench.Limits:
    """Of every name, one operation, byte or pixel in so many seconds."""
    names = [named(MEMORY, threads) for threads in (ONE, ALL)]
    names += [named(what, numbers, threads) for what, numbers, threads in product(
        (CONVOLUTION, PRODUCT), ("float32", "bfloat16"), (ONE, ALL)
    )]  # fmt: skip
    return bench.Limits({name: Limit(name, 1 / seconds_each, "GFLOP/s") for name in names})


def test_every_limit_is_there_and_positive() -> None:
    found = {limit.name: limit.per_second for limit in bench.measured()}
    assert found.keys() == limits().keys()
    assert all(value > 1e6 for value in found.values())
    assert best(lambda: None) < 0.01


def test_the_stages_of_a_colouring_are_all_of_it_and_their_operations_are_counted() -> None:
    family = FAMILIES["splitdpm"]
    model = family.build(from_dict(family.Options, SPLIT)).eval()
    (table,) = bench.colouring(model, [(96, 64)], limits(), rounds=2)
    names = [stage.name for stage in table.stages]
    assert [name for name in names if "network: " in name] == ["network: encoder, 1 times", "network: decoder, 4 times"]
    assert all(stage.seconds >= 0 for stage in table.stages)
    stage = next(stage for stage in table.stages if stage.name.startswith("bring up"))
    assert stage.least == pytest.approx(4 * 96 * 64 * 1e-9)
    encoder = next(stage for stage in table.stages if "encoder" in stage.name)
    convolutions = 2 * 9 * 4 * 8 * 16 * 24  # of the stem alone, at half of 32 x 48
    assert encoder.least is not None
    assert convolutions * 1e-9 < encoder.least < 200 * convolutions * 1e-9


def test_calls_of_a_models_stages_are_gauged_by_what_is_read() -> None:
    family, ticks = FAMILIES["unetddim"], iter(range(100))
    model = family.build(from_dict(family.Options, {"network": {"features": [8, 8]}, "size": 32, "steps": 2})).eval()
    with gauged(model, lambda: next(ticks)) as parts:
        list(model.sample(torch.zeros(1, 1, 32, 32), generators=[torch.Generator()]))
    assert {name: (part.calls, part.total) for name, part in parts.items()} == {"network": (2, 2)}
    list(model.sample(torch.zeros(1, 1, 32, 32), generators=[torch.Generator()]))
    assert next(ticks) == 4  # nothing reads any more


def test_the_stages_of_a_training_step_are_all_of_it() -> None:
    table = bench.training("small", SMALL, limits(), steps=3)
    names = [stage.name for stage in table.stages]
    assert names == ["load", "augment", "forward", "backward", "optimizer", "clip", "average", "other"]
    forward, backward = (stage.least for stage in table.stages[2:4])
    assert forward is not None
    assert backward is not None
    assert 1.5 * forward < backward < 2.0 * forward  # of the first layer's input no gradient is asked
    assert table.title == "small: a step of 4 pictures"


def test_a_table_is_markdown() -> None:
    stages = [Stage.bound("decode", 0.02, 1e6, Limit("Pillow", 1e8, "MP/s")), Stage("noise", 0.005)]
    lines = list(Table("a photograph", stages, 0.05).lines())
    assert lines[2] == "| decode | 20 | 40.0% | Pillow | 10 | 50% |"
    assert lines[3] == "| noise | 5 | 10.0% | none known |  |  |"
    assert lines[4] == "| together | 25 | | | | |"
    assert {line.count("|") for line in lines} == {7}
    assert str(Limit("memory", 12e9, "GB/s")) == "memory: 12 GB/s"
    assert str(Limit("Pillow", 80e6, "MP/s")) == "Pillow: 80 MP/s"


def test_the_command_prints_both(untrained: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import tomllib

    recipe = tmp_path / "small.toml"
    recipe.write_text(
        'family = "unetddpm"\n[model]\nsize = 64\ntimesteps = 40\nsteps = 4\n[model.network]\nfeatures = [8, 16]\n'
        'time_embedding = 16\n[training]\nbatch_size = 4\nprecision = "float32"\n'
    )
    assert tomllib.loads(recipe.read_text()) == SMALL
    given = [
        "bench",
        "--model",
        untrained,
        "--sizes",
        "96x64,40x40",
        "--rounds",
        "1",
        "--recipe",
        str(recipe),
        "--steps",
        "1",
    ]
    with pytest.raises(SystemExit) as ended:
        main(given)
    assert not ended.value.code
    said = capsys.readouterr().out
    for text in ("convolution, float32, one thread: ", "a photograph of 96 x 64", "of 40 x 40", "a step of 4 pictures"):
        assert text in said


@pytest.mark.parametrize(
    ("sizes", "message"),
    [("640", "expected WIDTHxHEIGHT"), ("0x9", "expected WIDTHxHEIGHT"), ("99999x99999", "megapixels")],
)
def test_a_size_that_is_none_is_refused(
    untrained: str, sizes: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--model", untrained, "--sizes", sizes])
    assert ended.value.code == 1
    assert message in capsys.readouterr().err
