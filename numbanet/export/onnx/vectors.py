"""Dense layers, normalizations and embeddings of an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from numbanet.export.onnx.flow import Flow
from numbanet.export.onnx.source import Step
from numbanet.layers import BatchNorm, Dense, Embedding, LayerNorm

if TYPE_CHECKING:
    from numbanet.export.onnx.walk import Walk

EPSILON = 2.0**-10  # and a variance of 1 less that: a normalization that only scales and shifts


def gemm(walk: Walk, step: Step, flow: Flow) -> Flow:
    """Gemm, a product with weights and a bias."""
    if step.get("transA", 0) or step.inputs[0] != flow.name:
        raise step.error("has its samples turned round, or behind the weights; numbanet's Dense has them in front")
    values = walk.weights(step, 1)
    if values.ndim != 2:
        raise step.error(f"has weights of shape {values.shape}; expected two axes")
    values = (values.T if step.get("transB", 0) else values) * values.dtype.type(step.get("alpha", 1.0))
    bias = None
    if len(step.inputs) > 2:
        bias = walk.vector(step, 2, values.shape[1])
        bias = bias * bias.dtype.type(step.get("beta", 1.0))
    return _dense(walk, step, flow, values, bias, step.outputs[0])


def matmul(walk: Walk, step: Step, flow: Flow) -> Flow:
    """MatMul, perhaps with the Add of a bias behind it."""
    if step.inputs[0] != flow.name:
        raise step.error("has its samples behind the weights; numbanet's Dense has them in front")
    values, name, bias = walk.weights(step, 1), step.outputs[0], None
    if values.ndim != 2:
        raise step.error(f"has weights of shape {values.shape}; expected two axes")
    following = walk.only(name)
    if following is not None and following.kind == "Add":
        other = walk.other(following, name)
        if other and walk.source.constant(other).size in (1, values.shape[1]):
            bias = walk.vector(following, following.inputs.index(other), values.shape[1])
            name = following.outputs[0]
    return _dense(walk, step, flow, values, bias, name)


def _dense(walk: Walk, step: Step, flow: Flow, values: np.ndarray, bias: np.ndarray | None, name: str) -> Flow:
    if len(flow.shape) != 1 or values.shape[0] != flow.size:
        raise step.error(f"has weights of shape {values.shape}, its samples shape {flow.dims}; numbanet's Dense takes "
                         "vectors as long as its weights")
    arrays = [flow.turned(values), *([] if bias is None else [bias])]
    shape = walk.emit(step, Dense(values.shape[1], use_bias=bias is not None), flow.shape, *arrays)
    return Flow(name, shape, (0,))


def batch_normalization(walk: Walk, step: Step, flow: Flow) -> Flow:
    """BatchNormalization as it predicts."""
    if step.get("training_mode", 0) or not step.get("spatial", 1):
        raise step.error("is in training, or has averages of each position; export the model for prediction")
    if len(flow.shape) > 1:
        flow = walk.image(step, flow, len(flow.shape) - 1)
    gamma, beta, mean, variance = (flow.turned(walk.vector(step, i, flow.shape[-1])) for i in (1, 2, 3, 4))
    layer = BatchNorm(epsilon=step.get("epsilon", 1e-5))
    walk.emit(step, layer, flow.shape, mean, variance, gamma, beta)
    return walk.renamed(flow, step)


def layer_normalization(walk: Walk, step: Step, flow: Flow) -> Flow:
    """LayerNormalization over the last axis."""
    axis, axes = step.get("axis", -1), len(flow.shape)
    if axis not in (-1, axes) or flow.axes[-1] != axes - 1 or len(step.outputs) > 1:
        raise step.error(f"takes axes from {axis} on of samples with {axes}; numbanet's LayerNorm takes the channels, "
                         "which must be the last axis")
    arrays = [flow.turned(walk.vector(step, i, flow.shape[-1])) for i in range(1, len(step.inputs))]
    layer = LayerNorm(epsilon=step.get("epsilon", 1e-5), center=len(arrays) > 1)
    walk.emit(step, layer, flow.shape, *arrays)
    return walk.renamed(flow, step)


def written_out(walk: Walk, flow: Flow) -> Flow | None:
    """A layer normalization in small operations, as `to_onnx` writes it in float64."""
    source, name = walk.source, flow.name
    users = walk.users(name)
    mean = next((s for s in users if s.kind == "ReduceMean" and s.get("axes", []) == [-1]), None)
    chain = ["Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div"]
    if mean is None or sorted(s.kind for s in users) != ["ReduceMean", "Sub"] or flow.axes[-1] != len(flow.shape) - 1:
        return None
    found, value = [], mean.outputs[0]
    for kind in chain:
        step = next((s for s in walk.users(value) if s.kind == kind), None)
        if step is None:
            return None
        found.append(step)
        value = step.outputs[0]
    difference, square, second, add, _, divide = found
    deviation, other = difference.outputs[0], walk.other(add, second.outputs[0])
    if (difference.inputs != [name, mean.outputs[0]] or square.inputs != [deviation] * 2 or not other
            or second.get("axes", []) != [-1] or divide.inputs[0] != deviation or source.constant(other).size != 1):
        return None  # fmt: skip
    arrays: dict[str, np.ndarray] = {}
    last = divide
    for role, kind in (("scale", "Mul"), ("center", "Add")):
        following = walk.only(last.outputs[0])
        beside = walk.other(following, last.outputs[0]) if following is not None and following.kind == kind else ""
        if following is not None and beside and source.constant(beside).shape == flow.shape[-1:]:
            arrays[role], last = flow.turned(source.constant(beside)), following
    epsilon = float(source.constant(other).reshape(-1)[0])
    layer = LayerNorm(epsilon=epsilon, scale="scale" in arrays, center="center" in arrays)
    walk.emit(last, layer, flow.shape, *arrays.values())
    return walk.renamed(flow, last)


def affine(walk: Walk, step: Step, flow: Flow) -> Flow:
    """Add, Sub, Mul or Div of constants, one or one a channel, as a normalization that does nothing else."""
    place = step.inputs.index(flow.name)
    values = walk.weights(step, 1 - place)
    if step.kind == "Div" and place:
        raise step.error("divides a constant by its samples, which no layer of numbanet does")
    axes = len(flow.shape)
    wide = values.reshape((1,) * (axes + 1 - values.ndim) + values.shape) if values.ndim <= axes + 1 else values
    channel = flow.axes.index(axes - 1) + 1
    if wide.ndim != axes + 1 or any(n != 1 for i, n in enumerate(wide.shape) if i != channel):
        raise step.error(f"has constants of shape {values.shape} for samples of shape {flow.dims}; numbanet has one a "
                         "channel at most")
    if wide.shape[channel] not in (1, flow.shape[-1]):
        raise step.error(f"has {wide.shape[channel]} constants for {flow.shape[-1]} channels")
    numbers = flow.turned(np.broadcast_to(wide.ravel(), flow.shape[-1:]))
    ones, zeros = np.ones_like(numbers), np.zeros_like(numbers)
    gamma = {"Mul": numbers, "Div": 1 / numbers if step.kind == "Div" else ones, "Sub": -ones if place else ones,
             "Add": ones}[step.kind]  # fmt: skip
    beta = {"Add": numbers, "Sub": numbers if place else -numbers}.get(step.kind, zeros)
    walk.emit(step, BatchNorm(epsilon=EPSILON), flow.shape, zeros, ones - EPSILON, gamma, beta)
    return walk.renamed(flow, step)


def scaler(walk: Walk, step: Step, flow: Flow) -> Flow:
    """Scaler of ONNX's machine learning operators, (x - offset) scale, as a normalization by these."""
    numbers = [np.array(step.get(key, [0.0]), np.float32) for key in ("offset", "scale")]
    if len(flow.shape) != 1 or any(values.size not in (1, flow.size) for values in numbers):
        raise step.error(f"has {numbers[0].size} offsets and {numbers[1].size} scales for samples of shape {flow.dims}")
    offset, scale = (flow.turned(np.broadcast_to(values, flow.shape)) for values in numbers)
    ones = np.ones_like(scale)
    walk.emit(step, BatchNorm(epsilon=EPSILON), flow.shape, offset, ones - np.float32(EPSILON), scale, 0 * ones)
    return walk.renamed(flow, step)


def gather(walk: Walk, step: Step, flow: Flow) -> Flow:
    """Gather of a table's rows by the model's inputs."""
    if step.inputs[1] != flow.name or step.get("axis", 0) or not walk.source.is_constant(step.inputs[0]):
        raise step.error("picks from its samples; numbanet's Embedding picks rows of a table by its samples")
    table = walk.weights(step, 0)
    if table.ndim != 2 or not walk.at_start:
        raise step.error(f"has a table of shape {table.shape}; numbanet's Embedding has two axes, and comes first")
    shape = walk.emit(step, Embedding(*table.shape), flow.shape, table)
    return Flow(step.outputs[0], shape, (*flow.axes, len(flow.shape)))


