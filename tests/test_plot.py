"""Pictures, by what is drawn rather than by pixels."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numbanet as nn
from numbanet import classic, plot
from numbanet.plot.style import mosaic
from numbanet.registry import names

pytest.importorskip("matplotlib")
from matplotlib import pyplot
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Circle


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
    pyplot.switch_backend("agg")
    yield
    pyplot.close("all")


@pytest.fixture
def ax():
    return Figure().subplots()


def built(*layers, shape, seed=0):
    model = nn.Sequential(list(layers))
    model.build(shape, seed=seed)
    return model


def texts(ax):
    return [text.get_text() for text in ax.texts]


# -- formulas -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", names("activation"))
def test_activation_and_derivative(name, ax):
    assert plot.activation(name, ax) is ax
    value, slope = ax.lines[:2]
    x, y = value.get_data()
    assert np.isfinite(y).all()
    if name in ("step", "sign", "hard_sigmoid", "hard_tanh", "hard_silu"):
        return  # kinks
    numeric = np.gradient(y, x)
    smooth = np.abs(np.gradient(numeric, x)) < 5
    np.testing.assert_allclose(slope.get_ydata()[smooth][2:-2], numeric[smooth][2:-2], atol=0.02)


def test_activation_by_its_formula(ax):
    plot.activation("tanh", ax, limits=(-1, 2))
    x, y = ax.lines[0].get_data()
    assert (x[0], x[-1]) == (-1, 2)
    np.testing.assert_allclose(y, np.tanh(x), rtol=1e-14)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 1 - np.tanh(x) ** 2, rtol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["tanh", "derivative"]


def test_activation_of_ones_own(ax):
    plot.activation(nn.Activation("cube", forward=lambda x: x * x * x), ax)
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(y, 3 * x * x)


def test_activation_stays_where_it_is_finite(ax):
    plot.activation("exponential", ax, limits=(70, 100))
    assert ax.lines[0].get_xdata()[-1] == 80


@pytest.mark.parametrize("name", names("loss"))
def test_loss_and_derivative(name, ax):
    plot.loss(name, ax)
    curves = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert len(curves) in (2, 4)
    for value, slope in zip(curves[::2], curves[1::2], strict=True):
        x, y = value.get_data()
        assert np.isfinite(y).sum() > 300
        numeric = np.gradient(y, x)
        with np.errstate(invalid="ignore"):
            smooth = np.isfinite(numeric) & (np.abs(np.gradient(numeric, x)) < 5)
        np.testing.assert_allclose(slope.get_ydata()[smooth][2:-2], numeric[smooth][2:-2], atol=0.03)


def test_loss_by_its_formula(ax):
    plot.loss("softmax_cross_entropy", ax, limits=(-2, 2))
    x, y = ax.lines[0].get_data()
    np.testing.assert_allclose(y, np.log1p(np.exp(-x)), rtol=1e-12)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), -1 / (1 + np.exp(x)), rtol=1e-12)


# -- diagrams -----------------------------------------------------------------------------


def test_network_draws_each_weight(ax):
    model = built(nn.Dense(4, "tanh"), nn.Dropout(0.5), nn.Dense(2), shape=(3,))
    plot.network(model, ax)
    first, second = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert (len(first.get_segments()), len(second.get_segments())) == (12, 8)
    kernel = model.get_weights()[0]
    order = np.argsort(np.abs(kernel), axis=None)
    np.testing.assert_allclose(first.get_linewidths(), 3 * np.abs(kernel.ravel()[order]) / np.abs(kernel).max(),
                               rtol=1e-6)
    blue = [tuple(color[:3]) == to_rgba("#4477aa")[:3] for color in first.get_colors()]
    assert blue == (kernel.ravel()[order] > 0).tolist()
    assert sum(isinstance(p, Circle) for p in ax.patches) == 9
    assert texts(ax) == ["3 inputs", "4 units\ntanh", "2 units"]


def test_network_of_many_units_leaves_some_out(ax):
    plot.network(built(nn.Dense(10), shape=(64,)), ax)
    assert len(ax.collections[0].get_segments()) == 16 * 10
    assert "⋮" in texts(ax)
    assert "64 inputs" in texts(ax)


def test_network_of_images_is_refused(ax):
    with pytest.raises(ValueError, match=r"layer 0 is Conv2D\(.*only networks of dense layers"):
        plot.network(built(nn.Conv2D(2, 3), shape=(5, 5, 1)), ax)


def test_neuron(ax):
    plot.neuron(classic.Neuron([0.5, -2.0], 4), ax)
    assert {"0.5", "-2", "bias 4", "sigmoid", "Σ", "$x_{1}$", "$x_{2}$"} <= set(texts(ax))
    x, y = next(line.get_data() for line in ax.lines if len(line.get_xdata()) > 100)
    middle = len(x) // 2
    assert y[middle] == pytest.approx((y[0] + y[-1]) / 2)


def test_neuron_of_a_perceptron(ax):
    unit = classic.Perceptron().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1])
    plot.neuron(unit, ax)
    assert "step" in texts(ax)
    assert f"{unit.coef_[0, 0]:.3g}" in texts(ax)


def test_neuron_errors(ax):
    with pytest.raises(TypeError, match="must be a Neuron, or a Perceptron or Adaline that is fitted"):
        plot.neuron(classic.Perceptron(), ax)
    with pytest.raises(ValueError, match="has 20 inputs; at most 16"):
        plot.neuron(classic.Neuron(np.ones(20), 0), ax)


# -- the plane ----------------------------------------------------------------------------


def test_decision_regions_of_an_estimator(ax):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    unit = classic.Perceptron().fit(X, ["no", "yes", "yes", "yes"])
    plot.decision_regions(unit, X, ["no", "yes", "yes", "yes"], ax)
    boundary = np.vstack([p.vertices for p in ax.collections[1].get_paths()])
    distance = (boundary @ unit.coef_[0] + unit.intercept_[0]) / np.linalg.norm(unit.coef_)
    assert np.abs(distance).max() < 0.01
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["no", "yes"]
    assert [len(c.get_offsets()) for c in ax.collections[2:]] == [1, 3]


@pytest.mark.parametrize(("scores", "threshold", "edge"), [
    (lambda p: p[:, :1], None, 0.0),
    (lambda p: p[:, :1], 0.5, 0.5),
    (lambda p: np.column_stack([0 * p[:, 0], p[:, 0] - 0.25]), None, 0.25),
    (lambda p: (p[:, 0] > -0.5).astype(int), None, -0.5),
    (lambda p: p[:, 0] + 0.1234, None, -0.1234),
])  # fmt: skip
def test_decision_regions_of_scores(scores, threshold, edge, ax):
    X = np.array([[-1, -1], [1, 1]], float)
    plot.decision_regions(scores, X, [0, 1], ax, threshold=threshold)
    boundary = np.vstack([p.vertices for p in ax.collections[1].get_paths()])
    np.testing.assert_allclose(boundary[:, 0], edge, atol=0.01)


@pytest.mark.parametrize(("loss", "edge"), [("binary_cross_entropy", 0.0), ("hinge", 0.0), ("mse", 0.5)])
def test_decision_regions_of_a_trainer(loss, edge, ax):
    model = built(nn.Dense(1), shape=(2,))
    model.set_weights([[[1.0], [0.0]], [0.0]])
    plot.decision_regions(nn.Trainer(model, loss), [[-1, -1], [1, 1]], [0, 1], ax)
    boundary = np.vstack([p.vertices for p in ax.collections[1].get_paths()])
    np.testing.assert_allclose(boundary[:, 0], edge, atol=0.01)


def test_decision_regions_need_a_plane(ax):
    with pytest.raises(ValueError, match=r"shape \(2, 3\) and y 2 labels; expected \(n, 2\)"):
        plot.decision_regions(lambda p: p[:, 0], np.zeros((2, 3)), [0, 1], ax)


# -- the loss -----------------------------------------------------------------------------


def line_fit():
    """Of y = w x + b, whose surface is a bowl around (2, -1)."""
    x = np.linspace(-1, 1, 21)[:, np.newaxis]
    trainer = nn.Trainer(built(nn.Dense(1), shape=(1,)), "mse", nn.SGD(0.1), dtype="float64")
    return trainer, x, 2 * x - 1


def test_loss_surface_of_two_parameters():
    trainer, x, y = line_fit()
    path = [np.zeros(2)]
    trainer.model.parameters = path[0]
    record = nn.LambdaCallback(lambda t, epoch, logs: path.append(t.model.parameters.copy()))
    trainer.fit(x, y, epochs=100, batch_size=21, callbacks=[record], progress=False)
    before = trainer.model.parameters.copy()
    ax = plot.loss_surface(trainer, x, y, path=path)
    np.testing.assert_array_equal(trainer.model.parameters, before)
    np.testing.assert_allclose(ax.lines[0].get_xydata(), path, atol=1e-12)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("0.kernel", "0.bias")
    filled = ax.collections[0]
    np.testing.assert_allclose(filled.levels[0], 0, atol=0.02)
    assert ax.get_xlim()[0] < 0 < 2 < ax.get_xlim()[1]


def test_loss_surface_of_many_parameters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3))
    model = built(nn.Dense(4, "tanh"), nn.Dense(1), shape=(3,))
    trainer = nn.Trainer(model, "mse", dtype="float64")
    start = model.parameters.copy()
    steps = rng.normal(size=(2, start.size))
    path = [start + a * steps[0] + b * steps[1] for a, b in ((3, 0), (2, 1), (1, 1), (0, 0))]
    ax = plot.loss_surface(trainer, X, X[:, 0], path=path, resolution=5)
    seen = ax.lines[0].get_xydata()
    apart = lambda points: np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(apart(seen), apart(np.array(path)), rtol=1e-6)  # the path lies in the plane
    np.testing.assert_allclose(seen[-1], 0, atol=1e-9)


def test_loss_surface_without_a_path(monkeypatch):
    trainer, x, y = line_fit()
    asked = []
    real = trainer.loss_and_gradient

    def recorded(X, y, params):
        asked.append(params)
        return real(X, y, params)

    monkeypatch.setattr(trainer, "loss_and_gradient", recorded)
    plot.loss_surface(trainer, x, y, span=1.0, resolution=3, directions=[[2.0, 0.0], [0.0, 1.0]])
    moved = np.array(asked) - trainer.model.parameters
    np.testing.assert_allclose(np.unique(moved[:, 0].round(6)), [-2, 0, 2])
    np.testing.assert_allclose(np.unique(moved[:, 1].round(6)), [-1, 0, 1])
    with pytest.raises(ValueError, match="expected two vectors of 2 numbers"):
        plot.loss_surface(trainer, x, y, directions=[[1.0, 0.0], [2.0, 0.0]])
    with pytest.raises(ValueError, match=r"path has shape \(1, 3\); expected \(steps, 2\)"):
        plot.loss_surface(trainer, x, y, path=[np.zeros(3)])


# -- weights ------------------------------------------------------------------------------


def test_weight_histograms_count_every_weight():
    model = built(nn.Dense(4), nn.Dense(2), shape=(3,))
    axes = plot.weight_histograms(model)
    assert [sum(bar.get_height() for bar in ax.patches) for ax in axes] == [12, 8]
    assert [ax.get_title() for ax in axes] == ["Dense 0.kernel", "Dense 1.kernel"]
    left = min(bar.get_x() for bar in axes[0].patches)
    assert left == pytest.approx(model.get_weights()[0].min(), rel=1e-6)
    with pytest.raises(ValueError, match="axes has 1 panels; expected 2"):
        plot.weight_histograms(model, axes[:1])


def test_weight_histograms_leave_out_missing_connections():
    table = np.array([[1, 0], [1, 1]])
    model = built(nn.Conv2D(2, 3, connections=table), shape=(5, 5, 2))
    (ax,) = plot.weight_histograms(model)
    assert sum(bar.get_height() for bar in ax.patches) == 27


def test_gradient_histograms():
    trainer, x, y = line_fit()
    (ax,) = plot.gradient_histograms(trainer, x, y)
    slope = trainer.loss_and_gradient(x, y)[1][0]
    (bar,) = [bar for bar in ax.patches if bar.get_height()]
    assert bar.get_x() <= slope <= bar.get_x() + bar.get_width()


def test_a_model_without_weights_has_no_histogram():
    with pytest.raises(ValueError, match="no weights to draw"):
        plot.weight_histograms(built(nn.Flatten(), shape=(2, 2)))


# -- images -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 9), columns=st.integers(1, 5), height=st.integers(1, 4), width=st.integers(1, 4))
def test_mosaic_holds_every_tile(n, columns, height, width):
    tiles = np.arange(n * height * width, dtype=float).reshape(n, height, width)
    whole = mosaic(tiles, columns)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        np.testing.assert_array_equal(whole[top : top + height, left : left + width], tile)
    assert np.isfinite(whole).sum() == tiles.size


def test_filters_of_one_channel(ax):
    model = built(nn.Conv2D(5, 3), shape=(6, 6, 1))
    plot.filters(model, ax=ax)
    drawn = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(drawn[:3, :3], model.get_weights()[0][:, :, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(drawn[:3, 4:7], model.get_weights()[0][:, :, 0, 1], rtol=1e-6)
    low, high = ax.images[0].get_clim()
    assert high == -low == pytest.approx(np.abs(model.get_weights()[0]).max())


def test_filters_of_channels(ax):
    model = built(nn.Conv2D(2, 3), nn.Conv2D(4, 3), shape=(8, 8, 1))
    plot.filters(model, 1, ax)
    drawn = np.asarray(ax.images[0].get_array())
    assert drawn.shape == (2 * 4 - 1, 4 * 4 - 1)
    np.testing.assert_allclose(drawn[4:7, 8:11], model.get_weights()[2][:, :, 1, 2], rtol=1e-6)


def test_filters_of_a_dense_layer(ax):
    model = built(nn.Dense(3), shape=(6,))
    plot.filters(model, ax=ax, shape=(2, 3))
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array())[:2, :3], model.get_weights()[0][:, 0].reshape(2, 3))
    with pytest.raises(ValueError, match="has 4 elements; the layer has 6 inputs"):
        plot.filters(model, ax=ax, shape=(2, 2))
    with pytest.raises(ValueError, match="the model has no convolution"):
        plot.filters(model, ax=ax)


def test_feature_maps(ax):
    model = built(nn.Conv2D(3, 3, "relu"), nn.GlobalAvgPool(), nn.Dense(2), shape=(6, 6, 1))
    x = np.random.default_rng(0).normal(size=(6, 6, 1)).astype(np.float32)
    plot.feature_maps(model, x, ax=ax)
    drawn = np.asarray(ax.images[0].get_array())
    part = nn.Sequential(model.layers[:1])
    part.build((6, 6, 1))
    part.set_weights(model.get_weights()[:2])
    np.testing.assert_allclose(drawn[:4, :4], part.predict(x[np.newaxis])[0, :, :, 0], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="which are no images"):
        plot.feature_maps(model, x, 2, ax)


def test_saliency(ax):
    model = built(nn.Reshape((9,)), nn.Dense(2), shape=(3, 3))
    x = np.arange(9, dtype=float).reshape(3, 3)
    plot.saliency(model, x, 1, ax)
    image, strength = ax.images
    np.testing.assert_array_equal(image.get_array(), x)
    np.testing.assert_allclose(strength.get_array(), np.abs(model.get_weights()[0][:, 1]).reshape(3, 3), rtol=1e-5)
    plot.saliency(model, x, ax=ax)
    assert ax.get_title() == f"output {model.predict(x[np.newaxis])[0].argmax()}"
    with pytest.raises(ValueError, match=r"x has shape \(9,\)"):
        plot.saliency(model, np.zeros(9), ax=ax)


# -- classes ------------------------------------------------------------------------------


def test_confusion_matrix(ax):
    plot.confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], ax, classes=["ant", "bee", "cat"])
    np.testing.assert_allclose(ax.images[0].get_array(), [[0.5, 0.5, 0], [0, 1, 0], [1 / 3, 0, 2 / 3]])
    assert sorted(texts(ax)) == ["1", "1", "1", "1", "2"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["ant", "bee", "cat"]


def test_confusion_matrix_of_labels(ax):
    plot.confusion_matrix(["b", "a"], ["b", "c"], ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="y has 1 labels and predicted 2"):
        plot.confusion_matrix([1], [1, 2], ax)
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        plot.confusion_matrix([0, 2], [0, 1], ax, classes=["a", "b"])


# -- curves, figures, files ---------------------------------------------------------------


def test_learning_rate_beside_the_loss(ax):
    history = {"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "learning_rate": [0.1, 0.1, 0.01]}
    plot.learning_curve(history, ax, rate=True)
    other = next(a for a in ax.figure.axes if a is not ax)
    np.testing.assert_array_equal(other.lines[0].get_ydata(), history["learning_rate"])
    assert other.get_yscale() == "log"
    with pytest.raises(ValueError, match="history has no 'learning_rate'"):
        plot.learning_curve({"loss": [1.0]}, ax, rate=True)


def test_each_makes_a_figure_of_its_own():
    first, second = plot.activation("relu"), plot.activation("relu")
    assert first.figure is not second.figure


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files(ending, tmp_path):
    path = tmp_path / f"tanh.{ending}"
    assert plot.save_picture(path, lambda ax: plot.activation("tanh", ax))
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begin)


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r"pip install 'numbanet\[plot\]'"):
        plot.activation("relu")
    assert not plot.save_picture(tmp_path / "x.png", lambda ax: None)
