"""The same numbers as scikit-learn, from the same weights and samples in the same order."""

import pickle

import numpy as np
import pytest
import sklearn.linear_model as linear
import sklearn.neural_network as peer

import numbanet.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 4))
WEIGHTS = RNG.uniform(0.2, 2, 30)
TASKS = {
    "binary": ("MLPClassifier", X[:, 0] + X[:, 1] ** 2 > 0.7, {}),
    "multiclass": ("MLPClassifier", np.digitize(X[:, 0], [-0.5, 0.5]), {}),
    "strings": ("MLPClassifier", np.array(["c", "a", "b"])[np.digitize(X[:, 0], [-0.5, 0.5])], {}),
    "multilabel": ("MLPClassifier", (X[:, :3] > 0).astype(int), {}),
    "regression": ("MLPRegressor", X[:, 0] * X[:, 1], {}),
    "several targets": ("MLPRegressor", X[:, :3] * X[:, 1:], {}),
    "poisson": ("MLPRegressor", np.floor(np.exp(X[:, 0])), {"loss": "poisson"}),
    "several counts": ("MLPRegressor", np.floor(np.exp(X[:, :2])), {"loss": "poisson"}),
}
EPOCHS = 4


def pair(task, sample_weight=None, samples=X, **options):
    name, y, more = TASKS[task]
    options = {"hidden_layer_sizes": (5, 3), "random_state": 0, "shuffle": False, **more, **options}
    fitted = [getattr(module, name)(**options).fit(samples, y, sample_weight=sample_weight) for module in (ours, peer)]
    if not isinstance(options["random_state"], int):
        raise TypeError("a RandomState would be drawn from twice")
    return fitted


def assert_same(a, b, rtol=1e-10):
    for mine, theirs in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        assert mine.shape == theirs.shape
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol)
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "t_", "n_features_in_"):
        assert getattr(a, name) == getattr(b, name), name


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_step(solver, activation, task):
    a, b = pair(task, solver=solver, activation=activation, max_iter=1, batch_size=30, alpha=0.1)
    assert_same(a, b)
    assert a.loss_ == pytest.approx(b.loss_, rel=1e-10)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(b, method):
            mine, theirs = getattr(a, method)(X), getattr(b, method)(X)
            assert mine.dtype == theirs.dtype
            if mine.dtype.kind == "f":
                np.testing.assert_allclose(mine, theirs, rtol=1e-9)
            else:
                np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("options", [
    {"solver": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "momentum": 1.0, "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 8},
    {"solver": "lbfgs", "max_iter": 3},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_course_of_a_fit(task, options, weights):
    options = {"max_iter": EPOCHS, "batch_size": 7, "alpha": 0.5, **options}
    a, b = pair(task, weights, **options)
    assert_same(a, b, 1e-8)
    if options["solver"] != "lbfgs":
        np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)
        assert a.best_loss_ == pytest.approx(b.best_loss_, rel=1e-6)
        assert a.validation_scores_ is b.validation_scores_ is None


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "several targets", "poisson"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_early_stopping(task, weights):
    a, b = pair(task, weights, early_stopping=True, max_iter=6, n_iter_no_change=2, tol=0.01, batch_size=10)
    assert_same(a, b, 1e-8)
    np.testing.assert_allclose(a.validation_scores_, b.validation_scores_, rtol=1e-6)
    assert a.best_validation_score_ == pytest.approx(b.best_validation_score_, rel=1e-6)
    assert a.best_loss_ is b.best_loss_ is None


def test_stops_in_the_same_epoch(capsys):
    a, b = pair("binary", tol=0.003, n_iter_no_change=3, max_iter=60, verbose=True)
    assert a.n_iter_ == b.n_iter_ < 60
    mine, theirs = np.array_split(capsys.readouterr().out.splitlines(), 2)
    assert mine.tolist() == theirs.tolist()


def test_single_precision():
    a, b = pair("multiclass", samples=X.astype(np.float32), max_iter=EPOCHS)
    assert a.coefs_[0].dtype == np.float32
    assert_same(a, b, 1e-5)
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_first_weights_from_outside(solver):
    """Those put into ``coefs_`` count in a warm start, and in prediction, as arrays or in place."""
    options = {"solver": solver, "warm_start": True, "max_iter": EPOCHS}
    a, b = pair("multiclass", **options)
    for model in (a, b):
        rng = np.random.default_rng(1)
        model.coefs_ = [rng.uniform(-1, 1, c.shape) for c in model.coefs_]
        model.intercepts_[1] = rng.uniform(-1, 1, model.intercepts_[1].shape)
        model.intercepts_[0][:] = 0.25
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-10)
    np.testing.assert_allclose(pickle.loads(pickle.dumps(a)).predict_proba(X), b.predict_proba(X), rtol=1e-10)
    for model in (a, b):
        model.fit(X, TASKS["multiclass"][1])
    assert_same(a, b, 1e-8)
    if solver != "lbfgs":
        assert len(a.loss_curve_) == 2 * EPOCHS
        np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)


def test_weights_of_another_shape():
    model, _ = pair("binary", max_iter=1)
    model.coefs_[0] = np.ones((2, 2))
    with pytest.raises(ValueError, match="shapes"):
        model.predict(X)


@pytest.mark.parametrize("options", [
    {"solver": "adam"}, {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.2}], ids=str)
def test_partial_fit(options):
    """The optimiser goes on with what it remembers, also where a parameter of the loss changes."""
    y = TASKS["multiclass"][1]
    both = [module.MLPClassifier(hidden_layer_sizes=5, shuffle=False, random_state=0, **options)
            for module in (ours, peer)]  # fmt: skip
    for step in range(4):
        for model in both:
            if step == 2:
                model.set_params(alpha=2.0)
            model.partial_fit(X[step * 5 :], y[step * 5 :], classes=[0, 1, 2])
        if step == 2:
            both[0] = pickle.loads(pickle.dumps(both[0]))
    assert_same(*both, 1e-9)
    np.testing.assert_allclose(both[0].loss_curve_, both[1].loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("options", [
    {}, {"penalty": "l2"}, {"fit_intercept": False}, {"class_weight": "balanced"}, {"tol": None, "max_iter": 5},
    {"class_weight": {False: 3.0}, "eta0": 0.5}], ids=str)  # fmt: skip
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weights"])
def test_perceptron(options, weights):
    y = TASKS["binary"][1]
    a, b = (module.Perceptron(shuffle=False, **options).fit(X, y, sample_weight=weights) for module in (ours, linear))
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-7)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=1e-7)
    np.testing.assert_allclose(a.decision_function(X), b.decision_function(X), rtol=1e-6)
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)


def test_perceptron_from_given_weights():
    y = TASKS["multiclass"][1]
    start = {"coef_init": RNG.standard_normal((3, 4)), "intercept_init": RNG.standard_normal(3)}
    a, b = (module.Perceptron(shuffle=False, max_iter=1).fit(X, y, **start) for module in (ours, linear))
    np.testing.assert_allclose(a.coef_, b.coef_, rtol=1e-7)
    np.testing.assert_allclose(a.intercept_, b.intercept_, rtol=1e-7)
    with pytest.raises(ValueError, match="first values"):
        ours.Perceptron().fit(X, y, coef_init=np.ones(3))
