"""`tinct samplers`: every walk that was asked for is measured, beside the reference, and nothing else is written."""

import csv
import json

import pytest
from PIL import Image

from conftest import make_pictures
from tinct.cli.main import main


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def samplers(*arguments: object) -> int:
    usual = ("--model", "tiny", "--metric", "de2000", "--device", "cpu", "--seeds", 2, "--min-spread", -1)
    return run("samplers", *usual, *arguments)


@pytest.fixture
def pictures(trained):
    folder = trained / "pictures"
    folder.mkdir()
    for number, rgb in enumerate(make_pictures(5)[0]):
        Image.fromarray(rgb).save(folder / f"{number}.png")
    return folder


def test_a_table_and_a_plot_of_every_walk(pictures, trained, capsys):
    asked = ("--samplers", "ddim,heun,ddpm", "--spacings", "uniform,karras", "--evaluations", "2,5")
    assert samplers("--images", pictures, "--reference", "ddim:20", *asked) == 0
    folder = trained / "Results" / "samplers-tiny"
    assert {path.name for path in folder.iterdir()} == {"samplers.json", "samplers.csv", "samplers.md", "samplers.png"}
    written = json.loads((folder / "samplers.json").read_text())
    walks = [tuple(point["walk"].values()) for point in written["points"]]
    assert walks[0] == ("ddim", "uniform", 20, 20)
    for spacing in ("uniform", "karras"):
        assert {("ddim", spacing, 2, 2), ("ddim", spacing, 5, 5), ("ddpm", spacing, 5, 5)} <= set(walks)
        assert {("heun", spacing, 1, 1), ("heun", spacing, 3, 5)} <= set(walks)
    assert len(walks) == 13
    first = written["points"][0]
    assert first["against"]["de2000"]["mean"] == pytest.approx(1)
    rows = list(csv.reader((folder / "samplers.csv").read_text().splitlines()))
    assert len(rows) == 14
    assert all(row[3] == str(walk[3]) for row, walk in zip(rows[1:], walks, strict=True))
    with Image.open(folder / "samplers.png") as plot:
        assert plot.width > 600
    shown = capsys.readouterr().out
    assert "The reference is ddim, uniform, 20 steps" in shown
    assert "5 pictures of pictures" in shown
    assert "Mean chroma is" not in shown  # no such baseline here


def test_the_same_walk_twice_is_one(pictures, trained):
    assert samplers("--images", pictures, "--reference", "ddim:4", "--samplers", "ddim", "--evaluations", "4,4,2") == 0
    written = json.loads((trained / "Results" / "samplers-tiny" / "samplers.json").read_text())
    assert [point["walk"]["steps"] for point in written["points"]] == [4, 2]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--samplers", "ddimm"), 1, "Did you mean 'ddim'"),
        (("--spacings", "karas"), 1, "Did you mean 'karras'"),
        (("--evaluations", "4,many"), 1, "'many' is no number from 1 on"),
        (("--evaluations", "0"), 1, "'0' is no number from 1 on"),
        (("--evaluations", "41"), 1, "the model 'tiny' has 40 levels"),
        (("--reference", "ddim"), 1, "--reference ddim: write it like ddim:250"),
        (("--reference", "dim:20"), 1, "Did you mean 'ddim'"),
        (("--metric", "psnr"), 1, "--metric psnr: of the plot's metric, less must be better"),
        (("--metric", "de200"), 1, "Did you mean 'de2000'"),
        (("--seeds", "1"), 2, "--seeds"),
        (("--data", "toy"), 2, "--data and --images: say only one of them"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_coloured(options, code, message, pictures, trained, capsys):
    assert samplers("--images", pictures, "--reference", "ddim:20", *options) == code
    assert message in capsys.readouterr().err
    assert not (trained / "Results").exists()


def test_a_folder_of_something_else_is_kept(pictures, trained, capsys):
    assert samplers("--images", pictures, "--reference", "ddim:3", "--evaluations", "2", "--out", pictures) == 1
    assert "holds files that `tinct samplers` did not write" in capsys.readouterr().err
    assert len(list(pictures.iterdir())) == 5
