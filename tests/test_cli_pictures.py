"""Runs as pictures, curves as text, and a perceptron to watch."""

import math
import re
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

import numbanet as nn
from numbanet import cli, demo
from numbanet.history import History
from numbanet.textplot import learning_curve_text

CURVES = History({"epoch": [1, 2, 3], "loss": [1.0, 0.5, 0.25], "val_loss": [1.5, 0.75, 0.875]})


def run(*arguments):
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run").mkdir()
    CURVES.to_csv("run/history.csv")
    return tmp_path


def save_model(layers, shape):
    model = nn.Sequential(layers)
    model.build(shape)
    model.save("run/model.numbanet")


# Pictures of a run


def test_dense_run(folder):
    save_model([nn.Dense(3, "relu"), nn.Dense(1)], (2,))
    result = run("plot", "run")
    assert result.exit_code == 0, result.output
    assert "Wrote learning_curve.png, network.png, weights.png to run" in result.output
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in Path("run").glob("*.png"))
    assert run("plot", "run", "--format", "svg", "--output", "new/pictures").exit_code == 0
    assert sorted(path.name for path in Path("new/pictures").iterdir()) == [
        "learning_curve.svg", "network.svg", "weights.svg"]
    assert "<svg" in Path("new/pictures/network.svg").read_text()


def test_run_of_images(folder):
    save_model([nn.Conv2D(2, 3), nn.Flatten(), nn.Dense(2)], (5, 5, 1))
    assert "Wrote learning_curve.png, weights.png, filters.png" in run("plot", "run").output


def test_wide_network_has_no_diagram(folder):
    save_model([nn.Dense(65)], (2,))
    assert "Wrote learning_curve.png, weights.png to" in run("plot", "run").output


def test_strengths(folder):
    Path("run/history.csv").rename("run/other.csv")
    Path("run/weight_decay.csv").write_text(
        "weight_decay,fold,val_loss,epoch\n0.0,1,0.5,3\n0.0,2,0.6,3\n0.1,1,0.51,3\n0.1,2,0.61,3\n1.0,1,inf,0\n1.0,2,2,1\n")
    assert "Wrote weight_decay.png to" in run("plot", "run").output
    Path("run/weight_decay.csv").write_text("weight_decay,fold\n1,2\n")
    assert "weight_decay.csv is not as 'numbanet tune' writes it" in run("plot", "run").output


def test_folder_without_a_run(folder):
    Path("empty").mkdir()
    for name in ("empty", "nothing"):
        result = run("plot", name)
        assert result.exit_code == 1
        assert f"Error: no run in '{name}': expected history.csv or weight_decay.csv in a folder" in result.output
    Path("run/history.csv").write_text("epoch,loss\n1,much\n")
    assert "must hold numbers" in run("plot", "run").output


def test_run_without_matplotlib(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run("plot", "run")
    assert result.exit_code == 0, result.output
    assert "▲ best, epoch 2: 0.75" in result.output
    assert "pip install 'numbanet[plot]'" in result.output
    Path("run/history.csv").rename("run/other.csv")
    Path("run/weight_decay.csv").write_text("weight_decay,fold,val_loss,epoch\n0.0,1,0.5,3\n0.0,2,0.6,3\n")
    assert "Error: pictures need matplotlib" in run("plot", "run").output


# The learning curve as text


def test_curve_as_text():
    lines = learning_curve_text(CURVES, 60, 12).splitlines()
    assert len(lines) == 12
    assert all(len(line) <= 60 for line in lines[:-1])
    assert lines[0].lstrip().startswith("1.5 ┤o")  # the greatest value, of the validation data, at the first epoch
    assert lines[-4].startswith(" 0.25 ┤")
    assert 0x2800 < ord(lines[-4][-1]) <= 0x28FF  # the least, of the training data, at the last
    marked = lines[-3].index("▲")
    assert marked == pytest.approx(6 + (60 - 6) / 2, abs=1)  # epoch 2 of 3
    assert lines[-2].split() == ["1", "epoch", "3"]
    assert lines[-1] == "loss: ⣀⠤⠒ training, o validation; ▲ best, epoch 2: 0.75"


def test_values_that_are_no_numbers():
    text = learning_curve_text({"loss": [1.0, math.nan, math.inf, 0.5]})
    assert "▲ best, epoch 4: 0.5" in text
    assert "validation" not in text
    assert learning_curve_text({"loss": [math.nan]}) == "loss: no epoch has a finite value"
    assert "▲" not in learning_curve_text({"loss": [1.0], "val_loss": [math.nan]})
    assert "best, epoch 1: 2" in learning_curve_text({"loss": [2.0, 2.0]})


def test_many_decades_are_logarithmic():
    lines = learning_curve_text({"loss": [100.0, 10.0, 1.0]}, 40, 10).splitlines()
    assert [line.split()[0] for line in lines[:7] if "┤" in line] == ["100", "10", "1"]
    assert lines[-1].startswith("loss (logarithmic)")


def test_mistakes_in_text_curves():
    with pytest.raises(ValueError, match="history has no 'accuracy'; it has: epoch, loss, val_loss"):
        learning_curve_text(CURVES, monitor="accuracy")
    with pytest.raises(ValueError, match="expected at least 32 by 5 characters, got 10 by 10"):
        learning_curve_text(CURVES, 10, 10)


# A perceptron to watch


def test_demo_elsewhere_than_in_a_terminal():
    result = run("demo", "perceptron", "--samples", "40", "--seed", "1")
    assert result.exit_code == 0, result.output
    assert result.output.count("nothing is learnt yet") == 1
    assert len(re.findall(r"^pass \d+: 0 mistakes, accuracy 100.0 %  [▁-█]+$", result.output, re.MULTILINE)) == 1
    assert re.search(r"found after \d+ corrections in \d+ passes\.", result.output)
    first, last = result.output.split("nothing is learnt yet")
    assert first.count("o") - 1 <= 20  # one is in "of"
    assert "#" not in first
    assert "#" in last
    assert "\x1b" not in result.output
    assert run("demo", "perceptron", "--samples", "40", "--seed", "1").output == result.output


def test_demo_in_a_terminal():
    output = StringIO()
    demo.perceptron(Console(file=output, force_terminal=True, width=100, color_system="truecolor"), samples=30, seed=2,
                    delay=0)
    text = output.getvalue()
    assert text.count("pass 1:") == 1  # each pass a frame
    assert text.count("▀") > demo.WIDTH * demo.HEIGHT


def test_clouds_that_no_line_was_found_for(monkeypatch):
    monkeypatch.setattr(demo, "PASSES", 1)
    assert "1 passes, and no line yet without a mistake" in run("demo", "perceptron", "--seed", "5").output


def test_clouds_can_be_separated():
    for seed in range(20):
        X, y = demo.clouds(50, seed)
        assert np.bincount(y).tolist() == [25, 25]
        *_, unit = demo.passes(X, y, seed)
        assert unit.separated_
