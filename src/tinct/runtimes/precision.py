"""How exactly an export keeps its numbers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinct.registry import Registry
from tinct.runtimes.graphs import quiet
from tinct.runtimes.sessions import onnxruntime

Feeds = list[dict[str, Any]]  # inputs of one graph by name, as arrays: what it meets when photographs are coloured
Convert = Callable[[Any, Callable[[], Feeds]], Any]  # an ONNX model, and what it meets, -> another
PRECISIONS: Registry[Convert] = Registry("precision")
_SMALL = 64  # numbers that are not worth it
_WIDE = 32  # channels


@PRECISIONS.add("float32")
def float32(model: Any, met: Callable[[], Feeds]) -> Any:
    """As torch has them."""
    return model


@PRECISIONS.add("float16")
def float16(model: Any, met: Callable[[], Feeds]) -> Any:
    """Weights in half the bytes, brought back to float32 when they are loaded: all arithmetic stays as it is."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or array.size < _SMALL:
            continue
        name, stored = tensor.name, f"{tensor.name}.float16"
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    model.graph.ClearField("node")
    model.graph.node.extend([*casts, *nodes])
    return model


@PRECISIONS.add("int8")
def int8(model: Any, met: Callable[[], Feeds]) -> Any:
    """Wide convolutions in 8 bit, weights and what they see, each for the range it met; everything else in float32.

    Narrow ones are where colour comes in and goes out: they cost little time, and in 8 bit most of the loss. Weights take
    7 bit, so that no sum of products leaves 16 bit on processors that add them there.
    """
    wide = _wide_convolutions(model)
    if not wide:
        return model
    onnxruntime()
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, quiet():
        made = Path(folder) / "made.onnx"
        quantize_static(
            model, made, _reader(met(), {given.name for given in model.graph.input}),
            quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            per_channel=True, reduce_range=True, op_types_to_quantize=["Conv"], nodes_to_quantize=wide,
        )  # fmt: skip
        return onnx.load(made)


def _wide_convolutions(model: Any) -> list[str]:
    """Those with many channels on both sides, by name."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in shapes]
    return [node.name for node in convolutions if min(shapes[node.input[1]][:2]) >= _WIDE]


def _reader(feeds: Feeds, names: set[str]) -> Any:
    """The inputs one after the other, as the library asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            self.left = iter(feeds)

        def get_next(self) -> dict[str, Any] | None:
            given = next(self.left, None)
            return given and {name: given[name] for name in names}

    return Reader()
