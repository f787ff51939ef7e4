"""Kernels that train, compiled for cards that are not there: nothing that a thread holds may be put into memory.

A few kernels hold all that is built in, one after the other, for it takes seconds to compile one. NVVM makes PTX
for each generation of cards, and ptxas tells what becomes of it.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from numba import config

pytestmark = [
    pytest.mark.compiled,
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"),
    pytest.mark.skipif(config.ENABLE_CUDASIM, reason="CUDA is simulated"),
]

COMPILE = """
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numba.cuda.dispatcher
from numba import cuda

import numbanet as nn
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda import program as module
from numbanet.cuda.launch import Launch
from numbanet.cuda.shape import Shape
from numbanet.registry import get, names


class Device:
    compute_capability = (9, 0)


class EveryLoss(module.DeviceProgram):
    def add_loss(self, loss, classes):
        for name in names("loss"):
            super().add_loss(get("loss", name), classes)


class EveryOptimizer(UpdateProgram):
    def _optimizer(self, graph, optimizer, dtype):
        for name in names("optimizer"):
            super()._optimizer(graph, get("optimizer", name), dtype)


def write(
    layers, input_shape, shape, *, dtype="float32", loss=True, train=True, clip=1.0, classes=False, every=(),
    samples=None,
):
    graph = nn.Sequential(layers, input_shape=input_shape).graph
    loss = get("loss", "softmax_cross_entropy") if loss else None
    optimizer = replace(get("optimizer", "adam"), clip_value=1.0) if train else None
    if "loss" in every:
        module.DeviceProgram = EveryLoss
    if "optimizer" in every:
        module.UpdateProgram = EveryOptimizer
    program, updates = module.programs(graph, dtype, loss, classes, train, optimizer, None)
    launch = Launch(program, updates, shape, clip, samples)
    for capability in sys.argv[2:]:
        cc = int(capability[:-1]), int(capability[-1])
        ptx, _ = cuda.compile_ptx(launch.kernel.function, launch.kernel.signature, cc=cc, launch_bounds=shape.threads)
        Path(sys.argv[1], f"sm_{capability}.ptx").write_text(ptx)


APART = Shape(together=False, blocks=132, threads=256, lanes=32, slices=132, near=True)
FAR = Shape(together=False, blocks=132, threads=256, lanes=32, slices=132, near=False)
ALONE = Shape(together=False, blocks=1, threads=256, lanes=32, slices=1, near=True)
TOGETHER = Shape(together=True, blocks=132, threads=256, lanes=128, slices=8, near=False)

with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device):
    write(**eval(sys.stdin.read()))
"""

FORMULAS = """
dict(layers=[
    *(nn.Dense(4, "relu", kernel_regularizer=name) for name in names("regularizer")),
    *(nn.Apply(name) for name in names("activation")), nn.Dense(3, "tanh"),
], input_shape=5, """
TILES = """
dict(layers=[nn.Dense(256, "relu"), nn.Dense(128, "relu"), nn.Dense(64), nn.Dense(32), nn.Dense(16), nn.Dense(8)],
input_shape=40, """
IMAGES = """
dict(layers=[
    nn.Conv2D(6, 5, "tanh", padding="same"), nn.MaxPool2D(2), nn.Conv2D(16, 5, strides=2), nn.AvgPool2D(2),
    nn.Flatten(), nn.Dense(10),
], input_shape=(28, 28, 1), """
LAYERS = """
dict(layers=[
    nn.Embedding(11, 4), nn.Flatten(), nn.Dense(6), nn.LayerNorm(), nn.GaussianNoise(0.1),
    nn.Residual([nn.Dense(6, "relu"), nn.Dropout(0.5)]), nn.Dense(3),
], input_shape=4, """
NORMALIZED = """
dict(layers=[
    nn.Conv2D(6, 3), nn.BatchNorm(), nn.Apply("relu"), nn.MaxPool2D(3, strides=2), nn.SpatialDropout(0.5),
    nn.GlobalAvgPool(), nn.Dense(5), nn.BatchNorm(), nn.Dense(3),
], input_shape=(9, 9, 2), """
CARDS = "75", "80", "90"
KERNELS = {
    "formulas": FORMULAS + "shape=APART, every=('loss', 'optimizer'))",
    "formulas, float64": FORMULAS + "shape=FAR, every='loss', dtype='float64')",
    "tiles apart": TILES + "shape=APART, samples='float16')",
    "tiles together": TILES + "shape=TOGETHER)",
    "tiles, float64": TILES + "shape=TOGETHER, dtype='float64')",
    "images apart": IMAGES + "shape=APART)",
    "images together": IMAGES + "shape=TOGETHER, classes=True)",
    "layers": LAYERS + "shape=ALONE, clip=0.0, classes=True)",
    "normalized": NORMALIZED + "shape=TOGETHER)",
    "evaluation": IMAGES + "shape=APART, train=False)",
    "prediction": NORMALIZED + "shape=FAR, train=False, loss=False)",
}


def assembler():
    """Where ptxas is: on the path, or in a wheel."""
    wheels = sorted(Path(sysconfig.get_path("purelib")).glob("nvidia/*/bin/ptxas"))
    found = shutil.which("ptxas") or (str(wheels[-1]) if wheels else None)
    if found is None:
        pytest.skip("ptxas is not installed")
    return found


def assembled(file, capability):
    """What ptxas says about the only entry of a file."""
    command = [assembler(), "-c", "-v", f"-arch=sm_{capability}", str(file), "-o", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Unsupported .version" in done.stderr:
        pytest.skip(f"ptxas is too old for the toolkit's PTX: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("name", KERNELS)
def test_no_memory_of_a_threads_own(name, tmp_path):
    assembler()
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(tmp_path), *CARDS], input=KERNELS[name].strip(),
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for card in CARDS:
        said = assembled(tmp_path / f"sm_{card}.ptx", card)
        entry = said[said.index("Compiling entry function") :]
        found = {what: int(count) for count, what in re.findall(r"(\d+) bytes (stack frame|spill \w+|lmem)", entry)}
        assert found == {"stack frame": 0, "spill stores": 0, "spill loads": 0}, said
        assert int(re.search(r"Used (\d+) registers", entry)[1]) <= 255, said


LINK = """
import struct
from unittest import mock

import numba.cuda.dispatcher
from numba import cuda

import numbanet as nn
from numbanet.cuda.launch import Launch
from numbanet.cuda.program import programs
from numbanet.cuda.shape import Shape
from numbanet.registry import get


class Device:
    compute_capability, id = (9, 0), 0


def registers(cubin):
    (table,), (size, count) = struct.unpack_from("<Q", cubin, 0x28), struct.unpack_from("<HH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", cubin, table + i * size) for i in range(count)]
    (names,) = struct.unpack_from("<H", cubin, 0x3E)
    at = sections[names][4]
    found = [s[7] >> 24 for s in sections if cubin[at + s[0] :].startswith(b".text.")]
    assert found, "no kernel"
    return max(found)


numba.cuda.dispatcher._Kernel.bind = lambda self: None
context = type("Context", (), {"device": Device})
with (
    mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device),
    mock.patch("numba.cuda.codegen.devices.get_context", lambda: context),
):
    graph = nn.Sequential([nn.Dense(64, "relu"), nn.Dense(64, "relu"), nn.Dense(10)], input_shape=64).graph
    for loss, shape, waits in (
        ("softmax_cross_entropy", Shape(False, 132, 256, 32, 132, True), True),
        ("softmax_cross_entropy", Shape(True, 132, 256, 128, 8, False), True),
        ("softmax_cross_entropy", Shape(False, 1, 256, 32, 1, True), False),
        (None, Shape(False, 528, 256, 128, 528, True), False),
    ):
        parts = (get("loss", loss), False, True, get("optimizer", "adam")) if loss else (None, False, False, None)
        kernel = Launch(*programs(graph, "float32", *parts, None), shape.text, 0.0).kernel
        (made,) = cuda.jit(kernel.signature, launch_bounds=kernel.threads)(kernel.function).overloads.values()
        assert made.cooperative == waits, (loss, shape, "is launched as one that waits for the grid")
        cubin = made._codelibrary.get_cubin(cc=(9, 0, "a"))
        assert registers(getattr(cubin, "code", cubin)) * kernel.threads <= 65536, (loss, shape)
print("linked")
"""


def test_linked_as_for_a_card():
    """Only kernels that wait for the grid are launched so, of which all blocks must fit at once."""
    done = subprocess.run([sys.executable, "-c", LINK], capture_output=True, text=True, check=False)
    assert done.stdout == "linked\n", done.stderr
