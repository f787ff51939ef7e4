"""The command line, as a newcomer meets it."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import numbanet as nn
from numbanet import __version__, cli
from numbanet._discovery import Found
from numbanet.cli import results, training
from numbanet.datasets import Dataset
from numbanet.registry import Failure
from numbanet.testing import CHECKS, check_regularizer

FOUND = Found("broken", "a-broken-one", "1.0", None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


def train(*arguments):
    result = run("train", *arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def error(*arguments):
    """The one line that a user sees."""
    result = run("train", *arguments)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return result.output.strip().splitlines()[-1]


def options(**changes):
    return {"model": "dense", "layers": (8,), "activation": "tanh", "loss": None, "optimizer": "adam",
            "learning_rate": 0.01, "weight_decay": 0.0, "epochs": 60, "batch_size": 16, "validation_fraction": 0.1,
            "test_fraction": None, "patience": 60, "seed": 0, "threads": 1, "dtype": "float32", **changes}


def write_flowers(path):
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 3, 120)
    X = np.column_stack([kinds * 100 + rng.normal(0, 10, 120), 1e-3 * (kinds == 1) + rng.normal(0, 1e-4, 120)])
    names = ["setosa", "[red]", "versicolor"]
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["length", "width", "kind"],
                                    *([*row, names[kind]] for row, kind in zip(X, kinds, strict=True))])


# Without training


def test_version_and_help():
    assert run("--version").output == f"numbanet, version {__version__}\n"
    assert "train" in run("--help").output
    text = run("train", "--help").output
    for option in ("target", "layers", "activation", "loss", "optimizer", "learning-rate", "weight-decay", "epochs",
                   "batch-size", "validation-fraction", "test-fraction", "patience", "seed", "threads", "dtype",
                   "output", "html", "tensorboard"):
        assert f"--{option}" in text


def test_help_imports_nothing_heavy():
    code = ("import sys; from numbanet.cli import main; main(['--help'], standalone_mode=False); "
            "print([m for m in ('numba', 'scipy', 'matplotlib', 'rich', 'sklearn', 'pandas') if m in sys.modules])")
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [
    ["--layers", "64,x"], ["--layers", "64,0"], ["--layers", "-3"], ["--epochs", "0"], ["--batch-size", "0"],
    ["--learning-rate", "0"], ["--learning-rate", "-1"], ["--weight-decay", "-1"], ["--validation-fraction", "1"],
    ["--test-fraction", "-0.1"], ["--seed", "-1"], ["--threads", "0"], ["--dtype", "float16"], ["--patience", "0"]])
def test_bad_options(arguments):
    line = error("digits", *arguments)
    assert line.startswith(f"Error: Invalid value for '{arguments[0]}'")


def test_runs_never_replace_others(folder):
    assert [training._new_folder("digits", None) for _ in range(3)] == [Path("runs", f"digits-{n}") for n in (1, 2, 3)]
    assert training._new_folder("digits", Path("mine")) == training._new_folder("digits", Path("mine")) == Path("mine")
    Path("mine", "model.numbanet").touch()
    with pytest.raises(click.ClickException, match="'mine' isn't empty"):
        training._new_folder("digits", Path("mine"))


def test_report_of_classes(capsys):
    dataset = Dataset(np.zeros((4, 1)), np.zeros(4), "classification", ["a", "[bold]"])
    results.show_results(dataset, np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Held-out accuracy 75.00 % (3 of 4)"
    assert [line.split() for line in lines[2:]] == [["a", "[bold]"], ["a", "1", "1"], ["[bold]", ".", "2"]]


def test_report_of_many_classes(capsys):
    dataset = Dataset(np.zeros((4, 1)), np.zeros(4), "classification", [f"class{i}" for i in range(30)])
    results.show_results(dataset, np.array([0, 0, 1, 29]), np.array([0, 1, 0, 29]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["true", "predicted", "samples"], ["class0", "class1", "1"], ["class1", "class0", "1"]]


def test_report_of_numbers(capsys):
    dataset = Dataset(np.zeros((2, 1)), np.zeros(2), "regression")
    results.show_results(dataset, np.array([[1.0], [3.0]]), np.array([[1.5], [2.5]]))
    assert capsys.readouterr().out == "Held-out root mean squared error 0.5, R² 0.7500\n"
    results.show_results(dataset, np.array([[1.0, 2], [3.0, 2]]), np.array([[1.5, 1], [2.5, 1]]))
    assert capsys.readouterr().out.splitlines()[1] == "Held-out root mean squared error of output 1 1"
    results.show_results(dataset, np.zeros((0, 1)), np.zeros((0, 1)))
    assert capsys.readouterr().out == "No samples were held out.\n"


# With training


@pytest.mark.compiled  # for minutes, otherwise
def test_digits(folder):
    """The command of the README."""
    output = train("digits")
    assert float(re.search(r"Held-out accuracy ([0-9.]+) %", output)[1]) >= 97
    assert re.search(r"epoch \d+/200 .* loss \S+ \(val \S+\)  accuracy \S+ \(val \S+\)", output)
    assert "Confusion matrix" in output
    assert f"learning_curve.png to {Path('runs', 'digits-1')}" in output
    with open("runs/digits-1/history.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert {"epoch", "loss", "val_loss", "accuracy", "val_accuracy"} <= set(header)
    assert 15 < len(rows) <= 200
    assert Path("runs/digits-1/learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert Path("runs/digits-1/model.numbanet").stat().st_size > 4 * (64 * 128 + 128 * 10)


def test_table_in_any_units(folder):
    write_flowers("flowers.csv")
    output = train("flowers.csv", "--target", "kind", "--layers", "8", "--learning-rate", "0.01", "--epochs", "60")
    assert float(re.search(r"Held-out accuracy ([0-9.]+) %", output)[1]) > 90
    assert "[red]" in output
    assert Path("runs/flowers-1/model.numbanet").exists()


@pytest.mark.parametrize("source", ["mnist", "fashion"])
def test_test_part_of_its_own(folder, monkeypatch, source):
    from numbanet import sources

    rng = np.random.default_rng(0)
    parts = [(rng.random((n, 28, 28, 1), np.float32), np.arange(n) % 10) for n in (40, 20)]
    monkeypatch.setattr(sources, {"mnist": "load_mnist", "fashion": "load_fashion_mnist"}[source], lambda: parts)
    output = train(source, "--layers", "none", "--epochs", "1")
    assert "60 samples, 784 features, 10 classes; 36 to train, 4 to validate, 20 held out" in output
    assert "of 20)" in output
    assert ("Ankle" if source == "fashion" else "9  ") in output
    assert Path("runs", f"{source}-1", "model.numbanet").exists()
    assert "a test part of its own; leave test-fraction out" in error(source, "--test-fraction", "0.2")


@pytest.mark.parametrize("layers", [(), (16,)])
def test_model_takes_and_gives_the_original_units(layers):
    from numbanet.experiment import Experiment

    rng = np.random.default_rng(0)
    X = rng.normal(1000, 50, (300, 3)) * [1, 10, 0.01]
    y = 5000 + X @ [3, 0.1, 700]
    experiment = Experiment(Dataset(X, y, "regression"), rescale=True, **options(layers=layers, dtype="float64"))
    experiment.fit()
    assert ((experiment.model.predict(X)[:, 0] - y) ** 2).mean() < 0.05 * y.var()
    target, prediction = experiment.test()
    assert target.shape == prediction.shape == (60, 1)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "hinge", "mean_squared_error", "softmax_cross_entropy"])
def test_two_classes_with_any_loss(loss):
    from numbanet.experiment import Experiment

    X = np.random.default_rng(0).normal(size=(200, 2))
    y = (X[:, 0] > 0).astype(int)
    experiment = Experiment(Dataset(X, y, "classification", ["no", "yes"]), rescale=False, **options(loss=loss))
    experiment.fit()
    target, prediction = experiment.test()
    assert (target == prediction).mean() > 0.85


def test_nothing_held_out_and_bytes(folder):
    rng = np.random.default_rng(0)
    np.savez("bytes.npz", X=rng.integers(0, 256, (40, 2, 3), np.uint8), y=np.arange(40) % 2)
    output = train("bytes.npz", "--test-fraction", "0", "--validation-fraction", "0", "--epochs", "2", "--layers",
                   "none", "--output", "mine")
    assert "No samples were held out" in output
    assert {path.name for path in Path("mine").iterdir()} == {"history.csv", "learning_curve.png", "model.numbanet"}


def test_without_matplotlib(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    output = train("digits", "--epochs", "1", "--output", "mine")
    assert "pip install 'numbanet[plot]'" in output
    assert "▲ best, epoch 1" in output
    assert {path.name for path in Path("mine").iterdir()} == {"history.csv", "model.numbanet"}


def test_user_errors_are_one_line(folder):
    Path("one.csv").write_text("1,a\n2,a\n3,a\n")
    np.save("nan.npy", [[1.0, 0.5], [np.nan, 1.5]])
    write_flowers("flowers.csv")
    assert "SOURCE must be 'digits', 'mnist', 'fashion' or a file; found no file 'nothing.csv'" in error("nothing.csv")
    assert "no column 'colour'; columns: length, width, kind" in error("flowers.csv", "--target", "colour")
    assert "at least two classes" in error("one.csv")
    assert "X holds NaN, first at row 1, column 0" in error("nan.npy")
    assert "did you mean 'relu'?" in error("digits", "--activation", "rellu")
    assert "did you mean 'adam'?" in error("digits", "--optimizer", "adamm")
    assert "did you mean 'hinge'?" in error("digits", "--loss", "hing")
    assert "use softmax_cross_entropy" in error("digits", "--loss", "hinge")
    assert "leave nothing to train on" in error("digits", "--test-fraction", "0.5", "--validation-fraction", "0.5")
    assert "expected numbers for regression" in error("flowers.csv", "--loss", "huber")
    assert not Path("runs").exists()


def test_failed_training_leaves_no_folder(folder, monkeypatch):
    from numbanet.experiment import Experiment
    from numbanet.history import History

    def fit(self, *where):
        raise ValueError("loss is not finite")

    monkeypatch.setattr(Experiment, "fit", fit)
    assert error("digits") == "Error: loss is not finite"
    monkeypatch.setattr(Experiment, "fit", lambda self, *where: History())
    assert "stopped before the first epoch" in error("digits")
    assert list(Path("runs").iterdir()) == []


def test_killed_and_resumed(folder):
    write_flowers("flowers.csv")
    arguments = ["flowers.csv", "--target", "kind", "--layers", "8", "--seed", "3"]
    whole = train(*arguments, "--epochs", "6", "--output", "whole")
    train(*arguments, "--epochs", "6", "--checkpoint", "kept", "--output", "first")
    Path("kept/checkpoint-00000006.safetensors").unlink()  # as if it had ended before
    again = train(*arguments, "--epochs", "6", "--checkpoint", "kept", "--resume", "--output", "again")
    line = next(line for line in whole.splitlines() if "Held-out" in line)
    assert line in again
    models = [nn.load(f"{folder}/model.numbanet") for folder in ("whole", "again")]
    np.testing.assert_array_equal(models[0].parameters, models[1].parameters)
    assert sorted(models[0].classes) == ["[red]", "setosa", "versicolor"]
    assert "has had all its epochs" in error(*arguments, "--checkpoint", "kept", "--resume")
    assert "needs --checkpoint FOLDER" in error(*arguments, "--resume")
    assert "no checkpoint in 'nothing'" in error(*arguments, "--checkpoint", "nothing", "--resume")
    assert "of another regularizer" in error(*arguments, "--weight-decay", "1", "--checkpoint", "kept", "--resume")


# Tuning


def test_tune(folder):
    write_flowers("flowers.csv")
    result = run("tune", "flowers.csv", "--target", "kind", "--layers", "8", "--learning-rate", "0.01",
                 "--epochs", "40", "--strengths", "0,1e-3,10", "--folds", "3")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert float(re.search(r"Held-out accuracy ([0-9.]+) %", result.output)[1]) > 90
    chosen = next(line for line in result.output.splitlines() if "chosen" in line)
    assert chosen.split()[0] in ("0", "0.001")
    with open("runs/flowers-1/weight_decay.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["weight_decay"]) for row in rows] == [0.0] * 3 + [1e-3] * 3 + [10.0] * 3
    assert {path.name for path in Path("runs/flowers-1").iterdir()} == {
        "model.numbanet", "weight_decay.csv", "weight_decay.png"}


def test_tune_with_mistakes(folder):
    write_flowers("flowers.csv")
    result = run("tune", "flowers.csv", "--strengths", "many")
    assert "expected numbers such as 1e-4,1e-3" in result.output
    result = run("tune", "flowers.csv", "--target", "kind", "--folds", "97")
    assert "Error: folds must be at most the number of samples, 96; got 97" in result.output
    assert not any(Path("runs").iterdir())


def test_lenet_on_images(folder):
    rng = np.random.default_rng(0)
    np.savez("small.npz", X=rng.random((60, 20, 20), np.float32), y=np.arange(60) % 3)
    output = train("small.npz", "--model", "lenet5", "--activation", "tanh", "--epochs", "1", "--batch-size", "64")
    assert "20x20x1 features, 3 classes" in output
    assert "network lenet5 tanh, " in output
    write_flowers("flowers.csv")
    assert "lenet5 takes images; the samples have 2 features" in error("flowers.csv", "--model", "lenet5")


# Plugins


def test_list_of_plugins(monkeypatch):
    from numbanet import listing

    monkeypatch.setattr(listing, "failures", lambda: [Failure(FOUND, "ZeroDivisionError: division by zero")])
    output = run("plugins").output
    assert re.search(r"activation +relu +numbanet +[0-9.]+ +given +.*activations.py", output)
    assert re.search(r"optimizer +adam +numbanet ", output)
    assert "left out: plugin 'broken' of a-broken-one 1.0: ZeroDivisionError: division by zero" in output
    rows = json.loads(run("plugins", "--json").output)
    assert rows[-1] == {
        "kind": "", "name": "broken", "distribution": "a-broken-one", "version": "1.0", "file": "", "derivative": "",
        "error": "ZeroDivisionError: division by zero"}  # fmt: skip
    softmax, = (row for row in rows if (row["kind"], row["name"]) == ("activation", "softmax"))
    assert softmax["derivative"] == "given"
    assert Path(softmax["file"]).name == "activations.py"
    assert {row["kind"] for row in json.loads(run("plugins", "--json", "--kind", "loss").output)} == {"loss"}


def test_derivatives_in_the_list(monkeypatch):
    from numbanet import listing
    from numbanet.registry import Entry

    def fill(x, y):
        for j in range(len(x)):
            y[j] = x[j]

    made = {"given": {"forward": lambda x: x, "derivative": lambda x, y: 1.0}, "derived": {"forward": lambda x: x * x},
            "none": {"forward": lambda x: round(x)}, "none of a row": {"forward": fill, "row": True}}  # fmt: skip
    found = [("activation", Entry(nn.Activation(name, **formulas), "acme", "1")) for name, formulas in made.items()]
    monkeypatch.setattr(listing, "entries", lambda: found)
    rows = json.loads(run("plugins", "--json", "--kind", "activation").output)
    assert [(row["name"], row["derivative"]) for row in rows] == [
        ("given", "given"), ("derived", "derived"), ("none", "none"), ("none of a row", "none")]


def test_check_of_plugins(monkeypatch):
    result = run("plugins", "--check", "l2")
    assert result.exit_code == 0
    assert "regularizer 'l2'" in result.output
    assert "ok    derivative agrees with differences" in result.output
    assert "no plugin offers 'nobodys'" in run("plugins", "--check", "nobodys").output
    wrong = nn.Regularizer("wrong", penalty=lambda w: w * w, derivative=lambda w: w)
    monkeypatch.setitem(CHECKS, "regularizer", lambda name: check_regularizer(wrong))
    result = run("plugins", "--check", "l2", "--kind", "regularizer")
    assert result.exit_code == 1
    assert "FAIL  derivative agrees with differences" in result.output
    assert "1 of 1 did not pass" in result.output
