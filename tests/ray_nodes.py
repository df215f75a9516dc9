"""Nodes of a Ray cluster, each with an address of its own on loopback and processes of its own, to be killed whole."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from clustering import until, unused_port

_START = (sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block")
_SMALL = ("--num-cpus", "1", "--object-store-memory", "100000000", "--disable-usage-stats")


class Cluster:
    """A head at 127.0.0.2 and other nodes from 127.0.0.3 on, with a core each. Only who has its token can use it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder, f"127.0.0.2:{unused_port()}"
        self.token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        self.nodes: list[subprocess.Popen[bytes]] = []

    def node(self, umask: int = 0o022) -> subprocess.Popen[bytes]:
        """One more, when it is ready; the first is the head. What its actors write has the mode that the umask leaves."""
        number, log = len(self.nodes), self.folder / f"{len(self.nodes)}.log"
        where = self._head() if number == 0 else ["--address", self.address]
        command = [*_START, *_SMALL, *where, "--node-ip-address", f"127.0.0.{number + 2}"]
        environment = os.environ | self.token | {"RAY_worker_niceness": "0"}
        with log.open("wb") as file:
            node = subprocess.Popen(command, stdout=file, stderr=file, umask=umask, env=environment)
        self.nodes.append(node)
        assert until(lambda: b"runtime started" in log.read_bytes() or node.poll() is not None, 300)
        assert node.poll() is None, log.read_text()
        return node

    def _head(self) -> list[str]:
        port, client = self.address.rpartition(":")[2], str(unused_port())
        ports = ["--port", port, "--ray-client-server-port", client, "--include-dashboard", "false"]
        return ["--head", "--temp-dir", str(self.folder), *ports]


def kill(node: subprocess.Popen[bytes]) -> None:
    """A node with its actors and all, as a machine goes that loses its power."""
    with suppress(psutil.Error):
        processes = [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=30)
    node.wait()


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster without nodes, in a folder of a short name, as sockets need; what was started in it is killed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    made = Cluster(folder)
    try:
        yield made
    finally:
        for node in made.nodes:
            kill(node)
        shutil.rmtree(folder, ignore_errors=True)
