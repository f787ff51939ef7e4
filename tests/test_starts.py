"""Several beginnings, and global minima by SciPy on the compiled loss."""

import numpy as np
import pytest
from scipy.optimize import basinhopping, dual_annealing

import numbanet as nn

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.array([0, 1, 1, 0])
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def small(units=2):
    return nn.Sequential([nn.Dense(units, "tanh"), nn.Dense(1)])


def test_each_is_as_it_would_be_alone():
    found = nn.multi_start(small(), X, Y, loss="mean_squared_error", starts=4, epochs=5, seed=3, regularizer="l2")
    np.testing.assert_array_equal(found.seeds, [3, 4, 5, 6])
    for seed, loss, trainer in zip(found.seeds, found.losses, found.trainers, strict=True):
        alone = nn.Trainer(small(), "mean_squared_error", regularizer="l2", seed=int(seed))
        alone.fit(X, Y, epochs=5, progress=False)
        np.testing.assert_array_equal(trainer.model.parameters, alone.model.parameters)
        assert loss == alone.loss_and_gradient(X, Y)[0]
    assert found.best is found.trainers[int(np.argmin(found.losses))]
    assert repr(found).startswith("MultiStart of 4: losses from ")


@pytest.mark.compiled
def test_some_beginnings_end_in_poor_minima():
    found = nn.multi_start(
        small(), *XOR, loss="binary_cross_entropy", optimizer=nn.Adam(0.1), starts=10, epochs=400, dtype="float64"
    )
    assert found.losses.max() > 0.3
    assert found.losses.min() < 0.01
    np.testing.assert_array_equal(found.best.predict(XOR[0])[:, 0] > 0.5, XOR[1])


@pytest.mark.compiled
def test_scipys_searches_on_the_compiled_loss():
    trainer = nn.Trainer(small(), "mean_squared_error", dtype="float64", seed=1)
    trainer.fit(X, Y, epochs=1, progress=False)
    loss = lambda params: trainer.loss_and_gradient(X, Y, params)
    begin = trainer.model.parameters.copy()
    hopped = basinhopping(
        loss, begin, niter=10, minimizer_kwargs={"jac": True, "method": "L-BFGS-B"}, rng=np.random.default_rng(0)
    )
    near = basinhopping(
        loss, begin, niter=0, minimizer_kwargs={"jac": True, "method": "L-BFGS-B"}, rng=np.random.default_rng(0)
    )
    assert hopped.fun <= near.fun < loss(begin)[0]
    annealed = dual_annealing(
        lambda params: loss(params)[0], [(-5, 5)] * begin.size, maxiter=30, rng=np.random.default_rng(0),
        minimizer_kwargs={"method": "L-BFGS-B", "jac": lambda params: loss(params)[1]},
    )  # fmt: skip
    assert annealed.fun < loss(begin)[0]
    assert annealed.fun == pytest.approx(loss(annealed.x)[0])


def test_one_that_diverges_is_not_the_best():
    late = nn.Schedule("late", rate=lambda step, learning_rate: learning_rate)
    options = {"loss": "mean_squared_error", "starts": 3, "epochs": 3}
    with pytest.raises(FloatingPointError, match="all 3 networks diverged; lower the learning rate"):
        nn.multi_start(small(), X, Y, optimizer=nn.SGD(1e30, schedule=late), **options)
    found = nn.multi_start(small(), X, Y, callbacks=lambda: [nn.EarlyStopping("loss", patience=1)], **options)
    assert np.isfinite(found.losses).all()


@pytest.mark.parametrize("options", [{"starts": 0}, {"seed": -1}, {"epochs": 0}])
def test_what_cant_be_used(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        nn.multi_start(small(), X, Y, loss="mean_squared_error", **options)
