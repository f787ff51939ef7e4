"""Activations as ONNX operations: ONNX's own operator where it is the same, else the formula written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numbanet.builtins import activations as ours
from numbanet.export.onnx.formulas import write_row, write_scalar
from numbanet.export.onnx.operands import Tensor
from numbanet.export.onnx.operations import Operations
from numbanet.spec import Activation

OPERATORS: dict[Callable[..., Any], str] = {
    ours.relu: "Relu", ours.sigmoid: "Sigmoid", ours.softsign: "Softsign", ours.softmax: "Softmax",
    ours.log_softmax: "LogSoftmax",
}  # fmt: skip
# Attributes of ONNX are float32.
OPERATORS_OF_FLOAT32: dict[Callable[..., Any], str] = {
    ours.leaky_relu: "LeakyRelu", ours.elu: "Elu", ours.celu: "Celu", ours.selu: "Selu",
}  # fmt: skip


def write_activation(operations: Operations, activation: Activation, x: str, length: int = 0) -> str:
    """Name of an activation's value.

    Parameters
    ----------
    operations : Operations
        Where it is written.
    activation : Activation
        Its forward formula.
    x : str
        Name of the input, of shape ``(n, length)`` if the activation takes rows.
    length : int
        Elements of a row.

    Returns
    -------
    str
        Name of the output.

    Raises
    ------
    FormulaError
        If a formula uses what ONNX operations can't express; the message names file and line.
    """
    function = getattr(activation.forward, "py_func", activation.forward)
    own = OPERATORS.get(function)
    attributes: dict[str, Any] = {}
    if own is None and operations.dtype.name == "float32":
        own, attributes = OPERATORS_OF_FLOAT32.get(function), dict(activation.params)
    if own is not None:
        return operations.add(own, x, **({"axis": 1} if activation.row else attributes))
    return write_formula(operations, activation, x, length)


def write_formula(operations: Operations, activation: Activation, x: str, length: int = 0) -> str:
    """As `write_activation`, without operators that ONNX has for the purpose."""
    # parameters stay constants by name, so that they can be read again
    prefix = f"{operations.scope}.{activation.name}"
    taken = sum(name.startswith(f"{prefix}.") for name in operations.constants)
    names = {key: f"{prefix}.{key}{taken or ''}" for key in activation.params}
    parameters = [Tensor(operations.constant(names[key], value)) for key, value in activation.params.items()]
    if activation.row:
        return write_row(operations, activation.forward, x, length, [*parameters])
    value = write_scalar(operations, activation.forward, [Tensor(x), *parameters])
    name = value.name if isinstance(value, Tensor) else operations.number(value)
    if name == x:
        return operations.add("Identity", x)
    depends = {x}
    for node in operations.nodes:
        if depends.intersection(node.inputs):
            depends.add(node.output)
    return name if name in depends else operations.add("Expand", name, operations.add("Shape", x))
