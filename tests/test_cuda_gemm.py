"""Training with a library's matrix products: simulated, against the CPU, and compiled for cards that are not there."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled

COMPARE = """
import numpy as np

import numbanet as nn
from numbanet.cpu.engine import Engine
from numbanet.cuda import runner
from numbanet.cuda.engine import DeviceEngine
from numbanet.registry import get
from test_export import drawn

SAMPLES, BATCH = 9, 4
runner.EVALUATED = 4

def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

def engines(model, loss="mean_squared_error", optimizer="adam", regularizer=None):
    arguments = model.graph, get("loss", loss), get("optimizer", optimizer), None, regularizer
    choice = nn.CUDA(path="gemm", threads=2, blocks=2)
    return (
        Engine(*arguments, dtype="float64", threads=1),
        DeviceEngine(*arguments, dtype="float64", threads=1, choice=choice),
    )

def data(model, classes):
    rng, size = np.random.default_rng(0), model.graph.output.size
    return rng.integers(0, size, (SAMPLES, 1)) * 1.0 if classes else rng.normal(size=(SAMPLES, size))

def compare(model, X, *, classes=False, weights=None, penalized=False, targets=None, exploded=False, **settings):
    pair, X = engines(model, **settings), np.ascontiguousarray(X[:SAMPLES])
    y = data(model, classes) if targets is None else targets
    rest, found = {"classes": classes}, []
    for engine in pair:
        params, outputs = model.parameters.copy(), np.zeros((SAMPLES, model.graph.output.size))
        losses, failed = engine.train(
            params, X, y, weights, batch=BATCH, epochs=2, epoch=0, seed=5, outputs=outputs, penalized=penalized, **rest
        )
        states, order = engine.states.copy(), engine.order
        undone = params.copy()
        engine.undo(undone)
        finite = np.nan_to_num(y, posinf=0.0)
        loss, gradient = engine.gradient(params, X, finite, weights, seed=5, penalized=penalized, **rest)
        value = engine.evaluate(params, X, finite, weights, outputs=outputs, **rest)
        found.append((failed, losses, params, states, order, undone, loss, gradient, value, outputs))
    assert found[1][0] == found[0][0], (found[0][:2], found[1][:2])
    for one, other in list(zip(*found))[: 6 if exploded else None]:
        close(other, one)
    return found[1]
"""

MODELS = """
for name in ("dense", "no bias", "one element", "residual", "normalized", "convolution"):
    model, X = drawn(name, "float64")
    compare(model, X)
model, X = drawn("softmax", "float64")
compare(model, X, classes=True)
trained = []
for device in ("cpu", nn.CUDA(path="gemm", threads=2, blocks=2)):
    model, X = drawn("dense")
    trainer = nn.Trainer(model, loss="mean_squared_error", device=device, seed=3)
    trainer.fit(X, X[:, :3], epochs=2, batch_size=4)
    trained.append((model.parameters, trainer.predict(X)))
for one, other in zip(*trained):
    np.testing.assert_allclose(other, one, rtol=2e-4, atol=2e-4)
layers = [nn.Dense(5, "tanh"), nn.Dropout(0.5), nn.LayerNorm(), nn.Dense(3)]
model = nn.Sequential(layers, input_shape=4)
model.build((4,), dtype="float64", seed=0)
X = np.random.default_rng(1).normal(size=(9, 4))
compare(model, X, loss="softmax_cross_entropy", classes=True)
compare(model, X, optimizer="adamw")
print("all agree")
"""

SETTINGS = """
from dataclasses import replace

model, X = drawn("dense", "float64")
rng = np.random.default_rng(1)
weights = rng.uniform(0, 2, (SAMPLES, 1))
weights[3] = 0
clipped = replace(get("optimizer", "sgd"), clip_norm=0.5)
compare(model, X, weights=weights)
compare(model, X, optimizer=clipped)
l2, l1 = get("regularizer", "l2", strength=0.1), get("regularizer", "l1", strength=0.1)
compare(model, X, optimizer=clipped, regularizer=l2, weights=weights, penalized=True)
compare(model, X, optimizer=replace(clipped, clip_norm=None, clip_value=0.01), regularizer=l1)
compare(model, X, regularizer=get("regularizer", "max_norm", limit=0.3))

for sample in (0, 8):
    bad = data(model, False)
    bad[sample] = np.inf
    result = compare(model, X, targets=bad)
    assert 0 <= result[0] < 3 and len(result[1]) == 0, result[:2]
late = compare(model, X, optimizer=get("optimizer", "sgd", learning_rate=1e40), exploded=True)
assert late[0] > 3 and len(late[1]) == 1, late[:2]
print("all agree")
"""

CHOICE = """
from types import SimpleNamespace

import numbanet as nn
from numbanet.cuda import blas, target
from numbanet.cuda.program import programs
from numbanet.cuda.shape import roomy, shape_of
from numbanet.device import chosen
from numbanet.registry import get

def shape(layers, size, batch, **choice):
    graph = nn.Sequential(layers, input_shape=size).graph
    loss, optimizer = get("loss", "mean_squared_error"), get("optimizer", "sgd")
    program, _ = programs(graph, "float32", loss, False, True, optimizer, None)
    return shape_of(nn.CUDA(**choice), program, batch, True)

wide = [nn.Dense(512, "relu"), nn.Dense(512, "relu"), nn.Dense(10)], 784
assert shape(*wide, 4096).products
assert not shape(*wide, 32).products and shape(*wide, 32).together
assert shape(*wide, 32, path="gemm").products
assert not shape(*wide, 4096, path="direct").products
assert [roomy(n) for n in (1, 32, 33, 128, 129, 1024, 1025, 1100, 1281)] == [
    32, 32, 64, 128, 160, 1024, 1280, 1280, 1536
]
small = shape([nn.Dense(64), nn.Dense(10)], 64, 4096)
assert not small.products and not small.together

blas.why_not = lambda: blas.LACKS
assert shape(*wide, 4096).together and not shape(*wide, 4096).products
for attempt in (lambda: shape(*wide, 32, path="gemm"), lambda: chosen(nn.CUDA(path="gemm"))):
    try:
        attempt()
    except RuntimeError as error:
        assert "pip install 'numbanet[cuda]'" in str(error)
    else:
        raise AssertionError("no error")
assert chosen(nn.CUDA()) is not None
print("all agree")
"""

PTX = """
import sys
from unittest import mock

import numba.cuda.dispatcher
from numba import cuda

from numbanet.cuda.gemm import Gemm
from numbanet.cuda.program import programs
from numbanet.cuda.shape import Shape
from numbanet.registry import get
from test_export import drawn

class Device:
    compute_capability = (9, 0)

with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device):
    for name in ("dense", "normalized"):
        arguments = get("loss", "mean_squared_error"), False, True, get("optimizer", "adam"), None
        program, updates = programs(drawn(name)[0].graph, "float32", *arguments)
        step = Gemm(program, updates, Shape(True, 132, 256, 4096, 1, False, True), 1.0)
        for kernel in (step.begin, *step.items, step.finish):
            if not isinstance(kernel, list):
                made = kernel.kernel
                ptx, _ = cuda.compile_ptx(made.function, made.signature, cc=(9, 0), launch_bounds=made.threads)
                assert ".visible .entry" in ptx
                meets = "cudaCGGetIntrinsicHandle" in ptx
                assert not meets or kernel.blocks == 132, made.function.__name__
print("all compiled")
"""


def run(script, **environment):
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("script", [COMPARE + MODELS, COMPARE + SETTINGS, CHOICE], ids=["models", "settings", "choice"])
def test_in_simulation(script):
    done = run(script, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout.endswith("all agree\n"), done.stderr


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_compiles_without_a_card():
    done = run(PTX)
    assert done.stdout.endswith("all compiled\n"), done.stderr
