"""The sheets hold the right pixels in the right places, and a figure that fails leaves nothing behind."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinct import figures

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def flat(color: tuple[int, int, int], height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), color, dtype=np.uint8)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def count(path: Path, color: tuple[int, int, int]) -> int:
    return int((pixels(path) == color).all(axis=-1).sum())


def box(path: Path, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of this colour."""
    rows, columns = np.nonzero((pixels(path) == color).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_sheet_puts_columns_side_by_side_and_pictures_below_each_other(tmp_path):
    path = tmp_path / "sheet.png"
    figures.sheet({"truth": [flat(RED), flat(BLUE)], "gray": [flat(GREEN), flat(RED)]}, path)
    assert (count(path, RED), count(path, GREEN), count(path, BLUE)) == (4800, 2400, 2400)
    green, blue = box(path, GREEN), box(path, BLUE)
    assert green[0] > blue[2]
    assert green[3] < blue[1]


def test_sheet_scale_repeats_pixels(tmp_path):
    path = tmp_path / "sheet.png"
    picture = flat(RED)
    picture[3, 5] = GREEN
    figures.sheet({"truth": [picture]}, path, scale=3)
    left, top, right, bottom = box(path, RED)
    assert (right - left, bottom - top) == (180, 120)
    assert box(path, GREEN) == (left + 15, top + 9, left + 18, top + 12)


def test_sheet_side_shrinks_only_what_is_larger(tmp_path):
    path = tmp_path / "sheet.png"
    figures.sheet({"large": [flat(RED, 400, 200)], "small": [flat(GREEN, 10, 10)]}, path, side=100)
    assert (count(path, RED), count(path, GREEN)) == (100 * 50, 100)


def test_sheet_takes_columns_of_different_length(tmp_path):
    path = tmp_path / "sheet.png"
    figures.sheet({"a": [flat(RED), flat(RED)], "b": [flat(GREEN)]}, path)
    assert (count(path, RED), count(path, GREEN)) == (4800, 2400)


def test_rows_beyond_the_limit_go_on_to_the_right_under_the_same_titles(tmp_path):
    path, one = tmp_path / "sheet.png", tmp_path / "one.png"
    pictures = [flat(RED), flat(RED), flat(BLUE)]
    figures.sheet({"a": pictures, "b": [flat(GREEN)] * 3}, path, rows=2)
    figures.sheet({"a": pictures[:2], "b": [flat(GREEN)] * 2}, one)
    assert (count(path, RED), count(path, GREEN), count(path, BLUE)) == (4800, 7200, 2400)
    assert (pixels(path)[:, : pixels(one).shape[1]] == pixels(one)).all()
    assert box(path, BLUE)[0] > pixels(one).shape[1]
    assert box(path, BLUE)[1] == box(path, RED)[1]


def test_a_long_title_is_wrapped_and_never_covers_a_picture(tmp_path):
    path = tmp_path / "sheet.png"
    figures.sheet({"constant mean chroma of the training set": [flat(RED)], "b": [flat(GREEN)]}, path)
    assert (count(path, RED), count(path, GREEN)) == (2400, 2400)
    top = box(path, RED)[1]
    assert top > 5 * 15
    ink = pixels(path).max(axis=-1) < 80
    assert ink[:top].any()


def test_a_sheet_without_pictures_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one picture"):
        figures.sheet({"truth": []}, tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="at least one pair"):
        figures.before_after([], tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())


def test_reduced_shrinks_only_what_is_larger():
    assert figures.reduced(flat(RED, 400, 200), 100).shape == (100, 50, 3)
    assert (figures.reduced(flat(RED, 40, 20), 100) == flat(RED, 40, 20)).all()


def test_before_after_takes_photographs_of_every_shape_and_mode(tmp_path):
    path = tmp_path / "sheet.png"
    shapes = [(60, 40), (40, 60), (1, 1), (1, 5000), (5000, 1)]
    pairs = [(f"{size}", Image.new("L", size, 90), Image.new("RGB", size, RED)) for size in shapes]
    pairs.append(("palette", Image.new("P", (8, 8)), Image.new("RGBA", (8, 8), RED)))
    figures.before_after(pairs, path, height=30, width=400)
    assert pixels(path).shape[1] <= 400
    assert count(path, RED) == sum(
        width * height for width, height in [(45, 30), (20, 30), (30, 30), (1, 30), (120, 1), (30, 30)]
    )


def test_before_after_reads_its_pairs_one_by_one(tmp_path):
    alive = []

    def pairs():
        for number in range(4):
            alive.append(number)
            yield str(number), Image.new("L", (20, 10)), Image.new("RGB", (20, 10), RED)

    figures.before_after(pairs(), tmp_path / "sheet.jpg", height=20)
    assert alive == [0, 1, 2, 3]


def colors(path: Path) -> int:
    """Pixels that are neither gray nor white: the curves."""
    rgb = pixels(path).astype(int)
    return int(((rgb.max(-1) - rgb.min(-1)) > 60).sum())


def test_loss_curve_draws_both_curves_and_marks_the_best(tmp_path):
    history = [{"epoch": n, "train_loss": 1 / n, "val_loss": 1 / n + 0.01 * n} for n in range(1, 12)]
    both, one = tmp_path / "loss_curve.png", tmp_path / "one.png"
    figures.loss_curve(history, both)
    figures.loss_curve([{**row, "val_loss": None} for row in history], one)
    assert colors(both) > 1.5 * colors(one) > 0


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{"epoch": 1, "train_loss": 0.5, "val_loss": 0.6}],
        [{"epoch": 1, "train_loss": 50.0, "val_loss": float("nan")}, {"epoch": 2, "train_loss": 1.0}],
        [{"epoch": 1, "train_loss": 0.0, "val_loss": 100.0}, {"epoch": 2, "train_loss": 0.0, "val_loss": 0.0}],
    ],
)
def test_loss_curve_takes_any_history(history, tmp_path):
    figures.loss_curve(history, tmp_path / "loss_curve.png")
    assert pixels(tmp_path / "loss_curve.png").shape == (495, 880, 3)


def test_a_figure_that_fails_keeps_the_old_file(tmp_path):
    path = tmp_path / "sheet.png"
    figures.sheet({"a": [flat(RED)]}, path)
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        figures.sheet({"a": [flat(RED).astype(np.float64)]}, path)
    with pytest.raises(ValueError, match="unknown file extension"):
        figures.sheet({"a": [flat(RED)]}, tmp_path / "sheet.nonsense")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def near(path: Path, color: tuple[int, int, int]) -> int:
    """Pixels of about this colour."""
    return int((np.abs(pixels(path).astype(int) - color).max(-1) < 40).sum())


def test_compared_curves_draw_every_run_in_its_own_colour(tmp_path):
    path, one = tmp_path / "compared.png", tmp_path / "one.png"
    first = [{"epoch": n, "train_loss": 1 / n, "val_loss": 1 / n + 0.05} for n in range(1, 12)]
    second = [{"epoch": n, "train_loss": 2 / n, "val_loss": None} for n in range(1, 6)]
    figures.compared_curves({"first_$1$": first, "second": second, "nothing yet": []}, path)
    figures.compared_curves({"first_$1$": first}, one)
    blue, red = (68, 119, 170), (238, 102, 119)
    assert near(path, blue) > 500
    assert near(path, red) > 200
    assert near(one, red) == 0


def test_strips_put_states_side_by_side_below_titles_and_captions(tmp_path):
    path = tmp_path / "strips.png"
    rows = [
        figures.Strip("linear", [flat(RED), flat(BLUE), flat(RED)], ["clean", "t = 1", "t = 2"]),
        figures.Strip("a title of several words", [flat(GREEN)] * 2),
    ]
    figures.strips(rows, path, side=60)
    assert (count(path, RED), count(path, BLUE), count(path, GREEN)) == (4800, 2400, 4800)
    red, blue, green = box(path, RED), box(path, BLUE), box(path, GREEN)
    assert blue[:2] == (red[0] + 60 + 8, red[1])
    assert green[0] == red[0]
    assert green[2] == blue[2]
    assert green[1] > red[3] + 13  # room for the captions
    ink = pixels(path).max(axis=-1) < 150
    assert ink[: red[3], : red[0]].any()  # the title
    assert ink[red[3] : green[1], red[0] :].any()  # the captions
    assert not ink[green[3] :, red[0] :].any()  # the row without captions has none
    assert pixels(path).shape[1] == red[2] + 8


def test_strips_without_titles_and_captions_are_pictures_alone(tmp_path):
    path = tmp_path / "strips.png"
    figures.strips([figures.Strip("", [flat(RED)] * 3)] * 2, path, side=60)
    assert pixels(path).shape == (2 * 48 + 8, 3 * 68 + 8, 3)
    assert count(path, RED) == 6 * 2400


@pytest.mark.parametrize(("side", "factor"), [(60, 1), (119, 1), (120, 2), (200, 3), (30, 0.5)])
def test_strips_repeat_whole_pixels_or_shrink(side, factor, tmp_path):
    path = tmp_path / "strips.png"
    figures.strips([figures.Strip("", [flat(RED), flat(GREEN, 20, 30)])], path, side=side)
    left, top, right, bottom = box(path, RED)
    assert (right - left, bottom - top) == (60 * factor, 40 * factor)
    if factor >= 1:  # all pictures of a sheet by the same factor, the smaller ones in the middle of their line
        left, top, right, bottom = box(path, GREEN)
        assert (right - left, bottom - top) == (30 * factor, 20 * factor)
        assert top == 8 + 10 * factor


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_goes_round_and_holds_its_end(suffix, tmp_path):
    path = tmp_path / f"moving{suffix}"
    colors = [RED, GREEN, BLUE, RED]
    figures.animation(
        ([figures.Strip("", [flat(color)], ["x" * n])] for n, color in enumerate(colors, 1)), path, side=60
    )
    with Image.open(path) as moving:
        assert (moving.n_frames, moving.info["loop"]) == (4, 0)
        durations = []
        for number, color in enumerate(colors):
            moving.seek(number)
            middle = np.asarray(moving.convert("RGB"))[28, 38].astype(int)
            assert np.abs(middle - color).max() < 12
            durations.append(moving.info["duration"])
    assert durations[:-1] == [500] * 3
    assert durations[-1] == 2500


def test_an_animation_of_many_frames_is_quick_and_its_frames_are_of_one_size(tmp_path):
    path = tmp_path / "moving.gif"
    wide = [figures.Strip("", [flat(RED, 20, 20)], ["a caption that is wider than the picture"])]
    figures.animation((wide if n == 50 else [figures.Strip("", [flat((n, 0, 0), 20, 20)])] for n in range(100)), path)
    with Image.open(path) as moving:
        assert moving.n_frames == 100
        assert moving.info["duration"] == 40
        assert moving.size[0] > 200


def test_strips_and_animations_without_pictures_are_refused(tmp_path):
    for rows in ([], [figures.Strip("title", [])]):
        with pytest.raises(ValueError, match="at least one picture"):
            figures.strips(rows, tmp_path / "strips.png")
    with pytest.raises(ValueError, match="at least one frame"):
        figures.animation([], tmp_path / "moving.gif")
    assert not list(tmp_path.iterdir())


def test_schedules_are_drawn_twice_and_their_levels_marked(tmp_path):
    plain, marked = tmp_path / "plain.png", tmp_path / "marked.png"
    curves = {"first": [0.999, 0.5, 0.001], "second": [0.9, 0.7, 0.2]}
    figures.schedules(curves, plain, levels={})
    figures.schedules(curves, marked, levels={"second": [(0.5, 0.8), (2.0, 0.2)]})
    blue, red = (68, 119, 170), (238, 102, 119)
    assert near(plain, blue) > 500
    assert near(marked, red) > near(plain, red) + 50
    middle = pixels(plain).shape[1] // 2
    for half in (pixels(plain)[:, :middle], pixels(plain)[:, middle:]):
        assert (np.abs(half.astype(int) - red).max(-1) < 40).sum() > 200
