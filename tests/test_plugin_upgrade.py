"""A plugin's next version under the same name, in the same file: never an old kernel, and never a kernel twice."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.compiled

FORMULAS = """
import math
from numbanet import Activation, Loss, Regularizer, hookimpl
from acme_shapes import stretch

WIDTH = {constant}

def bend(x):
    return {activation}

def miss(z, t):
    return {loss}

def pull(w):
    return {regularizer}

@hookimpl
def numbanet_activations():
    yield Activation("bend", forward=bend)

@hookimpl
def numbanet_losses():
    yield Loss("miss", loss=miss)

@hookimpl
def numbanet_regularizers():
    yield Regularizer("pull", penalty=pull)
"""
HELPER = """
import math

def stretch(x):
    return {helper}
"""
FIRST = {
    "activation": "math.sinh(stretch(x)) + WIDTH * x", "loss": "1.5 * (z - t) * (z - t)", "regularizer": "0.25 * w * w",
    "helper": "x / (1 + x * x)", "constant": "0.5",
}  # fmt: skip
NEXT = {
    "activation": "math.tanh(stretch(x)) + WIDTH * x", "loss": "2.5 * (z - t) * (z - t)", "regularizer": "0.75 * w * w",
    "helper": "x / (2 + x * x)", "constant": "0.7",
}  # fmt: skip
KERNELS = {  # that hold what has changed
    "activation": {"forward", "backward"}, "loss": {"loss"}, "regularizer": {"penalty", "penalty_gradient"},
    "helper": {"forward", "backward"}, "constant": {"forward", "backward"},
}  # fmt: skip
X, TARGET, WEIGHT = 0.8, 0.3, 0.9

TRAIN = f"""
import json
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    import numpy as np
    import numbanet as nn

    model = nn.Sequential([nn.Dense(1, activation="bend", use_bias=False)], input_shape=(1,))
    trainer = nn.Trainer(model, loss="miss", regularizer="pull", seed=0)
    value, gradient = trainer.loss_and_gradient([[{X}]], [[{TARGET}]], [{WEIGHT}])
names = [e.data["dispatcher"].py_func.__name__ for _, e in compiled.buffer if e.is_start]
print(json.dumps([float(value), float(gradient[0]), names]))
"""
LAYER = """
import numbanet as nn
from numbanet.cpu.jit import kernel
from numbanet.cpu.memory import view
from acme_layer.sizes import size

@kernel
def forward(params, hyper, work, op, base, stride, blocks, lanes):
    for i in range(blocks):
        x = view(work, base + i * stride + op[1] * lanes, op[3] * lanes)
        y = view(work, base + i * stride + op[2] * lanes, op[3] * lanes)
        for j in range(op[3] * lanes):
            y[j] = x[j] * size()

def lower(program, node):
    program.passes.add(forward, program.place(node.input), program.place(node.output), node.output.size)

SCALE = lower, None

class Scale(nn.Layer):
    def build(self, graph):
        graph.node("acme_layer.kernels:SCALE", graph.output.shape)
"""
SIZES = """
import numba

@numba.njit(inline="always")
def size():
    return 2
"""
PREDICT = """
import json
from numba.core import event
with event.install_recorder("numba:compile") as compiled:
    import numbanet as nn
    from acme_layer.kernels import Scale

    found = nn.Sequential([Scale()], input_shape=(1,)).predict([[1.0]])
names = [e.data["dispatcher"].py_func.__name__ for _, e in compiled.buffer if e.is_start]
print(json.dumps([float(found[0, 0]), names]))
"""


def write(path, text):
    """A file whose time does not tell one version from the next, as wheels have it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (1.6e9, 1.6e9))


def run(code, *, site, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBANET_STRICT_PLUGINS": "1",
                   "PYTHONDONTWRITEBYTECODE": "1",  # installers compile anew; here an old .pyc would have the same time
                   "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def install(site, version, parts):
    for old in site.glob("*.dist-info"):
        shutil.rmtree(old)
    info = site / f"acme-{version}.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: acme\nVersion: {version}\n")
    write(info / "entry_points.txt", "[numbanet]\nacme = acme\n")
    write(site / "acme.py", FORMULAS.format(**parts))
    write(site / "acme_shapes.py", HELPER.format(**parts))


def expected(parts):
    """Loss and gradient by the formulas as they stand, the gradient by differences."""
    names = {}
    source = FORMULAS.format(**parts).replace("from acme_shapes import stretch", HELPER.format(**parts))
    exec(source, names)

    def objective(w):
        return names["miss"](names["bend"](X * w), TARGET) + names["pull"](w)

    return [objective(WEIGHT), (objective(WEIGHT + 1e-5) - objective(WEIGHT - 1e-5)) / 2e-5]


def test_next_versions(tmp_path):
    """Each changes one thing; what holds it is compiled, once, and nothing else."""
    site, cache, parts = tmp_path / "site", tmp_path / "cache", dict(FIRST)
    site.mkdir()
    install(site, "0", parts)
    *found, compiled = run(TRAIN, site=site, cache=cache)
    np.testing.assert_allclose(found, expected(parts), rtol=1e-5)
    assert set().union(*KERNELS.values()) <= set(compiled)  # and the engine
    assert run(TRAIN, site=site, cache=cache) == [*found, []]
    for version, (changed, kernels) in enumerate(KERNELS.items(), 1):
        parts[changed] = NEXT[changed]
        install(site, str(version), parts)
        *found, compiled = run(TRAIN, site=site, cache=cache)
        np.testing.assert_allclose(found, expected(parts), rtol=1e-5, err_msg=changed)
        assert set(compiled) & set().union(*KERNELS.values()) == kernels, changed  # the rest they have inlined
        assert run(TRAIN, site=site, cache=cache) == [*found, []]
    install(site, "0", FIRST)
    *found, compiled = run(TRAIN, site=site, cache=cache)
    np.testing.assert_allclose(found, expected(FIRST), rtol=1e-5)
    assert {"loss", "penalty"}.isdisjoint(compiled)  # the first ones are still there


def test_next_versions_of_a_layer(tmp_path):
    """Its kernels come from its own files, one of which calls the other."""
    package, cache = tmp_path / "acme_layer", tmp_path / "cache"
    files = {"__init__.py": "", "kernels.py": LAYER, "sizes.py": SIZES}

    def predicted():
        for name, text in files.items():
            write(package / name, text)
        return run(PREDICT, site=tmp_path, cache=cache)

    assert predicted()[0] == 2
    assert predicted() == [2, []]
    files["sizes.py"] = SIZES.replace("2", "7")
    found, compiled = predicted()
    assert found == 7
    assert "forward" in compiled
    assert predicted() == [7, []]
    files["kernels.py"] = LAYER.replace("x[j] *", "x[j] +")
    found, compiled = predicted()
    assert found == 8
    assert "forward" in compiled
