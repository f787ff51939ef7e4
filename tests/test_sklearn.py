"""What the estimators have beyond scikit-learn's own, and how they work within scikit-learn's tools."""

import copy
import pickle
import threading
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import numbanet as nn
from numbanet.sklearn import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor, Perceptron
from numbanet.sklearn.threads import thread_limit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4))
Y = np.digitize(X[:, 0] + 0.2 * X[:, 1], [-0.5, 0.5])
BINARY = X[:, 0] > 0
IRIS = load_iris(return_X_y=True)


def small(cls=MLPClassifier, **options):
    return cls(**{"hidden_layer_sizes": 8, "max_iter": 3, "random_state": 0, **options})


# As scikit-learn has it


def test_attributes():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = small().fit(frame, np.array(["x", "y", "z"])[Y])
    assert model.classes_.tolist() == ["x", "y", "z"]
    assert model.feature_names_in_.tolist() == list("abcd")
    assert (model.n_layers_, model.n_outputs_, model.out_activation_, model.t_) == (3, 3, "softmax", 120)
    assert [c.shape for c in model.coefs_] == [(4, 8), (8, 3)]
    assert set(model.predict(frame)) <= {"x", "y", "z"}
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X)


@pytest.mark.parametrize("copied", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "copy"])
@pytest.mark.parametrize("model", [small(batch_norm=True), Perceptron(), NetClassifier([nn.Dense(4)], max_iter=2)],
                         ids=["mlp", "perceptron", "net"])  # fmt: skip
def test_copies(copied, model):
    model = clone(model).fit(X, Y)
    other = copied(model)
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    before = model.predict(X)
    other.coefs_[0][:] = 0  # still a view, and of its own model
    assert (other.model_.get_weights()[0] == 0).all()
    np.testing.assert_array_equal(model.predict(X), before)
    other.partial_fit(X, Y)


def test_sparse_is_as_dense():
    for convert in (sparse.csr_matrix, sparse.csc_array):
        a, b = small().fit(X, Y), small().fit(convert(X), Y)
        np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])
        np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(convert(X)))


def test_indicator_matrix_may_be_sparse():
    labels = (X[:, :2] > 0).astype(int)
    model = small().fit(X, sparse.csr_matrix(labels))
    assert sparse.issparse(model.predict(X))
    np.testing.assert_array_equal(model.predict(X).toarray(), small().fit(X, labels).predict(X))


def test_any_layout_and_type_of_samples():
    model = small(dtype="float32").fit(X, Y)
    expected = model.predict_proba(X.astype(np.float32))
    for samples in (X, np.asfortranarray(X), X.tolist(), X.astype(np.float32)[::1], np.repeat(X, 2, 0)[::2]):
        np.testing.assert_allclose(model.predict_proba(samples), expected, rtol=1e-5)
    assert expected.dtype == np.float32


def test_one_class():
    model = small().fit(X, np.full(40, "only"))
    assert set(model.predict(X)) == {"only"}


def test_warnings():
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        small().fit(X, Y)
    with pytest.warns(UserWarning, match="going to be clipped"):
        small(batch_size=100).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge"):
        small(solver="lbfgs").fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(max_iter=500, tol=0.1, n_iter_no_change=2).fit(X, Y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of overflow in the score
def test_diverging_with_early_stopping():
    """As in scikit-learn the best weights stay; but training ends there."""
    model = small(MLPRegressor, solver="sgd", learning_rate_init=1e3, activation="identity", early_stopping=True,
                  max_iter=200, n_iter_no_change=200)  # fmt: skip
    with pytest.warns(ConvergenceWarning, match="not finite"):
        model.fit(X, X[:, 0])
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()
    assert len(model.loss_curve_) == len(model.validation_scores_) == model.n_iter_ < 200


def test_interrupt():
    class Impatient(nn.Callback):
        def on_epoch_end(self, trainer, epoch, logs):
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user"):
        model = small(callbacks=Impatient()).fit(X, Y)
    assert model.n_iter_ == 1


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose(capsys, solver):
    small(verbose=True, solver=solver).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"Iteration {i}" for i in (1, 2, 3)]


def test_calls_of_compiled_code(monkeypatch):
    """As many epochs as nothing can stop are one call."""
    from numbanet.cpu.engine import Engine

    calls = []
    train = Engine.training
    monkeypatch.setattr(Engine, "training", lambda *a, epochs, **k: calls.append(epochs) or train(
        *a, epochs=epochs, **k))
    monkeypatch.setattr("numbanet.trainer.CALL", 60)
    model = small(max_iter=60, tol=1e6, n_iter_no_change=19).fit(X, Y)
    assert model.n_iter_ == 21  # the first improves on infinity
    assert sum(calls) == 21
    assert len(calls) <= 3
    calls.clear()
    small(max_iter=5, early_stopping=True).fit(X, Y)
    assert calls == [1] * 5


# Beyond scikit-learn


def test_activation_of_each_layer():
    def bent(x):
        return 0.5 * x if x > 0 else 0.1 * x

    own = nn.Activation("bent", forward=bent, derivative=lambda x, y: 0.5 if x > 0 else 0.1)
    model = small(hidden_layer_sizes=(5, 4), activation=["swish", own]).fit(X, Y)
    hidden = X @ model.coefs_[0] + model.intercepts_[0]
    hidden = hidden / (1 + np.exp(-hidden)) @ model.coefs_[1] + model.intercepts_[1]
    logits = np.where(hidden > 0, 0.5 * hidden, 0.1 * hidden) @ model.coefs_[2] + model.intercepts_[2]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)


@pytest.mark.parametrize("y", [BINARY, Y, (X[:, :3] > 0).astype(int)], ids=["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("options", [
    {"loss": "focal"}, {"loss": "hinge"}, {"loss": "squared_hinge"}, {"loss": "binary_cross_entropy"},
    {"loss": "mean_squared_error"}, {"loss": "mse", "out_activation": "logistic"}], ids=str)  # fmt: skip
def test_losses_of_classifiers(options, y):
    model = small(**options, max_iter=60, learning_rate_init=0.05, tol=0, dtype="float32").fit(X, y)
    assert model.score(X, y) > 0.8
    probabilistic = model.out_activation_ == "logistic"
    assert hasattr(model, "predict_proba") is hasattr(small(**options), "predict_proba") is probabilistic
    if probabilistic and y.ndim == 1:
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(model.classes_[model.predict_proba(X).argmax(axis=1)], model.predict(X))


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "categorical_hinge", nn.loss("kl_divergence")])
def test_losses_on_classes(loss):
    options = {"out_activation": "softmax"} if not isinstance(loss, str) else {}
    for y in (BINARY, Y):
        model = small(loss=loss, max_iter=60, learning_rate_init=0.05, tol=0, **options).fit(X, y)
        assert model.n_outputs_ == len(model.classes_)
        assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="one class a sample"):
        small(loss=loss, **options).fit(X, (X[:, :3] > 0).astype(int))


def test_regression_of_a_quantile():
    model = small(MLPRegressor, loss=nn.loss("quantile", q=0.9), max_iter=300, learning_rate_init=0.02, tol=0)
    y = X[:, 0] + RNG.standard_normal(40)
    assert 0.75 < (y < model.fit(X, y).predict(X)).mean() < 1


@pytest.mark.parametrize("options", [
    {"optimizer": "lion"}, {"optimizer": nn.RMSprop(0.01)}, {"optimizer": nn.SGD(0.1), "schedule": "cosine"},
    {"regularizer": nn.L1(0.1)}, {"regularizer": "max_norm"}, {"dropout": 0.2}, {"dropout": (0.2, 0.0)},
    {"batch_norm": True}, {"schedule": "bold_driver"}, {"n_threads": 1},
], ids=str)  # fmt: skip
def test_further_parameters(options):
    options = {"hidden_layer_sizes": (6, 5), "max_iter": 5, **options}
    a, b = small(**options).fit(X, Y), small(**options).fit(X, Y)
    plain = small(hidden_layer_sizes=(6, 5), max_iter=5).fit(X, Y)
    assert len(a.loss_curve_) == 5
    np.testing.assert_array_equal(a.model_.parameters, b.model_.parameters)
    same = a.model_.parameters.shape == plain.model_.parameters.shape and (a.coefs_[0] == plain.coefs_[0]).all()
    assert same == ("n_threads" in options)
    assert a.score(X, Y) > 0


def test_class_weight_is_a_weight_of_samples():
    weights = np.where(Y == 2, 3.0, 1.0)
    a = small(class_weight={0: 1, 1: 1, 2: 3}).fit(X, Y)
    b = small().fit(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(a.model_.parameters, b.model_.parameters)
    c = small(class_weight="balanced").fit(X, Y, sample_weight=weights)
    assert not (c.model_.parameters == b.model_.parameters).all()


def test_validation_data():
    held = X[:15], Y[:15]
    model = small(max_iter=6).fit(X[15:], Y[15:], validation_data=held)
    assert len(model.validation_curve_) == 6
    probabilities = model.predict_proba(held[0])[np.arange(15), held[1]]
    assert model.validation_curve_[-1] == pytest.approx(-np.log(probabilities).mean())
    stopped = small(max_iter=6, early_stopping=True).fit(X[15:], Y[15:], validation_data=(*held, np.ones(15)))
    assert stopped.best_validation_score_ == pytest.approx(stopped.score(*held))
    assert stopped.t_ == 6 * 25  # none of the training samples is held out
    with pytest.raises(ValueError, match="classes not in"):
        small().fit(X, BINARY, validation_data=(X, Y))
    with pytest.raises(TypeError, match="validation_data"):
        small().fit(X, Y, validation_data=X)


def test_callbacks():
    seen = []
    callback = nn.LambdaCallback(lambda trainer, epoch, logs: seen.append((epoch, logs["loss"])))
    model = small(callbacks=[callback]).fit(X, Y)
    assert seen == list(enumerate(model.loss_curve_, 1))
    stopping = nn.EarlyStopping("val_loss", patience=1, min_delta=1e6)
    assert small(callbacks=stopping, max_iter=9).fit(X, Y, validation_data=(X, Y)).n_iter_ == 2


def test_early_stopping_of_a_perceptron():
    weights = np.where(np.arange(40) % 4, 2.0, 0.0)
    model = Perceptron(early_stopping=True, validation_fraction=0.3, n_iter_no_change=2)
    model.fit(X, Y, sample_weight=weights)
    assert model.n_iter_ == len(model.validation_scores_) < 40
    assert model.best_validation_score_ == max(model.validation_scores_) > 0


# Any layers


@pytest.mark.compiled
def test_convolutions():
    images, digits = load_digits(return_X_y=True)
    layers = nn.Sequential([nn.Conv2D(8, 3, "relu"), nn.MaxPool2D(2), nn.Flatten()])
    model = NetClassifier(layers, (8, 8, 1), max_iter=15, learning_rate_init=0.005, dtype="float32", batch_size=32,
                          random_state=0)  # fmt: skip
    model.fit(images[:1200] / 16, digits[:1200])
    assert model.score(images[1200:] / 16, digits[1200:]) > 0.85
    assert not layers.built
    lenet = NetClassifier([nn.Reshape((8, 8, 1)), nn.Conv2D(4, 3), nn.Flatten(), nn.Dense(10)], add_output=False,
                          max_iter=1)  # fmt: skip
    assert lenet.fit(images, digits).n_outputs_ == 10


def test_net_of_dense_layers_is_a_perceptron_of_them():
    net = NetRegressor([nn.Dense(5, "tanh"), nn.LayerNorm()], max_iter=4, random_state=1).fit(X, X[:, :2])
    assert net.predict(X).shape == (40, 2)
    assert [c.shape for c in net.coefs_] == [(4, 5), (5, 2)]
    again = clone(net).set_params(random_state=2).fit(X, X[:, :2])
    assert not np.array_equal(net.coefs_[0], again.coefs_[0])
    y = X[:, 0]
    net = NetRegressor([nn.Dense(1)], add_output=False, solver="lbfgs", alpha=0, tol=1e-9, max_iter=500).fit(X, y)
    np.testing.assert_allclose(net.predict(X), y, atol=1e-4)


def test_indices_out_of_range():
    words = RNG.integers(0, 5, (40, 3))
    model = NetClassifier([nn.Embedding(5, 2), nn.Flatten()], max_iter=2, random_state=0).fit(words, words[:, 0] > 2)
    assert model.predict_proba(words).shape == (40, 2)
    for use in (model.predict, lambda X: model.fit(X, words[:, 0] > 2), lambda X: model.predict(sparse.csr_array(X))):
        with pytest.raises(ValueError, match="from 0 to 4"):
            use(words + 1)


# Within scikit-learn


@pytest.mark.compiled
def test_searches():
    grid = {"alpha": [1e-4, 1.0], "activation": ["relu", "swish"]}
    model = small(max_iter=60, batch_size=10, learning_rate_init=0.02)
    halving = HalvingGridSearchCV(model, grid, cv=3, resource="max_iter", max_resources=60, random_state=0)
    for search in (GridSearchCV(model, grid, cv=3), halving):
        assert search.fit(*IRIS).best_score_ > 0.6
    pipeline = make_pipeline(StandardScaler(), model)
    assert cross_val_score(pipeline, *IRIS, cv=3).mean() > 0.85


@pytest.mark.compiled
def test_frames_in_a_pipeline():
    frame = pd.DataFrame({"size": X[:, 0], "kind": np.where(X[:, 1] > 0, "a", "b")})
    columns = ColumnTransformer([("number", StandardScaler(), ["size"]),
                                 ("kind", OneHotEncoder(sparse_output=False), ["kind"])]).set_output(transform="pandas")
    pipeline = make_pipeline(columns, small(max_iter=50)).fit(frame, BINARY)
    assert list(pipeline[-1].feature_names_in_) == ["number__size", "kind__kind_a", "kind__kind_b"]
    assert pipeline.predict_proba(frame).shape == (40, 2)
    assert partial_dependence(pipeline, frame, ["size"])["average"].shape[0] == 1


@pytest.mark.compiled
def test_ensembles_and_inspection():
    base = small(max_iter=100)
    calibrated = CalibratedClassifierCV(base, cv=3).fit(*IRIS)
    bagged = BaggingClassifier(base, n_estimators=3, random_state=0, n_jobs=2).fit(*IRIS)
    stacked = StackingClassifier([("net", base), ("perceptron", Perceptron())], cv=3).fit(*IRIS)
    for model in (calibrated, bagged, stacked):
        assert model.score(*IRIS) > 0.6
    importance = permutation_importance(base.fit(*IRIS), *IRIS, n_repeats=2, random_state=0)
    assert importance.importances_mean.shape == (4,)


@pytest.mark.compiled
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel(backend):
    one = [small(random_state=seed).fit(X, Y).predict_proba(X) for seed in range(4)]
    work = joblib.delayed(lambda seed: small(random_state=seed).fit(X, Y).predict_proba(X))
    several = joblib.Parallel(2, backend=backend)(work(seed) for seed in range(4))
    np.testing.assert_allclose(several, one, rtol=1e-12)


@pytest.mark.compiled
def test_threads_of_workers(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert thread_limit(None) is None
    assert thread_limit(3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert thread_limit(None) == 2
    limit = joblib.delayed(lambda: (threading.get_ident(), thread_limit(None)))
    for _, threads in joblib.Parallel(2, backend="threading")(limit() for _ in range(4)):
        assert threads == 1
    with joblib.parallel_config("loky", inner_max_num_threads=1):
        for _, threads in joblib.Parallel(2)(limit() for _ in range(4)):
            assert threads == 1


@pytest.mark.parametrize("task", ["binary", "classes", "numbers"])
def test_gradient_with_respect_to_features(task):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 3
    if task == "numbers":
        estimator = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", max_iter=3).fit(X, X[:, 0])
        answer = estimator.predict
    else:
        estimator = MLPClassifier((5,), activation="tanh", max_iter=3).fit(X, y % 2 if task == "binary" else y)
        answer = lambda X: estimator.predict_proba(X)[:, 1] if task == "binary" else estimator.predict_proba(X)
    found = estimator.gradient(X[:7])
    assert found.shape == (7, 3 if task == "classes" else 1, 3)
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        numeric = (answer(X[:7] + step) - answer(X[:7] - step)) / 2e-6
        np.testing.assert_allclose(found[:, :, i], numeric.reshape(7, -1), rtol=1e-5, atol=1e-8)


# -- scikit-learn's own callbacks -----------------------------------------------------------


class Recorder:
    """Follows the protocol of scikit-learn's callbacks."""

    def __init__(self, last=None):
        self.calls, self.scores, self.last = [], [], last

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.calls.append(f"end {context.task_name}")
        self.scores.append(fitted_estimator.score(X, y))
        return context.task_name != "fit" and context.task_id + 1 == self.last


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_of_scikit_learn(solver):
    pytest.importorskip("sklearn.callback")
    X, y = load_iris(return_X_y=True)
    what = "epoch" if solver == "adam" else "lbfgs-iter"
    for last, count in ((None, 4), (2, 2)):
        recorder = Recorder(last)
        estimator = MLPClassifier((4,), solver=solver, max_iter=4, random_state=0).set_callbacks(recorder)
        estimator.fit(X, y)
        assert recorder.calls == [
            "setup", "begin fit", *[f"begin {what}", f"end {what}"] * count, "end fit", "teardown"]  # fmt: skip
        assert estimator.n_iter_ == count
        assert recorder.scores[-1] == recorder.scores[-2] == estimator.score(X, y)
    plain = MLPClassifier((4,), solver=solver, max_iter=4, random_state=0).fit(X, y)
    told = clone(estimator).set_callbacks(Recorder()).fit(X, y)
    np.testing.assert_array_equal(told.model_.parameters, plain.model_.parameters)


def test_monitor_of_scikit_learn():
    callback = pytest.importorskip("sklearn.callback")
    X, y = load_iris(return_X_y=True)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    estimator = MLPClassifier((4,), max_iter=3, random_state=0).set_callbacks(monitor).fit(X, y)
    rows = monitor.get_logs().data
    assert [row["accuracy"] for row in rows if row["task_name"] == "epoch"][-1] == estimator.score(X, y)


def test_labels_in_the_file_of_a_model(tmp_path):
    X = np.random.default_rng(0).normal(size=(30, 3))
    for y in (np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)], np.digitize(X[:, 0], [-0.5, 0.5])):
        estimator = MLPClassifier((4,), max_iter=2, solver="sgd", tol=0, n_iter_no_change=9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)
        estimator.model_.save(tmp_path / "m")
        assert nn.load(tmp_path / "m").classes == estimator.classes_.tolist()
