"""The trainer: what it returns, what it undoes, what it refuses."""

import contextlib
import csv
import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import numbanet as nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int) + (X[:, 2] > 0.5)  # labels 0 to 2
REAL = (X @ np.float32([[1, -1], [0.5, 2], [0, 1]])).astype(np.float32)
BINARY = (X[:, 0] > 0).astype(int)


def trainer_of(loss="softmax_cross_entropy", optimizer="adam", *, units=(6, 3), activation="tanh", **options):
    layers = [*(nn.Dense(n, activation=activation) for n in units[:-1]), nn.Dense(units[-1])]
    return nn.Trainer(nn.Sequential(layers), loss, optimizer, **options)


def fit(trainer, samples=X, targets=Y, **options):
    return trainer.fit(samples, targets, **{"epochs": 2, "batch_size": 16, "progress": False, **options})


def fitted(loss="softmax_cross_entropy", optimizer="adam", *, targets=Y, fit_options=None, **options):
    trainer = trainer_of(loss, optimizer, **options)
    fit(trainer, targets=targets, **(fit_options or {}))
    return trainer


def same_bits(a, b):
    np.testing.assert_array_equal(a.model.parameters, b.model.parameters)


# What fit returns


def test_history():
    trainer = trainer_of(metrics=["accuracy", "f1"])
    history = fit(trainer, epochs=4, validation_data=(X[:20], Y[:20]))
    assert isinstance(history, nn.History)
    assert history is trainer.history
    assert set(history) == {"epoch", "loss", "accuracy", "f1", "val_loss", "val_accuracy", "val_f1",
                            "learning_rate"}
    assert history["epoch"] == [1, 2, 3, 4]
    assert all(type(value) is float for name, column in history.items() if name != "epoch" for value in column)
    assert history["learning_rate"] == [0.001] * 4
    assert history.epochs == trainer.epochs_done == 4
    frame = pd.DataFrame(history)
    assert frame.shape == (4, 8)
    assert (frame["val_loss"] > 0).all()
    last = trainer.evaluate(X[:20], Y[:20])
    assert {f"val_{k}": v for k, v in last.items()} == {k: v[-1] for k, v in history.items() if k.startswith("val")}


def test_history_without_options():
    history = fit(trainer_of(), epochs=3)
    assert set(history) == {"epoch", "loss", "learning_rate"}
    assert history.epochs == 3


def test_training_loss_is_that_of_the_passing_batches():
    trainer = trainer_of(optimizer=nn.SGD(0.0))
    history = fit(trainer, epochs=2)
    expected = trainer.evaluate(X, Y)["loss"]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


def test_training_learns():
    for dtype in ("float32", "float64"):
        trainer = trainer_of(optimizer=nn.Adam(0.03), metrics=["accuracy"], dtype=dtype)
        history = fit(trainer, epochs=60)
        assert history["loss"][-1] < 0.3 * history["loss"][0]
        assert history["accuracy"][-1] > 0.85
        assert trainer.model.dtype == dtype
        assert trainer.predict(X).dtype == dtype
        assert (trainer.predict(X).argmax(axis=1) == Y).mean() > 0.85


@pytest.mark.parametrize("optimizer", [nn.Adam(), nn.SGD(0.1, momentum=0.9), nn.RMSprop(), nn.Adagrad()])
@pytest.mark.parametrize("observed", [False, True])
def test_fit_goes_on(optimizer, observed):
    options = {"metrics": ["accuracy"]} if observed else {}
    whole = trainer_of(optimizer=optimizer, **options)
    fit(whole, epochs=10)
    parts = trainer_of(optimizer=optimizer, **options)
    fit(parts, epochs=6)
    fit(parts, epochs=4)
    same_bits(whole, parts)
    assert parts.history == whole.history
    assert parts.epochs_done == 10


def test_fit_goes_on_with_a_schedule():
    def optimizer():
        return nn.Adam(0.05, schedule=nn.CosineDecay(30, warmup_steps=5))

    whole, parts = trainer_of(optimizer=optimizer()), trainer_of(optimizer=optimizer())
    fit(whole, epochs=8)
    for epochs in (1, 3, 4):
        fit(parts, epochs=epochs)
    same_bits(whole, parts)


def test_order_of_samples():
    assert (fitted().model.parameters != fitted(fit_options={"shuffle": False}).model.parameters).any()
    # unshuffled batches follow the data
    straight = fitted(fit_options={"shuffle": False, "epochs": 1, "batch_size": 30}, optimizer=nn.SGD(0.1))
    steps = trainer_of(optimizer=nn.SGD(0.1))
    for half in (slice(0, 30), slice(30, 60)):
        fit(steps, X[half], Y[half], epochs=1, batch_size=30, shuffle=False)
    np.testing.assert_allclose(straight.model.parameters, steps.model.parameters, rtol=1e-6, atol=1e-7)


def test_every_sample_is_used_once_an_epoch():
    """The gradient of a loss that is linear in the outputs is the sum over the samples, in any order."""
    linear = nn.Loss("linear", loss=lambda output, target: output * target, derivative=lambda output, target: target)
    model = nn.Sequential([nn.Dense(1, use_bias=False, kernel_initializer="zeros")], input_shape=47)
    trainer = nn.Trainer(model, linear, nn.SGD(1.0), dtype="float64")
    trainer.fit(np.eye(47), np.arange(1.0, 48), epochs=3, batch_size=1, progress=False)
    np.testing.assert_array_equal(model.parameters, -3 * np.arange(1.0, 48))


@pytest.mark.parametrize("batch_size", [1, 7, 32, 59, 60, 1000])
def test_any_batch_size(batch_size):
    history = fit(trainer_of(), batch_size=batch_size, epochs=1)
    assert math.isfinite(history["loss"][0])


def test_data_are_never_changed():
    w = RNG.uniform(0.5, 2, 60).astype(np.float32)
    for targets, loss, units in ((Y, "softmax_cross_entropy", (6, 3)), (REAL, "mean_squared_error", (6, 2)),
                                 (BINARY * 2 - 1, "hinge", (1,)), (BINARY.astype(np.float32), "hinge", (1,)),
                                 (np.eye(3, dtype=np.float32)[Y], "softmax_cross_entropy", (6, 3))):
        data = X.copy(), targets.copy(), w.copy()
        for array in data:
            array.flags.writeable = False
        trainer = trainer_of(loss, units=units)
        fit(trainer, data[0], data[1], sample_weight=data[2], validation_data=(data[0], data[1], data[2]))
        trainer.evaluate(data[0], data[1], sample_weight=data[2])
        trainer.loss_and_gradient(data[0], data[1], sample_weight=data[2])
        for array, before in zip(data, (X, targets, w), strict=True):
            np.testing.assert_array_equal(array, before)


def test_any_array_like_trains_alike():
    plain = fitted()
    for samples, targets in ((X.tolist(), Y.tolist()), (pd.DataFrame(X), pd.Series(Y, index=range(100, 160))),
                             (np.asfortranarray(X), Y[:, None]), (X.repeat(2, axis=0)[::2], Y.repeat(3)[::3]),
                             (X.astype(np.float64), Y.astype(np.float32)), (X, Y.astype(np.uint8))):
        other = trainer_of()
        fit(other, samples, targets)
        same_bits(plain, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_sample_one_feature(dtype):
    model = nn.Sequential([nn.Dense(1)])
    trainer = nn.Trainer(model, "mean_squared_error", nn.SGD(0.1), dtype=dtype)
    trainer.fit([[1.0]], [3.0], epochs=200, progress=False)
    np.testing.assert_allclose(trainer.predict([[1.0]]), [[3]], rtol=1e-4)


# Targets and losses


def test_kinds_of_class_targets():
    labels, rows = fitted(), fitted(targets=np.eye(3)[Y])
    np.testing.assert_allclose(labels.model.parameters, rows.model.parameters, rtol=1e-4, atol=1e-6)
    soft = 0.9 * np.eye(3)[Y] + 0.1 / 3
    smoothed = fitted(nn.loss("softmax_cross_entropy", label_smoothing=0.1))
    np.testing.assert_allclose(smoothed.model.parameters, fitted(targets=soft).model.parameters, rtol=1e-4, atol=1e-6)


def test_predictions_are_linked():
    trainer = fitted()
    logits = trainer.model.predict(X)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(trainer.predict(X), shifted / shifted.sum(axis=1, keepdims=True), rtol=1e-5)
    trainer = fitted("binary_cross_entropy", targets=BINARY, units=(4, 1))
    np.testing.assert_allclose(trainer.predict(X), 1 / (1 + np.exp(-trainer.model.predict(X))), rtol=1e-5)
    trainer = fitted("mean_squared_error", targets=REAL, units=(4, 2))
    np.testing.assert_array_equal(trainer.predict(X), trainer.model.predict(X))


@pytest.mark.parametrize("targets", [BINARY, BINARY[:, None], BINARY.astype(bool), BINARY.astype(np.float64)])
def test_binary_cross_entropy(targets):
    trainer = trainer_of("binary_cross_entropy", nn.Adam(0.05), units=(4, 1), metrics=["accuracy"])
    fit(trainer, targets=targets, epochs=40)
    assert trainer.evaluate(X, targets)["accuracy"] > 0.95
    p = trainer.predict(X)[:, 0].astype(np.float64)
    expected = -np.mean(np.where(BINARY, np.log(p), np.log1p(-p)))
    assert trainer.evaluate(X, targets)["loss"] == pytest.approx(expected, rel=1e-4)


def test_several_labels_at_once():
    targets = np.column_stack([X[:, 0] > 0, X[:, 1] > 0])
    trainer = trainer_of("binary_cross_entropy", nn.Adam(0.05), units=(2,), metrics=["accuracy"])
    fit(trainer, targets=targets, epochs=60)
    assert trainer.evaluate(X, targets)["accuracy"] > 0.9


def test_hinge_takes_both_codings():
    trainers = [trainer_of("hinge", nn.Adam(0.05), units=(4, 1), metrics=["accuracy"]) for _ in range(2)]
    for trainer, targets in zip(trainers, (BINARY, 2 * BINARY - 1), strict=True):
        fit(trainer, targets=targets, epochs=40, validation_data=(X, targets))
        assert trainer.evaluate(X, targets)["accuracy"] > 0.95
        assert trainer.history["val_accuracy"][-1] > 0.95
    same_bits(*trainers)
    assert trainers[0].history == trainers[1].history


def test_regression_with_several_outputs():
    trainer = trainer_of("mean_squared_error", nn.Adam(0.1), units=(2,), metrics=["r2_score", "mean_absolute_error"])
    fit(trainer, targets=REAL, epochs=80)
    result = trainer.evaluate(X, REAL)
    error = trainer.predict(X).astype(np.float64) - REAL
    assert result["loss"] == pytest.approx(np.mean(error**2), rel=1e-3)
    assert result["mean_absolute_error"] == pytest.approx(np.mean(abs(error)), rel=1e-3)
    assert result["r2_score"] > 0.98


def test_accuracy_of_training():
    """Computed on predictions as the epoch passes; with a rate of 0 these are the model's."""
    trainer = trainer_of(optimizer=nn.SGD(0.0), metrics=["accuracy"])
    history = fit(trainer, epochs=2)
    expected = (trainer.predict(X).argmax(axis=1) == Y).mean()
    assert history["accuracy"] == [pytest.approx(expected)] * 2
    assert trainer.evaluate(X, Y)["accuracy"] == pytest.approx(expected)


def test_metric_made_on_the_spot():
    metric = nn.Metric("bias", compute=lambda target, prediction, weight, scale: scale * (prediction - target).mean(),
                       params={"scale": 2.0})
    trainer = trainer_of("mean_squared_error", units=(2,), metrics=metric)
    history = fit(trainer, targets=REAL, validation_data=(X, REAL))
    assert {"bias", "val_bias"} <= set(history)
    assert trainer.evaluate(X, REAL)["bias"] == pytest.approx(2 * (trainer.predict(X) - REAL).mean(), rel=1e-5)


# Weights of samples


@pytest.mark.parametrize(("loss", "targets", "units"), [
    ("softmax_cross_entropy", Y, (6, 3)), ("mean_squared_error", REAL, (6, 2)), ("hinge", BINARY, (6, 1))])
def test_weights_equal_repetitions(loss, targets, units):
    counts = np.random.default_rng(1).integers(0, 4, 60)
    options = {"units": units, "dtype": "float64", "optimizer": nn.SGD(0.1, momentum=0.9), "metrics": ["accuracy"]}
    if loss == "mean_squared_error":
        options["metrics"] = ["mean_absolute_error"]
    weighted, repeated = trainer_of(loss, **options), trainer_of(loss, **options)
    fit(weighted, targets=targets, sample_weight=counts, epochs=5, batch_size=60)
    fit(repeated, X.repeat(counts, axis=0), targets.repeat(counts, axis=0), epochs=5, batch_size=1000)
    np.testing.assert_allclose(weighted.model.parameters, repeated.model.parameters, rtol=1e-10)
    pd.testing.assert_frame_equal(pd.DataFrame(weighted.history), pd.DataFrame(repeated.history), rtol=1e-9)
    a = weighted.evaluate(X, targets, sample_weight=counts)
    b = repeated.evaluate(X.repeat(counts, axis=0), targets.repeat(counts, axis=0))
    assert a == pytest.approx(b, rel=1e-9)


def test_scale_of_weights_does_not_matter():
    weights = RNG.uniform(0.5, 2, 60)
    a = fitted(dtype="float64", fit_options={"sample_weight": weights})
    b = fitted(dtype="float64", fit_options={"sample_weight": 1024 * weights})
    same_bits(a, b)
    ones = fitted(fit_options={"sample_weight": np.ones(60)})
    np.testing.assert_allclose(ones.model.parameters, fitted().model.parameters, rtol=1e-6)


@pytest.mark.parametrize("size", [60, 7])
def test_samples_of_weight_zero_are_as_if_absent(size):
    weights = np.ones(60)
    weights[40:] = 0
    options = {"optimizer": nn.SGD(0.1), "dtype": "float64"}
    poisoned = X.astype(np.float64)
    poisoned[40:] *= 1e30
    zero, absent = trainer_of(**options), trainer_of(**options)
    fit(zero, poisoned, sample_weight=weights, batch_size=size, shuffle=False, epochs=3)
    # the batch in which they begin has fewer samples
    fit(absent, X[:40], Y[:40], batch_size=size, shuffle=False, epochs=3)
    np.testing.assert_allclose(zero.model.parameters, absent.model.parameters, rtol=1e-10)
    np.testing.assert_allclose(zero.history["loss"], absent.history["loss"], rtol=1e-10)


def test_loss_of_samples_of_weight_zero_may_overflow():
    samples = X.copy()
    samples[50:] = 1e30
    weights = np.r_[np.ones(50), np.zeros(10)]
    trainer, absent = (trainer_of("mean_squared_error", nn.SGD(0.01), units=(2,)) for _ in range(2))
    fit(trainer, samples, REAL, sample_weight=weights, shuffle=False, batch_size=60)
    fit(absent, samples[:50], REAL[:50], shuffle=False, batch_size=60)
    np.testing.assert_allclose(trainer.model.parameters, absent.model.parameters, rtol=1e-4)


def test_class_weight():
    weights = {0: 2.0, 2: 0.5}
    by_class = fitted(fit_options={"class_weight": weights})
    by_sample = fitted(fit_options={"sample_weight": np.array([2, 1, 0.5])[Y]})
    same_bits(by_class, by_sample)
    both = fitted(fit_options={"class_weight": weights, "sample_weight": 1.0 / np.array([2, 1, 0.5])[Y]})
    np.testing.assert_allclose(both.model.parameters, fitted().model.parameters, rtol=1e-5, atol=1e-7)
    balanced = fitted(fit_options={"class_weight": "balanced"})
    counts = np.bincount(Y)
    same_bits(balanced, fitted(fit_options={"sample_weight": (60 / (3 * counts))[Y]}))


def test_validation_weights():
    weights = RNG.uniform(0, 2, 30)
    trainer = trainer_of(metrics=["accuracy"])
    history = fit(trainer, validation_data=(X[:30], Y[:30], weights))
    result = trainer.evaluate(X[:30], Y[:30], sample_weight=weights)
    assert result == {"loss": history["val_loss"][-1], "accuracy": history["val_accuracy"][-1]}
    assert result["accuracy"] == pytest.approx(
        np.average(trainer.predict(X[:30]).argmax(axis=1) == Y[:30], weights=weights))
    assert result["loss"] != trainer.evaluate(X[:30], Y[:30])["loss"]
    same_bits(trainer, fitted())


# Callbacks and the learning rate


class Recorder(nn.Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, trainer):
        self.calls.append("begin")

    def on_epoch_end(self, trainer, epoch, logs):
        self.calls.append((epoch, sorted(logs)))

    def on_train_end(self, trainer):
        self.calls.append("end")


def test_callbacks_are_called():
    recorder = Recorder()
    trainer = trainer_of()
    fit(trainer, callbacks=[recorder])
    fit(trainer, callbacks=recorder, epochs=1)
    names = ["learning_rate", "loss"]
    assert recorder.calls == ["begin", (1, names), (2, names), "end", "begin", (3, names), "end"]


def test_early_stopping_restores_the_best_weights():
    rates = iter([0.05, 0.05, 0.05, *[5.0] * 20])
    kept = {}

    def disturb(trainer, epoch, logs):
        kept[epoch] = trainer.model.parameters.copy()
        trainer.learning_rate = next(rates)

    for epochs, patience in ((50, 4), (6, 50)):  # by patience, and by itself
        rates, trainer = iter([0.05, 0.05, 0.05, *[5.0] * 50]), trainer_of(optimizer=nn.SGD(0.05))
        stopping = nn.EarlyStopping(patience=patience)
        history = fit(trainer, epochs=epochs, validation_data=(X, Y),
                      callbacks=[nn.LambdaCallback(on_epoch_end=disturb), stopping])
        best = int(np.argmin(history["val_loss"])) + 1
        assert stopping.best_epoch == best < history.epochs
        assert history.epochs <= min(epochs, best + patience)
        np.testing.assert_array_equal(trainer.model.parameters, kept[best])
        assert trainer.evaluate(X, Y)["loss"] == stopping.best == min(history["val_loss"])


def test_reduce_learning_rate():
    trainer = trainer_of(optimizer=nn.SGD(0.0))
    trainer = trainer_of("mean_squared_error", nn.SGD(1e-30), units=(2,))
    history = fit(trainer, targets=REAL, epochs=7, validation_data=(X, REAL),
                  callbacks=[nn.ReduceLROnPlateau(patience=2, factor=0.1)])
    np.testing.assert_allclose(np.log10(history["learning_rate"]), [-30, -30, -30, -31, -31, -32, -32], rtol=1e-6)
    np.testing.assert_allclose(trainer.learning_rate, 1e-33, rtol=1e-6)


def test_reduced_rate_reaches_the_optimiser():
    """Gradient descent on a linear loss: each step is the rate."""
    linear = nn.Loss("linear", loss=lambda output, target: -output, derivative=lambda output, target: -1.0)
    model = nn.Sequential([nn.Dense(1, use_bias=False, kernel_initializer="zeros")])
    trainer = nn.Trainer(model, linear, nn.SGD(1.0), dtype="float64")
    seen = []

    def halve(trainer, epoch, logs):
        seen.append(float(model.parameters[0]))
        trainer.learning_rate /= 2

    trainer.fit([[1.0]], [0.0], epochs=4, callbacks=[nn.LambdaCallback(halve)], progress=False)
    assert seen == [1, 1.5, 1.75, 1.875]


def test_model_checkpoint(tmp_path):
    trainer = trainer_of()
    fit(trainer, epochs=3, validation_data=(X, Y), callbacks=[
        nn.ModelCheckpoint(tmp_path / "{epoch}.numbanet"), nn.ModelCheckpoint(tmp_path / "best", save_best_only=True)])
    assert {path.name for path in tmp_path.iterdir()} == {"1.numbanet", "2.numbanet", "3.numbanet", "best"}
    model = nn.load(tmp_path / "3.numbanet")
    np.testing.assert_array_equal(model.predict(X), trainer.model.predict(X))
    assert (nn.load(tmp_path / "1.numbanet").parameters != model.parameters).any()


def test_csv_logger(tmp_path):
    history = fit(trainer_of(), callbacks=[nn.CSVLogger(tmp_path / "log.csv")], validation_data=(X, Y))
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    assert list(rows[0]) == list(history)


def test_epochs_ahead_of_a_callback(monkeypatch):
    """They are one call, and make no difference; validation is a reason to stop after each."""
    calls = []

    class Patient(nn.Callback):
        def __init__(self):
            self.calls = []

        def epochs_ahead(self, trainer):
            return 3

        def on_epoch_end(self, trainer, epoch, logs):
            self.calls.append((epoch, logs["loss"]))

    patient, trainer, each = Patient(), trainer_of(), trainer_of()
    fit(trainer, epochs=1, callbacks=[patient])
    train = trainer._engine.training
    monkeypatch.setattr(trainer._engine, "training", lambda *a, epochs, **k: calls.append(epochs) or train(
        *a, epochs=epochs, **k))
    monkeypatch.setattr("numbanet.trainer.CALL", 60)
    fit(trainer, epochs=8, callbacks=[patient])
    assert calls == [1, 3, 3, 1]
    fit(each, epochs=9, callbacks=[Recorder()])
    same_bits(trainer, each)
    assert patient.calls == list(enumerate(each.history["loss"], 1))
    calls.clear()
    fit(trainer, epochs=2, callbacks=[patient], validation_data=(X, Y))
    assert calls == [1, 1]


def test_stop_training():
    def stop(trainer, epoch, logs):
        trainer.stop_training = epoch == 3

    trainer = trainer_of()
    assert fit(trainer, epochs=50, callbacks=[nn.LambdaCallback(stop)]).epochs == 3
    same_bits(trainer, fitted(fit_options={"epochs": 3}))
    assert fit(trainer, epochs=2).epochs == 5


def test_keyboard_interrupt_stops_cleanly():
    def interrupt(trainer, epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    recorder, trainer = Recorder(), trainer_of()
    try:
        history = fit(trainer, epochs=5, callbacks=[recorder, nn.LambdaCallback(interrupt)])
    except KeyboardInterrupt:  # it would end pytest
        pytest.fail("fit let it through")
    assert history.epochs == trainer.epochs_done == 2
    assert trainer.interrupted
    assert recorder.calls[-1] == "end"
    assert np.isfinite(trainer.predict(X)).all()
    fit(trainer, epochs=3)
    assert not trainer.interrupted
    same_bits(trainer, fitted(fit_options={"epochs": 5}))


def test_keyboard_interrupt_before_the_first_epoch():
    def interrupt(trainer):
        raise KeyboardInterrupt

    recorder, trainer = Recorder(), trainer_of()
    with contextlib.suppress(KeyboardInterrupt):
        fit(trainer, callbacks=[recorder, nn.LambdaCallback(on_train_begin=interrupt)])
    assert recorder.calls == ["begin", "end"]
    assert trainer.epochs_done == 0
    fit(trainer)
    same_bits(trainer, fitted())


@pytest.mark.compiled
def test_ctrl_c_between_compiled_calls(tmp_path):
    """A real signal, while nothing but compiled calls runs."""
    code = """
import os, signal, threading
import numpy as np, numbanet as nn
X = np.random.default_rng(0).normal(size=(200, 4)); y = (X[:, 0] > 0).astype(int)
trainer = nn.Trainer(nn.Sequential([nn.Dense(8, activation="tanh"), nn.Dense(2)]), "softmax_cross_entropy")
trainer.fit(X, y, epochs=1, progress=False)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
history = trainer.fit(X, y, epochs=10_000_000, progress=False)
assert 1 < history.epochs < 10_000_000, history.epochs
assert np.isfinite(trainer.predict(X)).all()
trainer.fit(X, y, epochs=1, progress=False)
print("usable")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout == "usable\n", result.stderr


def test_error_in_a_callback_is_the_callers():
    def fail(trainer, epoch, logs):
        raise RuntimeError("mine")

    recorder, trainer = Recorder(), trainer_of()
    with pytest.raises(RuntimeError, match="mine"):
        fit(trainer, callbacks=[nn.LambdaCallback(fail), recorder])
    assert recorder.calls[-1] == "end"
    assert trainer.epochs_done == 1


def test_learning_rate_follows_the_schedule():
    trainer = trainer_of(optimizer=nn.SGD(0.4, schedule=nn.StepDecay(4, 0.5)))
    assert trainer.learning_rate == 0.4
    history = fit(trainer, epochs=4, batch_size=30)  # two steps an epoch
    np.testing.assert_allclose(history["learning_rate"], [0.4, 0.2, 0.2, 0.1])
    assert trainer.learning_rate == pytest.approx(0.1)
    trainer.learning_rate = 1.0  # scales what is to come
    assert trainer.learning_rate == pytest.approx(1.0)
    fit(trainer, epochs=2, batch_size=30)
    assert trainer.learning_rate == pytest.approx(0.5)
    for value, kind in ((0, ValueError), (-1, ValueError), (math.nan, ValueError), ("1", TypeError)):
        with pytest.raises(kind, match="learning_rate"):
            trainer.learning_rate = value
    assert trainer.learning_rate == pytest.approx(0.5)


@pytest.mark.parametrize("schedule", [
    nn.ConstantSchedule(), nn.StepDecay(3, 0.5), nn.ExponentialDecay(4, 0.7), nn.InverseTimeDecay(4, 0.7),
    nn.PolynomialDecay(10, 0.1, 2.0), nn.CosineDecay(8, warmup_steps=3), nn.OneCycle(12),
    nn.Schedule("mine", rate=lambda step, learning_rate, a: learning_rate / (1 + a * step), params={"a": 0.5}),
], ids=lambda s: s.name)  # fmt: skip
def test_schedules_reach_the_optimiser_step_by_step(schedule):
    """Gradient descent on a linear loss adds up the rates."""
    linear = nn.Loss("linear", loss=lambda output, target: -output, derivative=lambda output, target: -1.0)
    model = nn.Sequential([nn.Dense(1, use_bias=False, kernel_initializer="zeros")])
    trainer = nn.Trainer(model, linear, nn.SGD(0.3, schedule=schedule), dtype="float64")
    seen = [0.0]
    record = nn.LambdaCallback(lambda trainer, epoch, logs: seen.append(float(model.parameters[0])))
    trainer.fit(np.ones((1, 1)), np.zeros(1), epochs=14, callbacks=[record], progress=False)
    expected = [schedule.rate(float(step), 0.3, *schedule.params.values()) for step in range(14)]
    np.testing.assert_allclose(np.diff(seen), expected, rtol=1e-9, atol=1e-12)
    # the same within one call
    model = nn.Sequential([nn.Dense(1, use_bias=False, kernel_initializer="zeros")])
    nn.Trainer(model, linear, nn.SGD(0.3, schedule=schedule), dtype="float64").fit(
        np.ones((14, 1)), np.zeros(14), epochs=1, batch_size=1, progress=False)
    np.testing.assert_allclose(model.parameters, sum(expected), rtol=1e-9)


def test_bold_driver():
    """With the full batch the error of the weights in place never rises, and training is never stuck."""
    trainer = trainer_of(
        "mean_squared_error", nn.SGD(0.05, schedule=nn.BoldDriver(increase=2.0, decrease=0.25)),
        units=(2,))
    first, _ = trainer.loss_and_gradient(X, REAL)
    trail = [(first, 0.05, trainer.model.parameters.copy())]

    def watch(trainer, epoch, logs):
        trail.append((trainer.evaluate(X, REAL)["loss"], logs["learning_rate"], trainer.model.parameters.copy()))

    fit(trainer, targets=REAL, epochs=25, batch_size=60, callbacks=[nn.LambdaCallback(watch)])
    undone = 0
    for (loss, rate, before), (new_loss, new_rate, after) in itertools.pairwise(trail):
        assert new_loss <= loss
        if (before == after).all():
            undone += 1
            assert new_rate == pytest.approx(rate / 4)
        else:
            assert new_rate == pytest.approx(rate * 2)
    assert 0 < undone < 15
    assert trail[-1][0] < 0.2 * first


def test_bold_driver_with_momentum_goes_on_falling():
    """A velocity that was kept would point uphill again, however small the step."""
    X = np.linspace(-1, 1, 80)[:, np.newaxis]
    optimizer = nn.SGD(0.1, momentum=0.9, schedule=nn.BoldDriver())
    model = nn.Sequential([nn.Dense(12, "tanh"), nn.Dense(1)])
    trainer = nn.Trainer(model, "mse", optimizer, dtype="float64", seed=0)
    losses = trainer.fit(X, np.sin(5 * X) + 0.3 * X, epochs=600, batch_size=80, progress=False)["loss"]
    assert losses[-1] < 0.1 * losses[4]
    assert trainer.learning_rate > 1e-3


def test_bold_driver_without_callbacks_gives_the_same_bits():
    def run(**options):
        trainer = trainer_of("mean_squared_error", nn.SGD(0.3, schedule="bold_driver"), units=(2,))
        fit(trainer, targets=REAL, epochs=20, batch_size=60, **options)
        return trainer

    same_bits(run(), run(callbacks=[Recorder()]))


# Losses that are not finite


def assert_good(trainer, samples, targets):
    """Weights and the loss at them are finite, and training goes on with a rate that suits."""
    assert np.isfinite(trainer.model.parameters).all()
    assert math.isfinite(trainer.evaluate(samples, targets)["loss"])
    trainer.learning_rate = 1e-6
    history = fit(trainer, samples, targets, epochs=1)
    assert math.isfinite(history["loss"][-1])


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("optimizer", [nn.SGD(1e3), nn.SGD(1e12), nn.SGD(1e30), nn.SGD(1e3, momentum=0.9)],
                         ids=["1e3", "1e12", "1e30", "momentum"])
def test_divergence(observed, optimizer):
    trainer = trainer_of("mean_squared_error", optimizer, units=(6, 2), activation="relu")
    with pytest.raises(FloatingPointError, match=r"epoch \d+, step \d+ of 4: .*it began in (layer \d|the loss)"):
        fit(trainer, targets=REAL, epochs=30, callbacks=[Recorder()] if observed else [])
    assert trainer.history.epochs == trainer.epochs_done
    assert np.isfinite(trainer.history.get("loss", [0.0])).all()
    assert_good(trainer, X, REAL)


def test_divergence_in_the_last_step():
    """No step follows whose loss would tell."""
    trainer = trainer_of("mean_squared_error", nn.SGD(3e38), units=(2,))
    with pytest.raises(FloatingPointError):
        fit(trainer, targets=REAL * 1000, epochs=1, batch_size=60)
    assert_good(trainer, X, REAL)


def test_divergence_names_the_step():
    """Rates are 0 but for the sixth step: the seventh, the third of epoch 2, sees the result."""
    schedule = nn.Schedule("late", rate=lambda step, learning_rate: learning_rate if step == 5 else 0.0)
    trainer = trainer_of("mean_squared_error", nn.SGD(1e30, schedule=schedule), units=(6, 2), activation="relu")
    with pytest.raises(FloatingPointError, match="epoch 2, step 3 of 4"):
        fit(trainer, targets=REAL, epochs=5)
    assert np.isfinite(trainer.model.parameters).all()
    assert math.isfinite(trainer.evaluate(X, REAL)["loss"])


def test_first_layer_is_named():
    samples = X.copy()
    samples[17, 1] = 3e38
    weights = [np.full((3, 4), 10.0), np.zeros(4), np.ones((4, 2)), np.zeros(2)]
    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(4, 2), activation="relu")
    trainer.model.build((3,))
    trainer.model.set_weights(weights)
    before = trainer.model.parameters.copy()
    with pytest.raises(FloatingPointError, match=r"epoch 1, step 1 of 1: it began in layer 0 \(Dense, dense\)"):
        fit(trainer, samples, REAL, batch_size=60)
    np.testing.assert_array_equal(trainer.model.parameters, before)
    assert_good(trainer, X, REAL)

    model = nn.Sequential([nn.Dense(4), nn.Dense(4, activation="exponential"), nn.Dense(2)], input_shape=3)
    model.set_weights([np.ones((3, 4)), np.zeros(4), np.eye(4) * 1e4, np.zeros(4), np.ones((4, 2)), np.zeros(2)])
    trainer = nn.Trainer(model, "mean_squared_error", nn.SGD(0.01))
    with pytest.raises(FloatingPointError, match=r"it began in layer 1 \(Dense, activation\)"):
        fit(trainer, 1 + abs(X), REAL)


def test_features_near_the_largest_float():
    samples = (X / abs(X).max() * 3e38).astype(np.float32)
    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(4, 2), activation="identity")
    with pytest.raises(FloatingPointError, match="it began in"):
        fit(trainer, samples, REAL)
    assert np.isfinite(trainer.model.parameters).all()
    assert_good(trainer, X, REAL)


def test_finite_outputs_and_infinite_loss():
    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(2,))
    with pytest.raises(FloatingPointError, match="every layer's output is finite; it began in the loss"):
        fit(trainer, targets=REAL * 1e25)
    assert np.isfinite(trainer.model.parameters).all()


def test_failing_gradient():
    """A derivative that is not finite where the loss is."""
    odd = nn.Activation("odd", forward=lambda x: x, derivative=lambda x, y: math.inf if x > 0 else 1.0)
    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(4, 2), activation=odd)
    with pytest.raises(FloatingPointError):
        fit(trainer, targets=REAL, epochs=1, batch_size=60)
    assert np.isfinite(trainer.model.parameters).all()
    assert math.isfinite(trainer.evaluate(X, REAL)["loss"])


@pytest.mark.parametrize("optimizer", [nn.Adam(0.01), nn.SGD(0.01, momentum=0.9), nn.RMSprop(0.01)])
def test_training_goes_on_after_a_failure(optimizer):
    trainer = trainer_of("mean_squared_error", optimizer, units=(4, 2), activation="relu", dtype="float64")
    fit(trainer, targets=REAL)
    before = trainer.model.parameters.copy()
    bad = X.astype(np.float64)
    bad[50:] = 1e155
    with pytest.raises(FloatingPointError, match="epoch 3, step 4 of 4"):
        fit(trainer, bad, REAL, epochs=3, batch_size=16, shuffle=False)
    np.testing.assert_array_equal(trainer.model.parameters, before)
    history = fit(trainer, targets=REAL, epochs=20)
    assert history.epochs == 22
    assert history["loss"][-1] < history["loss"][1]


def test_failure_does_not_depend_on_being_watched():
    """Without callbacks many epochs are one call; those before the failure were good."""
    schedule = nn.Schedule("late", rate=lambda step, learning_rate: learning_rate if step < 50 else 1e30)

    def run(**options):
        trainer = trainer_of("mean_squared_error", nn.SGD(0.01, schedule=schedule), units=(6, 2), activation="relu")
        with pytest.raises(FloatingPointError, match="epoch 13, step 4 of 4"):
            fit(trainer, targets=REAL, epochs=40, **options)
        return trainer

    watched, alone = run(callbacks=[Recorder()]), run()
    assert watched.epochs_done == watched.history.epochs == 12
    assert alone.epochs_done == alone.history.epochs == 12
    same_bits(watched, alone)


def test_early_stopping_after_a_failure():
    def spoil(trainer, epoch, logs):
        if epoch == 3:
            trainer.learning_rate = 1e30

    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(6, 2), activation="relu")
    stopping = nn.EarlyStopping("loss", patience=50)
    with pytest.raises(FloatingPointError):
        fit(trainer, targets=REAL, epochs=10, callbacks=[nn.LambdaCallback(spoil), stopping])
    assert np.isfinite(trainer.model.parameters).all()
    assert stopping.best_epoch == 3


# What can't be used


NAN, INF = X.copy(), X.copy()
NAN[7, 2] = NAN[8, 0] = np.nan
INF[5, 1] = -np.inf
BAD_CALLS = {
    "NaN": ({"samples": NAN}, ValueError, "X holds NaN, first at row 7, column 2"),
    "infinity": ({"samples": INF}, ValueError, "X holds infinity, first at row 5, column 1"),
    "complex": ({"samples": X.astype(complex)}, TypeError, "X is complex"),
    "object": ({"samples": X.astype(object)}, TypeError, "X has dtype object"),
    "strings": ({"samples": [["a"] * 3] * 60}, TypeError, "X holds strings"),
    "empty": ({"samples": np.empty((0, 3)), "targets": []}, ValueError, "X is empty"),
    "no features": ({"samples": np.empty((60, 0))}, ValueError, "X is empty"),
    "one axis": ({"samples": X[:, 0]}, ValueError, r"X has shape \(60,\)"),
    "three axes": ({"samples": X[:, :, None]}, ValueError, r"X has shape|one axis"),
    "too large": ({"samples": X.astype(float) * 1e300}, ValueError, "too large for float32"),
    "None": ({"samples": None}, TypeError, "X is NoneType"),
    "lengths": ({"targets": Y[:59]}, ValueError, "y has 59 rows for 60 samples"),
    "label too large": ({"targets": np.where(Y == 2, 3, Y)}, ValueError, "y holds 3 at row"),
    "label below 0": ({"targets": Y - 1}, ValueError, "y holds -1 at row"),
    "labels from 1": ({"targets": Y + 1}, ValueError, "y - 1"),
    "label between": ({"targets": Y + 0.5}, ValueError, "whole numbers"),
    "label NaN": ({"targets": np.where(np.arange(60) == 4, np.nan, Y)}, ValueError, "y holds NaN, first at row 4"),
    "labels strings": ({"targets": np.array(["a", "b", "c"])[Y]}, TypeError, "y holds strings"),
    "labels None": ({"targets": None}, TypeError, "y is NoneType"),
    "one-hot too wide": ({"targets": np.eye(4)[Y]}, ValueError, r"y has shape \(60, 4\), 4 columns, .* 3 outputs"),
    "one-hot too narrow": ({"targets": np.eye(3)[Y][:, :2]}, ValueError, "2 columns"),
    "one-hot negative": ({"targets": np.eye(3)[Y] - 0.5}, ValueError, "at least 0"),
    "weights short": ({"sample_weight": np.ones(59)}, ValueError, r"sample_weight has shape \(59,\)"),
    "weights negative": ({"sample_weight": np.linspace(-1, 1, 60)}, ValueError, "sample_weight holds -1"),
    "weights NaN": ({"sample_weight": np.full(60, np.nan)}, ValueError, "sample_weight holds NaN"),
    "weights zero": ({"sample_weight": np.zeros(60)}, ValueError, "above 0"),
    "weights complex": ({"sample_weight": np.ones(60, complex)}, TypeError, "sample_weight is complex"),
    "class weights": ({"class_weight": {7: 1.0}}, ValueError, "label 7"),
    "class weights negative": ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must not be negative"),
    "class weights name": ({"class_weight": "balance"}, TypeError, "class_weight must be 'balanced'"),
    "batch size 0": ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    "batch size negative": ({"batch_size": -3}, ValueError, "batch_size must be at least 1"),
    "batch size broken": ({"batch_size": 2.5}, ValueError, "batch_size must be a whole number"),
    "batch size None": ({"batch_size": None}, TypeError, "batch_size must be a whole number"),
    "epochs 0": ({"epochs": 0}, ValueError, "epochs must be at least 1"),
    "epochs NaN": ({"epochs": math.nan}, ValueError, "epochs must be a whole number"),
    "epochs string": ({"epochs": "3"}, TypeError, "epochs must be a whole number"),
    "callback": ({"callbacks": [print]}, TypeError, "callbacks must"),
    "callback class": ({"callbacks": [nn.EarlyStopping]}, TypeError, "callbacks must"),
    "callbacks None": ({"callbacks": None}, TypeError, "callbacks"),
    "callbacks": ({"callbacks": 3}, TypeError, "callbacks"),
    "validation not a pair": ({"validation_data": X}, TypeError, "validation_data must be"),
    "validation alone": ({"validation_data": (X,)}, TypeError, "validation_data must be"),
    "validation width": ({"validation_data": (X[:, :2], Y)}, ValueError, r"validation X has shape \(60, 2\)"),
    "validation NaN": ({"validation_data": (NAN, Y)}, ValueError, "validation X holds NaN, first at row 7, column 2"),
    "validation empty": ({"validation_data": (X[:0], Y[:0])}, ValueError, "validation X is empty"),
    "validation labels": ({"validation_data": (X, Y + 5)}, ValueError, "validation y holds"),
    "validation lengths": ({"validation_data": (X, Y[:5])}, ValueError, "validation y has 5 rows for 60"),
    "validation weights": ({"validation_data": (X, Y, -np.ones(60))}, ValueError, "sample_weight holds -1"),
    "monitor": ({"callbacks": [nn.EarlyStopping("val_loss")]}, ValueError, "pass validation_data to fit"),
    "checkpoint": ({"callbacks": [nn.ModelCheckpoint("{nothing}")]}, ValueError, "can't be filled in"),
}


@pytest.mark.parametrize("built", [False, True], ids=["new", "fitted"])
@pytest.mark.parametrize("case", BAD_CALLS)
def test_failed_fit_leaves_all_as_it_was(case, built):
    changes, kind, message = BAD_CALLS[case]
    trainer = trainer_of(optimizer="adam", metrics=["accuracy"])
    if built:
        fit(trainer)
    twin = fitted(metrics=["accuracy"]) if built else trainer_of(metrics=["accuracy"])
    with pytest.raises(kind, match=message):
        fit(trainer, **changes)
    assert trainer.model.built is built
    assert trainer.epochs_done == trainer.history.epochs == 2 * built
    fit(trainer)
    fit(twin)
    same_bits(trainer, twin)
    assert trainer.history == twin.history


@pytest.mark.parametrize("use", [
    lambda t, X, y: t.fit(X, y, epochs=1, progress=False), lambda t, X, y: t.predict(X),
    lambda t, X, y: t.evaluate(X, y), lambda t, X, y: t.loss_and_gradient(X, y)],
    ids=["fit", "predict", "evaluate", "loss"])
def test_wrong_width_after_fitting(use):
    trainer = fitted()
    before = trainer.model.parameters.copy()
    for width in (1, 2, 4):
        with pytest.raises(ValueError, match=rf"X has shape \(60, {width}\); the model expects \(n, 3\)"):
            use(trainer, np.ones((60, width)), Y)
    np.testing.assert_array_equal(trainer.model.parameters, before)


def test_failed_fit_keeps_the_type_of_a_model():
    model = nn.Sequential([nn.Dense(3)])
    model.build((3,), dtype="float64")
    vector = model.parameters
    with pytest.raises(ValueError, match="NaN"):
        fit(nn.Trainer(model, "softmax_cross_entropy"), NAN)
    assert model.parameters is vector


def test_formula_that_cannot_be_compiled():
    bad = nn.Activation("reader", forward=lambda x: eval("x") + 1, derivative=lambda x, y: 1.0)
    trainer = trainer_of(activation=bad)
    with pytest.raises((TypeError, ValueError), match=r"test_trainer.py:\d+: formula .* uses 'eval"):
        fit(trainer)
    assert not trainer.model.built


@pytest.mark.parametrize(("loss", "targets", "message"), [
    ("binary_cross_entropy", Y, "y holds 2.0 at row"), ("hinge", Y - 1, "y holds -1, 0 and 1"),
    ("hinge", Y, "only -1 and 1, or 0 and 1"), ("poisson", BINARY - 1, "at least 0"), ("gamma", BINARY, "above 0"),
    ("mean_squared_error", REAL, r"2 columns, and the model has 1 output"),
    ("softmax_cross_entropy", BINARY, "use binary_cross_entropy"),
    ("mean_squared_error", np.where(BINARY, np.inf, 0.0), "y holds infinity"),
])  # fmt: skip
def test_targets_that_do_not_suit_the_loss(loss, targets, message):
    trainer = trainer_of(loss, units=(4, 1))
    for use in (lambda: fit(trainer, targets=targets), lambda: trainer.loss_and_gradient(X, targets)):
        with pytest.raises(ValueError, match=message):
            use()
        assert not trainer.model.built


@pytest.mark.parametrize(("changes", "kind", "message"), [
    ({"loss": "softmax_cross_entropi"}, ValueError,
     "unknown loss 'softmax_cross_entropi'; did you mean 'softmax_cross_entropy'"),
    ({"optimizer": "adamm"}, ValueError, "unknown optimizer 'adamm'; did you mean 'adam"),
    ({"regularizer": "l22"}, ValueError, "unknown regularizer 'l22'; did you mean 'l2'"),
    ({"metrics": ["acuracy"]}, ValueError, "unknown metric 'acuracy'; did you mean 'accuracy'"),
    ({"optimizer": nn.Optimizer("o", update=lambda w, g, learning_rate: w, params={"learning_rate": 1.0},
                                schedule="stp")}, ValueError, "unknown schedule 'stp'; did you mean 'step'"),
    ({"loss": "Softmax_Cross_Entropy"}, ValueError, "did you mean 'softmax_cross_entropy'"),
    ({"loss": nn.L2(0.1)}, TypeError, "expected the name of the loss"),
    ({"loss": None}, TypeError, "expected the name of the loss"),
    ({"optimizer": nn.Adam}, TypeError, "expected the name of the optimizer"),
    ({"metrics": [3]}, TypeError, "expected the name of the metric"),
    ({"dtype": "float16"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ({"dtype": int}, ValueError, "dtype must be 'float32' or 'float64'"),
    ({"dtype": "nonsense"}, ValueError, "dtype must be .* got 'nonsense'"),
    ({"device": "tpu"}, ValueError, r"device must be one of cpu, cuda, auto, or nn.CUDA\(...\); got 'tpu'"),
    ({"threads": 0}, ValueError, "threads must be at least 1"),
    ({"threads": -2}, ValueError, "threads must be at least 1"),
    ({"threads": "2"}, TypeError, "threads must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": "0"}, TypeError, "seed must be a whole number"),
    ({"seed": 0.5}, ValueError, "seed must be a whole number"),
    ({"model": [nn.Dense(2)]}, TypeError, "model must be a Sequential, got list"),
    ({"model": nn.Dense(2)}, TypeError, "model must be a Sequential, got Dense"),
])  # fmt: skip
def test_trainers_that_cannot_be_made(changes, kind, message):
    with pytest.raises(kind, match=message):
        nn.Trainer(**{"model": nn.Sequential([nn.Dense(2)]), "loss": "mean_squared_error", **changes})


@pytest.mark.parametrize("make", [
    lambda: nn.SGD(-0.1), lambda: nn.Adam(learning_rate=-1), lambda: nn.optimizer("adam", learning_rate=-1.0),
    lambda: nn.L2(-1), lambda: nn.Adam(math.nan), lambda: nn.SGD(0.1, momentum=1.0), lambda: nn.SGD(0.1, clip_norm=0),
    lambda: nn.SGD(0.1, clip_value=-1), lambda: nn.EarlyStopping(patience=0),
])  # fmt: skip
def test_numbers_out_of_range(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_any_seed():
    trainer = trainer_of(seed=None)
    fit(trainer)
    same_bits(trainer, fitted(seed=trainer.seed))
    assert trainer.seed != trainer_of(seed=None).seed


def test_large_seed():
    trainer = trainer_of(seed=2**63 - 1)
    fit(trainer)
    same_bits(trainer, fitted(seed=2**63 - 1))


@pytest.mark.parametrize("seed", [2**63, 2**64, 10**30])
def test_seeds_beyond_machine_words(seed):
    """Either they work or they are refused at once."""
    with contextlib.suppress(ValueError):
        trainer_of(seed=seed)
        same_bits(fitted(seed=seed), fitted(seed=seed))
        return
    with pytest.raises(ValueError, match="seed must"):
        trainer_of(seed=seed)


# Progress


def test_progress_prints_once_to_a_pipe(capfd):
    fit(trainer_of(metrics=["accuracy"]), epochs=30, validation_data=(X, Y), progress=True)
    out, err = capfd.readouterr()
    assert err == ""
    lines = [line for line in out.splitlines() if line.strip()]
    assert len(lines) == 1, out
    for word in ("30/30", "loss", "accuracy", "val"):
        assert word in lines[0]
    fit(trainer_of())
    assert capfd.readouterr() == ("", "")


# Gradients


@pytest.mark.parametrize(("loss", "targets", "units"), [
    ("softmax_cross_entropy", Y, (6, 3)), ("mean_squared_error", REAL, (6, 2)),
    ("binary_cross_entropy", BINARY, (5, 1))])
def test_loss_and_gradient(loss, targets, units):
    trainer = trainer_of(loss, units=units, dtype="float64", regularizer=nn.L2(0.01))
    weights = RNG.uniform(0.5, 2, 60)
    loss, gradient = trainer.loss_and_gradient(X, targets, sample_weight=weights)
    assert type(loss) is float
    assert gradient.shape == trainer.model.parameters.shape
    assert gradient.dtype == np.float64
    start = trainer.model.parameters.copy()
    error = optimize.check_grad(
        lambda p: trainer.loss_and_gradient(X, targets, p, sample_weight=weights)[0],
        lambda p: trainer.loss_and_gradient(X, targets, p, sample_weight=weights)[1], start)
    assert error < 1e-6 * np.linalg.norm(gradient) + 1e-6
    np.testing.assert_array_equal(trainer.model.parameters, start)
    again = trainer.loss_and_gradient(X, targets, start.tolist(), sample_weight=weights)
    assert again[0] == loss
    np.testing.assert_array_equal(again[1], gradient)


def test_gradient_with_penalties_divided():
    """As if the strength were divided by the weight of all samples, in the loss as well."""
    weights = RNG.uniform(0.5, 2, 60)
    trainer = trainer_of(regularizer=nn.L2(0.3), dtype="float64")
    divided = trainer_of(regularizer=nn.L2(0.3 / weights.sum()), dtype="float64")
    expected = divided.loss_and_gradient(X, Y, sample_weight=weights)
    trainer.loss_and_gradient(X, Y)
    labels = Y[:, np.newaxis].astype(float)
    found = trainer._engine.gradient(
        trainer.model.parameters, X.astype(float), labels, weights, classes=True, penalized=True)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10)


def test_gradient_is_the_callers_own():
    trainer = trainer_of()
    _, first = trainer.loss_and_gradient(X, Y)
    kept = first.copy()
    trainer.loss_and_gradient(X[:5], Y[:5])
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(trainer.loss_and_gradient(X, Y)[1], kept)


def test_gradient_is_that_of_training():
    trainer = trainer_of(optimizer=nn.SGD(1.0), dtype="float64", regularizer="l2")
    _, gradient = trainer.loss_and_gradient(X, Y)
    before = trainer.model.parameters.copy()
    fit(trainer, epochs=1, batch_size=60)
    np.testing.assert_allclose(trainer.model.parameters, before - gradient, rtol=1e-12, atol=1e-14)


def test_penalties_are_part_of_the_loss():
    plain, penalised = trainer_of(dtype="float64"), trainer_of(dtype="float64", regularizer=nn.L2(0.1))
    loss, _ = plain.loss_and_gradient(X, Y)
    penalty = sum(0.1 * (w**2).sum() for w in plain.model.get_weights()[::2])
    total, _ = penalised.loss_and_gradient(X, Y)
    ratio = (total - loss) / penalty
    assert ratio == pytest.approx(1) or ratio == pytest.approx(0.5)
    assert plain.evaluate(X, Y)["loss"] == pytest.approx(penalised.evaluate(X, Y)["loss"])


def test_gradient_leaves_training_alone():
    trainer = trainer_of()
    fit(trainer, epochs=1)
    trainer.loss_and_gradient(X, Y, np.zeros(trainer.model.parameters.size))
    trainer.evaluate(X[:7], Y[:7])
    fit(trainer, epochs=1)
    same_bits(trainer, fitted())


def test_lbfgs():
    trainer = trainer_of(units=(8, 3), dtype="float64")
    start, _ = trainer.loss_and_gradient(X, Y)
    result = optimize.minimize(lambda p: trainer.loss_and_gradient(X, Y, p), trainer.model.parameters, jac=True,
                               method="L-BFGS-B", options={"maxiter": 150})
    assert result.fun < 0.02 * start
    trainer.model.parameters = result.x
    assert trainer.evaluate(X, Y)["loss"] == pytest.approx(result.fun)


@pytest.mark.parametrize(("params", "kind", "message"), [
    (np.zeros(5), ValueError, "params has 5 elements; the model has 45"),
    (np.full(45, np.nan), ValueError, "params holds NaN"), (np.zeros(45, complex), TypeError, "params is complex"),
    ("abc", TypeError, "params"), (np.zeros(0), ValueError, "params"),
])  # fmt: skip
def test_bad_params(params, kind, message):
    with pytest.raises(kind, match=message):
        trainer_of().loss_and_gradient(X, Y, params)


def test_loss_that_is_not_finite_is_no_error_for_an_optimiser():
    """A line search steps back from it."""
    trainer = trainer_of("mean_squared_error", units=(2,))
    loss, gradient = trainer.loss_and_gradient(X, REAL, np.full(8, 1e30))
    assert not math.isfinite(loss)
    assert gradient.shape == (8,)
    assert math.isfinite(trainer.loss_and_gradient(X, REAL)[0])


def test_loss_that_is_not_finite_is_evaluated_as_such():
    trainer = trainer_of("mean_squared_error", units=(2,), metrics=["mean_absolute_error"])
    fit(trainer, targets=REAL)
    trainer.model.parameters[:] = 1e30
    assert not math.isfinite(trainer.evaluate(X, REAL)["loss"])
    trainer.model.parameters[:] = 0
    assert trainer.evaluate(X, REAL)["loss"] == pytest.approx(np.mean(REAL**2), rel=1e-5)


def test_validation_loss_that_is_not_finite_is_never_the_best():
    trainer = trainer_of("mean_squared_error", nn.SGD(0.01), units=(2,))
    stopping = nn.EarlyStopping(patience=3)
    history = fit(trainer, targets=REAL, epochs=9, validation_data=(X * np.float32(1e30), REAL), callbacks=[stopping])
    assert not np.isfinite(history["val_loss"]).any()
    assert history.epochs == 3
    assert stopping.best_epoch is None


def test_evaluate_before_fitting_needs_a_shape():
    with pytest.raises(ValueError, match="input shape is not known yet"):
        trainer_of().evaluate(X, Y)
    with pytest.raises(ValueError, match="input shape is not known yet"):
        trainer_of().predict(X)


# Plugins on the spot


def my_swish():
    def derivative(x, y, beta):
        s = 1 / (1 + math.exp(-beta * x))
        return s + beta * x * s * (1 - s)

    return nn.Activation("my_swish", forward=lambda x, beta: x / (1 + math.exp(-beta * x)), derivative=derivative,
                         params={"beta": 1.0})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_my_swish(dtype):
    mine = fitted(activation=my_swish(), dtype=dtype)
    built_in = fitted(activation="swish", dtype=dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(mine.model.parameters, built_in.model.parameters, rtol=1e3 * eps, atol=1e3 * eps)
    other = fitted(activation=my_swish().with_params(beta=3.0), dtype=dtype)
    assert abs(other.model.parameters - mine.model.parameters).max() > 1e-4


def test_everything_made_on_the_spot():
    loss = nn.Loss("cubic", loss=lambda output, target: abs(output - target) ** 3,
                   derivative=lambda output, target: 3 * (output - target) * abs(output - target))
    penalty = nn.Regularizer("quartic", penalty=lambda w, s: s * w**4, derivative=lambda w, s: 4 * s * w**3,
                             params={"s": 1e-3})
    update = nn.Optimizer("signed", update=lambda w, g, learning_rate: w - learning_rate * math.copysign(1.0, g),
                          params={"learning_rate": 0.01})
    initial = nn.Initializer("third", sample=lambda rng, shape, fan_in, fan_out: rng.normal(size=shape) / 3)
    model = nn.Sequential([nn.Dense(6, activation=my_swish(), kernel_initializer=initial), nn.Dense(2)])
    trainer = nn.Trainer(model, loss, update, regularizer=penalty, dtype="float64")
    _, gradient = trainer.loss_and_gradient(X, REAL)
    start = model.parameters.copy()
    error = optimize.check_grad(lambda p: trainer.loss_and_gradient(X, REAL, p)[0],
                                lambda p: trainer.loss_and_gradient(X, REAL, p)[1], start)
    assert error < 1e-5 * np.linalg.norm(gradient)
    history = fit(trainer, targets=REAL, epochs=30)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_row_functions_made_on_the_spot():
    def forward(x, y):
        total = 0.0
        for i in range(len(x)):
            total += abs(x[i])
        for i in range(len(x)):
            y[i] = x[i] / (1 + total)

    def derivative(x, y, gradient):
        total = 0.0
        dot = 0.0
        for i in range(len(x)):
            total += abs(x[i])
            dot += gradient[i] * x[i]
        for i in range(len(x)):
            sign = 1.0 if x[i] > 0 else -1.0
            gradient[i] = gradient[i] / (1 + total) - sign * dot / (1 + total) ** 2

    shrink = nn.Activation("shrink", forward=forward, derivative=derivative, row=True)
    trainer = trainer_of("mean_squared_error", units=(6, 2), activation=shrink, dtype="float64")
    loss, gradient = trainer.loss_and_gradient(X, REAL)
    x = trainer.model
    W0, b0, W1, b1 = x.get_weights()
    hidden = X @ W0 + b0
    expected = hidden / (1 + abs(hidden).sum(axis=1, keepdims=True)) @ W1 + b1
    np.testing.assert_allclose(x.predict(X), expected, rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(np.mean((expected - REAL) ** 2))
    error = optimize.check_grad(lambda p: trainer.loss_and_gradient(X, REAL, p)[0],
                                lambda p: trainer.loss_and_gradient(X, REAL, p)[1], x.parameters.copy())
    assert error < 1e-5 * np.linalg.norm(gradient)


def test_layers_regularizers_replace_the_trainers():
    layers = [nn.Dense(4, kernel_regularizer=nn.L1(0.5)), nn.Dense(2, bias_regularizer="l2")]
    model = nn.Sequential(layers, input_shape=3)
    trainer = nn.Trainer(model, "mean_squared_error", regularizer=nn.L2(0.1), dtype="float64")
    plain = nn.Trainer(model, "mean_squared_error", dtype="float64")
    total, base = trainer.loss_and_gradient(X, REAL)[0], None
    model2 = nn.Sequential([nn.Dense(4), nn.Dense(2)], input_shape=3)
    plain = nn.Trainer(model2, "mean_squared_error", dtype="float64")
    base = plain.loss_and_gradient(X, REAL, model.parameters)[0]
    l2 = nn.L2(0.1)
    kernel = model.get_weights()[2]
    expected = 0.5 * abs(model.get_weights()[0]).sum() + sum(l2.penalty(w, 0.1) for w in kernel.ravel())
    assert total - base == pytest.approx(expected, rel=1e-9)
