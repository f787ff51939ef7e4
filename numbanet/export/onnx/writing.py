"""Models as ONNX graphs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import numbanet
from numbanet.export.onnx.lowering import Lowering
from numbanet.layers.base import activate
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Activation
from numbanet.trainer import Trainer

if TYPE_CHECKING:
    import onnx

# The first opset with LayerNormalization, and the IR of its day: ONNX Runtime 1.12 and onnx 1.12, of 2022, read both.
OPSET, IR_VERSION = 17, 8
MOST_BYTES = 2**31 - 2**20  # protobuf's limit, less what is not weights
INPUT, OUTPUT = "input", "output"


def to_onnx(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    name: str = "numbanet",
    link: str | Activation | None = None,
) -> onnx.ModelProto:
    """Write a model as an ONNX graph that predicts what it predicts.

    Parameters
    ----------
    model : Sequential, Trainer or estimator
        A model, whose outputs are those of ``model.predict``; a trainer, whose are those of ``trainer.predict``, such
        as probabilities; or a fitted estimator of `numbanet.sklearn`, whose are probabilities or regressed values.
    path : path-like, optional
        File to write, by custom with the ending ``.onnx``; it is complete or absent at any time.
    name : str, optional
        Name of the graph.
    link : str or Activation, optional
        Activation behind the outputs of a `Sequential`, such as "softmax".

    Returns
    -------
    onnx.ModelProto
        Checked graph of opset 17 and IR version 8. Its input is "input", of shape ``(batch, *input_shape)`` and the
        model's dtype, or int64 where the model embeds indices; its output is "output", of shape
        ``(batch, *output_shape)``. Images and sequences have their channels last, as in numbanet.

    Raises
    ------
    ImportError
        If the package onnx is missing.
    TypeError
        If ``model`` is something else, or a formula uses what ONNX operations can't express; the message names its
        file and line.
    ValueError
        If the model is not built, has a plugin's layer with kernels of its own, or is larger than 2 GB.
    """
    onnx = package("to_onnx")
    sequential, link = _parts(model, link)
    graph = sequential.graph
    if link is not None:
        graph = sequential.describe(graph.input.shape)
        activate(graph, get("activation", link))
    parameters = sequential.parameters
    if parameters.nbytes > MOST_BYTES:
        raise ValueError(f"the model has {parameters.nbytes:,} bytes of parameters; an ONNX file holds 2 GB at most")
    lowering = Lowering(graph, parameters)
    result = lowering.run(INPUT)
    operations = lowering.operations
    if not any(node.output == result for node in operations.nodes):
        result = operations.add("Identity", result)

    helper = onnx.helper
    new = {result: OUTPUT}
    nodes = [
        helper.make_node(n.kind, [new.get(i, i) for i in n.inputs], [new.get(n.output, n.output)], n.name,
                         **n.attributes)
        for n in operations.nodes
    ]  # fmt: skip
    used = {name for node in nodes for name in node.input}
    tensors = [onnx.numpy_helper.from_array(np.ascontiguousarray(values), key)
               for key, values in operations.constants.items() if key in used]  # fmt: skip
    real = helper.np_dtype_to_tensor_dtype(operations.dtype)
    ends = [
        helper.make_tensor_value_info(end, kind, ["batch", *value.shape])
        for end, kind, value in ((INPUT, onnx.TensorProto.INT64 if graph.vocabulary else real, graph.input),
                                 (OUTPUT, real, graph.output))
    ]  # fmt: skip
    proto = helper.make_model(
        helper.make_graph(nodes, name, ends[:1], ends[1:], tensors),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="numbanet",
        producer_version=numbanet.__version__,
    )  # fmt: skip
    helper.set_model_props(proto, _metadata(sequential))
    onnx.checker.check_model(proto, full_check=True)
    if path is not None:
        _write(Path(path), proto.SerializeToString())
    return proto


def package(caller: str) -> Any:
    """The package onnx."""
    try:
        import onnx
        import onnx.checker
        import onnx.numpy_helper
        import onnx.shape_inference
    except ImportError as error:
        raise ImportError(f"{caller} needs the package onnx: python -m pip install 'numbanet[onnx]'") from error
    return onnx


def _metadata(model: Sequential) -> dict[str, str]:
    """What whoever uses the model should know, as JSON."""
    facts: dict[str, Any] = {}
    if model.classes is not None:
        facts["classes"] = [c.item() if isinstance(c, np.generic) else c for c in model.classes]
    if model.preprocessing is not None:
        facts["preprocessing"] = {key: getattr(model.preprocessing, key).tolist() for key in ("mean", "scale")}
    return {key: json.dumps(value) for key, value in facts.items()}


def _parts(model: Any, link: str | Activation | None) -> tuple[Sequential, str | Activation | None]:
    """Network, and what stands behind it."""
    if isinstance(model, Sequential):
        return model, link
    loss = model.loss if isinstance(model, Trainer) else None
    network = model.model if isinstance(model, Trainer) else getattr(model, "model_", None)
    if loss is None and isinstance(network, Sequential):
        model._take_weights()  # of coefs_, which a user may have replaced
        loss = model._loss()
    if loss is None or not isinstance(network, Sequential):
        hint = "; fit it first" if hasattr(model, "fit") else ""
        raise TypeError(f"model must be a Sequential, a Trainer or a fitted estimator of numbanet.sklearn, got "
                        f"{type(model).__name__}{hint}")
    if link is not None:
        raise TypeError(f"link is for a Sequential; a {type(model).__name__} has the link of its loss, '{loss.link}'")
    return network, loss.link


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
