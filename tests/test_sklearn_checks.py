"""scikit-learn's own checks of estimators; what it rejects is rejected here by the same exception."""

import numpy as np
import pytest
import sklearn.linear_model as linear
import sklearn.neural_network as peer
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import check_estimator

import numbanet as nn
import numbanet.sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3))
Y = (X[:, 0] > 0).astype(int)

# scikit-learn expects the same two of its own perceptron: in training sample by sample one of weight two is one
# correction of twice the size, while two samples are two corrections, in an order of their own
ORDER = "a weight is the size of a correction, not their number"
PERCEPTRON = dict.fromkeys(
    ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"), ORDER
)


@pytest.mark.compiled
@pytest.mark.filterwarnings("ignore")  # the checks are about exceptions; some data make estimators warn
@pytest.mark.parametrize(("estimator", "least", "expected"), [
    (ours.MLPClassifier(max_iter=100), 60, {}),
    (ours.MLPRegressor(max_iter=100), 55, {}),
    (ours.MLPClassifier(max_iter=100, solver="lbfgs"), 60, {}),
    (ours.MLPRegressor(max_iter=100, solver="lbfgs"), 55, {}),
    (ours.MLPClassifier(max_iter=100, activation="swish", optimizer="nadam", dtype="float64"), 60, {}),
    (ours.NetClassifier([nn.Dense(50, "relu"), nn.Dense(20, "relu")], max_iter=100), 60, {}),
    (ours.NetRegressor([nn.Dense(50, "relu"), nn.Dense(20, "relu")], max_iter=100), 55, {}),
    (ours.Perceptron(), 60, PERCEPTRON),
], ids=["mlp classifier", "mlp regressor", "lbfgs classifier", "lbfgs regressor", "swish", "net classifier",
        "net regressor", "perceptron"])  # fmt: skip
def test_checks(estimator, least, expected):
    results = check_estimator(estimator, expected_failed_checks=expected, on_skip=None)
    passed = [found["check_name"] for found in results if found["status"] == "passed"]
    failed = [found["check_name"] for found in results if found["status"] == "xfail"]
    assert len(passed) >= least
    assert sorted(failed) == sorted(expected)


@pytest.mark.parametrize("options", [
    {"hidden_layer_sizes": -1}, {"hidden_layer_sizes": (5, 0)}, {"hidden_layer_sizes": "many"}, {"activation": "ghoul"},
    {"activation": 3}, {"solver": "hadoken"}, {"alpha": -1}, {"batch_size": -1}, {"batch_size": 2.5},
    {"learning_rate": "fast"}, {"learning_rate_init": 0}, {"learning_rate_init": -1}, {"power_t": -1}, {"max_iter": 0},
    {"max_iter": 1.5}, {"shuffle": "true"}, {"random_state": "x"}, {"tol": -1}, {"verbose": "loud"},
    {"warm_start": 3}, {"momentum": 2}, {"momentum": -0.5}, {"nesterovs_momentum": "no"}, {"early_stopping": "true"},
    {"validation_fraction": 1}, {"validation_fraction": -0.5}, {"beta_1": 1}, {"beta_1": -0.5}, {"beta_2": 1},
    {"epsilon": 0}, {"n_iter_no_change": 0}, {"n_iter_no_change": 2.5}, {"max_fun": 0},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_bad_parameters(name, options):
    errors = []
    for module in (ours, peer):
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(module, name)(**options).fit(X, Y)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


@pytest.mark.parametrize("options", [
    {"out_activation": "ghoul"}, {"optimizer": "nobody"}, {"optimizer": nn.L2()}, {"schedule": "never"},
    {"regularizer": "l3"}, {"class_weight": "even"}, {"dropout": 1.0}, {"batch_norm": "yes"}, {"callbacks": print},
    {"device": "toaster"}, {"dtype": "int8"}, {"n_threads": 0}, {"loss": "gain"},
], ids=str)  # fmt: skip
def test_bad_further_parameters(options):
    with pytest.raises(InvalidParameterError, match=next(iter(options))):
        ours.MLPClassifier(**options).fit(X, Y)


@pytest.mark.parametrize(("name", "options", "data"), [
    ("MLPClassifier", {}, (X, np.full(20, np.nan))),
    ("MLPClassifier", {}, (X, X[:, 0])),
    ("MLPClassifier", {}, (np.where(X > 2, np.nan, X), Y[:-1])),
    ("MLPClassifier", {}, (X[:0], Y[:0])),
    ("MLPClassifier", {}, (X[:, 0], Y)),
    ("MLPClassifier", {}, ([["a", "b"], ["c", "d"]], [0, 1])),
    ("MLPClassifier", {}, (X, np.c_[Y, Y + 1, Y + 2])),
    ("MLPClassifier", {}, (X * 1j, Y)),
    ("MLPClassifier", {"early_stopping": True}, (X[:5], Y[:5])),
    ("MLPClassifier", {"early_stopping": True}, (X[:4], [0, 0, 0, 1])),
    ("MLPRegressor", {"early_stopping": True, "validation_fraction": 0.01}, (X, Y)),
    ("MLPRegressor", {}, (X, np.full(20, np.inf))),
    ("MLPRegressor", {}, (X * 1e307, Y)),
    ("MLPRegressor", {}, (X, ["x"] * 20)),
    ("MLPRegressor", {}, (X, Y, np.ones(3))),
    ("MLPRegressor", {}, (X, Y, np.full(20, np.nan))),
], ids=range(16))  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_data(name, options, data):
    errors = []
    for module in (ours, peer):
        with pytest.raises((ValueError, TypeError)) as caught:
            getattr(module, name)(**options).fit(*data)
        errors.append(type(caught.value))
    assert issubclass(errors[1], errors[0])  # NumPy's own kind of TypeError among them


def fitted(module, name="MLPClassifier", **options):
    return getattr(module, name)(hidden_layer_sizes=3, max_iter=1, random_state=0, **options).fit(X, Y)


@pytest.mark.parametrize("use", [
    lambda m: m.MLPClassifier().predict(X),
    lambda m: m.MLPRegressor().predict(X),
    lambda m: fitted(m).predict(X[:, :2]),
    lambda m: fitted(m).predict_proba(X[0]),
    lambda m: fitted(m).predict_proba(X * np.inf),
    lambda m: fitted(m).predict_proba(np.full((2, 3), np.nan)),
    lambda m: fitted(m).partial_fit(X, Y + 5),
    lambda m: fitted(m).partial_fit(X, Y, classes=[0, 1, 2]),
    lambda m: m.MLPClassifier().partial_fit(X, Y),
    lambda m: m.MLPClassifier().partial_fit(X, Y, classes=[1, 2]),
    lambda m: m.MLPClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1]),
    lambda m: m.MLPClassifier(solver="lbfgs").partial_fit(X, Y, classes=[0, 1]),
    lambda m: fitted(m, warm_start=True).fit(X, Y + 1),
    lambda m: fitted(m, warm_start=True).fit(X[:, :2], Y),
    lambda m: fitted(m, "MLPRegressor", warm_start=True).fit(X, X),
    lambda m: fitted(m, "MLPRegressor").predict_proba,
], ids=range(16))  # fmt: skip
def test_bad_use(use):
    errors = []
    for module in (ours, peer):
        with pytest.raises(Exception) as caught:  # noqa: PT011  which one, scikit-learn says
            use(module)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


@pytest.mark.parametrize("options", [
    {"penalty": "l0"}, {"alpha": -1}, {"l1_ratio": 2}, {"max_iter": 0}, {"tol": -1}, {"eta0": 0},
    {"validation_fraction": 0.0}, {"n_iter_no_change": 0}, {"class_weight": "even"}], ids=str)  # fmt: skip
def test_bad_perceptron(options):
    errors = []
    for module in (ours, linear):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            module.Perceptron(**options).fit(X, Y)
        errors.append(type(caught.value))
    assert issubclass(errors[0], errors[1])  # the one for parameters, where scikit-learn's has another


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ours.MLPClassifier(activation=["relu"]), "1 elements, and there are 2 hidden layers"),
    (lambda: ours.MLPClassifier(dropout=[0.1]), "dropout has 1 elements"),
    (lambda: ours.MLPClassifier(activation=["relu", "ghoul"]), "unknown activation 'ghoul'"),
    (lambda: ours.MLPClassifier(out_activation="softmax"), "takes no out_activation"),
    (lambda: ours.MLPClassifier(solver="lbfgs", dropout=0.1), "without dropout"),
    (lambda: ours.MLPClassifier(solver="lbfgs", callbacks=[nn.Callback()]), "no epochs"),
    (lambda: ours.NetClassifier([nn.Dense(4)], input_shape=(2, 2)), "needs 4"),
    (lambda: ours.NetClassifier([nn.Dense(4)], add_output=False), "the targets need"),
])  # fmt: skip
def test_what_does_not_fit_together(make, words):
    model = make()
    if isinstance(model, ours.MLPClassifier):
        model.set_params(hidden_layer_sizes=(4, 4))
    with pytest.raises(ValueError, match=words):
        model.fit(X, Y)


def test_poisson_needs_counts():
    with pytest.raises(ValueError, match="at least 0"):
        ours.MLPRegressor("poisson").fit(X, X[:, 0])
