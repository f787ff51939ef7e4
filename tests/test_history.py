"""The history of a training, and its picture."""

import csv
import pickle
import sys

import numpy as np
import pandas
import pytest

from numbanet.history import History
from numbanet.plot import learning_curve


@pytest.fixture
def history():
    history = History()
    for epoch, (loss, val_loss) in enumerate([(1.0, 1.5), (0.5, 0.75), (0.25, 0.875)], 1):
        history.append({"epoch": epoch, "loss": loss, "val_loss": val_loss})
    return history


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_columns_of_one_length(history):
    history.append({"epoch": 4, "loss": 0.125, "learning_rate": 1e-3})
    assert history.epochs == 4
    assert {len(column) for column in history.values()} == {4}
    np.testing.assert_array_equal(history["val_loss"], [1.5, 0.75, 0.875, np.nan])
    np.testing.assert_array_equal(history["learning_rate"], [np.nan] * 3 + [1e-3])
    assert list(history) == ["epoch", "loss", "val_loss", "learning_rate"]


def test_pandas_accepts_it(history):
    frame = pandas.DataFrame(history)
    assert list(frame.columns) == ["epoch", "loss", "val_loss"]
    assert frame["epoch"].dtype == np.int64
    np.testing.assert_array_equal(frame["loss"], history["loss"])


def test_given_columns():
    given = {"loss": [1.0, 2.0]}
    history = History(given)
    history.append({"loss": 3.0})
    assert given == {"loss": [1.0, 2.0]}
    assert history == {"loss": [1.0, 2.0, 3.0]}
    with pytest.raises(ValueError, match="one length, got: loss 2, epoch 1"):
        History({"loss": [1.0, 2.0], "epoch": [1]})


def test_pickle(history):
    copy = pickle.loads(pickle.dumps(history))
    assert type(copy) is History
    assert copy == history


def test_csv(history, tmp_path):
    history.append({"epoch": 4, "loss": 0.1})
    history.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "loss", "val_loss"]
    assert rows[1] == ["1", "1.0", "1.5"]
    assert rows[4] == ["4", "0.1", ""]


def test_best():
    history = History({"loss": [np.nan, 3.0, 1.0, 1.0], "none": [np.nan] * 4})
    assert history.best("loss") == 2
    assert history.best("loss", "max") == 1
    assert history.best("none") is None
    assert History({"loss": []}).best("loss") is None


def test_repr_is_a_short_table(history):
    assert repr(history).splitlines() == [
        "History of 3 epochs",
        "epoch  loss  val_loss",
        "    1     1       1.5",
        "    2   0.5      0.75",
        "    3  0.25     0.875",
    ]
    for epoch in range(4, 1001):
        history.append({"epoch": epoch, "loss": 1 / epoch})
    lines = repr(history).splitlines()
    assert len(lines) == 9
    assert lines[0] == "History of 1000 epochs"
    assert lines[-1].split() == ["1000", "0.001", "nan"]
    assert repr(History()) == "History of 0 epochs"


def test_learning_curve(history, ax):
    assert learning_curve(history, ax) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["training", "validation", "best: 0.75, epoch 2"]
    training, validation = ax.get_lines()[:2]
    np.testing.assert_array_equal(training.get_xydata(), [[1, 1], [2, 0.5], [3, 0.25]])
    np.testing.assert_array_equal(validation.get_ydata(), history["val_loss"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "loss")


def test_learning_curve_of_a_metric_without_validation(ax):
    learning_curve({"top_accuracy": [0.5, 0.75, np.nan]}, ax, monitor="top_accuracy", mode="max")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "best: 0.75, epoch 2"]
    assert ax.get_ylabel() == "top accuracy"


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_learning_curve_without_a_best_epoch(values, ax):
    learning_curve({"loss": values}, ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training"]


def test_learning_curve_makes_a_figure(history, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "backend", "agg")
    from matplotlib import pyplot

    ax = learning_curve(history)
    assert ax.figure is pyplot.gcf()
    pyplot.close(ax.figure)


def test_learning_curve_errors(history, monkeypatch):
    with pytest.raises(ValueError, match="history has no 'accuracy'; it has: epoch, loss, val_loss"):
        learning_curve(history, monitor="accuracy")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'numbanet\[plot\]'"):
        learning_curve(history)


def test_read_again(history, tmp_path):
    history.append({"epoch": 4, "loss": -1e-300, "lr": 3.0})
    history.to_csv(tmp_path / "history.csv")
    again = History.from_csv(tmp_path / "history.csv")
    assert list(again) == ["epoch", "loss", "val_loss", "lr"]
    assert again["epoch"] == [1, 2, 3, 4]
    assert all(type(epoch) is int for epoch in again["epoch"])
    for name, values in history.items():
        np.testing.assert_array_equal(again[name], values)
    assert repr(again) == repr(history)
    History({"loss": []}).to_csv(tmp_path / "empty.csv")
    assert History.from_csv(tmp_path / "empty.csv") == {"loss": []}


@pytest.mark.parametrize(("text", "problem"), [
    ("", "no header"), ("loss,loss\n1,2\n", "no header"),
    ("epoch,loss\n1,0.5\n2\n", "line 3: expected 2 values, got 1"),
    ("loss\nmuch\n", "must hold numbers: could not convert string to float: 'much'")])
def test_files_that_are_no_history(text, problem, tmp_path):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(ValueError, match=problem):
        History.from_csv(tmp_path / "history.csv")
