"""What passes between the host and the device: samples, kernels, and which cards are taken."""

import pytest
from test_export_cuda import run

pytestmark = pytest.mark.compiled

SCRIPT = """
import warnings

import numpy as np
from numba import cuda

import numbanet as nn

warnings.simplefilter("error")
RNG = np.random.default_rng(0)
X, y = RNG.normal(size=(20, 4)).astype(np.float32), RNG.integers(0, 3, 20)
HALF = X.astype(np.float16)
ROUNDED = HALF.astype(np.float32)
WAYS = {
    "fused": dict(path="fused", threads=2, blocks=2, lanes=4), "direct": dict(path="direct", threads=2, blocks=2),
    "gemm": dict(path="gemm", threads=2, blocks=2),
}

def trainer(device, layers=None):
    layers = layers or [nn.Dense(5, "tanh"), nn.Dense(3)]
    return nn.Trainer(nn.Sequential(layers), "softmax_cross_entropy", device=device, seed=0)

def trained(device, samples):
    one = trainer(device)
    one.fit(samples, y, epochs=3, batch_size=8, progress=False, validation_data=(samples, y))
    return one

def close(one, other):
    np.testing.assert_allclose(one.model.parameters, other.model.parameters, rtol=1e-5, atol=1e-6)
    for name in one.history:
        np.testing.assert_allclose(one.history[name], other.history[name], rtol=1e-5, atol=1e-6)

def same(one, other):
    np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
    assert one.history == other.history

def raised(kind, text, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except kind as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"no {kind.__name__}")
"""
HALVES = """
assert (ROUNDED != X).any()
for how in WAYS.values():
    half, plain = trained(nn.CUDA(**how, samples="float16"), X), trained(nn.CUDA(**how), X)
    close(half, trained("cpu", ROUNDED))
    assert (half.model.parameters != plain.model.parameters).any()
    same(half, trained(nn.CUDA(**how), cuda.to_device(HALF)))
    np.testing.assert_allclose(half.predict(X), trained("cpu", ROUNDED).predict(ROUNDED), rtol=1e-5, atol=1e-6)

halves = [trainer(nn.CUDA(threads=2, blocks=1, samples=kind)) for kind in ("float16", None, "float16")]
plain = [trainer("cpu") for _ in halves]
nn.fit_many(halves, X, y, epochs=3, batch_size=8)
for one, other, samples in zip(halves, plain, (ROUNDED, X, ROUNDED)):
    other.fit(samples, y, epochs=3, batch_size=8, progress=False)
    close(one, other)

device = nn.CUDA(threads=2, blocks=1, samples="float16")
raised(ValueError, "beyond 65504, the largest float16", trainer(device).fit, 1e6 * X, y)
for words, fits in ((2049, True), (2050, False)):
    one = trainer(device, [nn.Embedding(words, 2), nn.Flatten(), nn.Dense(3)])
    indices = np.full((20, 3), words - 1)
    if fits:
        one.fit(indices, y, epochs=1, progress=False)
    else:
        raised(ValueError, "no room for the model's 2,050 indices", one.fit, indices, y)
raised(ValueError, "samples must be 'float16' or None", nn.CUDA, samples="int8")
print("all agree")
"""
PLACES = """
for how in WAYS.values():  # the same memory, other numbers
    one = trained(nn.CUDA(**how), X)
    samples, expected = X.copy(), one.predict(-X)
    one.predict(samples)
    samples *= -1
    np.testing.assert_array_equal(one.predict(samples), expected)
    one.model.parameters[:] *= 0.5
    np.testing.assert_allclose(one.predict(samples), one.to("cpu").predict(samples), rtol=1e-5, atol=1e-6)

there, here = [[trainer(nn.CUDA(threads=2, blocks=1)) for _ in range(2)] for _ in range(2)]
weights = np.linspace(0.5, 1, 20, dtype=np.float32)
nn.fit_many(here, X, y, epochs=2, sample_weight=weights)
nn.fit_many(there, *map(cuda.to_device, (X, y)), epochs=2, sample_weight=cuda.to_device(weights))
for one, other in zip(there, here):
    same(one, other)
raised(TypeError, "X is on the GPU, and this is computed on the CPU", nn.fit_many, [trainer("cpu")],
       cuda.to_device(X), y, epochs=1)

options = dict(loss="softmax_cross_entropy", strengths=[1e-3, 0.1], folds=2, epochs=4, batch_size=8, patience=2)
model = nn.Sequential([nn.Dense(5, "tanh"), nn.Dense(3)])
cpu = nn.select_weight_decay(model, X, y, **options)
for samples in (X, cuda.to_device(X)):
    card = nn.select_weight_decay(model, samples, y, **options, device=nn.CUDA(threads=2, blocks=1))
    np.testing.assert_allclose(card.scores, cpu.scores, rtol=1e-4)
    np.testing.assert_allclose(card.trainer.model.parameters, cpu.trainer.model.parameters, rtol=1e-4, atol=1e-5)
    assert card.chosen == cpu.chosen
raised(TypeError, "X is on the GPU", nn.select_weight_decay, model, cuda.to_device(X), y, **options)

broken = X.copy()
broken[3] = np.nan
one = trained(nn.CUDA(**WAYS["fused"]), X)
found = one.predict(cuda.to_device(broken)).copy_to_host()  # the host does not look through them, and waits for nothing
assert np.isnan(found[3]).all() and np.isfinite(np.delete(found, 3, axis=0)).all()
raised(ValueError, "X holds NaN, first at row 3", one.predict, broken)
raised(ValueError, "X holds NaN, first at row 3", one.fit, cuda.to_device(broken), y)
print("all agree")
"""
COMPILED = """
from numbanet.cuda import launch, target
from numbanet.cuda.launch import Launch

made = []
begin = Launch.__init__
Launch.__init__ = lambda self, *arguments: (made.append(arguments[2]), begin(self, *arguments))[1]
target.processors = lambda: 4

one = trained(nn.CUDA(threads=2, path="fused"), X)
count = len(made)
for _ in range(2):  # of one that another trainer has compiled, nothing
    trained(nn.CUDA(threads=2, path="fused"), X)
assert len(made) == count, made[count:]
for n in range(1, 20):
    one.predict(X[:n])
assert len({shape.lanes for shape in made[count:]}) == 1
assert len(made) <= count + 2, made[count:]  # alone, and with others
other = trainer(nn.CUDA(threads=2, path="fused"), [nn.Dense(6, "tanh"), nn.Dense(3)])
other.fit(X, y, epochs=1, progress=False)
assert len(made) > count + 2
launch.KNOWN = 3
for units in range(7, 12):
    trainer(nn.CUDA(threads=2), [nn.Dense(units), nn.Dense(3)]).fit(X, y, epochs=1, progress=False)
    assert len(launch._made) <= max(3, launch.KNOWN)
same(trained(nn.CUDA(threads=2, path="fused"), X), one)
print("all agree")
"""
BORROWED = """
from types import SimpleNamespace
from unittest import mock

from numbanet.cuda import target
from numbanet.cuda.arrays import OnDevice

class Away:
    __cuda_array_interface__ = {}
    def __dlpack_device__(self):
        return 2, 1

class Bare:
    def __dlpack__(self, **options):
        raise AssertionError
    def __dlpack_device__(self):
        return 2, 0

one = trained(nn.CUDA(threads=2), X)
raised(ValueError, "the array is on card 1, and card 0 is in use", one.predict, Away())
with mock.patch.dict("sys.modules", {"cupy": None}):
    raised(RuntimeError, "pip install 'numbanet[cuda]'", one.predict, Bare())

waited = []
named = lambda stream: SimpleNamespace(__cuda_array_interface__={"stream": stream})
with mock.patch.object(target.cuda, "as_cuda_array", lambda array, sync: waited.append(sync), create=True):
    for stream in (1, 7, None):
        target.borrow(named(stream))
assert waited == [False, True, True]
print("all agree")
"""


CARDS = """
import os
from types import SimpleNamespace
from unittest import mock

from numbanet.cuda import target

def found(driver, capability, toolkit="13.0.3"):
    target._too_old.cache_clear()
    card = SimpleNamespace(compute_capability=capability)
    module = SimpleNamespace(driver=SimpleNamespace(get_version=lambda: driver))
    with (
        mock.patch.object(target, "SIMULATED", False), mock.patch.object(target, "version", lambda name: toolkit),
        mock.patch.object(target.cuda, "is_available", lambda: True),
        mock.patch.object(target.cuda, "get_current_device", lambda: card, create=True),
        mock.patch.dict("sys.modules", {"numba.cuda.cudadrv.driver": module}),
    ):
        return target.why_not()

assert found((12, 9), (9, 0)) == "the driver is of CUDA 12.9; the toolkit that is installed needs one of 13.0"
assert found((13, 0), (7, 0)) == "the card has compute capability 7.0; 7.5 at least is needed"
assert not target._first
assert found((13, 1), (7, 5)) == ""
assert target._first == [os.getpid()]
with mock.patch("os.getpid", lambda: -1):
    assert "start processes with the method 'spawn'" in found((13, 1), (7, 5))
print("all agree")
"""
FAILURES = """
one = trainer(nn.CUDA(threads=2, blocks=1), [nn.Dense(5, "relu"), nn.Dense(3)])
before = one.fit(cuda.to_device(HALF), y, epochs=1, progress=False) and one.model.parameters.copy()
one.learning_rate = 1e30
raised(FloatingPointError, "is no longer finite", one.fit, cuda.to_device(HALF), y, epochs=5, batch_size=4)
assert np.isfinite(one.model.parameters).all()

one.to(nn.CUDA(path="fused", threads=2, blocks=1)).predict(X)
fused = one._predictor[1]._runner
one.to(nn.CUDA(path="direct", threads=2, blocks=2)).predict(X)
assert one._predictor[1]._runner.choice.path == "direct"
print("all agree")
"""
SCRIPTS = {
    "failures": FAILURES, "halves": HALVES, "places": PLACES, "compiled": COMPILED, "borrowed": BORROWED,
    "cards": CARDS,
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_in_simulation(script):
    done = run(SCRIPT + script, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout.endswith("all agree\n"), done.stderr
