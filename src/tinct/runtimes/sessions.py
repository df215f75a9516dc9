"""onnxruntime in place of torch: a denoiser whose parts are sessions, so that everything around it stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tinct.errors import ConfigError, WeightsError
from tinct.level import Level
from tinct.nets import Denoiser
from tinct.nets.base import Features
from tinct.runtimes.graphs import level_inputs


def onnxruntime() -> Any:
    """The library; ConfigError that says how to get it."""
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(
            "onnxruntime is not installed. Get it with: pip install 'tinct[onnx]', or use --runtime torch"
        ) from None
    return onnxruntime


class Session:
    """One graph, on the CPU; each call has as many threads as torch has where it is made (see tinct.threads)."""

    def __init__(self, path: Path) -> None:
        self.path, self.library = path, onnxruntime()
        try:
            self.graph = path.read_bytes()  # kept: sessions that are made later are of the same graph
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror}") from None
        self.sessions = {1: self._with(1)}  # by number of threads: small networks go alone
        self.inputs = {given.name for given in self.sessions[1].get_inputs()}

    def _with(self, threads: int) -> Any:
        options = self.library.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as torch's: see tinct/__init__.py
        options.log_severity_level = 3  # errors
        try:
            return self.library.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of a type of its own for everything that may be wrong with a file
            raise WeightsError(f"{self.path}: onnxruntime can't run it: {_first_line(error)}") from None

    def __call__(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The outputs in their order. MemoryError where memory lacks."""
        given = {name: value.contiguous().numpy() for name, value in inputs.items() if name in self.inputs}
        if (threads := torch.get_num_threads()) not in self.sessions:
            self.sessions[threads] = self._with(threads)
        try:
            return [torch.from_numpy(output) for output in self.sessions[threads].run(None, given)]
        except Exception as error:
            if "allocate memory" in str(error):
                raise MemoryError(_first_line(error)) from None
            raise


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class RunDenoiser(Denoiser):
    """The denoiser of an export. `mean_place` says which output of its encoder has the mean, `features` how many are features."""

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        reduction: int,
        multiple: int,
        features: int,
        mean_place: int | None,
        jumps: bool,
    ) -> None:
        super().__init__()
        self.reduction, self.multiple, self.jumps = reduction, multiple, jumps
        self.count, self.mean_place = features, mean_place
        self.encoder, self.denoiser, self.alike = (Session(files[name]) for name in ("encoder", "denoiser", "likeness"))
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)  # where the model is: those who ask look at one

    def encode(self, gray: Tensor) -> Features:
        """See Denoiser; the mean is one more where it is none of the features."""
        return tuple(self.encoder({"gray": gray}))

    def mean(self, features: Features) -> Tensor | None:
        """See Denoiser."""
        return None if self.mean_place is None else features[self.mean_place]

    def likeness(self, features: Features) -> Tensor:
        """See Denoiser."""
        return self.alike(self._named(features))[0]

    def forward(self, x_t: Tensor, level: Level, features: Features, labels: Tensor | None = None) -> Tensor:
        """See Denoiser; a network that takes labels is not exported."""
        assert labels is None
        return self.denoiser({"x_t": x_t, **level_inputs(level), **self._named(features)})[0]

    def _named(self, features: Sequence[Tensor]) -> dict[str, Tensor]:
        return {f"feature_{index}": feature for index, feature in enumerate(features[: self.count])}
