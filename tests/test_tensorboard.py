"""Event files, read back."""

import struct
import sys

import numpy as np
import pytest

import numbanet as nn

X = np.random.default_rng(0).normal(size=(20, 2))
Y = (X[:, 0] > 0).astype(int)


def fit(callback, epochs=4):
    trainer = nn.Trainer(nn.Sequential([nn.Dense(2)]), "softmax_cross_entropy", threads=1)
    return trainer.fit(X, Y, epochs=epochs, validation_data=(X, Y), callbacks=[callback], progress=False)


def read(folder):
    """Values of all records: a record is its length, a checksum, an event, a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    path, = folder.iterdir()
    data, found = path.read_bytes(), {}
    while data:
        length, = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value
        data = data[16 + length :]
    return found


def test_scalars_of_each_epoch(tmp_path):
    history = fit(nn.TensorBoard(tmp_path / "run"))
    found = read(tmp_path / "run")
    assert sorted(found) == ["learning_rate", "loss", "val_loss"]
    for name, values in found.items():
        assert list(values) == [1, 2, 3, 4]
        np.testing.assert_allclose([value.simple_value for value in values.values()], history[name], rtol=1e-6)


def test_histograms(tmp_path):
    fit(nn.TensorBoard(tmp_path / "run", histograms=2))
    found = read(tmp_path / "run")
    assert list(found["0.kernel"]) == list(found["0.bias"]) == [2, 4]
    assert found["0.kernel"][4].histo.num == 4


def test_no_folder_where_training_never_begins(tmp_path):
    callback = nn.TensorBoard(tmp_path / "run")
    with pytest.raises(ValueError, match="sample_weight"):
        nn.Trainer(nn.Sequential([nn.Dense(2)]), "softmax_cross_entropy").fit(
            X, Y, sample_weight=[1.0], callbacks=[callback], progress=False)
    assert not (tmp_path / "run").exists()


def test_mistakes(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="histograms"):
        nn.TensorBoard(tmp_path, histograms=-1)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"TensorBoard needs tensorboardX: pip install 'numbanet\[tensorboard\]'"):
        nn.TensorBoard(tmp_path)
