"""A Ray cluster to work on: one that is there, or one of this machine alone that ends with the work. Ray keeps quiet."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec

from tinct.cluster.head import reach, watched
from tinct.errors import ConfigError

_STORE_BYTES = 1 << 28  # of memory for what actors share: a model and lists of files, no pictures

# Read when Ray is first imported. Nothing is reported to its makers, its own log is for files, and it gives up in time.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_gcs_rpc_server_connect_timeout_s": "5",
    "RAY_py_gcs_connect_timeout_s": "10",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",  # what it tells of workers and nodes that died, on standard output
    "RAY_DEDUP_LOGS_ALLOW_REGEX": "(?!)",
}
_THERE = {
    "RAY_gcs_server_port_wait_time_s": "1",  # tries to connect, of some 20 s each when nobody answers
    "RAY_gcs_server_request_timeout_seconds": "20",
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
    for name, value in (_QUIET | (_THERE if address else _ALONE)).items():
        os.environ.setdefault(name, value)
    try:
        with _unheard(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = _start(address, workers)
        with watched(head):
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


def _start(address: str | None, workers: int | None) -> str:
    """HOST:PORT of the cluster's head."""
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
    except Exception as error:  # Ray raises bare ones, too
        where = f"the Ray cluster at {address}" if address else "Ray on this machine"
        raise ConfigError(f"{where}: can't be used: {_why(error)}") from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return str(ray.get_runtime_context().gcs_address)


def _why(error: Exception) -> str:
    """What Ray means by its error, where that stands at the end of a long story."""
    story = f"{error!r} {error.__cause__!r}"
    if "AuthenticationError" in story:
        return "it wants a token. Set RAY_AUTH_MODE=token, with its token in RAY_AUTH_TOKEN or in ~/.ray/auth_token"
    if "Timed out while waiting for GCS" in story:
        return "nobody answers there as the head of a Ray cluster does"
    if "No node info found" in story:
        return "this machine is none of its nodes. First: ray start --address HOST:PORT (--num-cpus 0: without actors here)"
    return told(error)


def _stop() -> None:
    import ray

    ray.shutdown()


def told(error: BaseException) -> str:
    """The first line of an error that says something; Ray tells long stories."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__).rstrip(".:")


def _check_reached(address: str) -> None:
    if address.startswith("ray://"):
        raise ConfigError(
            f"address = {address}: is that of a Ray client, which Ray Data can't be used by. Run the command on a machine "
            "of the cluster, with HOST:PORT of the head (6379 by default)"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(
            f"address = {address}: is none. It is HOST:PORT of the cluster's head (6379 by default), or auto"
        )
    try:
        reach(host, int(port))
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
