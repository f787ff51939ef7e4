"""Networks in CUDA kernels: run by the simulator, and compiled for cards that are not there."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from numba import config
from test_export import MODELS, drawn

from numbanet.export import to_cuda_device

compiled = pytest.mark.compiled

SIMULATED = """
import numpy as np
from numba import cuda

import numbanet as nn
from numbanet.export import to_cuda_device
from numbanet.registry import names
from test_export import MODELS, close, drawn

def check(model, X, **scalings):
    predict = to_cuda_device(model, **scalings)

    @cuda.jit
    def every(params, X, out):
        i = cuda.grid(1)
        if i < X.shape[0]:
            predict(params, X[i], out[i])

    expected = model.predict(X if not scalings else (X - 1) / 2)
    out = np.zeros((len(X), expected[0].size), model.dtype)
    every[2, 2](model.parameters, X.reshape(len(X), -1), out)
    close(out, expected.reshape(out.shape) * (4 if scalings else 1) + (3 if scalings else 0), "float32")

for name in MODELS:
    model, X = drawn(name)
    check(model, X[:3])
model, X = drawn("dense", "float64")
check(model, X[:3], inputs=(1, 2), outputs=(3, 4))
for name in names("activation"):
    model = nn.Sequential([nn.Dense(5, name), nn.Dense(2)], input_shape=3, seed=4)
    check(model, np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32))
model = nn.Sequential([nn.Embedding(11, 3), nn.Flatten(), nn.Dense(2)], input_shape=4)
check(model, np.array([[3, 0, 10, 3]], np.float32))
print("all agree")
"""

PTX = """
import sys
from unittest import mock

import numba.cuda.dispatcher
from numba import cuda, float32

from numbanet.export import to_cuda_device
from test_export import drawn

class Device:
    compute_capability = (9, 0)

with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device):
    for name in sys.argv[1:]:
        predict = to_cuda_device(drawn(name)[0])

        def every(params, X, out):
            i = cuda.grid(1)
            if i < X.shape[0]:
                predict(params, X[i], out[i])

        for capability in ((7, 5), (8, 0), (9, 0)):
            ptx, _ = cuda.compile_ptx(every, (float32[::1], float32[:, ::1], float32[:, ::1]), cc=capability)
            assert ".visible .entry" in ptx
            assert ".f64" not in ptx, name
print("all compiled")
"""


def run(script, *arguments, **environment):
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True, check=False
    )  # fmt: skip


@compiled
def test_in_the_simulator():
    done = run(SIMULATED, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout.endswith("all agree\n"), done.stderr


@compiled
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_compiles_without_a_card():
    done = run(PTX, *MODELS)
    assert done.stdout.endswith("all compiled\n"), done.stderr


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is not None, reason="numba-cuda is installed")
@pytest.mark.skipif(config.ENABLE_CUDASIM, reason="CUDA is simulated")
def test_without_numba_cuda():
    with pytest.raises(ImportError, match=r"pip install 'numbanet\[cuda\]'"):
        to_cuda_device(drawn("dense")[0])


@compiled
def test_too_large_for_a_thread():
    script = """
    import numbanet as nn
    from numbanet.export import to_cuda_device
    try:
        to_cuda_device(nn.Sequential([nn.Dense(200_000)], input_shape=1))
    except ValueError as error:
        print(error)
    """
    done = run(script, NUMBA_ENABLE_CUDASIM="1")
    assert "bytes; a thread has at most 524,288" in done.stdout, done.stderr
