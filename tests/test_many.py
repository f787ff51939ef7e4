"""Many networks at once, cross-validated weight decay, ensembles."""

import numpy as np
import pytest
from numba import config

import numbanet as nn
from numbanet.search import _folds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
NUMBERS = np.tanh(X @ RNG.normal(size=4))
FEW = config.DISABLE_JIT


def trainer(seed=0, strength=1e-3, rate=0.01, dropout=0.0, outputs=3, loss="softmax_cross_entropy", **options):
    layers = [nn.Dense(6, "tanh"), nn.Dropout(dropout), nn.Dense(outputs)]
    penalty = nn.L2(strength) if strength else None
    return nn.Trainer(nn.Sequential(layers), loss, nn.Adam(rate), regularizer=penalty, seed=seed, **options)


VARIED = [
    {}, {"seed": 1}, {"strength": 0.1}, {"rate": 0.1}, {"dropout": 0.5}, {"seed": 3, "dropout": 0.2, "strength": 0},
    {"metrics": ["accuracy"]}, {"dtype": "float64"}, {"deterministic": True},
]  # fmt: skip


def same(trainers, alone):
    for left, right in zip(trainers, alone, strict=True):
        np.testing.assert_array_equal(left.model.parameters, right.model.parameters)
        assert left.history == right.history


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_is_as_it_would_be_alone(threads):
    trainers, alone = ([trainer(**settings) for settings in VARIED] for _ in range(2))
    histories = nn.fit_many(trainers, X, LABELS, epochs=3, batch_size=16, threads=threads)
    for one in alone:
        one.fit(X, LABELS, epochs=3, batch_size=16, progress=False)
    same(trainers, alone)
    assert histories == [one.history for one in alone]


def test_rows_weights_validation_and_callbacks_of_their_own():
    rows = [np.arange(i, 90, 2) for i in (0, 1)]
    weights = RNG.uniform(0.5, 2, (2, 90))
    stop = lambda: [nn.EarlyStopping("val_loss", patience=2)]
    trainers, alone = ([trainer(seed=i) for i in range(2)] for _ in range(2))
    nn.fit_many(trainers, X, LABELS, epochs=4, batch_size=16, samples=rows, validation=rows[::-1],
                sample_weight=weights, callbacks=stop)  # fmt: skip
    for i, one in enumerate(alone):
        other = rows[1 - i]
        one.fit(X[rows[i]], LABELS[rows[i]], epochs=4, batch_size=16, validation_data=(X[other], LABELS[other]),
                sample_weight=weights[i][rows[i]], callbacks=stop(), progress=False)  # fmt: skip
    same(trainers, alone)
    again = trainer()
    nn.fit_many([again], X, LABELS, epochs=2, sample_weight=weights[0], shuffle=False)
    one = trainer()
    one.fit(X, LABELS, epochs=2, sample_weight=weights[0], shuffle=False, progress=False)
    same([again], [one])


def test_threads_are_given_back():
    one = trainer(threads=2)
    nn.fit_many([one], X, LABELS, epochs=1)
    assert (one.threads, one._engine.threads) == (2, 2)
    one.fit(X, LABELS, epochs=1, progress=False)
    assert one.epochs_done == 2


def test_one_that_fails_leaves_the_others():
    trainers = [trainer(), trainer(rate=1e38), trainer(seed=1)]
    with pytest.raises(RuntimeError, match="1 of 3 networks failed; network 1: the loss is no longer finite"):
        nn.fit_many(trainers, X * 1e3, LABELS, epochs=3)
    assert [one.epochs_done for one in trainers] == [3, 0, 3]


def test_progress(capsys):
    nn.fit_many([trainer(), trainer()], X, LABELS, epochs=1, progress=True)
    assert "networks" in capsys.readouterr().out


@pytest.mark.parametrize(("change", "error", "message"), [
    ({"samples": [np.arange(3)]}, ValueError, "samples has 1 sets of rows for 2 networks"),
    ({"validation": []}, ValueError, "validation has 0 sets"),
    ({"sample_weight": np.ones((3, 90))}, ValueError, r"has shape \(3, 90\); expected \(90,\) or \(2, 90\)"),
    ({"trainers": [trainer(), "me"]}, TypeError, r"trainers\[1\] must be a Trainer, got 'me'"),
    ({"threads": -1}, ValueError, "threads"),
    ({"epochs": 0}, RuntimeError, "2 of 2 networks failed; network 0: epochs"),
])  # fmt: skip
def test_bad_input(change, error, message):
    arguments = {"trainers": [trainer(), trainer()], "X": X, "y": LABELS, **change}
    with pytest.raises(error, match=message):
        nn.fit_many(**arguments)


def test_a_model_that_two_share():
    model = nn.Sequential([nn.Dense(3)])
    with pytest.raises(ValueError, match="trainers share a model"):
        nn.fit_many([nn.Trainer(model, "softmax_cross_entropy") for _ in range(2)], X, LABELS)


# -- weight decay ---------------------------------------------------------------------------


def test_folds():
    parts = _folds(103, None, 5, seed=1)
    assert sorted(map(len, parts)) == [20, 20, 21, 21, 21]
    assert np.unique(np.concatenate(parts)).size == 103
    labels = np.repeat([0, 1], [80, 23])
    for part in _folds(103, labels, 5, seed=1):
        assert 4 <= (labels[part] == 1).sum() <= 5


def test_scores_are_those_of_single_fits():
    model = nn.Sequential([nn.Dense(6, "tanh"), nn.Dense(1)])
    settings = {"epochs": 3 if FEW else 12, "batch_size": 16, "patience": 2}
    strengths = [1e-4, 1e-2]
    found = nn.select_weight_decay(
        model, X, NUMBERS, loss="mean_squared_error", optimizer=nn.Adam(0.02), strengths=strengths, folds=3, seed=5,
        dtype="float64", **settings,
    )  # fmt: skip
    parts = _folds(90, None, 3, 5)
    for i, strength in enumerate(strengths):
        for j, part in enumerate(parts):
            rest = np.concatenate(parts[:j] + parts[j + 1 :])
            one = nn.Trainer(nn.Sequential(model.layers), "mean_squared_error", nn.Adam(0.02),
                             regularizer=nn.L2(strength), dtype="float64", seed=5, threads=1)  # fmt: skip
            one.fit(X[rest], NUMBERS[rest], epochs=settings["epochs"], batch_size=16, progress=False,
                    validation_data=(X[part], NUMBERS[part]),
                    callbacks=[nn.EarlyStopping("val_loss", patience=2)])  # fmt: skip
            row = one.history.best("val_loss")
            assert found.scores[i, j] == one.history["val_loss"][row]
            assert found.epochs[i, j] == one.history["epoch"][row]
    chosen = list(found.strengths).index(found.chosen)
    assert found.trainer.epochs_done == int(np.median(found.epochs[chosen]))
    assert found.trainer.regularizer == nn.L2(found.chosen)
    assert found.predict(X).shape == (90, 1)
    assert not model.built


def test_rule_of_one_standard_error():
    model = nn.Sequential([nn.Dense(3)])
    found = {}
    for rule in (True, False):
        found[rule] = nn.select_weight_decay(
            model, X, LABELS, loss="softmax_cross_entropy", optimizer=nn.Adam(0.05),
            strengths=[0, 1e-4, 1e-3, 1e-2, 10], folds=3, epochs=2 if FEW else 20, one_standard_error=rule,
        )  # fmt: skip
    result = found[True]
    limit = result.means.min() + result.errors[result.means.argmin()]
    assert result.chosen == result.strengths[result.means <= limit].max()
    assert FEW or result.chosen < 10
    assert found[False].chosen == found[False].best == result.best == result.strengths[result.means.argmin()]
    lines = result.table().splitlines()
    assert len(lines) == 6
    assert [line.split()[0] for line in lines if "chosen" in line] == [f"{result.chosen:.3g}"]


def test_a_strength_that_diverges_has_no_chance():
    model = nn.Sequential([nn.Dense(3)])
    result = nn.select_weight_decay(
        model, X, LABELS, loss="softmax_cross_entropy", optimizer=nn.SGD(0.1), strengths=[1e-3, 1e38], folds=2, epochs=2
    )
    assert np.isinf(result.means[1])
    assert np.isinf(result.errors[1])
    assert result.chosen == result.best == 1e-3
    with pytest.raises(FloatingPointError, match="no strength could be trained in all folds"):
        nn.select_weight_decay(
            model, X, LABELS, loss="softmax_cross_entropy", optimizer=nn.SGD(0.1), strengths=[1e38], folds=2, epochs=2
        )


def test_table_in_a_file_and_a_picture(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    result = nn.select_weight_decay(
        nn.Sequential([nn.Dense(3)]), X, LABELS, loss="softmax_cross_entropy", strengths=[0, 1e-3], folds=2, epochs=1
    )
    result.to_csv(tmp_path / "scores.csv")
    rows = np.genfromtxt(tmp_path / "scores.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(rows["val_loss"], result.scores.ravel())
    ax = result.plot()
    assert ax.get_xlabel() == "weight decay"
    matplotlib.pyplot.close(ax.figure)


@pytest.mark.parametrize(("change", "error", "message"), [
    ({"strengths": []}, ValueError, "strengths is empty"), ({"strengths": [-1]}, ValueError, "strengths"),
    ({"folds": 1}, ValueError, "folds must be at least 2"), ({"folds": 91}, ValueError, "folds must be at most .* 90"),
    ({"regularizer": "max_norm"}, TypeError, "strength"), ({"X": X[:, :0]}, ValueError, "X is empty"),
    ({"loss": "softmax"}, ValueError, "softmax"),
])  # fmt: skip
def test_bad_search(change, error, message):
    arguments = {"model": nn.Sequential([nn.Dense(3)]), "X": X, "y": LABELS, "loss": "softmax_cross_entropy", **change}
    with pytest.raises(error, match=message):
        nn.select_weight_decay(**arguments)


# -- ensembles ------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "outputs", "y"), [
    ("softmax_cross_entropy", 3, LABELS), ("binary_cross_entropy", 1, LABELS > 0), ("mean_squared_error", 1, NUMBERS),
])  # fmt: skip
def test_ensemble(loss, outputs, y):
    trainers = [trainer(seed=i, loss=loss, outputs=outputs) for i in range(3)]
    nn.fit_many(trainers, X, y, epochs=3)
    ensemble = nn.Ensemble(trainers)
    members = np.array([one.predict(X) for one in trainers])
    np.testing.assert_array_equal(ensemble.members(X), members)
    np.testing.assert_allclose(ensemble.predict(X), members.mean(axis=0))
    np.testing.assert_allclose(ensemble.spread(X), members.std(axis=0))
    if loss == "mean_squared_error":
        with pytest.raises(ValueError, match="mean_squared_error is for numbers"):
            ensemble.vote(X)
        return
    votes = members.argmax(axis=2) if outputs > 1 else members[:, :, 0] > 0.5
    expected = [np.bincount(column, minlength=3).argmax() for column in votes.astype(int).T]
    np.testing.assert_array_equal(ensemble.vote(X), expected)


def test_bad_ensembles():
    with pytest.raises(ValueError, match="trainers is empty"):
        nn.Ensemble([])
    with pytest.raises(TypeError, match=r"trainers\[0\] must be a Trainer"):
        nn.Ensemble([nn.Sequential([nn.Dense(1)])])
