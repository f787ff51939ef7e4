"""ONNX graphs as models."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from numbanet.export.onnx.files import load
from numbanet.export.onnx.flow import Flow, LayoutError, channels_first, plain
from numbanet.export.onnx.source import Source
from numbanet.export.onnx.walk import Walk
from numbanet.export.onnx.writing import package
from numbanet.layers import Apply
from numbanet.model import Sequential
from numbanet.scaling import Scaling
from numbanet.spec import Activation
from numbanet.store import FormatError

if TYPE_CHECKING:
    import onnx


def from_onnx(
    source: str | os.PathLike[str] | onnx.ModelProto,
    *,
    output: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    activations: Sequence[Activation] = (),
) -> Sequential:
    """Read a model from an ONNX graph.

    What `to_onnx` writes can be read, and what PyTorch, skl2onnx and others commonly write for dense networks, small
    convolutional ones and residual connections.

    Parameters
    ----------
    source : path-like or onnx.ModelProto
        File or model. Weights in further files are read from the folder of the file only.
    output : str, optional
        Value of the graph that is the model's output; the graph's only output by default.
    input_shape : tuple of int, optional
        Shape of a sample in the graph, where that does not say it.
    activations : sequence of Activation, optional
        Activations that have no name in the registry, to be found by their formulas.

    Returns
    -------
    Sequential
        Of float64 if all weights are, else of float32. Its samples have channels last: where the graph convolves or
        pools its input with channels first, as PyTorch does, ``model.predict`` takes ``X.transpose(0, 2, 3, 1)``
        (sequences: ``X.transpose(0, 2, 1)``). Outputs that are images have channels last, too.

    Raises
    ------
    FormatError
        If the file is damaged, or a node has no layer in numbanet; the message names the node and its operator.
    ImportError
        If the package onnx is missing.
    TypeError
        If ``source`` is something else.
    """
    proto, folder = load(package("from_onnx"), source)
    graph = Source(proto, folder, output)
    dims = _input_dims(graph, input_shape)
    try:
        model = _read(graph, plain(graph.input.name, dims), activations)
    except LayoutError:
        if len(dims) < 2:
            raise
        first = Flow(graph.input.name, (*dims[1:], dims[0]), channels_first(len(dims)))
        model = _read(graph, first, activations)
    if proto.producer_name == "numbanet":
        _tell(model, {entry.key: entry.value for entry in proto.metadata_props})
    return model


def _tell(model: Sequential, facts: dict[str, str]) -> None:
    """Let a model have the labels and the preprocessing that numbanet wrote."""
    try:
        if "classes" in facts:
            classes = json.loads(facts["classes"])
            if not isinstance(classes, list) or not all(isinstance(c, (str, int, float)) for c in classes):
                raise ValueError("expected a list of texts or numbers")
            model.classes = classes
        if "preprocessing" in facts:
            numbers = json.loads(facts["preprocessing"])
            model.preprocessing = Scaling(numbers["mean"], numbers["scale"])
            model.preprocessing.check(model.graph.input.shape)
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise FormatError(f"the file's metadata can't be read: {error}") from None


def _input_dims(graph: Source, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """Shape of a sample in the graph."""
    shape = graph.input.type.tensor_type.shape
    declared = tuple(d.dim_value for d in shape.dim)[1:]
    dims = declared if given is None else tuple(int(n) for n in given)
    if not dims or min(dims) < 1:
        names = ", ".join(d.dim_param or str(d.dim_value or "?") for d in shape.dim)
        raise FormatError(f"the graph's input '{graph.input.name}' has the shape ({names}); give input_shape=, the "
                          "numbers behind the first")
    if declared and (len(declared) != len(dims) or any(a not in (0, b) for a, b in zip(declared, dims, strict=True))):
        raise FormatError(f"input_shape={dims} is not that of the graph's input '{graph.input.name}', {declared}")
    return dims


def _read(graph: Source, start: Flow, activations: Sequence[Activation]) -> Sequential:
    walk = Walk(graph, activations, graph.steps)
    end = walk.run(start, graph.output)
    if end.order is not None or end.margin:
        raise FormatError(f"the output '{end.name}' is an image's elements with channels first, or a margin; numbanet "
                          "has channels last, and margins of convolutions only")
    floats = {array.dtype for array in walk.arrays}
    dtype = "float64" if floats == {np.dtype("float64")} else "float32"
    if not walk.arrays and graph.input.type.tensor_type.elem_type == 11:  # onnx.TensorProto.DOUBLE
        dtype = "float64"
    model = Sequential(walk.layers or [Apply("identity")])
    model.build(start.shape, dtype=dtype)
    try:
        model.set_weights(walk.arrays)
    except ValueError as error:
        raise FormatError(f"the graph's weights can't be used: {error}") from None
    return model
