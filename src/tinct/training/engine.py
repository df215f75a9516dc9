"""What the loop stands on: the accelerator, its processes, held-back signals, and what a lack of memory means."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from tinct.devices import chosen_device
from tinct.errors import TinctError
from tinct.families import Batch
from tinct.training.options import TrainingOptions

STOPS = (signal.SIGINT, signal.SIGTERM)


def accelerator(options: TrainingOptions) -> Accelerator:
    """The engine for the chosen device and precision; ConfigError when the device is not there."""
    on_cpu = chosen_device(options.device, best=("cuda", "cpu")) == "cpu"  # mps has to be asked for
    half = options.precision == "bfloat16" or (options.precision == "auto" and has_bfloat16(on_cpu))
    AcceleratorState._reset_state(reset_partial_state=True)  # one process may train twice, each time in its own way
    return Accelerator(mixed_precision="bf16" if half else "no", cpu=on_cpu)


def has_bfloat16(on_cpu: bool) -> bool:
    """Whether bfloat16 is worth it: a CPU without instructions for it is slower with it."""
    if not on_cpu:
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and torch.backends.cpu.get_cpu_capability() == "AVX512"


def is_main_process() -> bool:
    """Whether this process is the one that speaks and writes; `accelerate launch` and `torchrun` number theirs."""
    return int(os.environ.get("RANK", "0")) == 0


def process_count() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch's tensors on the device, its randomness where it is."""
    seen = None if batch.seen is None else batch.seen.to(device)
    return Batch(batch.rgb.to(device), batch.labels.to(device), batch.generators, seen)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds Ctrl+C, and a request to end that counts as one, back until the block is done: no checkpoint sees half a step."""
    handlers = {name: handler for name in STOPS if callable(handler := signal.getsignal(name))}
    if threading.current_thread() is not threading.main_thread():
        handlers.clear()
    caught: list[Any] = []
    for name in handlers:
        signal.signal(name, lambda *arguments: caught.append(arguments))
    try:
        yield
    finally:
        for name, handler in handlers.items():
            signal.signal(name, handler)
    for number, frame in caught[:1]:
        handlers[number](number, frame)


@contextlib.contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Within the block a request to end (SIGTERM: of a service, a container, a queue) does what Ctrl+C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def stop_requests(listening: bool) -> Iterator[list[int]]:
    """The signals to stop that came in so far, in one process of several: they all have to stop after the same step."""
    requests: list[int] = []
    if not listening or threading.current_thread() is not threading.main_thread():
        yield requests
        return
    kept = {name: signal.getsignal(name) for name in STOPS}
    for name in kept:
        signal.signal(name, lambda number, _: requests.append(number))
    try:
        yield requests
    finally:
        for name, handler in kept.items():
            signal.signal(name, handler)


@contextlib.contextmanager
def memory_advice(options: TrainingOptions) -> Iterator[None]:
    """Turns a lack of memory into a TinctError that says which settings to lower, and to what."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # the CPU's allocator raises a plain RuntimeError
        if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)):
            raise
        raise TinctError(f"out of memory in training. {_smaller(options)}") from None


def _smaller(options: TrainingOptions) -> str:
    half = options.batch_size // 2
    if not half:
        return "The batch is one picture already: use smaller pictures (size), or a smaller network."
    return (
        f"--batch-size {half} --accumulate {2 * options.accumulate} needs about half of the memory for the same "
        f"step of {options.batch_size * options.accumulate} pictures; --precision bfloat16 halves that of float32"
    )
