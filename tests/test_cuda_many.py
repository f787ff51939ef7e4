"""Many networks in one launch: in simulation, and compiled for a card that is not there."""

import importlib.util

import pytest
from test_export_cuda import run

compiled = pytest.mark.compiled

HEAD = """
import os
import signal
import time
import warnings

import numpy as np

import numbanet as nn
from numbanet.cuda import target

warnings.simplefilter("error")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 4)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
HOW = nn.CUDA(path="fused", blocks=1, threads=3, lanes=8)

def trainer(seed=0, strength=1e-3, rate=0.01, dropout=0.3, units=5, optimizer=None, device=HOW, **options):
    layers = [nn.Dense(units, "tanh"), nn.Dropout(dropout), nn.Dense(3)]
    return nn.Trainer(
        nn.Sequential(layers), "softmax_cross_entropy", optimizer or nn.Adam(rate), device=device, seed=seed,
        regularizer=nn.L2(strength) if strength else None, **options)

def trainers(varied, **common):
    return [trainer(**{**own, **common}) for own in varied]

sizes = []  # blocks of each launch
prepare = target.Kernel.prepare

def counting(kernel, blocks, *rest):
    sizes.append(blocks)
    return prepare(kernel, blocks, *rest)

target.Kernel.prepare = counting

def same(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
        assert one.history == other.history, (one.history, other.history)
        np.testing.assert_array_equal(one._engine.states, other._engine.states)
        assert one._engine.steps_done == other._engine.steps_done

def close(left, right):
    for one, other in zip(left, right, strict=True):
        np.testing.assert_allclose(one.model.parameters, other.model.parameters, rtol=2e-4, atol=2e-4)
        assert len(one.history["loss"]) == len(other.history["loss"])
        for name in one.history:
            np.testing.assert_allclose(one.history[name], other.history[name], rtol=1e-3, atol=1e-3)

VARIED = [
    {"seed": 1}, {"seed": 2, "strength": 0.1}, {"seed": 3, "rate": 0.1}, {"seed": 4, "dropout": 0.1},
    {"seed": 5, "strength": 1e-4, "rate": 0.03}, {"seed": 6, "dropout": 0.5, "strength": 0.01},
]
"""

TOGETHER = HEAD + """
# everything that one launch may differ in
rows = [np.arange(23)[np.arange(23) % 5 != k % 5] for k in range(5)] + [np.arange(11)]
held = [np.flatnonzero(np.arange(23) % 5 == k % 5) for k in range(6)]
weights = RNG.uniform(0.5, 2, (6, 23))
options = {"epochs": 3, "batch_size": 8}
many, alone, cpu = trainers(VARIED), trainers(VARIED), trainers(VARIED, device="cpu")
histories = nn.fit_many(many, X, LABELS, samples=rows, validation=held, sample_weight=weights, **options)
assert sizes == [6] * 6, sizes  # training and validation of three epochs
for group in (alone, cpu):
    for i, one in enumerate(group):
        one.fit(X[rows[i]], LABELS[rows[i]], validation_data=(X[held[i]], LABELS[held[i]]), progress=False,
                sample_weight=weights[i][rows[i]], **options)
same(many, alone)
close(many, cpu)
assert histories == [one.history for one in many]

# going on; nothing between epochs: several in one launch once the first has been timed; schedules and metrics
sizes.clear()
for group, fit in ((many, None), (alone, 1)):
    if fit is None:
        nn.fit_many(group, X, LABELS, epochs=4, batch_size=8, shuffle=False)
    else:
        for one in group:
            one.fit(X, LABELS, epochs=4, batch_size=8, shuffle=False, progress=False)
same(many, alone)
for optimizer in (
    nn.SGD(0.1, schedule=nn.CosineDecay(20)), nn.SGD(0.1, momentum=0.9, clip_norm=0.5),
    nn.SGD(3.0, schedule="bold_driver"),
):
    many, alone = (trainers(VARIED[:3], optimizer=optimizer, metrics=["accuracy"], dtype="float64") for _ in range(2))
    nn.fit_many(many, X, LABELS, epochs=2, batch_size=8)
    for one in alone:
        one.fit(X, LABELS, epochs=2, batch_size=8, progress=False)
    same(many, alone)
print("all agree")
"""

APART = HEAD + """
# early stopping: those that have stopped are in no launch any more
stop = lambda: [nn.EarlyStopping("loss", patience=1)]
varied = [{"rate": 1.0, "seed": 1}, {"seed": 2}, {"rate": 2.0, "seed": 3}]
many, alone = trainers(varied), trainers(varied)
nn.fit_many(many, X, LABELS, epochs=6, batch_size=8, callbacks=stop)
ended = [len(one.history["loss"]) for one in many]
assert min(ended) < max(ended), ended
assert sizes == [sum(epochs >= k for epochs in ended) for k in range(1, max(ended) + 1)], (sizes, ended)
for one in alone:
    one.fit(X, LABELS, epochs=6, batch_size=8, callbacks=stop(), progress=False)
same(many, alone)

# one diverges: it has the weights of before that epoch, and the others go on
wild = nn.SGD(1e30)
varied = [{"seed": 1, "optimizer": nn.SGD(0.1)}, {"seed": 2, "optimizer": wild}, {"seed": 3, "optimizer": nn.SGD(0.2)}]
many, alone = trainers(varied), trainers(varied)
try:
    nn.fit_many(many, X, LABELS, epochs=2, batch_size=8)
except RuntimeError as error:
    assert str(error).startswith("1 of 3 networks failed; network 1: the loss is no longer finite"), error
    assert isinstance(error.__cause__, FloatingPointError)
    text = str(error.__cause__)
else:
    raise AssertionError("nothing has failed")
for i, one in enumerate(alone):
    try:
        one.fit(X, LABELS, epochs=2, batch_size=8, progress=False)
    except FloatingPointError as error:
        assert (i, str(error)) == (1, text), (error, text)
same(many, alone)

# two architectures, one that all blocks work on, and one on the CPU; an argument that can't be used
varied = [
    {"seed": 1}, {"seed": 2, "units": 4}, {"seed": 3}, {"seed": 4, "device": nn.CUDA("direct", 1, 3)},
    {"seed": 5, "device": "cpu"}, {"seed": 6, "units": 4},
]
many, alone = trainers(varied), trainers(varied)
sizes.clear()
nn.fit_many(many, X, LABELS, epochs=1, batch_size=8, progress=True)
assert sorted(sizes) == [1, 2, 2], sizes
for one in alone:
    one.fit(X, LABELS, epochs=1, batch_size=8, progress=False)
same(many, alone)
bad = trainers([{"seed": 1}, {"seed": 2}])
try:
    nn.fit_many(bad, X, LABELS, epochs=1, samples=[np.arange(3), np.arange(0)])
except RuntimeError as error:
    assert "1 of 2 networks failed; network 1: X is empty" in str(error), error
assert [one.epochs_done for one in bad] == [1, 0]

# as much at a time as there is memory for
many, alone = trainers(VARIED), trainers(VARIED)
sizes.clear()
target.free_bytes = lambda: 20_000
nn.fit_many(many, X, LABELS, epochs=1, batch_size=8)
assert len(sizes) > 1 and sum(sizes) == 6, sizes
target.free_bytes = lambda: 1
nn.fit_many(alone, X, LABELS, epochs=1, batch_size=8)
same(many, alone)
assert sizes[-6:] == [1] * 6, sizes

# the shape that a network's size decides on
target.free_bytes = lambda: 1 << 30
how = nn.CUDA(threads=4)
many, cpu = trainers(VARIED[:2], device=how), trainers(VARIED[:2], device="cpu")
nn.fit_many(many, X, LABELS, epochs=1, batch_size=12)
nn.fit_many(cpu, X, LABELS, epochs=1, batch_size=12)
close(many, cpu)

# Ctrl-C, which what runs in the background ignores: each stops behind its epoch
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt(nn.Callback):
    def on_epoch_end(self, trainer, epoch, logs):
        if epoch == 2 and trainer.seed == 1:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

many = trainers(VARIED[:3])
try:
    nn.fit_many(many, X, LABELS, epochs=1000, batch_size=8, callbacks=lambda: [Interrupt()])
except KeyboardInterrupt:
    assert 2 <= min(one.epochs_done for one in many) <= max(one.epochs_done for one in many) <= 4
else:
    raise AssertionError("nobody has stopped")
print("all agree")
"""

PTX = """
from unittest import mock

import numba.cuda.dispatcher
import numpy as np
from numba import cuda

import numbanet as nn
from numbanet._turns import Request
from numbanet.cpu.plan import Operations
from numbanet.cpu.runner import Call
from numbanet.cuda.many import ManyLaunch
from numbanet.cuda.program import programs
from numbanet.cuda.runner import DeviceRunner
from numbanet.cuda.shape import Shape
from numbanet.registry import get

class Device:
    compute_capability = (9, 0)

model = nn.Sequential([nn.Dense(16, "tanh"), nn.Dropout(0.1), nn.Dense(3)], input_shape=4)
graph, loss = model.graph, get("loss", "softmax_cross_entropy")
program, updates = programs(graph, "float32", loss, True, True, nn.Adam(0.01), nn.L2(0.1))
nothing, some = np.empty(0, np.int64), np.zeros(1, np.int64)
call = Call(model.parameters, np.zeros(2 * graph.size, np.float32), np.ones((1, 4), np.float32), None, None, None)
ops = Operations(nothing, nothing, some, nothing, nothing, some, nothing)
for near in (True, False):
    with mock.patch.object(numba.cuda.dispatcher, "get_current_device", lambda: Device):
        request = Request(DeviceRunner(graph, "float32", nn.CUDA()), program, updates, ops, call)
        kernel = ManyLaunch(request, Shape(False, 1, 32, 32, 1, near)).kernel
        ptx, _ = cuda.compile_ptx(kernel.function, kernel.signature, cc=(9, 0), launch_bounds=32)
    assert ".visible .entry" in ptx
    assert ".local" not in ptx
print("compiled")
"""


@compiled
@pytest.mark.parametrize("script", [TOGETHER, APART], ids=["together", "apart"])
def test_in_simulation(script):
    done = run(script, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout.endswith("all agree\n"), done.stderr


@compiled
@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_compiles_without_a_card():
    done = run(PTX)
    assert done.stdout.endswith("compiled\n"), done.stderr
