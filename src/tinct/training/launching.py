"""Several processes on the CPUs of one machine, however they were asked for."""

from __future__ import annotations

import os
import sys

import psutil

from tinct.errors import ConfigError


def start_missing_processes() -> None:
    """Becomes torchrun with as many processes as `accelerate launch --cpu --num_processes N` was asked for.

    Accelerate's launcher starts a single one on CPUs (it leaves the others to MPI) and tells it nothing of N.
    """
    count = _asked_for()
    if count < 2:
        return
    print(f"tinct: accelerate's launcher started one process on the CPU; torchrun starts all {count}", flush=True)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "tinct", *sys.argv[1:]])


def _asked_for() -> int:
    """The processes that the launcher above this one was asked for and did not start; 1 = all is as it should be."""
    alone = "WORLD_SIZE" not in os.environ and "PMI_SIZE" not in os.environ
    if not (alone and os.environ.get("ACCELERATE_USE_CPU") == "True" and "MASTER_PORT" in os.environ):
        return 1
    launcher = psutil.Process().parent()
    line = launcher.cmdline() if launcher else []
    if "launch" not in line:
        return 1
    from accelerate.commands.launch import launch_command_parser  # slow to load, and rarely needed

    asked, _ = launch_command_parser().parse_known_args(line[line.index("launch") + 1 :])
    if (asked.num_machines or 1) > 1:
        raise ConfigError("several machines without GPUs: start `torchrun ... -m tinct train` on each of them instead")
    return int(asked.num_processes or 1)
