"""A Ray cluster to work on: one that is there, or one of this machine alone that ends with the work. Ray keeps quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

from tinct.errors import ConfigError

_REACHED_WITHIN = 5.0  # seconds
_STORE_BYTES = 1 << 28  # of memory for what actors share: a model and lists of files, no pictures

# Read when Ray is first imported. Nothing is reported to its makers, its own log is for files, and it gives up in time.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_connect_timeout_s": "5",
    "RAY_py_gcs_connect_timeout_s": "10",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "15",
}
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's way to say: this machine alone, on 127.0.0.1
    "RAY_worker_niceness": "0",  # of 15, by which everything else that runs comes before the actors
}


@contextlib.contextmanager
def session(address: str | None, workers: int | None) -> Iterator[None]:
    """Ray, ready to be used: the cluster at `address`, or this machine with room for so many actors, reached by nobody else.

    ConfigError when the cluster does not fit, or Ray does not start.
    """
    for name, value in (_QUIET if address else _QUIET | _ALONE).items():
        os.environ.setdefault(name, value)
    try:
        with _unheard(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _start(address, workers)
        yield
    finally:
        _stop()


def check(address: str | None) -> None:
    """ConfigError, soon, when Ray is not installed, and when nobody listens at HOST:PORT: Ray itself would try for minutes."""
    if not all(map(_is_there, ("ray", "pyarrow"))):
        raise ConfigError("--engine ray takes Ray, which is not installed: pip install 'tinct[ray]'")
    if address and address != "auto":
        _check_reached(address)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # of one that is barred
        return False


def _start(address: str | None, workers: int | None) -> None:
    import ray
    import ray.data

    if ray.is_initialized():
        raise ConfigError("this process uses a Ray cluster already. Colour in one of its own")
    options = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        if address:
            ray.init(address, **options)
        else:
            ray.init("local", num_cpus=workers, include_dashboard=False, object_store_memory=_STORE_BYTES, **options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError, ray.exceptions.RayError) as error:
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise ConfigError(f"{where}: can't be used: {told(error)}") from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


def _stop() -> None:
    import ray

    ray.shutdown()


def told(error: BaseException) -> str:
    """The first line of an error that says something; Ray tells long stories."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__).rstrip(".:")


def _check_reached(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            f"address = {address}: is none. It is HOST:PORT of the cluster's head (6379 by default), or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"the Ray cluster at {address} can't be reached ({told(error)}). Is it running (`ray status`), and the port open?"
        ) from None


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What is written past Python to standard error, by Ray's own core, goes nowhere."""
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
