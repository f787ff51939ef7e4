"""Callbacks, driven by a trainer that only pretends to train."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from numbanet import progress
from numbanet.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint, ReduceLROnPlateau
from numbanet.history import History
from numbanet.progress import CSVLogger, ProgressBar

ACCURACY = SimpleNamespace(name="accuracy", greater_is_better=True)
DISTANCE = SimpleNamespace(name="distance", greater_is_better=False)


class Model:
    def __init__(self):
        self.parameters = np.zeros(3)

    def get_weights(self):
        return [self.parameters[:2], self.parameters[2:]]  # views: a callback must copy what it keeps

    def set_weights(self, weights):
        self.parameters[:] = np.concatenate(weights)

    def save(self, path):
        path.write_text(str(self.parameters[0]))


class Trainer:
    """After epoch e all parameters are e."""

    def __init__(self, *callbacks, metrics=(ACCURACY,)):
        self.model, self.history, self.metrics = Model(), History(), list(metrics)
        self.callbacks = callbacks
        self.learning_rate, self.samples, self.epochs_done = 1.0, 100, 0

    def fit(self, rows=None, fails_after=None, **columns):
        rows = rows or [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        self.epochs, self.stop_training, self.log_names = len(rows), False, ["epoch", *rows[0]]
        try:
            for callback in self.callbacks:
                callback.on_train_begin(self)
            for logs in rows:
                self.epochs_done += 1
                self.model.parameters += 1
                if self.epochs_done == fails_after:
                    raise KeyboardInterrupt
                self.history.append({"epoch": self.epochs_done, **logs})
                for callback in self.callbacks:
                    callback.on_epoch_end(self, self.epochs_done, logs)
                if self.stop_training:
                    break
        finally:
            for callback in self.callbacks:
                callback.on_train_end(self)
        return self.history


def fails(error, *words):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(word) for word in words))


# Hooks


def test_base_does_nothing():
    Trainer(Callback()).fit(loss=[1.0])


def test_lambda():
    seen = []
    Trainer(LambdaCallback(on_epoch_end=lambda trainer, epoch, logs: seen.append((epoch, logs["loss"])),
                           on_train_begin=lambda trainer: seen.append("begin"),
                           on_train_end=lambda trainer: seen.append("end"))).fit(loss=[3.0, 2.0])
    assert seen == ["begin", (1, 3.0), (2, 2.0), "end"]
    Trainer(LambdaCallback()).fit(loss=[1.0])
    with fails(TypeError, "on_epoch_end must be a function", "3"):
        LambdaCallback(3)


# Early stopping


def test_stops_after_patience_and_restores():
    stop = EarlyStopping(patience=2)
    trainer = Trainer(stop)
    trainer.fit(loss=[5.0, 4.0, 3.0, 2.0, 1.0, 0.5], val_loss=[3.0, 1.0, 2.0, 0.9, 1.1, 1.2])
    assert trainer.epochs_done == 6
    assert (stop.best, stop.best_epoch) == (0.9, 4)
    np.testing.assert_array_equal(trainer.model.parameters, 4)


def test_restores_when_training_ends_by_itself():
    trainer = Trainer(EarlyStopping(patience=10))
    trainer.fit(loss=[1.0, 1.0, 1.0], val_loss=[1.0, 0.5, 0.75])
    np.testing.assert_array_equal(trainer.model.parameters, 2)
    assert not trainer.stop_training


def test_restores_after_ctrl_c():
    trainer = Trainer(EarlyStopping(patience=10))
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(loss=[1.0, 1.0, 1.0, 1.0], val_loss=[1.0, 0.5, 0.75, 0.1], fails_after=4)
    np.testing.assert_array_equal(trainer.model.parameters, 2)


def test_nothing_to_restore():
    trainer = Trainer(EarlyStopping())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(loss=[1.0], val_loss=[1.0], fails_after=1)
    np.testing.assert_array_equal(trainer.model.parameters, 1)


def test_nan_is_never_better():
    stop = EarlyStopping(patience=2)
    trainer = Trainer(stop)
    trainer.fit(loss=[1.0] * 5, val_loss=[np.nan, 1.0, np.nan, np.nan, 0.5])
    assert (stop.best, stop.best_epoch, trainer.epochs_done) == (1.0, 2, 4)


def test_min_delta():
    stop = EarlyStopping("loss", patience=2, min_delta=0.5)
    Trainer(stop).fit(loss=[2.0, 1.75, 1.25, 1.0, 0.9])
    assert stop.best_epoch == 3


def test_each_fit_has_its_own_best():
    stop = EarlyStopping("loss", patience=3)
    trainer = Trainer(stop)
    trainer.fit(loss=[1.0, 2.0])
    trainer.fit(loss=[5.0, 4.0])
    assert (stop.best, stop.best_epoch) == (4.0, 4)


@pytest.mark.parametrize(("monitor", "mode", "best"), [
    ("val_accuracy", "auto", 2), ("accuracy", "auto", 3), ("val_distance", "auto", 1), ("val_accuracy", "min", 1),
    ("loss", "auto", 3), ("loss", "max", 1), ("root_error", "auto", 1), ("other", "max", 3),
    ("auto", "auto", 2), (None, "auto", 2)])
def test_monitor_and_mode(monitor, mode, best):
    stop = EarlyStopping(monitor, patience=10, mode=mode)
    Trainer(stop, metrics=[ACCURACY, DISTANCE]).fit(
        loss=[3.0, 2.0, 1.0], val_loss=[3.0, 1.0, 2.0], accuracy=[0.1, 0.2, 0.3], val_accuracy=[0.1, 0.5, 0.4],
        val_distance=[0.1, 0.5, 0.4], root_error=[0.1, 0.2, 0.3], other=[1.0, 2.0, 3.0])
    assert stop.best_epoch == best


@pytest.mark.parametrize("monitor", ["auto", None])
def test_falls_back_to_the_training_loss(monitor):
    stop = EarlyStopping(monitor)
    Trainer(stop).fit(loss=[1.0, 0.5, 0.75])
    assert stop.best_epoch == 2


def test_unknown_monitor():
    trainer = Trainer(EarlyStopping())
    with fails(ValueError, "'val_loss' is not logged", "logged: epoch, loss, accuracy", "pass validation_data"):
        trainer.fit(loss=[1.0], accuracy=[0.5])
    np.testing.assert_array_equal(trainer.model.parameters, 0)
    with fails(ValueError, "'acuracy'", "did you mean 'accuracy'?"):
        Trainer(EarlyStopping("acuracy")).fit(loss=[1.0], accuracy=[0.5])
    with fails(ValueError, "'speed' is not logged (logged: epoch, loss)"):
        Trainer(EarlyStopping("speed")).fit(loss=[1.0])
    with fails(ValueError, "greater 'other' is better", "mode='min'"):
        Trainer(EarlyStopping("other")).fit(loss=[1.0], other=[1.0])


@pytest.mark.parametrize(("options", "error", "words"), [
    ({"patience": 0}, ValueError, "patience"), ({"patience": 1.5}, ValueError, "patience"),
    ({"min_delta": -1}, ValueError, "min_delta"), ({"mode": "best"}, ValueError, "mode must be"),
    ({"monitor": 3}, TypeError, "monitor must be")])
def test_bad_arguments(options, error, words):
    with fails(error, words):
        EarlyStopping(**options)


# Learning rate


def rates(callback, **columns):
    seen = []
    spy = LambdaCallback(on_epoch_end=lambda trainer, epoch, logs: seen.append(trainer.learning_rate))
    Trainer(callback, spy).fit(**columns)
    return seen


def test_rate_falls_on_a_plateau():
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=2)
    assert rates(callback, loss=[1.0] * 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rates(callback, loss=[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]) == [1] * 6


def test_cooldown_and_least_rate():
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=1, cooldown=2)
    assert rates(callback, loss=[1.0] * 6) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_learning_rate=0.4)
    assert rates(callback, loss=[1.0] * 4) == [1, 0.5, 0.4, 0.4]
    callback = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_learning_rate=2)
    assert rates(callback, loss=[1.0] * 4) == [1] * 4


@pytest.mark.parametrize("factor", [0, 1, 1.5, -0.5])
def test_bad_factor(factor):
    with fails(ValueError, "factor", repr(factor)):
        ReduceLROnPlateau(factor=factor)


# Checkpoints


def test_saves_every_epoch(tmp_path):
    Trainer(ModelCheckpoint(tmp_path / "new" / "model-{epoch:02d}-{loss:.1f}.net")).fit(loss=[3.0, 2.0])
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        "model-01-3.0.net": "1.0", "model-02-2.0.net": "2.0"}


def test_saves_the_best(tmp_path):
    path = tmp_path / "model.net"
    Trainer(ModelCheckpoint(path, "loss", save_best_only=True)).fit(loss=[3.0, 1.0, 2.0])
    assert path.read_text() == "2.0"
    assert list(tmp_path.iterdir()) == [path]


def test_old_file_stays_where_saving_fails(tmp_path, monkeypatch):
    path = tmp_path / "model.net"
    path.write_text("old")

    def save(self, path):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Model, "save", save)
    with pytest.raises(OSError, match="disk full"):
        Trainer(ModelCheckpoint(path)).fit(loss=[1.0])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", ["model-{accuracy}.net", "model-{}.net", "model-{epoch:s}.net", "model-{.net"])
def test_path_that_cannot_be_filled_in(path, tmp_path):
    trainer = Trainer(ModelCheckpoint(tmp_path / path))
    with fails(ValueError, "model-", "fields: epoch, loss"):
        trainer.fit(loss=[1.0])
    assert trainer.epochs_done == 0


def test_unlogged_monitor_only_matters_where_used(tmp_path):
    with fails(ValueError, "'val_loss' is not logged"):
        Trainer(ModelCheckpoint(tmp_path / "model.net", save_best_only=True)).fit(loss=[1.0])
    Trainer(ModelCheckpoint(tmp_path / "model.net")).fit(loss=[1.0])


# Log files


def test_log_can_be_followed(tmp_path):
    path = tmp_path / "new" / "log.csv"
    sizes = []
    spy = LambdaCallback(lambda trainer, epoch, logs: sizes.append(len(path.read_text().splitlines())))
    trainer = Trainer(CSVLogger(path), spy)
    trainer.fit([{"loss": 0.5, "accuracy": 1.0}, {"loss": 0.25}])
    assert sizes == [2, 3]
    assert path.read_text().splitlines() == ["epoch,loss,accuracy", "1,0.5,1.0", "2,0.25,"]
    trainer.fit(loss=[0.125])
    assert path.read_text().splitlines() == ["epoch,loss", "3,0.125"]


def test_log_goes_on(tmp_path):
    path = tmp_path / "log.csv"
    trainer = Trainer(CSVLogger(path, append=True))
    trainer.fit(loss=[0.5])
    trainer.fit(loss=[0.25])
    assert path.read_text().splitlines() == ["epoch,loss", "1,0.5", "2,0.25"]


def test_log_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="directory"):
        Trainer(CSVLogger(tmp_path)).fit(loss=[1.0])


# Progress


def run_bar(monkeypatch, width=80, epochs=30, terminal=True, **options):
    clock = iter(np.arange(1000) * 0.06)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    Trainer(ProgressBar(console)).fit(**(options or {
        "loss": list(1 / np.arange(1, epochs + 1)), "val_loss": list(2 / np.arange(1, epochs + 1)),
        "accuracy": [0.9] * epochs, "val_accuracy": [0.8] * epochs}))
    return file.getvalue()


def test_bar_fits_on_one_line_and_is_drawn_seldom(monkeypatch):
    text = run_bar(monkeypatch)
    lines = [line for line in re.split(r"[\r\n]|\x1b\[[0-9?]*[a-zA-Z]", text) if line.strip()]
    assert all(len(line) <= 80 for line in lines)
    assert 10 <= len(lines) <= 25
    assert re.fullmatch(
        r"epoch 30/30 \S+ +loss 0.0333 \(val 0.0667\)  accuracy 0.900 \(val 0.800\)  \S+/s\s*", lines[-1])


def test_pipe_gets_one_line(monkeypatch):
    text = run_bar(monkeypatch, width=120, terminal=False)
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "epoch 30/30" in text


def test_narrow_terminal(monkeypatch):
    assert len(run_bar(monkeypatch, width=40, terminal=False).splitlines()) == 1


def test_bar_without_epochs(monkeypatch):
    bar = ProgressBar(Console(file=io.StringIO(), width=80))
    trainer = Trainer(bar)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(loss=[1.0, 1.0], fails_after=1)
    bar.on_train_end(trainer)


def test_bar_writes_to_standard_output(capsys):
    Trainer(ProgressBar()).fit(loss=[12345.678], accuracy=[0.5])
    assert "epoch 1/1" in capsys.readouterr().out


def test_notebook_without_widgets(monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not progress._console().is_jupyter


@pytest.mark.parametrize(("number", "text"), [
    (0.51, "0.5"), (9.94, "9.9"), (9.96, "10"), (999.4, "999"), (999.6, "1.0k"), (69120, "69k"), (2.5e6, "2.5M"),
    (1e9, "1.0G"), (1e13, "10000G")])
def test_short_numbers(number, text):
    assert progress._short(number) == text
