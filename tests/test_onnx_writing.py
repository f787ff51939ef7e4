"""Models written as ONNX graphs, run beside numbanet."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which the extra test has")

import onnx
from onnx_runners import CASES, build, run, samples

import numbanet as nn
from numbanet.export import to_onnx
from numbanet.export.onnx import writing

DTYPES = ("float32", "float64")
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def kinds(proto):
    return [node.op_type for node in proto.graph.node]


@both_dtypes
@pytest.mark.parametrize("case", CASES)
def test_layers(case, dtype):
    model = build(case, dtype)
    x = samples(model, 5)
    proto = to_onnx(model)
    found, expected = run(proto, x), model.predict(x)
    assert found.dtype == expected.dtype == dtype
    assert found.shape == expected.shape
    tolerance = 100 * np.finfo(dtype).eps  # sums of up to 1,000 products in another order
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * max(1, abs(expected).max()))
    (given,), (output,) = proto.graph.input, proto.graph.output
    assert (given.name, output.name) == ("input", "output")
    for end, shape in ((given, model.graph.input.shape), (output, model.graph.output.shape)):
        dims = end.type.tensor_type.shape.dim
        assert dims[0].dim_param == "batch"
        assert tuple(d.dim_value for d in dims[1:]) == shape
    assert run(proto, x[:1]).shape == expected[:1].shape


def test_every_kind_of_node_is_tried():
    from numbanet.cpu.lower.table import KINDS
    from numbanet.export.onnx.lowering import _KINDS

    tried = {node.kind for case in CASES for node in build(case).graph.nodes}
    assert tried == set(_KINDS) == set(KINDS)


def test_images_are_turned_once_each_way():
    proto = to_onnx(build("lenet5"))
    assert kinds(proto) == ["Transpose", "Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool", "Transpose", "Flatten",
                            "Gemm", "Relu", "Gemm", "Relu", "Gemm"]  # fmt: skip
    assert [t.name for t in proto.graph.initializer][:3] == ["0.kernel", "0.bias", "2.kernel"]


def test_what_says_who_made_it():
    proto = to_onnx(build("dense"), name="two layers")
    assert (proto.producer_name, proto.producer_version) == ("numbanet", nn.__version__)
    assert proto.graph.name == "two layers"
    assert (proto.ir_version, [(o.domain, o.version) for o in proto.opset_import]) == (8, [("", 17)])
    assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)


def test_file(tmp_path):
    path = tmp_path / "model.onnx"
    proto = to_onnx(build("dense"), path)
    assert onnx.load(path) == proto
    to_onnx(build("lenet5"), str(path))
    assert len(onnx.load(path).graph.node) > len(proto.graph.node)
    assert os.listdir(tmp_path) == ["model.onnx"]
    with pytest.raises(FileNotFoundError):
        to_onnx(build("dense"), tmp_path / "nowhere" / "model.onnx")


def test_two_activations_of_one_name():
    """Each with its own parameters."""
    model = nn.Sequential([nn.Apply(nn.activation("silu", beta=b)) for b in (0.5, 2.0)], input_shape=3)
    x = samples(model, 4)
    np.testing.assert_allclose(run(to_onnx(model), x), model.predict(x), rtol=1e-6, atol=1e-6)
    apart = nn.activation("silu", beta=3.0)
    model = nn.Sequential([nn.Residual([nn.Apply("silu")], [nn.Apply(apart)])], input_shape=3)
    np.testing.assert_allclose(run(to_onnx(model), x), model.predict(x), rtol=1e-6, atol=1e-6)


# -- links and estimators -------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "kind"), [("softmax_cross_entropy", "Softmax"), ("binary_cross_entropy", "Sigmoid"),
                                            ("mse", "Gemm"), ("poisson", "Exp")])  # fmt: skip
def test_trainer_has_its_link(loss, kind):
    trainer = nn.Trainer(build("dense"), loss=loss)
    x = samples(trainer.model, 6)
    proto = to_onnx(trainer)
    assert kinds(proto)[-1] == kind
    np.testing.assert_allclose(run(proto, x), trainer.predict(x), rtol=1e-5, atol=1e-6)
    plain = to_onnx(trainer.model)
    np.testing.assert_allclose(run(plain, x), trainer.model.predict(x), rtol=1e-5, atol=1e-6)


def test_link_of_a_model():
    model = build("dense")
    x = samples(model, 6)
    np.testing.assert_allclose(run(to_onnx(model, link="softmax"), x).sum(1), 1, rtol=1e-6)
    with pytest.raises(TypeError, match=r"link is for a Sequential; a Trainer has the link of its loss, 'softmax'"):
        to_onnx(nn.Trainer(model, loss="softmax_cross_entropy"), link="sigmoid")


def test_estimators():
    from numbanet.sklearn import MLPClassifier, MLPRegressor

    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.array(["no", "perhaps", "yes"])[np.arange(60) % 3]
    estimator = MLPClassifier((5,), max_iter=3, tol=0, n_iter_no_change=99, random_state=0)
    with pytest.raises(TypeError, match="got MLPClassifier; fit it first"):
        to_onnx(estimator)
    with pytest.warns(UserWarning, match="reached"):
        estimator.fit(X, labels)
    proto = to_onnx(estimator)
    assert json.loads({p.key: p.value for p in proto.metadata_props}["classes"]) == ["no", "perhaps", "yes"]
    np.testing.assert_allclose(run(proto, X), estimator.predict_proba(X), rtol=1e-5, atol=1e-6)
    estimator.intercepts_ = [b + 1 for b in estimator.intercepts_]
    np.testing.assert_allclose(run(to_onnx(estimator), X), estimator.predict_proba(X), rtol=1e-5, atol=1e-6)
    with pytest.warns(UserWarning, match="reached"):
        regressor = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, tol=0, n_iter_no_change=99).fit(X, X[:, 0])
    proto = to_onnx(regressor)
    np.testing.assert_allclose(run(proto, X)[:, 0], regressor.predict(X), rtol=1e-5, atol=1e-6)
    assert not proto.metadata_props


# -- refusals ------------------------------------------------------------------------------------


class Own(nn.Layer):
    def build(self, graph):
        graph.node("my_module:DISTANCE", graph.output.shape)


def test_refused():
    with pytest.raises(ValueError, match="layer 1 has a node of kind 'my_module:DISTANCE', which ONNX"):
        to_onnx(nn.Sequential([nn.Dense(2), Own()], input_shape=3))
    with pytest.raises(ValueError, match="the model's input shape is not known yet"):
        to_onnx(nn.Sequential([nn.Dense(2)]))
    with pytest.raises(TypeError, match=r"model must be a Sequential, a Trainer or a fitted estimator .*, got int$"):
        to_onnx(3)
    with pytest.raises(ValueError, match="unknown activation 'sofmax'; did you mean 'softmax'"):
        to_onnx(build("dense"), link="sofmax")


def test_too_large(monkeypatch):
    monkeypatch.setattr(writing, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match=r"the model has 132 bytes of parameters; an ONNX file holds 2 GB at most"):
        to_onnx(nn.Sequential([nn.Dense(3)], input_shape=10))


def test_without_onnx(tmp_path):
    (tmp_path / "onnx.py").write_text("raise ImportError('not here')")
    code = """if True:
        import sys
        import numbanet as nn
        import numbanet.export
        assert "onnx" not in sys.modules
        try:
            numbanet.export.to_onnx(nn.Sequential([nn.Dense(3)], input_shape=2))
        except ImportError as error:
            print(error)
        """
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
    assert done.stdout == "to_onnx needs the package onnx: python -m pip install 'numbanet[onnx]'\n", done.stderr
