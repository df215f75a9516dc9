"""A pool of actors, fed by Ray Data: it hands series of photographs out, asks for no more than is done, replaces who dies."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tinct import __version__
from tinct.cluster.session import told
from tinct.cluster.worker import Worker
from tinct.errors import ConfigError
from tinct.photo import Work
from tinct.photo.steps import Outcome
from tinct.places import Place

if TYPE_CHECKING:
    from tinct.cluster.worker import Series

LIVES = 5  # actors that may die over some series before they are given back
TOGETHER = 8  # series that go to an actor at once: a death costs the work on so many, at most
_MOST_PARTS = 20_000  # more of them cost more to keep account of than a death does


class Pool:
    """So many actors on the cluster, each with a model of its own; by default one per GPU, else one per core."""

    def __init__(
        self, work: Work, folder: Place | None, workers: int | None, device: str, *, mark: str, dry: bool
    ) -> None:
        import ray
        from ray import cloudpickle

        there = ray.cluster_resources()
        self.on_gpu = device.startswith("cuda") or (device == "auto" and there.get("GPU", 0) >= 1)
        if self.on_gpu and not there.get("GPU"):
            raise ConfigError(f"device {device}: the cluster has no GPU")
        self.workers = workers or max(1, int(there.get("GPU" if self.on_gpu else "CPU", 1)))
        named = device if device != "auto" else "cuda" if self.on_gpu else "cpu"
        self.actor: dict[str, Any] = {
            "fn_constructor_args": (_packed(cloudpickle.dumps, work), folder),
            "fn_constructor_kwargs": {"dry": dry, "device": named, "mark": mark, "version": __version__},
            "num_cpus": 1,
            "num_gpus": 1 if self.on_gpu else None,
            "ray_remote_args_fn": lambda: {"max_task_retries": LIVES},
        }

    def outcomes(self, waiting: Mapping[int, Series], together: int) -> Iterator[tuple[int, list[Outcome]]]:
        """The outcomes of each series as it is done, by its number. Those that too many actors died over are missing.

        What an actor gives back as an error is raised; ConfigError when the cluster itself fails.
        """
        if not waiting:
            return
        import ray

        rows = [{"number": number, "series": pickle.dumps(items)} for number, items in waiting.items()]
        try:
            for row in self._answered(rows, together):
                answer = pickle.loads(row["answer"])
                if isinstance(answer, Exception):
                    raise answer
                yield row["number"], answer
        except ray.exceptions.RayError as error:
            raise ConfigError(f"the Ray cluster failed: {_reason(error)}") from None

    def _answered(self, rows: list[dict[str, Any]], together: int) -> Iterator[dict[str, Any]]:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # what is missing is tried once more
        size = max(1, min(together, len(rows) // (16 * self.workers)), len(rows) // _MOST_PARTS)
        blocks = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // size))
        ahead = (
            1 if together == 1 else None
        )  # what waits behind a death shares its fate, so where some died nothing waits
        pool = ray.data.ActorPoolStrategy(size=self.workers, max_tasks_in_flight_per_actor=ahead)
        yield from blocks.map(Worker, compute=pool, **self.actor).iter_rows()


def _reason(error: Exception) -> str:
    if "No module named 'tinct" in str(error):
        return f"its machines must have tinct {__version__} installed, as this one has"
    return told(error)


def _packed(dumps: Callable[[Any], bytes], work: Work) -> bytes:
    """The work as it goes to the actors; ConfigError for a model of another runtime than torch, whose sessions stay here."""
    try:
        return dumps(work)
    except TypeError as error:
        raise ConfigError(f"engine ray: the model can't be sent to actors ({error}). Leave --runtime away") from None
