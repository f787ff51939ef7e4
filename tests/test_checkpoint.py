"""Checkpoints: complete or absent, and training goes on from them to the same bits."""

import errno
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numba import config

import numbanet as nn
from numbanet import checkpoint
from numbanet.checkpoint import newest, read, write

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 5))
Y = (X @ RNG.normal(size=(5, 3))).argmax(axis=1)
EPOCHS = 3 if config.DISABLE_JIT else 9


def trainer(**options):
    """Noise, batch statistics, a schedule, and a state of the optimiser."""
    layers = [nn.Dense(8), nn.BatchNorm(), nn.Apply("relu"), nn.Dropout(0.3), nn.Dense(3)]
    optimizer = nn.Adam(0.02, schedule=nn.CosineDecay(60), clip_norm=1.0)
    settings = {"regularizer": "l2", "metrics": ["accuracy"], "seed": 7, **options}
    return nn.Trainer(nn.Sequential(layers), "softmax_cross_entropy", optimizer, **settings)


def callbacks():
    return [nn.EarlyStopping("val_loss", patience=50), nn.ReduceLROnPlateau("val_loss", patience=1)]


def fit(one, epochs, *more):
    return one.fit(X[:50], Y[:50], epochs=epochs, batch_size=16, validation_data=(X[50:], Y[50:]), progress=False,
                   callbacks=[*more, *callbacks()])  # fmt: skip


def same(one, other):
    np.testing.assert_array_equal(one.model.parameters, other.model.parameters)
    assert repr(dict(one.history)) == repr(dict(other.history))  # NaN equals NaN


class Stop(Exception):
    pass


def stop_at(last):
    def stop(trainer, epoch, logs):
        if epoch == last:
            raise Stop

    return nn.LambdaCallback(stop)


@pytest.mark.parametrize("last", range(1, EPOCHS))
@pytest.mark.parametrize("every", [1, 2])
def test_going_on_gives_the_same_bits(tmp_path, last, every):
    """Interrupted after any epoch, and gone on with from the newest checkpoint."""
    whole = trainer()
    fit(whole, EPOCHS)
    first = trainer()
    keeper = nn.Checkpoint(tmp_path, every=every)
    with pytest.raises(Stop):
        first.fit(X[:50], Y[:50], epochs=EPOCHS, batch_size=16, validation_data=(X[50:], Y[50:]), progress=False,
                  callbacks=[keeper, *callbacks(), After(last)])  # fmt: skip
    again = trainer(seed=99)
    if last < every:
        with pytest.raises(FileNotFoundError, match="no checkpoint in"):
            again.resume(tmp_path)
        return
    left = again.resume(tmp_path)
    assert left == EPOCHS - last // every * every
    fit(again, left, nn.Checkpoint(tmp_path))
    same(again, whole)


class After(nn.Callback):
    """Raises behind the checkpoint."""

    last = True

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, trainer, epoch, logs):
        if epoch == self.epoch:
            raise Stop


@pytest.mark.compiled
def test_in_another_process(tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numbanet as nn, test_checkpoint as t
one = t.trainer()
left = one.resume(sys.argv[1])
t.fit(one, left)
one.model.save(sys.argv[1] + "/end.numbanet")
"""
    whole = trainer()
    fit(whole, EPOCHS)
    first = trainer()
    with pytest.raises(Stop):
        fit(first, EPOCHS, nn.Checkpoint(tmp_path), After(4))
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(tmp_path)], check=True, timeout=200)
    np.testing.assert_array_equal(nn.load(tmp_path / "end.numbanet").parameters, whole.model.parameters)


def test_bold_driver_goes_on(tmp_path):
    def make():
        return nn.Trainer(nn.Sequential([nn.Dense(4, "tanh"), nn.Dense(1)]), "mean_squared_error",
                          nn.SGD(0.5, schedule=nn.BoldDriver()), seed=1)  # fmt: skip

    whole, first, again = make(), make(), make()
    y = X[:, 0] * X[:, 1]
    whole.fit(X, y, epochs=6, progress=False)
    first.fit(X, y, epochs=3, progress=False, callbacks=[nn.Checkpoint(tmp_path)])
    assert again.resume(tmp_path) == 0
    again.fit(X, y, epochs=3, progress=False)
    np.testing.assert_array_equal(again.model.parameters, whole.model.parameters)


def test_only_the_newest_are_kept(tmp_path):
    fit(trainer(), 3, nn.Checkpoint(tmp_path / "new" / "folder", keep=2))
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "checkpoint-00000002.safetensors", "checkpoint-00000003.safetensors"]


def test_damaged_ones_are_passed_over(tmp_path):
    first = trainer()
    fit(first, 3, nn.Checkpoint(tmp_path, keep=3))
    paths = sorted(tmp_path.iterdir())
    data = bytearray(paths[2].read_bytes())
    data[-5] ^= 1
    paths[2].write_bytes(data)
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    again = trainer()
    with pytest.warns(RuntimeWarning) as warned:
        assert again.resume(tmp_path) == 2
    assert "00000003.safetensors can't be used, and an earlier one is taken: its checksum is wrong" in str(
        warned[0].message)
    assert len(warned) == 2
    assert again.epochs_done == 1


@pytest.mark.parametrize(("change", "what"), [
    ({"regularizer": None}, "regularizer"), ({"regularizer": nn.L2(0.5)}, "regularizer"),
    ({"dtype": "float64"}, "float32"),
])  # fmt: skip
def test_of_another_trainer(tmp_path, change, what):
    fit(trainer(), 1, nn.Checkpoint(tmp_path))
    with pytest.raises(ValueError, match=f"the checkpoint is of .*{what}"):
        trainer(**change).resume(tmp_path)
    other = nn.Trainer(nn.Sequential([nn.Dense(3)]), "softmax_cross_entropy")
    with pytest.raises(ValueError, match="the checkpoint is of another model"):
        other.resume(tmp_path)


def test_with_other_callbacks(tmp_path):
    fit(trainer(), 1, nn.Checkpoint(tmp_path))
    again = trainer()
    again.resume(tmp_path)
    with pytest.raises(ValueError, match=r"with the callbacks \['EarlyStopping', 'ReduceLROnPlateau'\], and this fit"):
        again.fit(X, Y, epochs=1, progress=False)


def test_a_trainer_can_still_be_pickled(tmp_path):
    one = trainer()
    fit(one, 1, nn.Checkpoint(tmp_path), nn.LambdaCallback(lambda *_: None))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).model.parameters, one.model.parameters)


# -- what disks do --------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_disks_that_fail(tmp_path, monkeypatch, call, code):
    """A clear error, the earlier checkpoint whole, and training can go on."""
    one = trainer()
    fit(one, 1, nn.Checkpoint(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        if call in ("open", "write"):
            patch.setattr(checkpoint, "open", fail if call == "open" else lambda *a, **k: Broken(fail), raising=False)
        else:
            patch.setattr(checkpoint.os, call, fail)
        with pytest.raises(OSError, match=r"the checkpoint was not written .*earlier ones are intact") as error:
            fit(one, 1, nn.Checkpoint(tmp_path))
    assert error.value.errno == code
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    fit(one, 1, nn.Checkpoint(tmp_path))
    assert newest(tmp_path)[0]["epochs_done"] == one.epochs_done == 3


class Broken:
    def __init__(self, fail):
        self.write = fail

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def _write_for_ever(folder):
    state, arrays = {"epochs_done": 0}, {"parameters": np.zeros(20_000)}
    number = 0
    while True:
        number += 1
        state["epochs_done"] = number
        arrays["parameters"][:] = number
        write(Path(folder) / f"checkpoint-{number:08d}.safetensors", state, arrays)
        Path(folder, "seen").write_text(str(number))
        old = Path(folder) / f"checkpoint-{number - 2:08d}.safetensors"
        old.unlink(missing_ok=True)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_killed_at_any_moment(tmp_path):
    """The folder always holds a whole checkpoint, at most one older than the last that was written."""
    chance = random.Random(0)
    context = multiprocessing.get_context("fork")
    for i in range(25 if config.DISABLE_JIT else 200):
        folder = tmp_path / str(i)
        folder.mkdir()
        child = context.Process(target=_write_for_ever, args=(folder,))
        child.start()
        while not (folder / "seen").exists():
            time.sleep(0.0005)
        time.sleep(chance.random() * 0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        seen = int((folder / "seen").read_text() or 1)
        state, arrays = newest(folder)
        assert state["epochs_done"] >= seen - 1
        assert (arrays["parameters"] == state["epochs_done"]).all()


def test_files_of_the_first_version():
    """Of numbanet 0.1.0, and the parameters that it had."""
    one = nn.Trainer(nn.Sequential([nn.Dense(3, activation="tanh"), nn.Dense(1)]), "mse")
    assert one.resume(Path(__file__).parent / "files" / "version1-checkpoint") == 0
    expected = [0.02390002, 0.9889163, -0.78160715, 0.98094183, -0.4102568, -0.16998324, 0.00199984, -0.00199988,
                0.00199992, 0.8007045, -0.2244157, 0.12347909, 0.00199985]  # fmt: skip
    np.testing.assert_allclose(one.model.parameters, expected, rtol=0, atol=1e-7)  # as they were printed
    assert (one.epochs_done, one.seed, one.history.epochs) == (2, 1, 2)


def test_losses_that_are_not_finite(tmp_path):
    """A history may hold NaN, which JSON has no word for."""
    write(tmp_path / "checkpoint-00000001.safetensors", {"a": [float("nan"), float("inf")]}, {})
    assert repr(read(tmp_path / "checkpoint-00000001.safetensors")[0]) == "{'a': [nan, inf]}"


def test_files_of_other_kinds(tmp_path):
    path = tmp_path / "checkpoint-00000001.safetensors"
    for content in (b"", b"\0" * 100, b"\xff" * 16, b"{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=":"):
            read(path)
    model = nn.Sequential([nn.Dense(2)], input_shape=(2,))
    model.save(path)
    with pytest.raises(ValueError, match="it is no checkpoint"):
        read(path)
    rng = np.random.default_rng(0)
    write(path, {"a": 1}, {"b": np.arange(5.0)})
    data = path.read_bytes()
    assert read(path)[0] == {"a": 1}
    for _ in range(2000):
        mutant = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            mutant[place] = rng.integers(0, 256)
        path.write_bytes(mutant[: rng.integers(1, len(data) + 1)] if rng.random() < 0.3 else mutant)
        try:
            state, arrays = read(path)
        except ValueError:
            continue
        assert state == {"a": 1}
        np.testing.assert_array_equal(arrays["b"], np.arange(5.0))


@pytest.mark.parametrize("options", [{"every": 0}, {"keep": 0}, {"every": 1.5}])
def test_bad_settings(tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        nn.Checkpoint(tmp_path, **options)
