"""Each loss beside its formula in NumPy, differences, and what is compiled."""

import numpy as np
import pytest
from scipy import special

import numbanet as nn
from numbanet.testing import check_loss
from numbanet_losses_robust import numbanet_losses

ERRORS = np.concatenate([np.linspace(-15, 15, 121), np.random.default_rng(0).normal(size=40)])
EXTREMES = [s * x for x in (0.0, 1e-300, 1e-30, 1e4, 1e15, 1e19, 1e30, 1e38, 1e150, 1e307) for s in (-1, 1)]


def general(alpha, c=1.0):
    def reference(e):
        s = (e / c) ** 2
        if alpha == 2:
            return s / 2
        if alpha == 0:
            return np.log1p(s / 2)
        if alpha == -np.inf:
            return -np.expm1(-s / 2)
        return abs(alpha - 2) / alpha * ((s / abs(alpha - 2) + 1) ** (alpha / 2) - 1)

    return reference


def tilted(tau, function):
    return lambda e: np.where(e > 0, 1 - tau, tau) * function(e)


def smooth_l1(beta):
    return lambda e: special.huber(beta, e) / beta


CASES = [  # name, parameters, the paper's formula of output - target, its kinks
    ("tukey_biweight", {"c": 4.685}, lambda e: 4.685**2 / 6 * (1 - np.maximum(1 - (e / 4.685) ** 2, 0) ** 3), ()),
    ("andrews", {"c": 1.5}, lambda e: 2.25 * (1 - np.cos(np.clip(e / 1.5, -np.pi, np.pi))),
     (-1.5 * np.pi, 1.5 * np.pi)),
    ("welsch", {"c": 2.985}, lambda e: 2.985**2 / 2 * (1 - np.exp(-((e / 2.985) ** 2))), ()),
    ("geman_mcclure", {"c": 2.0}, lambda e: e**2 / 2 / (1 + e**2 / 4), ()),
    ("cauchy", {"c": 2.385}, lambda e: 2.385**2 / 2 * np.log(1 + (e / 2.385) ** 2), ()),
    ("pseudo_huber", {"delta": 0.7}, lambda e: special.pseudo_huber(0.7, e), ()),
    ("smooth_l1", {"beta": 2.0}, smooth_l1(2.0), (-2, 2)),
    ("wing", {"width": 10.0, "epsilon": 2.0}, lambda e: np.where(
        abs(e) < 10, 10 * np.log(1 + abs(e) / 2), abs(e) - 10 + 10 * np.log(6)), (-10, 0, 10)),
    ("epsilon_insensitive", {"epsilon": 0.5}, lambda e: np.maximum(abs(e) - 0.5, 0), (-0.5, 0.5)),
    ("expectile", {"tau": 0.9}, tilted(0.9, np.square), (0,)),
    ("quantile_huber", {"tau": 0.2, "kappa": 2.0}, tilted(0.2, smooth_l1(2.0)), (-2, 0, 2)),
    *[("barron", {"alpha": alpha, "c": 1.5}, general(alpha, 1.5), ())
      for alpha in (-1000.0, -2.0, -1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)],
    ("barron", {"alpha": 1e-12, "c": 1.5}, general(0, 1.5), ()),
    ("barron", {"alpha": 2 - 1e-12, "c": 1.5}, general(2, 1.5), ()),
    ("barron", {"alpha": -1e12, "c": 1.5}, general(-np.inf, 1.5), ()),
]


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def case(request):
    return request.param


def of(function, spec, errors):
    return np.array([function(float(e), 0.0, *spec.params.values()) for e in errors])


def test_every_name_is_tested():
    assert {spec.name for spec in numbanet_losses()} == {name for name, *_ in CASES}


def test_values(case):
    name, params, reference, _ = case
    spec = nn.loss(name, **params)
    np.testing.assert_allclose(of(spec.loss, spec, ERRORS), reference(ERRORS), rtol=1e-10, atol=1e-13)
    assert spec.loss(3.5, 1.25, *spec.params.values()) == spec.loss(2.25, 0.0, *spec.params.values())


def test_derivative_against_differences(case):
    name, params, _, kinks = case
    spec, h = nn.loss(name, **params), 1e-5
    errors = np.array([e for e in ERRORS if all(abs(e - kink) > 1e-3 for kink in kinks)])
    differences = (of(spec.loss, spec, errors + h) - of(spec.loss, spec, errors - h)) / (2 * h)
    np.testing.assert_allclose(of(spec.derivative, spec, errors), differences, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_as_a_plugin(name):
    check_loss(name)


def test_extremes(case):
    name, params, _, _ = case
    spec = nn.loss(name, **params)
    quadratic = name == "expectile" or params.get("alpha", 0) > 1
    errors = [e for e in EXTREMES if not quadratic or abs(e) < 1e100]
    assert np.isfinite(of(spec.loss, spec, errors)).all()
    assert np.isfinite(of(spec.derivative, spec, errors)).all()
    assert spec.loss(0.0, 0.0, *spec.params.values()) == 0
    assert np.isnan(spec.loss(np.nan, 0.0, *spec.params.values()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled(case, dtype):
    name, params, _, _ = case
    spec = nn.loss(name, **params)
    largest = 1e4 if params.get("alpha", 0) > 2 else 1e15  # whose square is finite in float32
    errors = [*ERRORS[::8], *(e for e in EXTREMES if abs(e) <= largest)]
    model = nn.Sequential([nn.Dense(1)])
    trainer = nn.Trainer(model, loss=spec, seed=0, dtype=dtype)
    found = []
    for e in np.array(errors, dtype):  # the output is 0 x + e
        loss, gradient = trainer.loss_and_gradient(np.zeros((1, 1)), np.zeros((1, 1)), [0.0, e])
        found.append((loss, gradient[1]))
    expected = np.array([of(f, spec, np.array(errors, dtype)) for f in (spec.loss, spec.derivative)]).T
    eps = np.finfo(dtype).eps
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found, expected.astype(dtype), rtol=512 * eps, atol=64 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_training_by_name(name, dtype):
    """A line is found although every tenth target is an outlier."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 1))
    y = 2 * X - 1
    model = nn.Sequential([nn.Dense(1)])
    trainer = nn.Trainer(model, loss=name, optimizer=nn.Adam(learning_rate=0.05), seed=0, dtype=dtype)
    if name == "expectile":  # not robust: nothing is an outlier
        outliers = y
    else:
        outliers = np.where(np.arange(200)[:, None] % 10 == 0, y + rng.choice([-60, 60], (200, 1)), y)
    trainer.fit(X, outliers, epochs=150, batch_size=50, progress=False)
    np.testing.assert_allclose(model.parameters, [2, -1], atol=0.3)
