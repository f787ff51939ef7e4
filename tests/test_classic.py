"""The first neurons, against truth tables, theorems and independent implementations."""

import itertools

import numpy as np
import pytest
from scipy.special import expit

import numbanet as nn
from numbanet.classic import Adaline, McCullochPittsNetwork, McCullochPittsNeuron, Neuron, Perceptron, novikoff_bound

BITS = list(itertools.product((0, 1), repeat=2))
RNG = np.random.default_rng(0)


# -- a neuron ---------------------------------------------------------------------------


def test_the_tutorials_neuron():
    assert Neuron(weights=[0, 1], bias=4).feedforward([2, 3]) == 0.9990889488055994


@pytest.mark.parametrize(("activation", "formula"), [("sigmoid", expit), ("tanh", np.tanh), ("identity", lambda z: z)])
def test_feedforward(activation, formula):
    weights, bias, X = RNG.normal(size=5), 0.3, RNG.normal(size=(7, 5))
    neuron = Neuron(weights, bias, activation)
    np.testing.assert_allclose(neuron.logit(X), X @ weights + bias, rtol=1e-14)
    np.testing.assert_allclose(neuron.feedforward(X), formula(X @ weights + bias), rtol=1e-14)
    assert neuron.feedforward(X[0]) == pytest.approx(neuron.feedforward(X)[0], rel=1e-14)
    assert isinstance(neuron.feedforward(X[0].tolist()), float)
    assert repr(neuron).endswith(f"bias=0.3, activation={activation!r})")


def test_any_activation_can_be_a_neurons():
    step = nn.Activation("heaviside", forward=lambda x: 1.0 if x >= 0 else 0.0)
    neuron = Neuron([1.0, 1.0], -2.0, step)
    assert [neuron.feedforward(bits) for bits in BITS] == [0, 0, 0, 1]


@pytest.mark.parametrize(("arguments", "text"), [
    (([[1.0, 2.0]], 0.0), r"weights has shape \(1, 2\); expected \(k,\)"),
    (([], 0.0), r"weights has shape \(0,\)"), (([1.0, np.nan], 0.0), "weights must be finite"),
    (([1.0], np.inf), "bias"),
])  # fmt: skip
def test_neurons_that_cant_be(arguments, text):
    with pytest.raises(ValueError, match=text):
        Neuron(*arguments)


def test_inputs_of_the_wrong_number():
    with pytest.raises(ValueError, match=r"x has shape \(3,\); this neuron has 2 inputs: expected \(2,\) or \(n, 2\)"):
        Neuron([0, 1], 4).feedforward([1, 2, 3])


# -- McCulloch and Pitts ----------------------------------------------------------------


@pytest.mark.parametrize(("neuron", "truth"), [
    (McCullochPittsNeuron(2), [0, 0, 0, 1]), (McCullochPittsNeuron(1), [0, 1, 1, 1]),
    (McCullochPittsNeuron(1, inhibitory=[0]), [0, 1, 0, 0]), (McCullochPittsNeuron(0, inhibitory=[1, 0]), [1, 0, 0, 0]),
])  # fmt: skip
def test_gates(neuron, truth):
    assert [neuron(bits) for bits in BITS] == truth
    np.testing.assert_array_equal(neuron(BITS), truth)
    assert eval(repr(neuron))(BITS).tolist() == truth


def test_not():
    neuron = McCullochPittsNeuron(0, inhibitory=[0])
    assert [neuron([0]), neuron([1])] == [1, 0]


def test_one_inhibitory_input_outweighs_all_others():
    assert McCullochPittsNeuron(1, inhibitory=[9])([1] * 10) == 0


def test_networks():
    xor, adder = McCullochPittsNetwork.xor(), McCullochPittsNetwork.half_adder()
    for a, b in BITS:
        assert xor.settle(a=a, b=b)["xor"] == a ^ b
        found = adder.settle(a=a, b=b)
        assert 2 * found["carry"] + found["sum"] == a + b


def test_a_latch_remembers():
    sets, resets = RNG.integers(0, 2, (2, 200))
    found, expected = McCullochPittsNetwork.latch().run(set=sets, reset=resets)["q"], [0]
    for s, r in zip(sets, resets, strict=True):
        expected.append(int((s or expected[-1]) and not r))
    np.testing.assert_array_equal(found, expected)


def test_a_signal_takes_a_step_for_each_neuron():
    found = McCullochPittsNetwork.xor().run(a=[1, 0, 0, 1], b=[0, 0, 0, 1])
    np.testing.assert_array_equal(found["a alone"], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(found["xor"], [0, 0, 1, 0, 0])


def test_a_net_without_rest():
    blinks = McCullochPittsNetwork({"on": (McCullochPittsNeuron(0, inhibitory=[0]), ["on"])})
    with pytest.raises(RuntimeError, match="does not come to rest"):
        blinks.settle()


@pytest.mark.parametrize(("call", "text"), [
    (lambda: McCullochPittsNeuron(-1), "threshold"), (lambda: McCullochPittsNeuron(1)([0, 2]), "inputs must be 0 or 1"),
    (lambda: McCullochPittsNeuron(1, [2])([0, 1]), "input 2 inhibits; there are 2, counted from 0"),
    (lambda: McCullochPittsNeuron(1)(1), r"inputs has shape \(\); expected"),
    (lambda: McCullochPittsNetwork({"a": (McCullochPittsNeuron(1), ())}), "neuron 'a' reads nothing"),
    (lambda: McCullochPittsNetwork.xor().settle(a=1), "inputs are a; this net has a, b"),
    (lambda: McCullochPittsNetwork.xor().run(a=[1], b=[1, 0]), "the same for all"),
    (lambda: McCullochPittsNetwork.xor().run(a=[1], b=[0.5]), "b must be 0 or 1"),
])  # fmt: skip
def test_nets_that_cant_be(call, text):
    with pytest.raises(ValueError, match=text):
        call()


# -- units that learn -------------------------------------------------------------------


def separable(n=100, k=3, margin=0.1, seed=0):
    rng = np.random.default_rng(seed)
    plane, X = np.append(rng.normal(size=k), 0.1), rng.normal(size=(9 * n, k))
    logit = X @ plane[:-1] + plane[-1]
    clear = np.abs(logit) > margin * np.linalg.norm(plane)
    return X[clear][:n], np.where(logit[clear][:n] > 0, "yes", "no"), plane


def naive(X, signs, epochs):
    """Rosenblatt's rule in the order of the samples, in plain Python."""
    weights, mistakes = np.zeros(X.shape[1] + 1), []
    while len(mistakes) < epochs and 0 not in mistakes[-1:]:
        mistakes.append(0)
        for x, sign in zip(np.column_stack([X, np.ones(len(X))]), signs, strict=True):
            if (x @ weights >= 0) != (sign > 0):
                weights, mistakes[-1] = weights + sign * x, mistakes[-1] + 1
    return weights, mistakes


@pytest.mark.parametrize("seed", range(5))
def test_perceptrons_rule(seed):
    X, y, _ = separable(seed=seed)
    unit = Perceptron(shuffle=False).fit(X, y)
    weights, mistakes = naive(X, np.where(y == "yes", 1, -1), 1000)
    np.testing.assert_allclose([*unit.coef_[0], *unit.intercept_], weights, rtol=1e-12)
    assert unit.mistakes_ == mistakes
    assert unit.separated_
    assert unit.mistakes_[-1] == 0
    assert unit.score(X, y) == 1


def test_beside_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    X, y, _ = separable()
    theirs = linear.Perceptron(shuffle=False, tol=None, max_iter=500, penalty=None).fit(X, y)
    ours = Perceptron(shuffle=False).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)


@pytest.mark.parametrize("margin", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_novikoffs_bound(seed, margin):
    X, y, plane = separable(margin=margin, seed=seed)
    unit = Perceptron(seed=seed, max_epochs=100_000).fit(X, y)
    bound = novikoff_bound(X, y, plane[:-1], plane[-1])
    extended = np.column_stack([X, np.ones(len(X))])
    radius, gap = np.linalg.norm(extended, axis=1).max(), np.abs(extended @ plane).min() / np.linalg.norm(plane)
    assert bound == pytest.approx((radius / gap) ** 2)
    assert 0 < sum(unit.mistakes_) <= bound
    with pytest.raises(ValueError, match="does not separate the classes"):
        novikoff_bound(X, y, -plane[:-1], plane[-1])


def test_the_pocket_keeps_what_erred_least():
    X, y, plane = separable(n=200, margin=0.0)
    y = np.where(RNG.random(len(y)) < 0.1, np.where(y == "yes", "no", "yes"), y)
    unit = Perceptron(max_epochs=200).fit(X, y)
    assert not unit.separated_
    assert len(unit.mistakes_) == 200
    best = np.mean((X @ plane[:-1] + plane[-1] > 0) == (y == "yes"))
    assert unit.score(X, y) >= best - 0.02
    assert unit.score(X, y) > 1 - min(unit.mistakes_) / len(X)


def test_a_step_fires_at_zero():
    unit = Perceptron(max_epochs=1).fit([[1.0], [-1.0]], [1, 0])
    unit.coef_[:] = unit.intercept_[:] = 0
    assert unit.predict([[0.0]]) == [1]
    with pytest.raises(ValueError, match="all weights are zero"):
        unit.boundary()


@pytest.mark.parametrize("unit", [Perceptron(), Adaline(epochs=100)])
def test_boundaries(unit):
    X, y, _ = separable(k=2, margin=0.3)
    normal, distance = unit.fit(X, y).boundary()
    assert np.linalg.norm(normal) == pytest.approx(1)
    on = distance * normal + np.outer(np.linspace(-3, 3, 5), [-normal[1], normal[0]])
    np.testing.assert_allclose(unit.decision_function(on), 0, atol=1e-12)
    assert (unit.predict(on + 0.01 * normal) == "yes").all()


@pytest.mark.compiled  # three hundred thousand steps
def test_adaline_settles_where_squares_are_least():
    X, y, _ = separable(margin=0.0)
    unit = Adaline(learning_rate=1e-3, epochs=3000).fit(X, y)
    expected = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), np.where(y == "yes", 1.0, -1.0), rcond=None)[0]
    np.testing.assert_allclose([*unit.coef_[0], *unit.intercept_], expected, atol=5e-3)
    assert unit.errors_[0] > unit.errors_[-1]


def test_adalines_rule():
    X, y, _ = separable(n=20)
    weights = np.zeros(X.shape[1] + 1)
    for x, sign in zip(np.column_stack([X, np.ones(len(X))]), np.where(y == "yes", 1, -1), strict=True):
        weights += 0.05 * (sign - x @ weights) * x
    unit = Adaline(learning_rate=0.05, epochs=1, shuffle=False).fit(X, y)
    np.testing.assert_allclose([*unit.coef_[0], *unit.intercept_], weights, rtol=1e-12)
    with pytest.raises(FloatingPointError, match="no longer finite"):
        Adaline(learning_rate=100).fit(X, y)


@pytest.mark.parametrize("kind", [Perceptron, Adaline])
def test_same_seed_same_bits(kind):
    X, y, _ = separable()
    one, two, other = kind().fit(X, y), kind().fit(X, y), kind(seed=1).fit(X, y)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    assert (one.coef_ != other.coef_).any()


@pytest.mark.parametrize("kind", [Perceptron, Adaline])
@pytest.mark.parametrize(("X", "y", "text"), [
    ([[1.0], [2.0]], [0, 0], "y has 1 classes"), ([[1.0], [2.0], [3.0]], [0, 1, 2], "y has 3 classes"),
    ([[1.0], [2.0]], [0], r"y has shape \(1,\); expected \(2,\)"), ([[1.0], [np.nan]], [0, 1], "X holds NaN"),
    (np.zeros((2, 2, 2)), [0, 1], r"expected \(n, k\)"),
])  # fmt: skip
def test_samples_that_cant_be_learnt(kind, X, y, text):
    with pytest.raises(ValueError, match=text):
        kind().fit(X, y)


def test_samples_of_another_size():
    with pytest.raises(ValueError, match=r"X has shape \(1, 2\); expected \(n, 1\)"):
        Perceptron().fit([[0.0], [1.0]], [0, 1]).predict([[1.0, 2.0]])


@pytest.mark.parametrize("options", [{"learning_rate": 0}, {"max_epochs": 0}, {"seed": -1}])
def test_settings_that_cant_be(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Perceptron(**options)
