"""Operators of ONNX that numbanet has as an activation, and what their attributes must be."""

from __future__ import annotations

import numpy as np

from numbanet import registry
from numbanet.export.onnx.patterns import shortest
from numbanet.export.onnx.source import Source, Step
from numbanet.spec import Activation

NAMES = {
    "Exp": "exponential", "HardSwish": "hard_silu", "Mish": "mish", "Relu": "relu", "Sigmoid": "sigmoid",
    "Softplus": "softplus", "Softsign": "softsign", "Tanh": "tanh",
}  # fmt: skip
# name, ONNX's default, numbanet's parameter
SLOPES = {
    "Celu": ("celu", 1.0, "alpha"), "Elu": ("elu", 1.0, "alpha"), "LeakyRelu": ("leaky_relu", 0.01, "alpha"),
    "Swish": ("silu", 1.0, "beta"),
}  # fmt: skip
# name, and what the attributes must be beside ONNX's defaults
FIXED = {
    "HardSigmoid": ("hard_sigmoid", {"alpha": (1 / 6, 0.2), "beta": (0.5, 0.5)}),
    "Selu": ("selu", {"alpha": (1.6732632, 1.6732632), "gamma": (1.050701, 1.050701)}),
}
CLIPS = {(0.0, 6.0): "relu6", (-1.0, 1.0): "hard_tanh", (0.0, np.inf): "relu"}
ROWS = {"Softmax": "softmax", "LogSoftmax": "log_softmax"}
KINDS: set[str] = {*NAMES, *SLOPES, *FIXED, *ROWS, "Clip", "Gelu", "PRelu"}


def activation_of(step: Step, source: Source, axes: int) -> Activation:
    """Activation that a node is.

    Parameters
    ----------
    step : Step
        One of `KINDS`.
    source : Source
        The graph.
    axes : int
        Axes of a sample.

    Returns
    -------
    Activation
        With the node's parameters.

    Raises
    ------
    FormatError
        If numbanet has it with other numbers only.
    """
    kind, get = step.kind, registry.get
    if kind in NAMES:
        return get("activation", NAMES[kind])
    if kind in SLOPES:
        name, default, parameter = SLOPES[kind]
        return get("activation", name, **{parameter: shortest(np.array(step.get("alpha", default), np.float32))})
    if kind in FIXED:
        name, wanted = FIXED[kind]
        for key, (value, default) in wanted.items():
            if not np.isclose(step.get(key, default), value, rtol=1e-5):
                raise step.error(f"has {key}={step.get(key, default):.6g}; numbanet's {name} has {value:.6g}")
        return get("activation", name)
    if kind == "Gelu":
        return get("activation", "gelu" if step.get("approximate", "none") == "none" else "gelu_tanh")
    if kind == "PRelu":
        slopes = source.constant(step.inputs[1])
        if slopes.size < 1 or (slopes != slopes.flat[0]).any():
            raise step.error("has a slope for each channel; numbanet's leaky_relu has one")
        return get("activation", "leaky_relu", alpha=shortest(slopes))
    if kind == "Clip":
        ends = [step.get("min", -np.inf), step.get("max", np.inf)]
        for i, name in enumerate(step.inputs[1:]):
            ends[i] = float(source.constant(name).reshape(-1)[0]) if name else ends[i]
        clip = CLIPS.get((float(ends[0]), (ends[1] > 3.4e38 and np.inf) or float(ends[1])))
        if clip is None:
            known = ", ".join(f"{low:g} to {high:g}" for low, high in CLIPS)
            raise step.error(f"clips to {ends[0]:g} to {ends[1]:g}; numbanet's activations to {known}")
        return get("activation", clip)
    # before opset 13 all axes from one on were taken together
    axis = step.get("axis", -1 if source.opset >= 13 else 1)
    together = axis == 1 and (axes == 1 or source.opset < 13)
    if not together and not (axes == 1 and axis == -1):
        raise step.error(f"takes axis {axis} of samples with {axes} axes; numbanet's {ROWS[kind]} takes vectors")
    return get("activation", ROWS[kind])
