"""Models read from ONNX graphs: those that numbanet wrote, and those that others write."""

import os
from functools import partial

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra test has")

from onnx import TensorProto, helper, numpy_helper
from onnx_runners import CASES, build, run, samples

import numbanet as nn
from numbanet import registry
from numbanet.export import from_onnx, to_onnx
from numbanet.export.onnx import files
from numbanet.store import FormatError

DTYPES = ("float32", "float64")
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
OURS = "activation", "numbanet"
RNG = np.random.default_rng(0)
OWN_SETTINGS = {"elu": {"alpha": 0.7}, "leaky_relu": {"alpha": 0.3}, "celu": {"alpha": 1.3}, "silu": {"beta": 1.7}}
node = helper.make_node


def draw(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def graph(nodes, shape, weights=None, *, opset=20, kind=TensorProto.FLOAT, outputs=("y",)):
    """A model as another program would write it, of an input x."""
    tensors = [numpy_helper.from_array(np.asarray(values), name) for name, values in (weights or {}).items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    given = helper.make_tensor_value_info("x", kind, ["batch", *shape])
    made = helper.make_graph(nodes, "others", [given], ends, tensors)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 1)]
    return helper.make_model(made, opset_imports=domains, ir_version=9)


def agree(proto, layers, shape=None, **options):
    """The model that is read gives what ONNX Runtime gives."""
    model = from_onnx(proto, **options)
    assert [type(layer).__name__ for layer in model.layers] == layers
    dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = RNG.normal(size=(4, *dims)).astype(np.float32)
    first = model.graph.input.shape != tuple(dims)
    found = model.predict(np.moveaxis(x, 1, -1) if first else x)
    expected = run(proto, x, checked=False)
    if shape == "first":
        expected = np.moveaxis(expected, 1, -1)
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-5, atol=1e-5)
    return model


# -- round trips ---------------------------------------------------------------------------------


@both_dtypes
@pytest.mark.parametrize("case", [case for case in CASES if case != "known nodes"])
def test_round_trip(case, dtype):
    model = build(case, dtype)
    x = samples(model, 5)
    found = from_onnx(to_onnx(model))
    assert found.dtype == dtype
    assert found.graph.input.shape == model.graph.input.shape
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.predict(x), model.predict(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", ["dense", "lenet5", "channels", "global mean", "residual images", "embedding",
                                  "layer norm"])  # fmt: skip
def test_same_layers(case):
    """And another round gives the same file."""
    model = build(case)
    found = from_onnx(to_onnx(model))
    expected = [type(layer) for layer in model.layers if not isinstance(layer, nn.SpatialDropout)]
    assert [type(layer) for layer in found.layers] == expected
    first, second = to_onnx(found), to_onnx(from_onnx(to_onnx(found)))
    assert first == second


@both_dtypes
@pytest.mark.parametrize("name", [e.spec.name for kind, e in registry.entries() if (kind, e.distribution) == OURS])
def test_activations_are_found_again(name, dtype):
    activation = nn.activation(name, **OWN_SETTINGS.get(name, {}))
    model = nn.Sequential([nn.Dense(4), nn.Residual([nn.Dense(4, activation)]), nn.Apply(activation)])
    model.build((3,), dtype=dtype)
    found = from_onnx(to_onnx(model))
    name = {"swish": "silu"}.get(name, name)
    for one in (found.layers[1].layers[0].activation, found.layers[-1].activation if name != "identity" else None):
        assert one is None or (one.name, one.params) == (name, dict(activation.params))
    x = RNG.normal(size=(5, 3)).astype(dtype)
    np.testing.assert_array_equal(found.predict(x), model.predict(x))


def curve(x, width):
    return x / (1.0 + abs(x) / width) + 0.125


def shares(x, y, power):
    total = 0.0
    for j in range(len(x)):
        total += abs(x[j]) ** power
    for j in range(len(x)):
        y[j] = abs(x[j]) ** power / total


def test_activations_on_the_spot():
    own = nn.Activation("curve", forward=curve, params={"width": 2.0})
    row = nn.Activation("shares", forward=shares, row=True, params={"power": 1.5})
    layers = [nn.Dense(4, own.with_params(width=0.3)), nn.Apply(row.with_params(power=2.5))]
    model = nn.Sequential(layers, input_shape=3)
    proto = to_onnx(model)
    with pytest.raises(FormatError, match=r"(no activation of|nor do) several (operations|nodes)"):
        from_onnx(proto)
    found = from_onnx(proto, activations=[own, row])
    assert found.layers[0].activation.params == {"width": 0.3}
    assert found.layers[1].activation.params == {"power": 2.5}
    x = RNG.normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(found.predict(x), model.predict(x))


def test_bounds_of_parameters_hold():
    own = nn.Activation("curve", forward=curve, params={"width": 2.0}, bounds={"width": "(0, inf)"})
    loose = nn.Activation("curve", forward=curve, params={"width": -2.0})
    proto = to_onnx(nn.Sequential([nn.Apply(loose)], input_shape=3))
    with pytest.raises(FormatError):
        from_onnx(proto, activations=[own])


# -- as others write -----------------------------------------------------------------------------


def gemm(x, w, y, **options):
    return node("Gemm", [x, f"{w}.weight", f"{w}.bias"], [y], transB=1, **options)


def linear(name, inputs, units):
    return {f"{name}.weight": draw(units, inputs), f"{name}.bias": draw(units)}


CONV = {"kernel_shape": [3, 3], "group": 1}


def convolution(weights, **options):
    """PyTorch's: convolution, relu, pooling, flattening with channels first, a dense layer."""
    nodes = [node("Conv", ["x", "c.weight", "c.bias"], ["a"], **{**CONV, **options}), node("Relu", ["a"], ["b"]),
             node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0)]  # fmt: skip
    return nodes, {"c.weight": draw(4, 2, 3, 3), "c.bias": draw(4), **weights}


def test_pytorch_convolution():
    nodes, weights = convolution(linear("d", 4 * 3 * 2, 5), pads=[1, 1, 1, 1])
    for flat in ([node("Flatten", ["c"], ["f"], axis=1)], [node("Reshape", ["c", "shape"], ["f"], allowzero=1)]):
        proto = graph([*nodes, *flat, gemm("f", "d", "y")], (2, 6, 5), {**weights, "shape": [-1, 24]})
        agree(proto, ["Conv2D", "MaxPool2D", "Flatten", "Dense"])


def test_view_by_the_size_of_the_batch():
    """x.view(x.size(0), -1), in nodes that compute a shape."""
    nodes, weights = convolution(linear("d", 4 * 3 * 2, 5), pads=[1, 1, 1, 1])
    more = [
        node("Shape", ["c"], ["s"]), node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0))),
        node("Gather", ["s", "zero"], ["n"], axis=0), node("Unsqueeze", ["n", "first"], ["one"]),
        node("Concat", ["one", "rest"], ["shape"], axis=0), node("Reshape", ["c", "shape"], ["f"]),
    ]  # fmt: skip
    weights |= {"rest": np.array([-1]), "first": np.array([0])}
    agree(graph([*nodes, *more, gemm("f", "d", "y")], (2, 6, 5), weights), ["Conv2D", "MaxPool2D", "Flatten", "Dense"])


@pytest.mark.parametrize("options", [
    {"pads": [0, 1, 2, 0]}, {"pads": [2, 1, 2, 1], "strides": [2, 3]}, {"dilations": [2, 1], "pads": [1, 0, 3, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"auto_pad": "VALID"}, {"pads": [0, 0, 1, 1], "strides": [2, 2]},
])  # fmt: skip
def test_margins(options):
    weights = {"w": draw(4, 2, 3, 3), "b": draw(4)}
    agree(graph([node("Conv", ["x", "w", "b"], ["y"], **options)], (2, 8, 7), weights), ["Conv2D"], "first")


def test_pads_of_their_own():
    weights = {"w": draw(4, 2, 3, 3), "pads": np.array([0, 0, 2, 2, 0, 0, 2, 2]), "value": np.float32(0.75)}
    nodes = [node("Pad", ["x", "pads", "value"], ["p"]), node("Conv", ["p", "w"], ["y"])]
    model = agree(graph(nodes, (2, 8, 7), weights), ["Conv2D"], "first")
    assert (model.layers[0].padding, model.layers[0].padding_value) == (2, 0.75)
    nodes[0] = node("Pad", ["x", "pads"], ["p"])
    nodes[1] = node("Conv", ["p", "w"], ["y"], pads=[1, 0, 1, 0])
    agree(graph(nodes, (2, 8, 7), weights), ["Conv2D"], "first")


def test_groups():
    weights = {"w": draw(4, 1, 3, 3), "d": draw(4, 2, 1, 1), "b": draw(4)}
    nodes = [node("Conv", ["x", "w"], ["a"], group=2), node("Conv", ["a", "d", "b"], ["y"], group=2)]
    model = agree(graph(nodes, (2, 8, 7), weights), ["Conv2D", "Conv2D"], "first")
    np.testing.assert_array_equal(model.layers[0].connections, [[1, 1, 0, 0], [0, 0, 1, 1]])


def test_pooling_to_one():
    weights = linear("d", 4, 3) | {"w": draw(4, 2, 3, 3), "axes": np.array([2, 3]), "both": np.array([-1, -2])}
    first = node("Conv", ["x", "w"], ["a"])
    for ways in (
        [node("GlobalAveragePool", ["a"], ["b"]), node("Flatten", ["b"], ["c"])],
        [node("ReduceMean", ["a", "axes"], ["b"], keepdims=1), node("Squeeze", ["b", "axes"], ["c"])],
        [node("ReduceMean", ["a", "both"], ["c"], keepdims=0)],
        [node("GlobalMaxPool", ["a"], ["b"]), node("Squeeze", ["b", "both"], ["c"])],
    ):
        layers = ["Conv2D", "GlobalMaxPool" if ways[0].op_type == "GlobalMaxPool" else "GlobalAvgPool", "Dense"]
        agree(graph([first, *ways, gemm("c", "d", "y")], (2, 8, 7), weights), layers)
    agree(graph([first, node("GlobalAveragePool", ["a"], ["y"])], (2, 8, 7), weights), ["Conv2D", "AvgPool2D"], "first")


def test_keras():
    """Channels last, turned before and behind each convolution; products and sums by themselves."""
    weights = {"w": draw(4, 2, 3, 3), "u": draw(24, 3), "b": draw(3), "shape": np.array([-1, 24])}
    nodes = [
        node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]), node("Conv", ["a", "w"], ["b1"]),
        node("Elu", ["b1"], ["c"]), node("Transpose", ["c"], ["d"], perm=[0, 2, 3, 1]),
        node("Reshape", ["d", "shape"], ["e"]), node("MatMul", ["e", "u"], ["f"]), node("Add", ["b", "f"], ["g"]),
        node("Softmax", ["g"], ["y"], axis=-1),
    ]  # fmt: skip
    model = agree(graph(nodes, (5, 4, 2), weights), ["Conv2D", "Flatten", "Dense"])
    assert model.graph.input.shape == (5, 4, 2)
    nodes = [node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)]
    agree(graph(nodes, (5, 4, 2), {"axes": np.array([1, 2])}), ["GlobalAvgPool"])
    agree(graph([node("ReduceMean", ["x", "axes"], ["y"])], (5, 4, 2), {"axes": np.array([1, 2])}), ["AvgPool2D"])


def test_skl2onnx():
    weights = {"w": draw(4, 5), "b": draw(1, 5), "v": draw(5, 3), "c": draw(3), "shape": np.array([-1, 3])}
    nodes = [
        node("Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.5, 1, 0, 2], scale=[2.0, 1, 3, 0.5]),
        node("Cast", ["s"], ["a"], to=1), node("MatMul", ["a", "w"], ["m"]), node("Add", ["m", "b"], ["d"]),
        node("Relu", ["d"], ["e"]), node("MatMul", ["e", "v"], ["f"]), node("Add", ["f", "c"], ["g"]),
        node("Softmax", ["g"], ["h"]), node("Identity", ["h"], ["probabilities"]),
        node("ArgMax", ["probabilities"], ["label"], axis=1),
    ]  # fmt: skip
    proto = graph(nodes, (4,), weights, outputs=("label", "probabilities"))
    with pytest.raises(FormatError, match=r"has the outputs label, probabilities; choose one, as in output='probab"):
        from_onnx(proto)
    with pytest.raises(FormatError, match="no node computes 'probability'; the graph's outputs: label, probabilities"):
        from_onnx(proto, output="probability")
    model = from_onnx(proto, output="probabilities")
    assert [type(layer).__name__ for layer in model.layers] == ["BatchNorm", "Dense", "Dense"]
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    hidden = np.maximum((x - [0.5, 1, 0, 2]) * [2, 1, 3, 0.5] @ weights["w"] + weights["b"], 0)
    logits = np.exp(hidden @ weights["v"] + weights["c"])
    np.testing.assert_allclose(model.predict(x), logits / logits.sum(1, keepdims=True), rtol=1e-5)

def test_embedding():
    weights = {"table": draw(7, 3), **linear("d", 12, 2)}
    nodes = [node("Gather", ["table", "x"], ["a"]), node("Flatten", ["a"], ["b"]), gemm("b", "d", "y")]
    proto = graph(nodes, (4,), weights, kind=TensorProto.INT64)
    x = RNG.integers(0, 7, (5, 4))
    np.testing.assert_allclose(from_onnx(proto).predict(x), run(proto, x, checked=False), rtol=1e-5, atol=1e-6)


def test_residual_with_two_ways():
    weights = {"w": draw(2, 2, 3, 3), "v": draw(2, 2, 1, 1), "s": draw(2), "zero": np.zeros(2, np.float32),
               "one": np.ones(2, np.float32)}  # fmt: skip
    nodes = [
        node("Conv", ["x", "v"], ["short"]), node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["a", "s", "zero", "s2", "one"], ["b"]), node("Relu", ["b"], ["c"]),
        node("Add", ["short", "c"], ["d"]), node("Relu", ["d"], ["e"]), node("Dropout", ["e"], ["f"]),
        node("AveragePool", ["f"], ["y"], kernel_shape=[2, 2], strides=[1, 2]),
    ]  # fmt: skip
    weights["s2"] = weights["s"] * 2
    agree(graph(nodes, (2, 6, 6), weights), ["Residual", "Apply", "Dropout", "AvgPool2D"], "first")


def test_flat_input_made_an_image():
    weights = {"w": draw(2, 1, 3, 3), "shape": np.array([-1, 1, 5, 4]), **linear("d", 12, 2)}
    nodes = [node("Reshape", ["x", "shape"], ["a"]), node("Conv", ["a", "w"], ["b"]), node("Flatten", ["b"], ["c"]),
             gemm("c", "d", "y")]  # fmt: skip
    agree(graph(nodes, (20,), weights), ["Reshape", "Reshape", "Conv2D", "Flatten", "Dense"])


def test_normalization_of_flattened_images():
    """What is numbered by elements with channels first is put in the layers' order."""
    names = ("g", "b", "m")
    weights = {"w": draw(2, 3, 2, 2), "v": abs(draw(24)) + 0.5, **linear("d", 24, 2)}
    weights |= {name: draw(24) for name in names}
    ends = [node("BatchNormalization", ["c", "g", "b", "m", "v"], ["e"], epsilon=1e-3),
            node("LayerNormalization", ["c", "g", "b"], ["e"], axis=-1), node("Mul", ["c", "g"], ["e"]),
            node("Sub", ["m", "c"], ["e"]), node("Div", ["c", "v"], ["e"]), node("Sub", ["c", "m"], ["e"])]  # fmt: skip
    for end in ends:
        nodes = [node("Conv", ["x", "w"], ["a"]), node("Flatten", ["a"], ["c"]), end, gemm("e", "d", "y")]
        kind = "LayerNorm" if end.op_type == "LayerNormalization" else "BatchNorm"
        agree(graph(nodes, (3, 4, 5), weights), ["Conv2D", "Flatten", kind, "Dense"])


def test_sequences():
    weights = {"w": draw(4, 2, 3), "b": draw(4), **linear("d", 20, 3)}
    nodes = [node("Conv", ["x", "w", "b"], ["a"], pads=[1, 1]),
             node("MaxPool", ["a"], ["c"], kernel_shape=[2], strides=[2]),
             node("Flatten", ["c"], ["e"]), gemm("e", "d", "y")]  # fmt: skip
    agree(graph(nodes, (2, 10), weights), ["Conv1D", "MaxPool1D", "Flatten", "Dense"])


GELU = [node("Div", ["x", "r"], ["a"]), node("Erf", ["a"], ["b"]), node("Add", ["b", "one"], ["c"]),
        node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["y"])]  # fmt: skip
FOREIGN = {
    "gelu": GELU, "silu": [node("Sigmoid", ["x"], ["a"]), node("Mul", ["x", "a"], ["y"])],
    "mish": [node("Softplus", ["x"], ["a"]), node("Tanh", ["a"], ["b"]), node("Mul", ["x", "b"], ["y"])],
    "hard_silu": [node("HardSigmoid", ["x"], ["a"], alpha=1 / 6), node("Mul", ["a", "x"], ["y"])],
    "softplus": [node("Softplus", ["x"], ["a"]), node("Greater", ["x", "far"], ["b"]),
                 node("Where", ["b", "x", "a"], ["y"])],
}  # fmt: skip
SINGLE = {
    "relu": {"Relu": {}}, "sigmoid": {"Sigmoid": {}}, "tanh": {"Tanh": {}}, "exponential": {"Exp": {}},
    "hard_silu": {"HardSwish": {}}, "mish": {"Mish": {}}, "softplus": {"Softplus": {}}, "softsign": {"Softsign": {}},
    "elu": {"Elu": {"alpha": 0.7}}, "leaky_relu": {"LeakyRelu": {}}, "celu": {"Celu": {"alpha": 2.0}},
    "selu": {"Selu": {}}, "hard_sigmoid": {"HardSigmoid": {"alpha": 1 / 6}}, "gelu": {"Gelu": {}},
    "gelu_tanh": {"Gelu": {"approximate": "tanh"}}, "log_softmax": {"LogSoftmax": {"axis": 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_activations_in_several_operations(name):
    numbers = {key: np.float32(value) for key, value in {"r": 2**0.5, "one": 1, "half": 0.5, "far": 20}.items()}
    model = agree(graph(FOREIGN[name], (5,), numbers), ["Apply"])
    assert model.layers[0].activation.name == name


@pytest.mark.parametrize("name", SINGLE)
def test_activations_in_one_operation(name):
    ((kind, attributes),) = SINGLE[name].items()
    model = agree(graph([node(kind, ["x"], ["y"], **attributes)], (5,)), ["Apply"])
    assert model.layers[0].activation.name == name


def test_clips_and_slopes():
    numbers = {"zero": 0, "six": 6, "one": 1, "minus": -1, "slope": 0.2}
    numbers = {key: np.float32(value) for key, value in numbers.items()}
    clips = ((["x", "zero", "six"], "relu6"), (["x", "minus", "one"], "hard_tanh"), (["x", "zero"], "relu"))
    for inputs, name in clips:
        model = agree(graph([node("Clip", inputs, ["y"])], (5,), numbers), ["Apply"])
        assert model.layers[0].activation.name == name
    model = agree(graph([node("PRelu", ["x", "slope"], ["y"])], (5,), numbers), ["Apply"])
    assert model.layers[0].activation == nn.activation("leaky_relu", alpha=0.2)


def test_scaled_products():
    weights = {"w": draw(5, 3), "b": draw(1)}
    agree(graph([node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0)], (5,), weights), ["Dense"])
    agree(graph([node("Gemm", ["x", "w"], ["y"])], (5,), weights), ["Dense"])


# -- files ---------------------------------------------------------------------------------------


def small():
    return graph([node("MatMul", ["x", "w"], ["y"], name="product")], (3,), {"w": draw(3, 2)})


def outside(proto, folder, location="weights", **facts):
    """The model with its weights in another file."""
    (tensor,) = proto.graph.initializer
    (folder / "weights").write_bytes(b"head" + tensor.raw_data)
    facts = {"location": location, "offset": 4, "length": len(tensor.raw_data), **facts}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in facts.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_files(tmp_path):
    model = build("lenet5")
    to_onnx(model, tmp_path / "model.onnx")
    x = samples(model, 3)
    for path in (tmp_path / "model.onnx", str(tmp_path / "model.onnx")):
        np.testing.assert_array_equal(from_onnx(path).predict(x), model.predict(x))
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "another.onnx")
    (tmp_path / "text.onnx").write_text("no protobuf")
    (tmp_path / "empty.onnx").write_text("")
    for name in ("text.onnx", "empty.onnx"):
        with pytest.raises(FormatError, match=f"{name} is not an ONNX file"):
            from_onnx(tmp_path / name)
    with pytest.raises(TypeError, match=r"source must be a path or an onnx.ModelProto, got int"):
        from_onnx(3)


def test_weights_in_another_file(tmp_path):
    proto = small()
    expected = from_onnx(proto).parameters
    np.testing.assert_array_equal(from_onnx(outside(proto, tmp_path)).parameters, expected)
    with pytest.raises(FormatError, match="is in a further file, 'weights'; give from_onnx the path"):
        from_onnx(proto)
    os.remove(tmp_path / "weights")
    with pytest.raises(FormatError, match="which is missing from the folder"):
        from_onnx(tmp_path / "model.onnx")


@pytest.mark.parametrize(("facts", "message"), [
    ({"location": "../weights"}, "outside the folder of the model; it is not read"),
    ({"location": "/etc/passwd"}, "outside the folder of the model; it is not read"),
    ({"location": "link"}, "outside the folder of the model; it is not read"),
    ({"location": ""}, "outside the folder of the model; it is not read"),
    ({"offset": -4}, "the model names 24 of them from -4"), ({"offset": 5}, "'weights' has 28"),
    ({"length": 20}, "needs 24 bytes"), ({"offset": "many"}, "a place in 'weights' that is no number"),
])  # fmt: skip
def test_weights_from_elsewhere_are_not_read(tmp_path, facts, message):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights").write_bytes(bytes(28))
    (folder / "link").symlink_to(tmp_path / "weights")
    path = outside(small(), folder, **facts)
    with pytest.raises(FormatError, match=message):
        from_onnx(path)


def test_sizes_are_checked():
    for change, message in (
        (lambda t: t.dims.__setitem__(0, 10**12), "has 24 bytes; its shape .* needs 8000000000000"),
        (lambda t: t.dims.__setitem__(0, -3), r"has ONNX's data type 1 and shape \(-3, 2\)"),
        (lambda t: setattr(t, "data_type", 8), "has ONNX's data type 8 .* known types: float32"),
        (lambda t: (t.ClearField("raw_data"), t.float_data.extend([1.0])), "has 1 values; its shape .* needs 6"),
    ):
        proto = small()
        change(proto.graph.initializer[0])
        with pytest.raises(FormatError, match=message):
            from_onnx(proto)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_types_of_weights(kind):
    values = np.array([[0.5, -2.0], [1.0, 4.0]], kind)
    for raw in (True, False):
        number = helper.np_dtype_to_tensor_dtype(values.dtype)
        flat = values.ravel().view(np.uint16) if kind == "float16" and not raw else values.ravel()
        tensor = helper.make_tensor("w", number, (2, 2), values.tobytes(), raw=True)
        if not raw:
            tensor.ClearField("raw_data")
            getattr(tensor, files.TYPES[number][1]).extend(flat.tolist())
        proto = graph([node("MatMul", ["x", "w"], ["y"])], (2,))
        proto.graph.initializer.append(tensor)
        model = from_onnx(proto)
        assert model.dtype == ("float64" if kind == "float64" else "float32")
        np.testing.assert_array_equal(model.parameters, values.ravel())


def test_labels_and_preprocessing():
    model = build("dense")
    model.classes, model.preprocessing = ["a", "b", 3], nn.Scaling([1.0, 2, 3, 4], 2.0)
    proto = to_onnx(model)
    found = from_onnx(proto)
    assert found.classes == ["a", "b", 3]
    assert repr(found.preprocessing) == repr(model.preprocessing)
    for key, text in (("classes", "{}"), ("classes", "[[]]"), ("classes", "["), ("preprocessing", '{"mean": 1}'),
                      ("preprocessing", '{"mean": [1, 2], "scale": 1}'), ("preprocessing", '{"mean": 1, "scale": 0}')):
        helper.set_model_props(proto, {key: text})
        with pytest.raises(FormatError, match="the file's metadata can't be read"):
            from_onnx(proto)
    proto.producer_name = "another"
    assert from_onnx(proto).classes is None


# -- refusals ------------------------------------------------------------------------------------

W = {"w": draw(4, 2, 3, 3), "d": draw(3, 2), "s": draw(2), "five": draw(5), "axis": np.array([1]), "one": np.float32(1),
     "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "shape": np.array([0, 7]), "text": np.array([1, 2])}  # fmt: skip
REFUSED = {
    "unknown operator": ([node("LSTM", ["x", "d"], ["y"], name="memory")], (3,),
                         r"node 'memory' \(LSTM\) is not among the operators that have a layer in numbanet: Add, "),
    "custom operator": ([node("Evil", ["x"], ["y"], domain="my.own")], (3,), r"node 'y' \(my.own.Evil\) is not among"),
    "own relu": ([node("Relu", ["x"], ["y"], domain="my.own")], (3,), r"\(my.own.Relu\) is not among"),
    "pooling with a margin": ([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 1, 1])], (2, 5, 5),
                              r"\(MaxPool\) has a margin"),
    "windows beyond": ([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], (2, 5, 4),
                       "windows beyond the edge"),
    "large window": ([node("MaxPool", ["x"], ["y"], kernel_shape=[9, 9])], (2, 5, 5), "does not fit samples of"),
    "no weights": ([node("MatMul", ["x", "x"], ["y"])], (3,), "has no constants as its input 1"),
    "other weights": ([node("MatMul", ["x", "d"], ["y"])], (4,), r"of shape \(3, 2\), its samples shape \(4,\)"),
    "rows": ([node("MatMul", ["x", "d"], ["y"])], (5, 3), "numbanet's Dense takes vectors"),
    "whole numbers": ([node("MatMul", ["x", "text"], ["y"])], (2,), "has int64 constants as its input 1"),
    "behind": ([node("MatMul", ["d", "x"], ["y"])], (3,), "has its samples behind the weights"),
    "long bias": ([node("Gemm", ["x", "d", "five"], ["y"])], (3,), r"constants of shape \(5,\) as its input 2"),
    "channels": ([node("Conv", ["x", "w"], ["y"])], (3, 8, 8), "in 1 groups for 3 channels"),
    "huge margin": ([node("Conv", ["x", "w"], ["y"], pads=[1, 1, 10**9, 1])], (2, 8, 8), "at most 1024 can be read"),
    "odd margin": ([node("Conv", ["x", "w"], ["y"], pads=[1, 0, 0, 0], dilations=[2, 2])], (2, 8, 8), "no words for"),
    "number of pads": ([node("Conv", ["x", "w"], ["y"], pads=[1, 1])], (2, 8, 8), r"has pads \[1, 1\]"),
    "strides": ([node("Conv", ["x", "w"], ["y"], strides=[0, 1])], (2, 8, 8), r"has strides \(0, 1\)"),
    "pad alone": ([node("Pad", ["x", "pads"], ["p"]), node("Relu", ["p"], ["y"])], (2, 8, 8), "is behind a Pad"),
    "reflection": ([node("Pad", ["x", "pads"], ["y"], mode="reflect")], (2, 8, 8), "mode 'reflect'"),
    "samples turned": ([node("Transpose", ["x"], ["y"], perm=[1, 0])], (3,), "leaves the samples in front"),
    "samples flattened": ([node("Flatten", ["x"], ["y"], axis=0)], (3,), "mixes samples"),
    "shape": ([node("Reshape", ["x", "shape"], ["y"])], (3,), r"wants the shape \(7,\) of samples of shape \(3,\)"),
    "axis of softmax": ([node("Softmax", ["x"], ["y"], axis=1)], (3, 4), "takes axis 1 of samples with 2 axes"),
    "layer norm": ([node("LayerNormalization", ["x", "s"], ["y"], axis=1)], (4, 2), "takes axes from 1 on"),
    "hard sigmoid": ([node("HardSigmoid", ["x"], ["y"])], (3,), "has alpha=0.2; numbanet's hard_sigmoid has 0.166667"),
    "clip": ([node("Clip", ["x", "one"], ["y"])], (3,), "clips to 1 to inf"),
    "slopes": ([node("PRelu", ["x", "s"], ["y"])], (2,), "a slope for each channel"),
    "batch norm": ([node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v"], training_mode=1)], (2,),
                   "is in training"),
    "many constants": ([node("Mul", ["x", "d"], ["y"])], (3, 2), "one a channel at most"),
    "divided": ([node("Div", ["s", "x"], ["y"])], (2,), "divides a constant by its samples"),
    "picks": ([node("Gather", ["x", "axis"], ["y"], axis=1)], (3,), "picks from its samples"),
    "two ways": ([node("Tanh", ["x"], ["a"]), node("Relu", ["x"], ["b"]), node("Mul", ["a", "b"], ["y"])], (3,),
                 "numbanet's Residual has two ways that an Add joins"),
    "unlike ways": ([node("MatMul", ["x", "d"], ["a"]), node("Relu", ["x"], ["b"]),
                     node("Add", ["a", "b"], ["y"])], (3,), r"adds samples of shapes \(2,\) and \(3,\)"),
    "channels first out": ([node("Conv", ["x", "w"], ["a"]), node("Flatten", ["a"], ["y"])], (2, 5, 5),
                           "is an image's elements with channels first"),
    "image of a vector": ([node("Reshape", ["x", "image"], ["a"]), node("Conv", ["a", "w"], ["y"])], (32,),
                          r"node 'y' \(Conv\) takes channels along axis 1"),
    "whole": ([node("ReduceMean", ["x", "axis"], ["y"])], (3, 4, 5), r"takes the mean over axes \[1\] of 4"),
    "not computed": ([node("Add", ["x", "z"], ["y"])], (3,), "takes 'z', which nothing before computes"),
    "computed twice": ([node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])], (3,), "which there is already"),
    "no output": ([node("Relu", ["x"], ["z"])], (3,), "no node computes 'y'"),
    "attribute": ([node("Elu", ["x"], ["y"], alpha=1)], (3,), "an attribute 'alpha' of an unknown type"),
    "no input": ([node("Relu", ["d"], ["y"])], (3,), "'y' depends on 0 inputs of the graph"),
    "constant": ([node("Erf", ["d"], ["e"]), node("MatMul", ["x", "e"], ["y"])], (3,), r"\(Erf\) computes a constant"),
    "to integers": ([node("Relu", ["x"], ["a"]), node("Cast", ["a"], ["y"], to=7)], (3,), "makes no floats"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    nodes, shape, message = REFUSED[name]
    proto = graph(nodes, shape, {**W, "image": np.array([-1, 2, 4, 4])})
    with pytest.raises(FormatError, match=message):
        from_onnx(proto)


def test_a_plugins_margin_is_refused():
    with pytest.raises(FormatError, match="numbanet has channels last, and margins of convolutions only"):
        from_onnx(to_onnx(build("known nodes")))


def test_input_shape():
    made = partial(graph, [node("Relu", ["x"], ["y"])])
    with pytest.raises(FormatError, match=r"input 'x' has the shape \(batch, width\); give input_shape="):
        from_onnx(made(("width",)))
    assert from_onnx(made(("width",)), input_shape=(4,)).graph.input.shape == (4,)
    with pytest.raises(FormatError, match=r"input_shape=\(4,\) is not that of the graph's input 'x', \(3,\)"):
        from_onnx(made((3,)), input_shape=(4,))


def test_values_that_are_not_finite():
    proto = graph([node("MatMul", ["x", "w"], ["y"])], (2,), {"w": np.full((2, 2), np.nan, np.float32)})
    with pytest.raises(FormatError, match=r"the graph's weights can't be used: weights '0.kernel' holds NaN"):
        from_onnx(proto)
