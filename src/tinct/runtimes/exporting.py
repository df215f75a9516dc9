"""A model written as ONNX graphs with their description: a folder that is whole or not there."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from tinct.errors import ConfigError, OutputError, WeightsError
from tinct.families import Model
from tinct.files import output_error, replacing_folder, write_json
from tinct.nets.features import sha256_of
from tinct.runtimes import description
from tinct.runtimes.calibrating import inputs_met
from tinct.runtimes.graphs import Graph, agreement, examples, graphs_of, traced
from tinct.runtimes.precision import PRECISIONS, Convert, Feeds
from tinct.runtimes.sessions import Session

EXACT = 1e-4  # of the largest value, that a graph in float32 may differ from torch: sums are taken in another order
_TRIALS = (
    (1, (2, 4)),
    (3, (5, 3)),
)  # batches and sides that a graph is compared with torch at: not those it was traced at


@dataclass(frozen=True)
class Written:
    """A graph is written. `difference` is the largest to torch, as a share of the largest value; None without onnxruntime."""

    name: str
    bytes: int
    sha256: str
    difference: float | None


@dataclass(frozen=True)
class Exported:
    """The folder is there."""

    folder: Path
    bytes: int


def export(model: Model, folder: Path, *, precision: str = "float32") -> Iterator[Written | Exported]:
    """Writes the folder, graph by graph; each is checked, and compared with torch where onnxruntime is installed.

    What stands in the folder is replaced when the new one is whole. ConfigError for a model that can't be exported and for
    packages that lack, WeightsError for a graph that gives other numbers, OutputError for a place that can't be written to.
    """
    colorizer, network = description.network_of(model)
    convert = PRECISIONS[precision]
    check_packages()
    graphs = graphs_of(network, colorizer.space.channels)
    about = description.described(colorizer, graphs, precision)
    trials = [examples(network, colorizer.space.channels, *trial) for trial in _TRIALS]
    met = cache(lambda: inputs_met(colorizer, network))
    try:
        with replacing_folder(folder) as new:
            for graph in graphs:
                one = _written(graph, trials, new, convert, met)
                about["files"][one.name] = {"file": f"{one.name}.onnx", "bytes": one.bytes, "sha256": one.sha256}
                yield one
            write_json(new / description.NAME, about, sync=True)
    except OSError as error:
        raise output_error(folder, error) from None
    yield Exported(folder, sum(path.stat().st_size for path in folder.iterdir()))


def check_packages() -> None:
    """ConfigError that says how to get what an export takes."""
    try:
        import onnx
        import onnxscript
    except ImportError as error:
        raise ConfigError(
            f"an export takes packages that are not installed ({error.name}): pip install 'tinct[onnx]'"
        ) from None
    assert onnx, onnxscript


def check_place(folder: Path, *, force: bool = False) -> None:
    """OutputError where an export would replace something: an older export only if `force`, anything else never."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not (folder / description.NAME).is_file():
        raise OutputError(f"{folder}: is there and is no export. Choose another folder.")
    if folder.exists() and not force:
        raise OutputError(f"{folder}: holds an export already. Add --force to replace it.")


def _written(
    graph: Graph,
    trials: Sequence[Mapping[str, Tensor]],
    folder: Path,
    convert: Convert,
    met: Callable[[], Mapping[str, Feeds]],
) -> Written:
    """The graph in its file, compared with torch as it is, and again when it is converted."""
    import onnx

    path, model = folder / f"{graph.name}.onnx", traced(graph)
    onnx.save(model, path)
    difference = _difference(graph, trials, path)
    if difference is not None and difference > EXACT:
        raise WeightsError(f"{graph.name}: the graph differs from torch by {difference:.2g} of its largest value")
    onnx.save(convert(model, lambda: met()[graph.name]), path)
    onnx.checker.check_model(path, full_check=True)
    return Written(graph.name, path.stat().st_size, sha256_of(path), _difference(graph, trials, path))


def _difference(graph: Graph, trials: Sequence[Mapping[str, Tensor]], path: Path) -> float | None:
    """The largest over all trials; None without onnxruntime."""
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    session = Session(path)
    return max(agreement(graph, inputs, session(inputs)) for inputs in trials)
