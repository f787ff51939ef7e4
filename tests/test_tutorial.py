"""The chapters of the tutorial: each runs without a warning, and shows what it says."""

import math
import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

import matplotlib.pyplot as plt

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial"
CHAPTERS = sorted(path.stem for path in TUTORIAL.glob("*.py"))
pytestmark = pytest.mark.compiled


@pytest.fixture
def run(monkeypatch):
    plt.switch_backend("agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    yield lambda name: runpy.run_path(str(TUTORIAL / f"{name}.py"))
    plt.close("all")


def pictures():
    """Draws all figures, so that what matplotlib can't draw fails."""
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    return len(plt.get_fignums())


def test_every_chapter_is_tested():
    tested = {name.removeprefix("test_chapter_") for name in globals() if name.startswith("test_chapter_")}
    assert len(CHAPTERS) == 12
    assert set(CHAPTERS) == tested


def test_every_chapter_cites_and_sets_exercises():
    for name in CHAPTERS:
        text = (TUTORIAL / f"{name}.py").read_text(encoding="utf-8")
        number = int(name.split("_")[0])
        assert f'"""\n{number}. ' in text
        assert "**Sources.**" in text
        assert "# Exercises\n# ---------" in text


def test_chapter_01_neuron(run, capsys):
    found = run("01_neuron")
    assert found["output"] == 0.9990889488055994
    assert found["by_hand"] == pytest.approx(found["output"], rel=1e-15)
    pairs = found["pairs"]
    assert found["AND"](pairs).tolist() == [a & b for a, b in pairs]
    assert found["OR"](pairs).tolist() == [a | b for a, b in pairs]
    assert [found["NOT"]([a]) for a in (0, 1)] == [1, 0]
    assert (found["tried"], found["solved"]) == (16, 0)
    assert found["answers"] == [a ^ b for a, b in pairs]
    assert found["sums"] == [a + b for a, b in pairs]
    q = 0
    for t, (on, off) in enumerate(zip(found["signal_set"], found["signal_reset"], strict=True)):
        q = int((on or q) and not off)
        assert found["q"][t + 1] == q
    assert "0.9990889488055994" in capsys.readouterr().out
    assert pictures() == 3


def test_chapter_02_perceptron(run):
    found = run("02_perceptron")
    assert found["unit"].mistakes_ == found["mistakes"]
    np.testing.assert_allclose(found["unit"].coef_[0], found["weights"], rtol=1e-12)
    assert found["unit"].score(found["X"], found["y"]) == 1
    assert 0 < found["made"] <= found["bound"]
    assert found["adaline"].errors_[-1] < found["adaline"].errors_[0] / 2
    assert found["gap"](found["adaline"]) > found["gap"](found["unit"]) > 0
    assert not found["pocket"].separated_
    assert min(found["pocket"].mistakes_) > 0
    assert found["accuracy"] == 0.75
    assert pictures() == 3


def test_chapter_03_gmdh(run, capsys):
    found = run("03_gmdh")
    assert {pair[1:] for pair in found["judged"][:2]} == {(0, 1), (2, 3)}
    assert all(0.4 < pair[0] < 0.6 for pair in found["judged"][:2])
    assert found["judged"][2][0] > 0.9
    assert found["errors"][1] < 0.1 < found["errors"][0]
    assert found["r2"] > 0.95
    assert abs(found["r2_linear"]) < 0.1
    assert (np.diff(found["inside"]) < 0).all()
    assert found["outside"][-1] > 2 * min(found["outside"])
    assert "z2_0 =" in capsys.readouterr().out
    assert pictures() == 2


def test_chapter_04_backpropagation(run, capsys):
    found = run("04_backpropagation")
    for name in ("d 0.kernel", "d 0.bias", "d 1.kernel", "d 1.bias"):
        np.testing.assert_allclose(found["by_hand"][name], found["step"][name], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(found["after"], found["step"]["1.kernel after"], rtol=1e-12)
    assert np.abs(found["gradient"]).min() > 1e-3
    assert found["agreement"] < 1e-7
    np.testing.assert_allclose(found["outputs"], [0, 1, 1, 0], atol=0.05)
    hidden, outputs = found["hidden"].round(), found["t"].ravel()
    assert np.linalg.lstsq(np.c_[hidden, np.ones(4)], outputs, rcond=None)[1] < 1e-20  # now a plane is enough
    table = capsys.readouterr().out
    assert "d 1.activation" in table
    assert pictures() == 2


def test_chapter_05_learning_rate(run):
    found = run("05_learning_rate")
    ends = {name: losses[-1] for name, (_, losses, _) in found["runs"].items()}
    starts = {name: losses[0] for name, (_, losses, _) in found["runs"].items()}
    assert ends["about right"] < 1.5 * found["minimum"]
    assert 10 * ends["about right"] < ends["too small"] < starts["too small"]
    assert ends["too large"] > 10 * starts["too large"]
    below, above = (found["descend"](factor * found["limit"], 2000)[1] for factor in (0.99, 1.01))
    assert below[-1] == pytest.approx(found["minimum"], rel=1e-6)
    assert above[-1] > 1e6
    assert "no longer finite" in found["diverged"]
    assert found["after"] < 2 < 10 < found["before"]
    assert max(found["excesses"]["exponential"][-1], found["excesses"]["cosine"][-1]) < 1e-2 * np.median(
        found["excesses"]["constant"][20:]
    )
    assert pictures() == 3


def test_chapter_06_bold_driver(run):
    found = run("06_bold_driver")
    assert found["exploded"]
    errors = [found["drivers"][start][0][-1] for start in found["starts"]]
    assert max(errors) < 1.05 * min(errors)
    rates = [found["drivers"][start][1][200:] for start in found["starts"]]
    assert max(r.max() for r in rates) < 10 * min(r.min() for r in rates)
    assert found["rises"] == 0
    assert 10 < found["brakes"] < 100
    results = found["results"]
    assert results["Adam"][-1] < results["momentum 0.9"][-1] < results["bold driver"][-1]
    down = {name: int(np.argmax(e < 0.02)) for name, e in results.items()}
    assert 0 < 2 * down["bold driver"] < down["constant 0.1"]
    assert pictures() == 2


def test_chapter_07_global_minimum(run):
    found = run("07_global_minimum")
    assert found["found"].losses.min() < 1e-12
    np.testing.assert_allclose(found["found"].best.model.parameters, [3, 0.5], atol=1e-5)
    assert 0.3 < found["share"] < 0.7
    assert found["stuck"].fun > 0.5
    for search in (found["hopped"], found["annealed"]):
        assert search.fun < 1e-10
        x = np.linspace(-2, 2, 9)
        np.testing.assert_allclose(np.sin(search.x[0] * x + search.x[1]), np.sin(3 * x + 0.5), atol=1e-5)
    assert max(found["hopped"].nfev, found["annealed"].nfev) < 0.1 * found["cost"]["24 beginnings"]
    good = found["ends"][~found["local"]]
    phase = np.where(good[:, 0] > 0, good[:, 1] - 0.5, good[:, 1] - (math.pi - 0.5))
    np.testing.assert_allclose(np.abs(good[:, 0]), 3, atol=1e-3)
    np.testing.assert_allclose(np.cos(phase), 1, atol=1e-6)
    assert pictures() == 2


def test_chapter_08_neocognitron(run):
    found = run("08_neocognitron")
    assert found["follows"]
    assert found["difference"] < 1e-5
    assert found["c_maps"].max() > 0.3  # not zeros
    network, pixels = found["accuracy"]["neocognitron"], found["accuracy"]["nearest image"]
    assert min(network[0], pixels[0]) > 0.9
    assert network[1] > 0.9
    assert pixels[1] < 0.6
    assert pictures() == 4


def test_chapter_09_lecun(run, capsys):
    found = run("09_lecun")
    assert found["shared"] == 12 * 25 + 768
    assert found["unshared"] == 19_968
    assert "9,760 parameters, 64,660 connections" in capsys.readouterr().out
    assert found["accuracy"] > 0.95
    assert found["predicted"][found["one"]] == found["y_test"][found["one"]] == 3
    assert pictures() == 5


def test_chapter_10_overfitting(run):
    found = run("10_overfitting")
    assert (np.diff(found["polynomial_train"]) < 1e-12).all()
    assert 3 <= found["best_degree"] <= 9
    assert found["polynomial_val"][-1] > 10 * min(found["polynomial_val"])
    assert (np.diff(found["train_loss"]) < 0).all()
    assert found["sizes"][int(np.argmin(found["val_loss"]))] == 4
    assert found["gap"] > 0.1
    assert found["train_loss"][-1] < 0.09 / 2
    assert found["history"]["val_loss"][found["least"]] <= min(found["val_loss"])
    assert pictures() == 3


def test_chapter_11_weight_decay(run):
    found = run("11_weight_decay")
    histories = [found["trained"][strength].history for strength in found["strengths"]]
    train, val = ([h[name][-1] for h in histories] for name in ("loss", "val_loss"))
    assert (np.diff(train) > 0).all()
    assert val[3] < val[0] / 2
    assert val[4] > 2 * val[3]
    sizes = [np.abs(found["trained"][s].model.get_weights()[0]).mean() for s in found["strengths"]]
    assert (np.diff(sizes) < 0).all()
    assert found["active"][1e-2] < 10 < 50 < found["active"][0.0]
    assert found["stopping"].best_epoch == found["epochs"] - 100
    kept = found["stopped"].evaluate(found["X_val"], found["y_val"])["loss"]
    assert kept == pytest.approx(found["stopping"].best, rel=1e-5)
    test = found["test"]
    assert max(test["weight decay 0.01"], test["early stopping"]) < test["neither"] / 2
    assert min(test.values()) > 0.08
    assert "168 epochs" in (TUTORIAL / "11_weight_decay.py").read_text(encoding="utf-8")
    assert found["epochs"] == pytest.approx(168, abs=30)
    assert pictures() == 4


def test_chapter_12_cross_validation(run):
    found = run("12_cross_validation")
    cv = found["found"]
    assert cv.strengths[0] < cv.best < cv.chosen < cv.strengths[-1]
    inside = cv.strengths[cv.means <= found["threshold"]]
    assert cv.chosen == inside.max()
    assert cv.means[0] > found["threshold"] < cv.means[-1]
    np.testing.assert_allclose(cv.scores.mean(axis=1), cv.means)
    assert found["test_loss"] < found["free_loss"] / 2
    assert found["chosen_mean"] < found["test_loss"]
    assert found["lengths"][:3].min() > 2 * found["lengths"][3:].max()
    assert found["free_lengths"][:3].min() < found["free_lengths"][3:].max()
    assert pictures() == 4
