"""Runs ONNX graphs: with ONNX Runtime, or with onnx's evaluator where that has no kernel for a type."""

import math

import numpy as np
import onnx
import onnx.shape_inference
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

import numbanet as nn


class Erf(OpRun):
    """onnx's own rounds to float32."""

    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[x.dtype])(x),)


def run(proto, x, checked=True):
    """Output for an input, of a graph that has passed strict checks if asked.

    ONNX Runtime has no float64 kernels of Conv, AveragePool, GlobalAveragePool, Erf, Softsign and some others.
    """
    if checked:
        onnx.checker.check_model(proto, full_check=True)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)
    (name,) = (i.name for i in proto.graph.input)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        if not any(d.data_type == onnx.TensorProto.DOUBLE for d in proto.graph.initializer) and x.dtype != np.float64:
            raise
        with np.errstate(all="ignore"):
            return ReferenceEvaluator(proto, new_ops=[Erf]).run(None, {name: x})[0]
    return session.run(None, {name: x})[0]


D, C1, C2 = nn.Dense, nn.Conv1D, nn.Conv2D
TABLE = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1]])


class Scaled(nn.Layer):
    """A layer of known nodes: a scale of each channel, and a margin by itself."""

    def build(self, graph):
        width = graph.output.shape[-1]
        gamma = graph.parameter("gamma", (width,), nn.initializer("ones"), fan_in=1, fan_out=1)
        graph.node("affine", graph.output.shape, (gamma,))
        if len(graph.output.shape) == 3:
            height, width, channels = graph.output.shape
            graph.node("pad", (height + 1, width + 3, channels), margin=(0, 2), settings={"fill": 0.0})


CASES = {
    "dense": ([D(5, "relu"), D(3)], (4,)),
    "no bias": ([D(5, use_bias=False), D(2, "tanh")], (4,)),
    "convolution": ([C2(5, 3, "tanh")], (8, 7, 2)),
    "strides, same": ([C2(5, 3, strides=(2, 1), padding="same"), C2(4, (4, 2), padding="same")], (8, 7, 2)),
    "dilation": ([C2(5, (3, 2), dilation=(2, 1), padding=3, bias=None)], (8, 7, 2)),
    "padding value": ([C2(5, 3, padding=1, padding_value=-1.5, bias="unit")], (6, 7, 2)),
    "padding value behind": ([C2(3, 3), C2(5, 3, padding="same", strides=2, padding_value=2)], (6, 7, 2)),
    "connections": ([C2(4, 2, connections=TABLE)], (4, 5, 3)),
    "lecun1989": (nn.models.lecun1989().layers, (16, 16, 1)),
    "lenet5": (nn.models.lenet5().layers, (28, 28, 1)),
    "sequences": ([C1(5, 3, "relu", padding="same", dilation=2), nn.MaxPool1D(2), C1(4, 3, strides=2, bias="unit"),
                   nn.AvgPool1D(2, 1), nn.Flatten(), D(2)], (20, 3)),
    "sequence out": ([C1(5, 3, padding=1, padding_value=1)], (6, 3)),
    "global mean": ([C2(5, 3), nn.GlobalAvgPool(), D(3)], (6, 7, 2)),
    "global maximum": ([C1(5, 3), nn.GlobalMaxPool(), D(3)], (6, 2)),
    "global only": ([nn.GlobalAvgPool()], (6, 2)),
    "pools": ([nn.MaxPool2D((2, 3), 1), nn.AvgPool2D(2)], (6, 7, 2)),
    "reshape": ([nn.Reshape((4, 3, -1)), C2(3, 2), nn.Reshape((-1, 3)), nn.Flatten(), D(2)], (24,)),
    "flatten thin": ([C2(5, (4, 3)), nn.Flatten(), D(2)], (4, 3, 2)),
    "flatten one channel": ([C2(1, 2), nn.Flatten(), D(2)], (4, 3, 2)),
    "noise": ([D(5), nn.Dropout(0.5), nn.GaussianNoise(1.0)], (4,)),
    "noise alone": ([nn.Dropout(0.5)], (3,)),
    "channels": ([C2(4, 2), nn.SpatialDropout(0.5), nn.BatchNorm(epsilon=0.003), nn.Apply("mish")], (5, 5, 2)),
    "batch norm": ([D(5), nn.BatchNorm(center=False), D(3), nn.BatchNorm(scale=False, epsilon=1e-5)], (4,)),
    "batch norm alone": ([nn.BatchNorm(center=False, scale=False)], (4, 3)),
    "layer norm": ([D(5), nn.LayerNorm(), D(3), nn.LayerNorm(center=False, scale=False)], (4,)),
    "layer norm of images": ([nn.LayerNorm(scale=False)], (4, 3, 5)),
    "layer norm behind": ([C2(3, 2), nn.LayerNorm(center=False), C2(2, 2)], (4, 3, 5)),
    "embedding": ([nn.Embedding(11, 4), nn.Flatten(), D(3)], (6,)),
    "embedded sequence": ([nn.Embedding(11, 4), C1(3, 2, "gelu"), nn.GlobalMaxPool()], (6,)),
    "residual": ([D(6), nn.Residual([D(6, "relu"), D(6)]), nn.Residual([D(3)], [D(3, use_bias=False)])], (4,)),
    "residual inside": ([nn.Residual([D(4, "tanh"), nn.Residual([D(4)])]), nn.Residual([nn.Dropout(0.5)])], (4,)),
    "residual images": ([C2(4, 3, padding=1),
                         nn.Residual([C2(4, 3, padding="same"), nn.BatchNorm(), nn.Apply("relu"), C2(4, 3, padding=1)]),
                         nn.Residual([C2(6, 3, padding=1)], [C2(6, 1)]), nn.Flatten()], (5, 5, 2)),
    "residual in front": ([nn.Residual([C2(2, 3, padding=1)]), nn.Residual([nn.LayerNorm()]), nn.Flatten()], (4, 5, 2)),
    "row of an image": ([nn.Apply("softmax")], (3, 4, 2)),
    "flatten only": ([nn.Flatten(), nn.Flatten()], (3, 2)),
    "known nodes": ([Scaled(), C2(3, 2), Scaled()], (3, 4, 2)),
    "known nodes of vectors": ([Scaled()], (3,)),
}  # fmt: skip


def build(case, dtype="float32"):
    """Model of a case, its parameters all different."""
    layers, shape = CASES[case]
    model = nn.Sequential(layers)
    model.build(shape, dtype=dtype)
    rng = np.random.default_rng(0)
    for p in model.graph.parameters:
        values = rng.normal(0, 0.5, p.shape) * (1 if p.mask is None else p.mask)
        model.parameters[p.offset : p.end] = (abs(values) + 0.5 if p.role == "variance" else values).ravel()
    return model


def samples(model, n):
    """Inputs of a model."""
    rng, shape = np.random.default_rng(1), (n, *model.graph.input.shape)
    if model.graph.vocabulary:
        return rng.integers(0, model.graph.vocabulary, shape)
    return rng.normal(size=shape).astype(model.dtype)
