"""How exactly an export keeps its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinct.registry import Registry

Feeds = list[dict[str, Any]]  # inputs of one graph by name, as arrays: what it meets when photographs are coloured
PRECISIONS: Registry[Callable[[Any, Feeds], Any]] = Registry("precision")  # an ONNX model -> another
_SMALL = 64  # numbers that are not worth it


@PRECISIONS.add("float32")
def float32(model: Any, feeds: Feeds) -> Any:
    """As torch has them."""
    return model


@PRECISIONS.add("float16")
def float16(model: Any, feeds: Feeds) -> Any:
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
