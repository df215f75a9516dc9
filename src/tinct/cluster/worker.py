"""What an actor does: the way of each photograph that it is given, with a model of its own. It writes files, no manifest."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tinct import __version__, files
from tinct.errors import ConfigError

if TYPE_CHECKING:
    from tinct.photo import Work
    from tinct.photo.steps import Outcome, Seen, Settled
    from tinct.places import Place

    Series = Sequence[Seen | Settled]  # photographs whose results might get one name, in order


class Worker:
    """An actor. What would meet every photograph is given back as an error, for the run to end with.

    It is made in a moment, and loads torch and the model with its first photographs: Ray takes up an actor that dies over
    its work, but not surely one that dies while it is being made.
    """

    def __init__(self, packed: bytes, folder: Place | None, *, dry: bool, device: str, mark: str, version: str) -> None:
        self.packed, self.folder, self.dry, self.device, self.version = packed, folder, dry, device, version
        files.mark(mark)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A series in, its outcomes or an error out, pickled, under the series' number."""
        try:
            answer: Any = self.coloured(pickle.loads(row["series"]))
        except Exception as error:
            answer = error
        return {"number": row["number"], "answer": pickle.dumps(answer)}

    def coloured(self, series: Series) -> list[Outcome]:
        """What becomes of each."""
        from tinct.photo.steps import Steps

        steps = Steps(self.work, self.folder, self.dry)
        return [steps.encode(steps.make(steps.decode(item))) for item in series]

    @cached_property
    def work(self) -> Work:
        """The work, its model on the device. An actor on the CPU has a core, and is fastest with one thread."""
        import torch

        from tinct.devices import chosen_device

        if self.version != __version__:
            raise ConfigError(f"a machine of the cluster has tinct {__version__}, this one has {self.version}")
        device = chosen_device(self.device)
        if device == "cpu":
            torch.set_num_threads(1)
        work: Work = pickle.loads(self.packed)
        if work.model is not None:
            work.model.to(device)
        return work
