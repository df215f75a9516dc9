"""Small work goes by one thread, pieces of it side by side, and torch's number of threads stays what it is."""

import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from tinct.config import from_dict
from tinct.families import FAMILIES, Colorizer
from tinct.photo import Done, PhotoOptions, colour, colouring, plan, run
from tinct.photo.colouring import goes_alone
from tinct.threads import alone, on_one, side_by_side

GRAY = data.camera()[::2, ::2]


def model() -> Colorizer:
    family = FAMILIES["splitdpm"]
    torch.manual_seed(0)
    network = {"encoder": [8, 8, 16], "denoiser": [8, 16], "deep_blocks": 2}
    return family.build(from_dict(family.Options, {"network": network, "size": 32, "steps": 2})).eval()


def here() -> tuple[int, int]:
    return threading.get_ident(), torch.get_num_threads()


@pytest.mark.usefixtures("two_threads")
def test_one_thread_is_another_one_with_no_helpers_and_here_nothing_changes() -> None:
    ident, count = on_one(here)
    assert count == 1
    assert ident != threading.get_ident()
    assert torch.get_num_threads() == 2
    assert on_one(lambda: (on_one(here), here())[0] == here())  # within it, at once


@pytest.mark.usefixtures("two_threads")
def test_threads_that_begin_later_have_what_torch_had() -> None:
    pool, counts = alone(2, "test"), list[int]()
    try:
        later = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert counts == [2]
        assert {pool.submit(torch.get_num_threads).result() for _ in range(8)} == {1}
    finally:
        pool.shutdown()


@pytest.mark.usefixtures("two_threads")
def test_pieces_are_done_at_once_and_come_in_order() -> None:
    both = threading.Barrier(2)

    def piece(number: int) -> int:
        both.wait(30)  # each waits for another one to be under way
        return 10 * number

    assert side_by_side(piece, range(2)) == [0, 10]
    assert side_by_side(lambda item: item, []) == []
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 // item, [1, 0])


@pytest.mark.usefixtures("two_threads")
def test_a_thread_that_works_alone_does_pieces_itself() -> None:
    """Else all threads of the pool might wait for pieces that none is left to do."""
    nested = side_by_side(lambda _: side_by_side(lambda _: here(), range(3)), range(4))
    for inner in nested:
        assert len(set(inner)) == 1
        assert inner[0][1] == 1


def test_small_work_alone_means_small_work_on_a_cpu() -> None:
    assert goes_alone(model(), 64 * 88)
    assert not goes_alone(model(), 1024 * 1024)


@pytest.mark.usefixtures("two_threads")
def test_photographs_are_the_same_by_one_thread_and_by_several() -> None:
    wide = np.asarray(Image.fromarray(GRAY).resize((1800, 900)))  # several strips
    several = colour(model(), wide, options=PhotoOptions())
    torch.set_num_threads(1)
    assert np.abs(several.astype(int) - colour(model(), wide, options=PhotoOptions())).max() <= 1


@pytest.mark.usefixtures("two_threads")
def test_a_folder_is_coloured_side_by_side_and_each_is_as_if_it_were_alone(tmp_path: Path) -> None:
    for number in range(5):
        Image.fromarray(np.roll(GRAY, 40 * number, axis=1)).save(tmp_path / f"{number}.png")
    work, both, inside = colouring(model(), PhotoOptions()), threading.Barrier(2), list[int]()
    assert work.side_by_side

    def make(picture):  # type: ignore[no-untyped-def]
        inside.append(torch.get_num_threads())
        if len(inside) <= 2:
            both.wait(30)  # two are under way at once
        return work.make(picture)

    watched = type(work)(**{**vars(work), "make": make})
    inputs = sorted(tmp_path.glob("*.png"))
    records = list(run(plan(inputs, tmp_path / "out", label="colour"), watched, workers=2))
    assert [record.source for record in records if isinstance(record, Done)] == inputs
    assert set(inside) == {1}
    assert torch.get_num_threads() == 2
    for path in inputs:
        (one,) = run(plan([path], tmp_path / "alone.png", label="colour"), work)
        assert isinstance(one, Done)
        results = [
            np.asarray(Image.open(made)).astype(int) for made in (tmp_path / "out" / path.name, tmp_path / "alone.png")
        ]
        assert np.abs(results[0] - results[1]).max() <= 1


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_child_of_a_fork_has_threads_of_its_own() -> None:
    """In a process of its own, as torch's own threads don't live through a fork; the child only asks for a pool."""
    script = (
        "import os, torch\nfrom tinct.threads import on_one\ntorch.set_num_threads(2)\nassert on_one(lambda: 1) == 1\n"
        "child = os.fork()\nif not child:\n    os._exit(on_one(lambda: 7))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "7", done.stderr
