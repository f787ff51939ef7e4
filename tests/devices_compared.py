"""What the CUDA backend computes, against the CPU's: for a card, and for Numba's simulator of one.

Import nothing of numbanet's before NUMBA_ENABLE_CUDASIM is set, if it is to be.
"""

import numpy as np

import numbanet as nn
from numbanet.cpu.engine import Engine
from numbanet.cuda.engine import DeviceEngine
from numbanet.registry import get

TOLERANCE = {"float32": 2e-4, "float64": 1e-9}  # of the largest number there is


def near(case, what, found, expected, tolerance):
    """Numbers agree, measured by the largest; those that are not finite are the same."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape, f"{case}: {what} has shape {found.shape}, on the CPU {expected.shape}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite], f"{case}: {what}")
    if finite.any():
        size = np.abs(expected[finite]).max() or 1.0
        error = np.abs(found[finite] - expected[finite]).max() / size
        assert error <= tolerance, f"{case}: {what} differs by {error:.3g} of {size:.3g}"


def same(case, what, found, expected):
    np.testing.assert_array_equal(found, expected, f"{case}: {what}")


def drawn(layers, shape, n, dtype="float32", seed=1, indices=0):
    """A model with weights that all differ, and samples."""
    model = nn.Sequential(layers)
    model.build(shape, dtype=dtype, seed=seed)
    rng = np.random.default_rng(seed)
    for p in model.graph.parameters:
        part = model.parameters[p.offset : p.end]
        if p.role == "variance":
            part[:] = rng.uniform(0.5, 2, p.size)
        else:
            part[:] += rng.normal(0, 0.1, p.size) * (1 if p.mask is None else np.broadcast_to(p.mask, p.shape).ravel())
    samples = rng.integers(0, indices, (n, *shape)) if indices else rng.normal(size=(n, *shape))
    return model, samples.astype(dtype)


def targets_of(loss, n, outputs, dtype, seed=3):
    """Targets of the kind a loss takes, and whether they are labels."""
    rng, kind = np.random.default_rng(seed), get("loss", loss).targets
    if kind == "classes":
        return rng.integers(0, outputs, (n, 1)).astype(dtype), True
    draw = {
        "real": rng.normal, "positive": lambda size: rng.exponential(2, size) + 0.1,
        "nonnegative": lambda size: rng.poisson(2, size), "binary": lambda size: rng.integers(0, 2, size),
        "sign": lambda size: rng.choice([-1, 1], size),
    }[kind]  # fmt: skip
    return draw(size=(n, outputs)).astype(dtype), False


class Both:
    """Engines of both backends, for one model.

    Parameters
    ----------
    case : str
        Begins every message.
    model : Sequential
        The network, which stays as it is.
    X : ndarray
        Samples.
    choice : CUDA
        How launches share the work.
    loss, optimizer, regularizer
        Of the trainer.
    y : ndarray, optional
        Targets; such as the loss takes by default.
    weights : ndarray, optional
        Of samples.
    batch : int
        Samples of a step.
    seed : int
        Of order and noise.
    tolerance : float, optional
        Instead of that of the type.
    """

    def __init__(
        self, case, model, X, choice, *, loss="mean_squared_error", optimizer="sgd", regularizer=None, y=None,
        weights=None, batch=4, seed=5, tolerance=None,
    ):  # fmt: skip
        self.case, self.X, self.weights, self.batch, self.seed = case, X, weights, batch, seed
        self.graph, self.dtype = model.graph, str(X.dtype)
        self.tolerance = tolerance or TOLERANCE[self.dtype]
        drawn_y, self.classes = targets_of(loss, len(X), self.graph.output.size, self.dtype)
        self.y = drawn_y if y is None else y
        optimizer = get("optimizer", optimizer)
        schedule = None if optimizer.schedule is None else get("schedule", optimizer.schedule)
        rule = None if regularizer is None else get("regularizer", regularizer)
        arguments = self.graph, get("loss", loss), optimizer, schedule, rule
        self.device = DeviceEngine(*arguments, dtype=self.dtype, threads=1, choice=choice)
        self.cpu = Engine(*arguments, dtype=self.dtype, threads=1)
        self.params = model.parameters.copy()

    def near(self, what, found, expected):
        near(self.case, what, found, expected, self.tolerance)

    def on(self, engine, params, **options):
        """Train there; returns what can be seen of it."""
        outputs = np.zeros((len(self.X), self.graph.output.size), self.dtype)
        losses, failed = engine.train(
            params, self.X, self.y, self.weights, classes=self.classes, batch=self.batch, seed=self.seed,
            outputs=outputs, **{"epochs": 2, "epoch": 0, **options},
        )  # fmt: skip
        backup = engine._runner.buffers["backup"][: params.size].copy()
        return losses, failed, engine.order.copy(), outputs, engine.states.copy(), backup

    def train(self, **options):
        """Epochs on both; parameters afterwards, of the CPU's."""
        found, expected = self.params.copy(), self.params.copy()
        theirs, ours = self.on(self.device, found, **options), self.on(self.cpu, expected, **options)
        assert theirs[1] == ours[1], f"{self.case}: failed after {theirs[1]} steps, on the CPU after {ours[1]}"
        same(self.case, "order", theirs[2], ours[2])
        assert not np.array_equal(expected, self.params), f"{self.case}: nothing was learnt"
        for what, k in (("losses", 0), ("outputs", 3), ("states", 4), ("backup", 5)):
            self.near(what, theirs[k], ours[k])
        self.near("parameters", found, expected)
        done = [(e.steps_done, e.steps_since_reset) for e in (self.device, self.cpu)]
        assert done[0] == done[1], f"{self.case}: {done[0]} steps done, on the CPU {done[1]}"
        return expected

    def gradient(self, **options):
        """Gradient of the loss of all samples on both; it is not 0."""
        (loss, found), (value, expected) = (
            engine.gradient(
                self.params, self.X, self.y, self.weights, classes=self.classes, seed=self.seed, **options
            )
            for engine in (self.device, self.cpu)
        )
        assert np.abs(expected).max() > 1e-6, f"{self.case}: the gradient is 0"
        self.near("loss of the gradient", loss, value)
        self.near("gradient", found, expected)

    def evaluate(self):
        """Loss and outputs of all samples on both."""
        outputs = np.zeros((2, len(self.X), self.graph.output.size), self.dtype)
        loss, value = (
            engine.evaluate(self.params, self.X, self.y, self.weights, classes=self.classes, outputs=out)
            for engine, out in zip((self.device, self.cpu), outputs, strict=True)
        )
        self.near("loss of the evaluation", loss, value)
        self.near("outputs of the evaluation", *outputs)

    def again(self):
        """The same launch gives the same bits, whether buffers are new or used."""
        first, found = self.params.copy(), self.params.copy()
        memory = *self.device.memory(), self.device.steps_done
        one = self.on(self.device, first)
        self.device.restore(*memory)
        other = self.on(self.device, found)
        same(self.case, "parameters of the same launch again", found, first)
        for what, k in (("losses", 0), ("outputs", 3), ("states", 4)):
            same(self.case, f"{what} of the same launch again", other[k], one[k])

    def everything(self):
        self.train()
        self.gradient()
        self.evaluate()
