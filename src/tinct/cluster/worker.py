"""What an actor does: the way of each photograph that it is given, with a model of its own. It writes files, no manifest."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import torch

from tinct import __version__, files
from tinct.devices import chosen_device
from tinct.errors import ConfigError, TinctError
from tinct.photo import Work
from tinct.photo.steps import Outcome, Seen, Settled, Steps
from tinct.places import Place

Series = Sequence[Seen | Settled]  # photographs whose results might get one name, in order


class Worker:
    """An actor. What would meet every photograph is given back as an error, for the run to end with."""

    def __init__(self, work: Work, folder: Place | None, *, dry: bool, device: str, mark: str, version: str) -> None:
        self.work, self.folder, self.dry = work, folder, dry
        self.refusal: TinctError | None = None
        files.mark(mark)
        if version != __version__:
            self.refusal = ConfigError(f"a machine of the cluster has tinct {__version__}, this one has {version}")
        try:
            self._go_to(chosen_device(device))
        except TinctError as error:
            self.refusal = error

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """A series in, its outcomes or an error out, pickled, under the series' number."""
        try:
            answer: Any = self.refusal or self.coloured(pickle.loads(row["series"]))
        except Exception as error:
            answer = error
        return {"number": row["number"], "answer": pickle.dumps(answer)}

    def coloured(self, series: Series) -> list[Outcome]:
        """What becomes of each."""
        steps = Steps(self.work, self.folder, self.dry)
        return [steps.encode(steps.make(steps.decode(item))) for item in series]

    def _go_to(self, device: str) -> None:
        """Brings the model there. An actor has a core, and is fastest with one thread."""
        if device == "cpu":
            torch.set_num_threads(1)
        if self.work.model is not None:
            self.work.model.to(device)
