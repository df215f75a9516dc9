"""Trains a run with several processes, as a launcher would start them; the argument is a JSON of what and how.

Everything is loaded once, then the processes are forked. Prints their exit codes as JSON: 130 for one that was interrupted.
"""

import json
import os
import signal
import socket
import sys
import traceback
from contextlib import closing
from pathlib import Path

from tinct.config import from_dict
from tinct.training.folder import has_checkpoint
from tinct.training.options import TrainConfig
from tinct.training.progress import StepDone
from tinct.training.run import Run


def train(folder: Path, data: Path, settings: dict, interrupt_after: int | None) -> None:
    """To the end, or until Ctrl+C is pressed in this process after so many steps."""
    run = (
        Run.resumed(folder, data, [])
        if has_checkpoint(folder)
        else Run.new(folder, data, from_dict(TrainConfig, settings))
    )
    steps = 0
    for record in run.train():
        steps += isinstance(record, StepDone)
        if steps == interrupt_after and isinstance(record, StepDone):
            os.kill(os.getpid(), signal.SIGINT)


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def forked(rank: int, count: int, port: int, asked: dict) -> int:
    """One of the processes."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in names.items()} | {"MASTER_ADDR": "127.0.0.1"})
        interrupted = asked.get("interrupt") if rank == count - 1 else None  # not the one that writes
        train(Path(asked["folder"]), Path(asked["data"]), asked["settings"], interrupted)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    asked = json.loads(sys.argv[1])
    count, port = asked["processes"], free_port()
    children = [forked(rank, count, port, asked) for rank in range(count)]
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]))


main()
