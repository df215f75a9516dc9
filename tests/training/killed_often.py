"""Trains a run to its end although it is killed again and again; the argument is a JSON of where and how.

A process of its own, which loads everything once and forks: what is killed has no time to learn of it, and the next one goes on
from the files alone. Prints, as JSON, for how many of the kills a file was just being written.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tinct.config import from_dict
from tinct.training.folder import has_checkpoint
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run


def train(folder: Path, data: Path, settings: dict, step: int) -> None:
    """From wherever the run is to its end; says so on the pipe `step` when the first step is done."""
    run = (
        Run.resumed(folder, data, [])
        if has_checkpoint(folder)
        else Run.new(folder, data, from_dict(TrainConfig, settings))
    )
    for record in run.train():
        if isinstance(record, StepDone):
            os.write(step, b".")


def forked(folder: Path, data: Path, settings: dict) -> tuple[int, int]:
    """The process that trains, and where to read of its steps."""
    steps, step = os.pipe()
    child = os.fork()
    if not child:
        try:
            train(folder, data, settings, step)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    os.close(step)
    return child, steps


def ended(child: int) -> bool:
    """Whether it came to its end by itself; it must not have failed."""
    pid, status = os.waitpid(child, os.WNOHANG)
    assert os.waitstatus_to_exitcode(status) == 0, "the training failed"
    return pid == child


def main() -> None:
    """Kills until there were enough of them, most of them after some steps; then lets the run end."""
    asked = json.loads(sys.argv[1])
    folder, data, settings = Path(asked["folder"]), Path(asked["data"]), asked["settings"]
    chance, done, writing, finished = random.Random(asked["seed"]), 0, 0, 0
    while done < asked["kills"]:
        child, steps = forked(folder, data, settings)
        for _ in range(chance.randint(0, 3)):
            os.read(steps, 1)  # nothing comes when the run is at its end
        time.sleep(chance.uniform(0, 0.05))
        if ended(child):
            finished += 1
            os.close(steps)
            for path in folder.iterdir():  # the next kills need something to do
                path.unlink()
            continue
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(steps)
        done += 1
        writing += any(folder.glob(".*.part*"))
    os.waitpid(forked(folder, data, settings)[0], 0)
    print(json.dumps({"kills": done, "while_writing": writing, "finished_before": finished}))


main()
