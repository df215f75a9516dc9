"""`tinct figure`: the right states in the right places, ends that are what the other commands give, and clear refusals."""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tinct import weights, zoo
from tinct.cli.figure_forward import evenly
from tinct.cli.main import main
from tinct.config import from_dict, to_dict
from tinct.diffusion import SCHEDULES, Schedule
from tinct.families import FAMILIES
from tinct.images import read
from tinct.photo import Canvas

GAP, CAPTION, SIDE = 8, 19, 64
COLOUR = data.astronaut()[::8, ::8]  # (64, 64, 3)
GRAY = np.asarray(Image.fromarray(data.camera()[::8, ::8]))
MODELS = {
    "chroma": ("splitdpm", {"network": {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 1}, "draws": 3}),
    "classic": ("unetddpm", {"network": {"features": [8, 16], "time_embedding": 16}}),
    "once": ("unet", {"network": {"features": [8, 16]}}),
    "dots": ("generation", {"network": {"features": [8, 16], "time_embedding": 16}, "classes": 4}),
}


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def figure(*arguments: object) -> int:
    return run("figure", *arguments)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Small real networks that were not trained, but have no weight at zero: each answers in colours of its own."""
    folder = tmp_path_factory.mktemp("models")
    for name, (family, changes) in MODELS.items():
        steps = {} if name == "once" else {"steps": 12}
        options = from_dict(FAMILIES[family].Options, {"size": 32, **steps, **changes})
        torch.manual_seed(1)
        model = FAMILIES[family].build(options)
        state = {key: value + 0.02 * torch.randn_like(value) for key, value in model.state_dict().items()}
        header = {"format": 1, "name": name, "family": family, "model": to_dict(options)}
        weights.save(folder / f"{name}.safetensors", state, header)
    return folder


@pytest.fixture
def here(models, tmp_path, monkeypatch) -> Path:
    """The current folder and workspace, with the models and two pictures, one of them gray."""
    monkeypatch.chdir(tmp_path)
    for path in models.iterdir():
        (tmp_path / path.name).symlink_to(path)
    Image.fromarray(COLOUR).save("colour.png")
    Image.fromarray(GRAY).save("gray.png")
    return tmp_path


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def panels(path: str | Path, rows: list[bool], side: int = SIDE) -> list[list[np.ndarray]]:
    """The states of each row, from the right edge as far as there are any; rows with captions are True."""
    sheet = pixels(path)
    found, top = [], GAP
    for captions in rows:
        line, right = [], sheet.shape[1] - GAP
        while right - side >= GAP and (right == sheet.shape[1] - GAP or _is_gap(sheet, top, right, side)):
            line.insert(0, sheet[top : top + side, right - side : right])
            right -= side + GAP
        found.append(line)
        top += side + CAPTION * captions + GAP
    assert top == sheet.shape[0]
    return found


def _is_gap(sheet: np.ndarray, top: int, right: int, side: int) -> bool:
    """Whether a picture ends at `right`: paper at its right, and no title in its place."""
    beside, there = sheet[top : top + side, right : right + GAP], sheet[top : top + side, right - side : right]
    return bool((beside == 255).all() and not (there[0] == 255).all())


def luma(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(rgb).convert("L"))


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).numpy()


def test_forward_goes_from_the_picture_to_noise(here, capsys):
    """Both schedules have one noise; the last state is x_T of the closed form, cut at black and white."""
    assert figure("forward", "--picture", "colour.png", "--side", SIDE, "-o", "forward.png") == 0
    assert capsys.readouterr().out == "wrote forward.png\n"
    linear, cosine = panels("forward.png", [True, True])
    assert len(linear) == len(cosine) == 10
    assert (linear[0] == COLOUR).all()
    assert (cosine[0] == COLOUR).all()
    eps, x_0 = noise(3, 64, 64).transpose(1, 2, 0), COLOUR / 127.5 - 1
    for name, row in {"linear": linear, "cosine": cosine}.items():
        signal = float(SCHEDULES[name](1000)[-1])
        x_t = sqrt(signal) * x_0 + sqrt(1 - signal) * eps
        assert np.abs(row[-1] - ((x_t.clip(-1, 1) + 1) * 127.5)).max() < 0.51
        cut = np.isin(row[-1], (0, 255)).mean()
        assert abs(cut - 0.3173) < 0.02  # of a unit Gaussian, that beyond one deviation
        left = [np.corrcoef(state.ravel(), COLOUR.ravel())[0, 1] for state in row]
        assert left == sorted(left, reverse=True)
    assert np.abs(linear[4] - COLOUR.astype(int)).mean() > 1.3 * np.abs(cosine[4] - COLOUR.astype(int)).mean()


def test_states_are_evenly_spaced_between_the_picture_and_the_noisiest_level():
    for timesteps, states in ((1000, 10), (300, 10), (9, 10), (1, 2)):
        levels = evenly(Schedule.named("linear", timesteps), states)
        t = [level.t for level in levels]
        assert (t[0], t[-1], len(t)) == (-1, timesteps - 1, states)
        assert (levels[0].alpha, levels[0].sigma) == (1, 0)
        assert max(np.diff(t)) - min(np.diff(t)) <= 1
        assert min(np.diff(t)) > 0


def test_forward_with_a_colour_model_keeps_the_light_and_has_its_own_schedule(here):
    arguments = ("--picture", "colour.png", "--model", "chroma.safetensors", "--side", SIDE, "--states", 4, "--seed", 5)
    assert figure("forward", *arguments, "-o", "forward.png") == 0
    rows = panels("forward.png", [True, True, True])
    assert [len(row) for row in rows] == [4, 4, 4]
    for state in (state for row in rows for state in row):
        assert (luma(state) == luma(COLOUR)).all()
    assert all((row[0] == rows[0][0]).all() for row in rows)
    assert np.abs(rows[0][0].astype(int) - COLOUR).mean() < 10  # its chroma, seen coarsely

    model = zoo.load("chroma.safetensors")
    canvas = Canvas(model, read("colour.png"), side=SIDE)
    small = Image.fromarray(COLOUR).resize((32, 32), Image.Resampling.BICUBIC)
    x_0 = model.encode(torch.from_numpy(np.array(small)).permute(2, 0, 1)[None])[0]
    for row, name in zip(rows, ("linear", "cosine", "chroma"), strict=True):
        signal = float(SCHEDULES[name](1000)[-1])
        assert signal < 1e-3
        x_t = sqrt(signal) * x_0 + sqrt(1 - signal) * torch.from_numpy(noise(2, 16, 16, seed=5))
        assert 0.9 < x_t.std() < 1.1
        assert np.abs(canvas.state(x_t.float()).astype(int) - row[-1]).max() <= 1


def test_forward_takes_the_set_the_schedules_and_the_levels_that_are_asked_for(trained, tmp_path):
    out = tmp_path / "forward.png"
    assert figure("forward", "--data", "toy", "--schedules", "chroma", "--timesteps", 3, "--states", 4, "--side", 64,
                  "-o", out) == 0  # fmt: skip
    (row,) = panels(out, [True])
    first = np.load(trained / "npzData" / "toy" / "test.rgb.npy")[0]
    assert len(row) == 4
    assert (row[0] == first.repeat(4, axis=0).repeat(4, axis=1)).all()  # 16 px, four times as large


def test_forward_of_a_model_that_makes_gray_pictures_is_gray(here):
    """Its pictures have 32 px, and are shown twice as large."""
    arguments = ("--picture", "colour.png", "--model", "dots.safetensors", "--side", SIDE)
    assert figure("forward", *arguments, "-o", "forward.png") == 0
    linear, cosine = panels("forward.png", [True, True])
    small = np.asarray(Image.fromarray(COLOUR).resize((32, 32), Image.Resampling.BICUBIC))
    assert (linear[0] == luma(small).repeat(2, axis=0).repeat(2, axis=1)[..., None]).all()
    assert len(linear) == len(cosine) == 10
    assert all((state[..., :1] == state).all() for state in cosine)


def test_reverse_ends_with_what_colorize_gives(here, capsys):
    """For chroma the most typical of three samples; for the classic model, whose x_t has a luma of its own, the estimate."""
    for name in ("chroma", "classic"):
        model = ("--model", f"{name}.safetensors", "--seed", 2)
        assert figure("reverse", "--picture", "gray.png", *model, "--side", SIDE, "-o", f"{name}.png") == 0
        assert f"wrote {name}.png: 10 states of 12 steps" in capsys.readouterr().out
        assert run("colorize", "gray.png", *model, "-o", f"{name}.coloured.png") == 0
        x_t, x_0 = panels(f"{name}.png", [True, False])
        assert len(x_t) == len(x_0) == 10
        assert (x_0[-1] == pixels(f"{name}.coloured.png")).all()
        assert (luma(x_0[0]) == GRAY).all()
        assert (x_t[-1] == x_0[-1]).all() == (name == "chroma")
        assert ((luma(x_t[0]) == GRAY).all()) == (name == "chroma")
        assert np.abs(x_t[0].astype(int) - x_0[0]).mean() > 5
    cut = np.isin(panels("classic.png", [True, False])[0][0], (0, 255)).mean()
    assert abs(cut - 0.3173) < 0.03  # x_T, a unit Gaussian


@pytest.mark.parametrize(
    "options",
    [("--sampler", "heun", "--steps", 4), ("--sampler", "unipc", "--spacing", "logsnr", "--draws", 1), ("--size", 48)],
)
def test_reverse_takes_the_options_of_colorize(options, here):
    arguments = ("gray.png", "--model", "chroma.safetensors", *options)
    assert figure("reverse", "--picture", *arguments, "--states", 3, "--side", SIDE, "-o", "r.png") == 0
    assert run("colorize", *arguments, "-o", "c.png") == 0
    x_t, x_0 = panels("r.png", [True, False])
    assert len(x_t) == 3
    assert (x_0[-1] == pixels("c.png")).all()


def test_reverse_and_grid_of_a_generator_end_with_what_generate_makes(here):
    model = ("--model", "dots.safetensors", "--class", 3, "--guidance", 2, "--seed", 4, "--steps", 6)
    assert run("generate", *model, "--num", 8, "--out", "made") == 0
    made = [pixels(path).repeat(2, axis=0).repeat(2, axis=1) for path in sorted(Path("made").iterdir())]
    assert figure("reverse", *model, "--side", SIDE, "-o", "reverse.png") == 0
    x_t, x_0 = panels("reverse.png", [True, False])
    assert len(x_t) == 7
    for last in (x_t[-1], x_0[-1]):
        assert np.abs(last.astype(int) - made[0]).max() <= 1
    assert figure("grid", *model, "--side", SIDE, "--states", 4, "-o", "grid.png") == 0
    rows = panels("grid.png", [False] * 7 + [True])
    assert [len(row) for row in rows] == [4] * 8
    for row, picture in zip(rows, made, strict=True):
        assert np.abs(row[-1].astype(int) - picture).max() <= 1
    assert len({row[0].tobytes() for row in rows}) == 8


def test_grid_of_one_photograph_goes_through_the_seeds(here):
    model = ("--model", "chroma.safetensors", "--steps", 7)
    out = "report_images/diffusion_process.png"  # in a folder that isn't there yet
    assert figure("grid", "--picture", "gray.png", *model, "--side", SIDE, "--seed", 3, "-o", out) == 0
    rows = panels(out, [False] * 7 + [True])
    assert [len(row) for row in rows] == [8] * 8
    for number, row in enumerate(rows[:2]):
        assert run("colorize", "gray.png", *model, "--seed", 3 + number, "-o", f"{number}.png") == 0
        assert (row[-1] == pixels(f"{number}.png")).all()


def test_grid_of_a_set_has_a_row_for_each_of_its_pictures(trained, models, tmp_path):
    out, model = tmp_path / "grid.png", models / "chroma.safetensors"
    options = ("--num", 5, "--states", 3, "--steps", 4, "--side", SIDE)
    assert figure("grid", "--data", "toy", "--model", model, *options, "-o", out) == 0
    truths = np.load(trained / "npzData" / "toy" / "test.rgb.npy")[:5]
    rows = panels(out, [False] * 4 + [True])
    assert [len(row) for row in rows] == [3] * 5
    for row, truth in zip(rows, truths, strict=True):  # 16 px, four times as large
        assert all((luma(state)[::4, ::4] == luma(truth)).all() for state in row)


@pytest.mark.parametrize(("suffix", "states"), [(".gif", None), (".webp", None), (".GIF", 5)])
def test_an_animation_shows_every_step_and_holds_its_end(suffix, states, here):
    out, chosen = f"reverse{suffix}", ("--states", states) if states else ()
    arguments = ("--picture", "gray.png", "--model", "chroma.safetensors")
    assert figure("reverse", *arguments, *chosen, "-o", out) == 0
    assert figure("reverse", *arguments, "--states", 2, "-o", "reverse.png") == 0
    sheet = panels("reverse.png", [True, False], side=2 * SIDE)
    with Image.open(out) as moving:
        assert moving.n_frames == (states or 13)
        assert moving.info["loop"] == 0
        durations = []
        for number in range(moving.n_frames):
            moving.seek(number)
            frame = np.asarray(moving.convert("RGB"))[GAP : GAP + 2 * SIDE].astype(int)
            durations.append(moving.info["duration"])
            if number in (0, moving.n_frames - 1):
                shown = frame[:, GAP : GAP + 2 * SIDE], frame[:, -GAP - 2 * SIDE : -GAP]
                for part, line in zip(shown, sheet, strict=True):
                    assert np.abs(part - line[number > 0]).mean() < 12  # both kinds of file round colours
    assert len(set(durations[:-1])) == 1
    assert durations[-1] >= 4 * durations[0]


def test_examples_are_there_without_a_picture(here):
    assert figure("forward", "--states", 2, "--side", SIDE) == 0
    small = np.asarray(Image.fromarray(data.chelsea()).resize((64, 43), Image.Resampling.BICUBIC))
    left = pixels("Results/forward-rgb.png").shape[1] - 2 * (SIDE + GAP)
    assert (pixels("Results/forward-rgb.png")[GAP : GAP + 43, left : left + SIDE] == small).all()
    assert figure("reverse", "--model", "chroma.safetensors", "--steps", 2, "--draws", 1) == 0
    assert figure("grid", "--model", "chroma.safetensors", "--steps", 2, "--draws", 1, "--states", 2) == 0
    assert {path.name for path in Path("Results").iterdir()} == {
        "forward-rgb.png",
        "reverse-chroma.png",
        "grid-chroma.png",
    }


def test_the_curve_of_a_run(trained, tmp_path, capsys):
    out = tmp_path / "curve.png"
    assert figure("curve", "--model", "tiny", "-o", out) == 0
    assert f"wrote {out}: 2 epochs" in capsys.readouterr().out
    own = trained / "models" / "tiny" / "loss_curve.png"
    assert (pixels(out) == pixels(own)).all()
    (trained / "models" / "tiny" / "training_history.json").write_text(json.dumps([]))
    for name, message in {
        "photo": "photo is bundled without its history, so its curve can't be drawn. Your own: tiny.",
        "tyni": "unknown run 'tyni'. Did you mean 'tiny'?",
        "tiny": "no epoch is done yet",
    }.items():
        assert figure("curve", "--model", name, "-o", tmp_path / "none.png") == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


def test_schedules_with_and_without_steps(here):
    assert figure("schedule", "-o", "plain.png") == 0
    assert figure("schedule", "--steps", 8, "--spacing", "karras", "-o", "marked.png") == 0
    assert pixels("plain.png").shape == pixels("marked.png").shape
    assert (pixels("plain.png") != pixels("marked.png")).any()
    assert figure("schedule", "--schedules", "cosine", "--timesteps", 300, "-o", "one.jpg") == 0


CHROMA, DOTS = ("--model", "chroma.safetensors"), ("--model", "dots.safetensors")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("forward", "-o", "x.pdf"), 1, "x.pdf: a figure of this kind is written as .png, .jpg, .jpeg, .webp"),
        (("forward", "-o", "x.gif"), 1, "written as .png, .jpg, .jpeg, .webp; name it like x.png"),
        (("reverse", *CHROMA, "-o", "x.bmp"), 1, "written as .png, .jpg, .jpeg, .gif, .webp; name it like x.png"),
        (("grid", *CHROMA, "-o", "x"), 1, "x: a figure of this kind is written as"),
        (("forward", "--picture", "no.png"), 1, "no.png"),
        (("forward", "--data", "no"), 1, "no such prepared set"),
        (("forward", "--picture", "gray.png", "--data", "toy"), 1, "--picture and --data: say only one of them"),
        (("forward", "--schedules", "linear,cosin"), 1, "unknown schedule 'cosin'. Did you mean 'cosine'?"),
        (("forward", "--timesteps", 8), 1, "states = 10: with 8 levels there are 9, the picture itself among them"),
        (("forward", *CHROMA, "--timesteps", 300), 1, "timesteps = 300: the model 'chroma' has 1000 levels"),
        (("forward", *DOTS, "--size", 64), 1, "size = 64: the model 'dots' makes pictures of 32 px"),
        (("forward", "--picture", "gray.png", "--size", 50, "--side", 40), 1,
         "size = 50: the picture is then 50 px long, and --side shows 40"),
        (("forward", "--states", 1), 2, "--states"),
        (("forward", "--model", "once.safetensors"), 1, "the model 'once' gives its result in one step"),
        (("reverse", "--model", "once.safetensors"), 1, "there is no process of diffusion to show"),
        (("reverse", *CHROMA, "--states", 14), 1, "states = 14: a walk of 12 steps has 13 of them, its start among them"),
        (("reverse", *CHROMA, "--steps", 1001), 1, "steps = 1001: must be from 1 to the model's 1000 levels"),
        (("reverse", *CHROMA, "--sampler", "dimm"), 1, "Did you mean 'ddim'"),
        (("reverse", *CHROMA, "--sampler", "heun", "--eta", 1), 1, "eta"),
        (("reverse", *CHROMA, "--class", 1), 1, "class: the model 'chroma' colours photographs and has no such option"),
        (("reverse", *CHROMA, "--guidance", 2), 1, "guidance: the model 'chroma' colours photographs"),
        (("reverse", *DOTS, "--draws", 2), 1, "draws: the model 'dots' makes pictures from noise and has no such option"),
        (("reverse", *DOTS, "--picture", "gray.png"), 1, "picture: the model 'dots' makes pictures from noise and is given none"),
        (("grid", *DOTS, "--data", "toy"), 1, "data: the model 'dots' makes pictures from noise"),
        (("reverse", *DOTS, "--class", 4), 1, "class = 4: the model 'dots' knows the classes 0 to 3"),
        (("grid", *CHROMA, "--num", 9), 1, "num = 9: scikit-image's examples has only 8 pictures"),
        (("schedule", "--spacing", "karras"), 1, "spacing: of which steps?"),
        (("schedule", "--spacing", "karas", "--steps", 4), 1, "Did you mean 'karras'"),
        (("curve",), 2, "--model"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_written(arguments, code, message, here, capsys):
    before = sorted(here.rglob("*"))
    assert figure(*arguments) == code
    assert message in capsys.readouterr().err
    assert sorted(here.rglob("*")) == before


def test_a_figure_is_replaced_and_the_picture_itself_never(here, capsys):
    Path("old.png").write_bytes(b"an older figure")
    assert figure("forward", "--states", 2, "-o", "old.png") == 0
    assert pixels("old.png").ndim == 3
    before = Path("gray.png").read_bytes()
    for command in (("forward",), ("reverse", *CHROMA), ("grid", *CHROMA)):
        assert figure(*command, "--picture", "gray.png", "-o", here / "gray.png") == 1
        assert "is the picture itself" in capsys.readouterr().err
    assert Path("gray.png").read_bytes() == before
    Path("folder.png").mkdir()
    assert figure("forward", "-o", "folder.png") == 1
    assert "folder.png: is a folder" in capsys.readouterr().err


def test_every_figure_has_its_help(capsys):
    for name in ("forward", "reverse", "grid", "curve", "schedule"):
        assert figure(name, "--help") == 0
        assert f"tinct figure {name}" in capsys.readouterr().out.partition("Options:")[0].partition("\n")[2]
