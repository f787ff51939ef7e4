"""Ivakhnenko's networks, against NumPy's least squares and a plain writing of the method."""

import itertools

import numba
import numpy as np
import pytest

from numbanet.classic import GMDHClassifier, GMDHRegressor
from numbanet.classic.gmdh.kernel import TERMS, WORK, fit_pairs

CRITERIA = ("regularity", "unbiasedness", "combined")


def terms(a, b):
    return np.column_stack([np.ones(len(a)), a, b, a * a, b * b, a * b])


def data(n=300, k=4, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, k)) * rng.uniform(0.1, 10, k) + rng.normal(size=k)
    u = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, 3 + u[:, 0] * u[:, 1] - 2 * u[:, 2] ** 2 + u[:, 3] + noise * rng.normal(size=n)


def naive(X, y, criterion, keep, seed=0, most=10):
    """The best criterion of each layer, and the predictions of the last."""
    order = np.random.default_rng(seed).permutation(len(X))
    learning = len(X) - round(len(X) / 2)
    known, rest = order[:learning], order[learning:]
    features = (X - X[known].mean(axis=0)) / X[known].std(axis=0)
    target, best = (y - y[known].mean()) / y[known].std(), []
    while len(best) < most and features.shape[1] > 1:
        found = []
        for i, j in itertools.combinations(range(features.shape[1]), 2):
            matrix = terms(features[:, i], features[:, j])
            one = matrix @ np.linalg.lstsq(matrix[known], target[known], rcond=None)[0]
            other = matrix @ np.linalg.lstsq(matrix[rest], target[rest], rcond=None)[0]
            error, bias = np.mean((one - target)[rest] ** 2), np.mean((one - other) ** 2)
            found.append(({"regularity": error, "unbiasedness": bias, "combined": error + bias}[criterion], one))
        found.sort(key=lambda pair: pair[0])
        if best and not found[0][0] < best[-1]:
            break
        best.append(found[0][0])
        outputs, features = found[0][1], np.column_stack([one for _, one in found[:keep]])
    return best, outputs * y[known].std() + y[known].mean()


@pytest.mark.parametrize("rows", [(0, 80), (30, 31), (30, 80)])
def test_pairs_are_fitted_by_least_squares(rows):
    rng = np.random.default_rng(1)
    features, y = rng.normal(size=(5, 80)), rng.normal(size=80)
    pairs = np.array(list(itertools.combinations(range(5), 2)))
    found, part = np.empty((len(pairs), TERMS)), slice(*rows)
    fit_pairs(features, y, pairs, *rows, found, np.empty(WORK))
    for (i, j), c in zip(pairs, found, strict=True):
        matrix = terms(features[i, part], features[j, part])
        expected = matrix @ np.linalg.lstsq(matrix, y[part], rcond=None)[0]
        np.testing.assert_allclose(matrix @ c, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ["equal", "constant", "binary", "zero"])
def test_variables_that_say_the_same(case):
    rng = np.random.default_rng(2)
    a, y = rng.normal(size=60), rng.normal(size=60)
    b = {"equal": a.copy(), "constant": np.ones(60), "binary": (a > 0) * 1.0, "zero": np.zeros(60)}[case]
    c = np.empty((1, TERMS))
    fit_pairs(np.array([a, b]), y, np.array([[0, 1]]), 0, 60, c, np.empty(WORK))
    matrix = terms(a, b)
    expected = matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
    assert np.isfinite(c).all()
    np.testing.assert_allclose(matrix @ c[0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("keep", [2, 4, 6])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_layers_are_those_of_the_method(criterion, keep):
    X, y = data()
    model = GMDHRegressor(criterion=criterion, keep=keep, max_layers=4).fit(X, y)
    best, outputs = naive(X, y, criterion, keep, most=4)
    np.testing.assert_allclose(model.criteria_[0], best, rtol=1e-6)
    np.testing.assert_allclose(model.predict(X), outputs, rtol=1e-6, atol=1e-6)
    assert (np.diff(model.criteria_[0]) < 0).all()


def test_a_polynomial_is_found():
    X, y = data(n=1000, noise=0.0)
    assert GMDHRegressor(keep=6).fit(X[:500], y[:500]).score(X[500:], y[500:]) > 0.99
    product = X[:, 0] * X[:, 1]
    exact = GMDHRegressor().fit(X, product)
    np.testing.assert_allclose(exact.predict(X), product, atol=1e-9 * np.abs(product).max())


def test_it_stops_when_the_criterion_rises():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(60, 5)), rng.normal(size=60)  # nothing to be found
    grown = len(GMDHRegressor(max_layers=50).fit(X, y).criteria_[0])
    assert 1 <= grown < 50
    more = naive(X, y, "regularity", 5, most=grown + 1)[0]
    assert len(more) == grown


def test_any_number_of_threads_gives_the_same_bits():
    X, y = data()
    one, two = (GMDHRegressor(threads=threads).fit(X, y) for threads in (1, 3))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    other = GMDHRegressor(seed=1).fit(X, y)
    assert (other.predict(X) != one.predict(X)).any()


@pytest.mark.compiled
def test_the_polynomial_in_compiled_code():
    X, y = data()
    model = GMDHRegressor().fit(X, y)
    predict = model.to_njit()

    @numba.njit
    def total(samples):
        result = 0.0
        for sample in samples:
            result += predict(sample)
        return result

    np.testing.assert_allclose([predict(x) for x in X], model.predict(X), rtol=1e-12, atol=1e-12)
    assert total(X) == pytest.approx(model.predict(X).sum())


def test_the_formula_is_what_is_computed():
    X, y = data()
    model = GMDHRegressor(keep=4).fit(X, y, names=["a", "b", "c", "d"])
    text = model.formula()
    space = dict(zip("abcd", X.T, strict=True))
    for line in text.splitlines():
        name, formula = line.split(" = ")
        words = [w.replace("²", "**2") for w in formula.split()]
        joined = "".join(
            f"*{w}" if i and words[i - 1] not in ("+", "-") and w not in ("+", "-", "/") and "(" not in words[i - 1]
            and words[i - 1] != "/" and ")" not in w else w
            for i, w in enumerate(words)
        )
        space[name] = eval(joined, {}, space)
    np.testing.assert_allclose(space["y"], model.predict(X), atol=0.01 * y.std())
    assert " z" in text.splitlines()[-1]


def test_only_what_is_needed_is_in_the_formula():
    X, _ = data(k=6)
    text = GMDHRegressor(max_layers=1).fit(X, X[:, 1] * X[:, 4]).formula()
    assert [line.split(" = ")[0] for line in text.splitlines()] == ["u1", "u4", "z1_0", "y"]


def test_classes():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = GMDHClassifier().fit(X[::2], names[::2])
    assert model.score(X[1::2], names[1::2]) > 0.92
    assert model.decision_function(X).shape == (150, 3)
    heads = [block.splitlines()[0] for block in model.formula().split("\n\n")]
    assert heads == ["setosa:", "versicolor:", "virginica:"]
    two = GMDHClassifier().fit(X[y < 2], names[y < 2])
    assert two.score(X[y < 2], names[y < 2]) == 1
    assert len(two.polynomials_) == 1
    np.testing.assert_allclose(two.decision_function(X).sum(axis=1), 1)


@pytest.mark.parametrize(("call", "text"), [
    (lambda X, y: GMDHRegressor(criterion="r2"), "must be one of regularity, unbiasedness, combined; got 'r2'"),
    (lambda X, y: GMDHRegressor(keep=1), "keep"), (lambda X, y: GMDHRegressor(checking_fraction=1.5), "checking_frac"),
    (lambda X, y: GMDHRegressor().fit(X[:, :1], y), "at least 2"),
    (lambda X, y: GMDHRegressor().fit(X, y[:-1]), r"y has shape \(299,\); expected a finite number for each of 300"),
    (lambda X, y: GMDHRegressor().fit(X, y * np.nan), "expected a finite number"),
    (lambda X, y: GMDHRegressor().fit(X[:1], y[:1]), "1 samples can't be divided"),
    (lambda X, y: GMDHRegressor().fit(X, y, names=["a"]), "names has 1 names for 4 features"),
    (lambda X, y: GMDHRegressor().fit(X, y).predict(X[:, :3]), r"expected \(n, 4\)"),
    (lambda X, y: GMDHClassifier().fit(X, np.zeros(300)), "y has 1 class; expected at least 2"),
    (lambda X, y: GMDHClassifier().fit(X, [0, 1]), "expected a label for each of 300 samples"),
])  # fmt: skip
def test_what_cant_be_used(call, text):
    with pytest.raises(ValueError, match=text):
        call(*data())
