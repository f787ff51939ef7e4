"""Whole networks, their gradients and their training against the oracle in naive.py."""

import naive
import numpy as np
import pytest

import numbanet as nn
from numbanet import registry
from numbanet.builtins.activations import numbanet_activations
from numbanet.builtins.losses import numbanet_losses
from numbanet.builtins.optimizers import numbanet_optimizers
from numbanet.cpu import driver, runner
from numbanet.cpu.random import shuffle

DTYPES = ("float32", "float64")
TOLERANCE = {"float64": {"rtol": 1e-9, "atol": 1e-12}, "float32": {"rtol": 1e-3, "atol": 2e-4}}

OPTIMIZERS = {
    **{spec.name: spec for spec in numbanet_optimizers()},
    "adamw": nn.AdamW(0.01, weight_decay=0.3),
    "lion": nn.Lion(0.01, weight_decay=0.3),
}


def make_targets(loss, n, outputs, rng):
    """Targets that suit a loss, as rows."""
    real = rng.normal(size=(n, outputs))
    return {
        "real": lambda: real,
        "positive": lambda: np.exp(real),
        "nonnegative": lambda: rng.poisson(1.5, (n, outputs)).astype(float),
        "binary": lambda: rng.uniform(size=(n, outputs)).round(1),
        "sign": lambda: np.where(real > 0, 1.0, -1.0),
        "classes": lambda: naive.one_hot(rng.integers(0, outputs, n), outputs),
    }[loss.targets]()


def classes(n, features, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)), rng.integers(0, outputs, n)


def network(features, *widths, activation="tanh", seed=0, **options):
    """Model whose weights and biases are all drawn; the last layer has no activation."""
    layers = [nn.Dense(width, activation=activation, **options) for width in widths[:-1]]
    model = nn.Sequential([*layers, nn.Dense(widths[-1], **options)], input_shape=(features,))
    return draw(model, seed)


def draw(model, seed=0):
    values = np.random.default_rng([seed, 1]).normal(size=model.parameters.size)
    fans = np.concatenate([np.full(p.size, max(p.fan_in, 1)) for p in model.graph.parameters])
    model.parameters = values / np.sqrt(fans)
    return model


def train_both(model, X, y, *, loss="softmax_cross_entropy", optimizer="adam", regularizer=None, batch=16, epochs=1,
               sample_weight=None, class_weight=None, oracle_weights=None, dtype="float64", **options):
    """Parameters and losses of the epochs, from the trainer and from the oracle."""
    loss, optimizer = registry.get("loss", loss), registry.get("optimizer", optimizer)
    trainer = nn.Trainer(model, loss, optimizer, regularizer=regularizer, dtype=dtype, **{"threads": 1, **options})
    params = model.parameters.astype(float)
    history = trainer.fit(X, y, batch_size=batch, epochs=epochs, sample_weight=sample_weight,
                          class_weight=class_weight, shuffle=False, progress=False)
    targets = naive.one_hot(y, model.layers[-1].units) if loss.targets == "classes" and y.ndim == 1 else y
    stepper = naive.Stepper(optimizer, model, params.size)
    losses = [naive.train(model, loss, stepper, params, X, targets, batch=batch, regularizer=regularizer,
                          weights=sample_weight if oracle_weights is None else oracle_weights)
              for _ in range(epochs)]
    return trainer, (model.parameters, history["loss"]), (params, losses)


def assert_same(actual, expected, dtype="float64"):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, **TOLERANCE[dtype])


# -- one epoch of everything ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name, dtype):
    X, y = classes(50, 5, 3)  # 50 = 3 * 16 + 2
    model = network(5, 9, 3)
    start = model.parameters.copy()
    _, actual, expected = train_both(model, X, y, optimizer=OPTIMIZERS[name], regularizer=nn.L2(0.05), epochs=2,
                                     dtype=dtype)
    assert_same(actual, expected, dtype)
    assert np.abs(expected[0] - start).max() > 1e-3  # enough to tell the optimisers apart


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("features", "widths", "n", "batch"), [
    (1, (1, 2), 7, 1),  # batches of one
    (2, (3,), 5, 100),  # a batch larger than the data
    (3, (17, 5), 33, 32),  # one sample left over
    (7, (15, 16, 9), 40, 40),
    (33, (70, 2), 20, 9),
    (64, (31, 33, 10), 65, 64),
    (70, (1, 69), 37, 17),
])
def test_shapes(features, widths, n, batch, dtype):
    X, y = classes(n, features, widths[-1])
    model = network(features, *widths, seed=n)
    _, actual, expected = train_both(model, X, y, optimizer=nn.SGD(0.3, momentum=0.9), batch=batch, dtype=dtype)
    assert_same(actual, expected, dtype)


def test_layers_without_bias():
    X, y = classes(20, 4, 3)
    _, actual, expected = train_both(network(4, 6, 3, use_bias=False), X, y)
    assert_same(actual, expected)
    mixed = draw(nn.Sequential([nn.Dense(5, "tanh", use_bias=False), nn.Dense(6, "tanh"), nn.Dense(3, use_bias=False)],
                               input_shape=(4,)))
    _, actual, expected = train_both(mixed, X, y, optimizer=OPTIMIZERS["adamw"])
    assert_same(actual, expected)


def test_one_layer_without_activation():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=(30, 1))
    _, actual, expected = train_both(network(6, 1), X, y, loss="mean_squared_error", optimizer="sgd")
    assert_same(actual, expected)


def test_shuffled_order():
    X, y = classes(45, 4, 3)
    model = network(4, 7, 3)
    params = model.parameters.astype(float)
    trainer = nn.Trainer(model, "softmax_cross_entropy", "adam", dtype="float64", seed=5, threads=1)
    stepper = naive.Stepper(trainer.optimizer, model, params.size)
    orders = []
    for _ in range(3):
        trainer.fit(X, y, epochs=1, batch_size=10, progress=False)
        orders.append(trainer._engine.order.copy())
        naive.train(model, trainer.loss, stepper, params, X, naive.one_hot(y, 3), batch=10, order=orders[-1])
    np.testing.assert_allclose(model.parameters, params, rtol=1e-9, atol=1e-12)
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(45))
    assert len({tuple(order) for order in orders}) == 3

    again = nn.Trainer(network(4, 7, 3), "softmax_cross_entropy", "adam", dtype="float64", seed=5, threads=1)
    again.fit(X, y, epochs=3, batch_size=10, progress=False)  # in one compiled call
    np.testing.assert_array_equal(again.model.parameters, model.parameters)
    assert again.history["loss"] == trainer.history["loss"]


def test_shuffle_has_no_favourites():
    """Where each of 6 samples goes, over 3,000 epochs: 500 times to every place, +-5 sigma."""
    counts, order = np.zeros((6, 6)), np.arange(6)
    for epoch in range(3000):
        shuffle(order, 0, epoch)
        counts[order, np.arange(6)] += 1
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 5 / 6)


# -- weights of samples and classes ---------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_sample_weights(dtype):
    X, y = classes(50, 5, 3)
    weights = np.random.default_rng(1).uniform(0, 3, 50)
    weights[::4] = 0
    _, actual, expected = train_both(network(5, 9, 3), X, y, sample_weight=weights, dtype=dtype, epochs=2)
    assert_same(actual, expected, dtype)


def test_samples_of_weight_zero_have_no_say():
    X, y = classes(32, 5, 3)
    weights = (np.arange(32) % 2).astype(float)
    trainer = nn.Trainer(network(5, 9, 3), "softmax_cross_entropy", dtype="float64")
    loss, gradient = trainer.loss_and_gradient(X, y, sample_weight=weights)
    X[::2] *= 100
    y[::2] = 0
    assert trainer.loss_and_gradient(X, y, sample_weight=weights)[0] == loss
    np.testing.assert_array_equal(trainer.loss_and_gradient(X, y, sample_weight=weights)[1], gradient)
    half = trainer.loss_and_gradient(X[1::2], y[1::2])
    assert half[0] == pytest.approx(loss, rel=1e-13)
    np.testing.assert_allclose(half[1], gradient, rtol=1e-11, atol=1e-15)


def test_batch_of_weight_zero():
    X, y = classes(48, 5, 3)
    weights = np.ones(48)
    weights[16:32] = 0
    _, actual, expected = train_both(network(5, 9, 3), X, y, sample_weight=weights, regularizer=nn.L2(0.1))
    assert_same(actual, expected)


@pytest.mark.parametrize("class_weight", [{0: 2.5, 2: 0.0}, "balanced"])
def test_class_weights(class_weight):
    X, y = classes(50, 5, 3)
    per_class = [2.5, 1, 0] if class_weight != "balanced" else 50 / 3 / np.bincount(y)
    sample_weight = np.random.default_rng(1).uniform(0.1, 3, 50)
    _, actual, expected = train_both(network(5, 9, 3), X, y, sample_weight=sample_weight, class_weight=class_weight,
                                     oracle_weights=sample_weight * np.take(per_class, y))
    assert_same(actual, expected)


@pytest.mark.parametrize("scale", [2.0**-110, 1024, 2.0**100])
def test_scale_of_weights_does_not_matter(scale):
    X, y = classes(20, 5, 3)
    weights = np.random.default_rng(1).uniform(size=20)
    trainer = nn.Trainer(network(5, 9, 3), "softmax_cross_entropy", dtype="float64")
    loss, gradient = trainer.loss_and_gradient(X, y, sample_weight=weights)
    other_loss, other = trainer.loss_and_gradient(X, y, sample_weight=scale * weights)
    assert other_loss == loss
    np.testing.assert_array_equal(other, gradient)


# -- regularizers ---------------------------------------------------------------------------

RULES = {
    "l1": nn.L1(0.02), "l2": nn.L2(0.1), "elastic_net": nn.ElasticNet(0.05, 0.3), "max_norm": nn.MaxNorm(0.8),
    "l1 biases": nn.L1(0.02, biases=True), "l2 biases": nn.L2(0.1, biases=True),
    "elastic_net biases": nn.ElasticNet(0.05, 0.3, biases=True),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_regularizer(name, dtype):
    X, y = classes(50, 5, 3)
    _, actual, expected = train_both(network(5, 9, 3), X, y, regularizer=RULES[name], dtype=dtype,
                                     optimizer=nn.SGD(0.3))
    assert_same(actual, expected, dtype)


def test_regularizers_of_layers():
    X, y = classes(50, 5, 3)
    model = draw(nn.Sequential([
        nn.Dense(9, "tanh", kernel_regularizer=nn.L1(0.02)),
        nn.Dense(8, "tanh", bias_regularizer=nn.L2(0.3)),
        nn.Dense(7, "tanh", kernel_regularizer=nn.MaxNorm(0.5), bias_regularizer=nn.MaxNorm(0.01)),
        nn.Dense(3, kernel_regularizer="l2"),
    ], input_shape=(5,)))  # fmt: skip
    _, actual, expected = train_both(model, X, y, regularizer=nn.ElasticNet(0.05, biases=True), optimizer=nn.SGD(0.3))
    assert_same(actual, expected)


def test_max_norm_holds_after_every_epoch():
    X, y = classes(50, 5, 3)
    model = network(5, 9, 3)
    start = model.get_weights()[1].copy()
    nn.Trainer(model, "softmax_cross_entropy", nn.SGD(5.0), regularizer=nn.MaxNorm(0.8)).fit(X, y, progress=False)
    for kernel in model.get_weights()[::2]:
        norms = np.linalg.norm(kernel, axis=0)
        assert norms.max() == pytest.approx(0.8, rel=1e-6)
    assert np.abs(model.get_weights()[1] - start).max() > 1  # biases are free


def test_biases_are_spared():
    """With the loss's gradient at zero only the penalty moves parameters."""
    X, y = np.zeros((16, 5)), np.arange(16) % 2
    for rule, moved in ((nn.L2(0.1), False), (nn.L2(0.1, biases=True), True)):
        model = network(5, 4, 2, activation="step")
        model.set_weights([*model.get_weights()[:3], np.zeros(2)])
        before = model.get_weights()
        nn.Trainer(model, "softmax_cross_entropy", nn.SGD(0.5), regularizer=rule, threads=1).fit(
            X, y, epochs=1, batch_size=16, progress=False)
        after = model.get_weights()
        np.testing.assert_allclose(after[0], 0.95 * before[0], rtol=1e-6)
        np.testing.assert_allclose(after[1], (0.95 if moved else 1) * before[1], rtol=1e-6)


@pytest.mark.parametrize("batch", [10, 20, 60])
def test_strength_means_the_same_at_every_batch_size(batch):
    """Copies of one batch: the gradient, penalty included, is that of the batch, whatever its size."""
    X, y = (np.tile(a, (6,) + (1,) * (a.ndim - 1)) for a in classes(10, 5, 3))
    model = network(5, 9, 3)
    trainer = nn.Trainer(model, "softmax_cross_entropy", regularizer=nn.L2(0.1), dtype="float64")
    value, gradient = trainer.loss_and_gradient(X[:batch], y[:batch])
    expected = trainer.loss_and_gradient(X[:10], y[:10])
    assert value == pytest.approx(expected[0], rel=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-10, atol=1e-15)


# -- clipping and schedules -----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [
    {"clip_value": 0.02}, {"clip_norm": 0.1}, {"clip_value": 0.02, "clip_norm": 0.05}, {"clip_norm": 1e6},
])
def test_clipping(options, dtype):
    X, y = classes(50, 5, 3)
    optimizer = nn.SGD(1.0, momentum=0.5, **options)
    _, actual, expected = train_both(network(5, 9, 3), X, y, optimizer=optimizer, regularizer=nn.L2(0.2), dtype=dtype)
    assert_same(actual, expected, dtype)


def test_clipping_of_a_gradient_of_zero():
    model = network(3, 2)
    before = model.parameters.copy()
    weights = np.array([0.0, 0.0, 1.0, 1.0])
    X, y = np.ones((4, 3)), np.array([0, 1, 0, 1])
    model.set_weights([np.zeros((3, 2)), np.zeros(2)])
    nn.Trainer(model, "softmax_cross_entropy", nn.SGD(1.0, clip_norm=0.1)).fit(
        X, y, sample_weight=weights, batch_size=2, epochs=1, progress=False, shuffle=False)
    np.testing.assert_array_equal(model.parameters, 0)
    assert before.any()


SCHEDULES = [
    nn.ConstantSchedule(), nn.StepDecay(3, 0.5), nn.ExponentialDecay(4, 0.7), nn.InverseTimeDecay(3, 2.0),
    nn.PolynomialDecay(6, 0.01, 2.0), nn.CosineDecay(5, 2, 0.02), nn.OneCycle(8),
]  # fmt: skip


@pytest.mark.parametrize("base", [nn.SGD, nn.Adam, nn.Nadam])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.name)
def test_schedule(schedule, base):
    if base is nn.Nadam and schedule.name != "cosine":
        base = nn.AdamW  # whose decay follows the rate, too
    X, y = classes(50, 5, 3)
    optimizer = base(0.2, schedule=schedule)
    trainer, actual, expected = train_both(network(5, 9, 3), X, y, optimizer=optimizer, epochs=2)
    assert_same(actual, expected)
    rates = trainer.history["learning_rate"]
    assert rates[1] == pytest.approx(schedule.rate(8.0, 0.2, *schedule.params.values()))


def test_fit_goes_on_where_it_stopped():
    X, y = classes(50, 5, 3)
    results = []
    for epochs in ((4,), (1, 3), (1, 1, 1, 1)):
        model = network(5, 9, 3)
        trainer = nn.Trainer(model, "softmax_cross_entropy", nn.Adam(0.1, schedule=nn.CosineDecay(9, 3)), threads=1)
        for n in epochs:
            trainer.fit(X, y, epochs=n, batch_size=16, progress=False)
        results.append((model.parameters, trainer.history["loss"]))
    for params, losses in results[1:]:
        np.testing.assert_array_equal(params, results[0][0])
        assert losses == results[0][1]


def test_bold_driver():
    """At a rate that is too high epochs are undone until it fits, and the optimiser begins anew."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 2))
    model = network(4, 2)
    optimizer = nn.SGD(3.0, momentum=0.5, schedule=nn.BoldDriver(1.1, 0.4))
    trainer = nn.Trainer(model, "mse", optimizer, dtype="float64", threads=1)
    params = model.parameters.astype(float)
    stepper = naive.Stepper(optimizer, model, params.size)

    def error_now():
        return naive.data_loss(model, trainer.loss, params, X, y)

    factor, previous, undone = 1.0, error_now(), 0
    for _ in range(12):
        before = params.copy()
        naive.train(model, trainer.loss, stepper, params, X, y, batch=30, factor=factor)
        error = error_now()
        if error <= previous:
            factor, previous = factor * 1.1, error
        else:
            factor, undone = factor * 0.4, undone + 1
            params[:] = before
            stepper = naive.Stepper(optimizer, model, params.size)
    trainer.fit(X, y, epochs=12, batch_size=30, shuffle=False, progress=False)
    assert 0 < undone < 12
    np.testing.assert_allclose(model.parameters, params, rtol=1e-9, atol=1e-12)
    assert trainer.learning_rate == pytest.approx(3.0 * factor)


# -- gradients ------------------------------------------------------------------------------

ACTIVATIONS = [spec.name for spec in numbanet_activations() if spec.name != "swish"]
LOSSES = [spec for spec in numbanet_losses() if spec.name not in ("mse", "mae", "poisson", "gamma")]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradient_of_every_activation_with_every_loss_and_penalty(name):
    """Against finite differences along a random direction, and against the oracle, value included.

    Layer by layer the penalties are l1, l2 and elastic net, the latter with biases.
    """
    for number, loss in enumerate(LOSSES):
        rng = np.random.default_rng([number, len(name)])
        X, y = rng.normal(size=(12, 4)), make_targets(loss, 12, 3, rng)
        weights = rng.uniform(0.5, 2, 12)
        model = draw(nn.Sequential([
            nn.Dense(5, name, kernel_regularizer=nn.L1(0.02)),
            nn.Dense(6, name, kernel_regularizer=nn.L2(0.1)),
            nn.Dense(3, "softmax" if loss.name == "kl_divergence" else None),
        ], input_shape=(4,)), seed=number)  # fmt: skip
        rule = nn.ElasticNet(0.05, 0.3, biases=True)
        trainer = nn.Trainer(model, loss, regularizer=rule, dtype="float64", threads=1)
        at = 0.5 * model.parameters.astype(float)  # small enough for an exponential of exponentials

        def value(params):
            return trainer.loss_and_gradient(X, y, params, sample_weight=weights)[0]  # noqa: B023

        loss_here, gradient = trainer.loss_and_gradient(X, y, at, sample_weight=weights)
        direction = rng.normal(size=at.size)
        h = 1e-6
        slope = (value(at + h * direction) - value(at - h * direction)) / (2 * h)
        assert gradient @ direction == pytest.approx(slope, rel=1e-6, abs=1e-7), loss.name
        expected = naive.loss_and_gradient(model, loss, at, X, y, weights, rule)
        assert loss_here == pytest.approx(expected[0], rel=1e-12), loss.name
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-13, err_msg=loss.name)


@pytest.mark.parametrize("regularizer", [None, nn.L1(0.05), nn.L2(0.2), nn.ElasticNet(0.1), nn.L2(0.2, biases=True)])
def test_gradient_of_every_parameter(regularizer):
    """All components with scipy.optimize; max-norm has no penalty."""
    from scipy.optimize import approx_fprime, check_grad

    X, y = classes(20, 3, 3)
    model = network(3, 5, 3, activation="mish")
    trainer = nn.Trainer(model, "softmax_cross_entropy", regularizer=regularizer, dtype="float64", threads=1)
    value, slope = (lambda p, i=i: trainer.loss_and_gradient(X, y, p)[i] for i in (0, 1))
    at = model.parameters.astype(float)
    assert check_grad(value, slope, at, epsilon=1e-7) < 1e-6
    np.testing.assert_allclose(slope(at), approx_fprime(at, value, 1e-7), rtol=1e-5, atol=1e-6)


def test_loss_and_gradient_leaves_the_model_alone():
    X, y = classes(20, 3, 3)
    model = network(3, 5, 3)
    trainer = nn.Trainer(model, "softmax_cross_entropy", "adam", regularizer=nn.L2(0.1), dtype="float64")
    trainer.loss_and_gradient(X, y)
    before, at = model.parameters.copy(), np.ones(model.parameters.size)
    first = trainer.loss_and_gradient(X, y, at)
    kept = first[1].copy()
    trainer.loss_and_gradient(X, y, 2 * at)
    np.testing.assert_array_equal(model.parameters, before)
    np.testing.assert_array_equal(at, 1)
    np.testing.assert_array_equal(first[1], kept)  # not a view of a buffer
    assert not trainer._engine.states.any()
    assert trainer._engine.steps_done == 0


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "categorical_hinge", "kl_divergence"])
def test_labels_one_hot_and_soft_targets_agree(loss):
    X, labels = classes(40, 4, 5)
    rows = naive.one_hot(labels, 5)
    model = draw(nn.Sequential([nn.Dense(6, "tanh"), nn.Dense(5, "softmax")], input_shape=(4,)))
    trainer = nn.Trainer(model, loss, dtype="float64", threads=1)
    by_label, by_row = trainer.loss_and_gradient(X, labels), trainer.loss_and_gradient(X, rows)
    assert by_label[0] == by_row[0]
    np.testing.assert_array_equal(by_label[1], by_row[1])
    np.testing.assert_array_equal(trainer.loss_and_gradient(X, labels[:, None])[1], by_row[1])
    assert trainer.evaluate(X, labels) == trainer.evaluate(X, rows)

    soft = 0.7 * rows + 0.3 * naive.one_hot((labels + 1) % 5, 5)
    value, gradient = trainer.loss_and_gradient(X, soft)
    expected = naive.loss_and_gradient(model, trainer.loss, model.parameters.astype(float), X, soft)
    assert value == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-9, atol=1e-13)
    if loss == "softmax_cross_entropy":  # linear in the target
        other = trainer.loss_and_gradient(X, (labels + 1) % 5)
        np.testing.assert_allclose(gradient, 0.7 * by_row[1] + 0.3 * other[1], rtol=1e-9, atol=1e-13)


def test_evaluate():
    X, y = classes(77, 5, 3)
    weights = np.random.default_rng(1).uniform(size=77)
    model = network(5, 9, 3)
    trainer = nn.Trainer(model, "softmax_cross_entropy", regularizer=nn.L2(1.0), metrics=["accuracy"], dtype="float64")
    logs = trainer.evaluate(X, y, sample_weight=weights)
    params, rows = model.parameters.astype(float), naive.one_hot(y, 3)
    assert logs["loss"] == pytest.approx(naive.data_loss(model, trainer.loss, params, X, rows, weights), rel=1e-12)
    right = naive.predict(model, params, X).argmax(axis=1) == y
    assert logs["accuracy"] == pytest.approx(weights @ right / weights.sum(), rel=1e-6)
    np.testing.assert_allclose(model.predict(X), naive.predict(model, params, X), rtol=1e-11, atol=1e-13)


# -- teams of workers -----------------------------------------------------------------------


def layout(trainer, batch):
    """Workers, whether they share blocks, blocks in a span, blocks in a batch; as a training step has them."""
    owner = trainer._engine
    program, _ = owner._programs[next(key for key in owner._programs if key[0])]
    return *owner._runner.layout(program, batch), -(-batch // program.tile.lanes)


@pytest.fixture
def small_steps_too(monkeypatch):
    """However little there is to do, all threads take part."""
    monkeypatch.setattr(runner, "SMALL_STEP", 0)


@pytest.fixture
def small_cache(monkeypatch):
    """Blocks are walked in several spans."""
    monkeypatch.setattr(runner.host, "L2", 1)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_private_gradients(threads, small_steps_too):
    """Many samples, few parameters: each worker sums up a gradient of its own; the last batch is a single block."""
    X, y = classes(330, 5, 3)
    trainer, actual, expected = train_both(network(5, 9, 3), X, y, batch=160, regularizer=nn.L2(0.1), epochs=2,
                                           threads=threads)
    workers, shared, span, blocks = layout(trainer, 160)
    assert (workers, shared) == (threads, threads == 1)
    assert workers == 1 or -(-blocks // span) >= workers
    assert_same(actual, expected)


@pytest.mark.parametrize("threads", [2, 3])
def test_private_gradients_of_many_spans(threads, small_steps_too, small_cache):
    X, y = classes(330, 5, 3)
    trainer, actual, expected = train_both(network(5, 9, 3), X, y, batch=300, threads=threads,
                                           optimizer=nn.Adam(0.01, clip_norm=0.05))
    workers, shared, span, blocks = layout(trainer, 300)
    assert (workers, shared, span) == (threads, False, 1)
    assert blocks > 2 * workers
    assert_same(actual, expected)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_shared_blocks(threads, small_steps_too):
    """Few samples, many parameters: the team shares the blocks, then the rows of the gradient."""
    X, y = classes(100, 30, 3)
    trainer, actual, expected = train_both(network(30, 150, 140, 3), X, y, batch=33, regularizer=nn.L1(0.001),
                                           threads=threads, optimizer=nn.SGD(0.1, momentum=0.9))
    workers, shared, span, blocks = layout(trainer, 33)
    assert (workers, shared, span) == (min(threads, blocks), True, blocks)
    assert trainer._engine.graph.size < 4 * driver.FUSED
    assert_same(actual, expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_shared_blocks_of_many_spans(threads, small_steps_too, small_cache):
    X, y = classes(330, 5, 3)
    trainer, actual, expected = train_both(network(5, 9, 3), X, y, batch=300, threads=threads, deterministic=True)
    workers, shared, span, blocks = layout(trainer, 300)
    assert (workers, shared, span) == (threads, True, 4)
    assert blocks > 2 * span
    assert_same(actual, expected)


def large(**options):
    """More parameters than are reduced at a time: gradients are used up as they come."""
    model = network(130, 251, 7, **options)
    assert model.parameters.size > 4 * driver.FUSED
    return model


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_fused_updates(threads, small_steps_too):
    X, y = classes(70, 130, 7)
    optimizer = nn.AdamW(0.01, weight_decay=0.2, clip_value=0.01)
    trainer, actual, expected = train_both(large(), X, y, optimizer=optimizer, regularizer=nn.L2(0.01), batch=40,
                                           threads=threads)
    assert trainer._engine._runner.buffers["grads"].size < trainer._engine.graph.size
    assert layout(trainer, 40)[:2] == (min(threads, layout(trainer, 40)[3]), True)
    assert_same(actual, expected)


@pytest.mark.parametrize("options", [{"clip_norm": 0.05}, {"use_bias": False}])
def test_many_parameters(options, small_steps_too):
    """Clipped by the norm of all, the gradient must be complete before it is used."""
    X, y = classes(40, 130, 7)
    clip = {"clip_norm": options["clip_norm"]} if "clip_norm" in options else {}
    trainer, actual, expected = train_both(
        large(**({} if clip else options)), X, y, optimizer=nn.SGD(0.3, **clip), regularizer=nn.MaxNorm(0.5), batch=40,
        threads=2)  # fmt: skip
    assert (trainer._engine._runner.buffers["grads"].size < trainer._engine.graph.size) == (not clip)
    assert_same(actual, expected)


DETERMINISTIC = {  # features and widths, batch, optimizer, regularizer
    "many spans": ((20, 65, 33, 7), 140, nn.Adam(0.01), nn.L1(1e-4)),
    "clipped": ((20, 65, 33, 7), 140, nn.Adam(0.01, clip_value=0.1, clip_norm=0.05), nn.L1(1e-4)),
    "projected": ((20, 65, 33, 7), 140, nn.Adam(0.01), nn.MaxNorm(0.5)),
    "fused": ((130, 251, 7), 64, nn.Adam(0.01), nn.L1(1e-4)),
    "fused, roots and quotients": ((130, 251, 7), 64, nn.Adadelta(), nn.L1(1e-4)),
    "fused and projected": ((130, 251, 7), 64, nn.Adam(0.01), nn.MaxNorm(0.5)),
}


@pytest.mark.compiled  # where nothing is compiled, NumPy's products depend on the number of rows
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", DETERMINISTIC)
def test_deterministic_bits(case, dtype, small_steps_too, small_cache):
    """The same bits from one, two and three workers, wherever the borders of their shares lie."""
    shape, batch, optimizer, rule = DETERMINISTIC[case]
    X, y = classes(150, shape[0], 7)
    results = []
    for threads in (1, 2, 3):
        model = network(*shape)
        trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, regularizer=rule, dtype=dtype,
                             threads=threads, deterministic=True)
        trainer.fit(X, y, epochs=2, batch_size=batch, progress=False)
        workers, shared, _, blocks = layout(trainer, batch)
        assert (workers, shared) == (min(threads, blocks), True)
        assert (trainer._engine._runner.buffers["grads"].size < model.parameters.size) == case.startswith("fused")
        results.append((model.parameters, trainer.history["loss"], trainer.loss_and_gradient(X, y)[1]))
    assert workers > 1
    for params, losses, gradient in results[1:]:
        np.testing.assert_array_equal(params, results[0][0])
        assert losses == results[0][1]
        np.testing.assert_array_equal(gradient, results[0][2])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_bits_again(threads, small_steps_too):
    X, y = classes(330, 5, 3)
    results = []
    for _ in range(2):
        model = network(5, 9, 3)
        trainer = nn.Trainer(model, "softmax_cross_entropy", threads=threads)
        trainer.fit(X, y, epochs=3, batch_size=100, progress=False)
        results.append(model.parameters)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("threads", [2, 3])
def test_evaluation_by_a_team(threads, small_steps_too, small_cache):
    X, y = classes(330, 5, 3)
    weights = np.random.default_rng(1).uniform(size=330)
    model = network(5, 9, 3)
    for deterministic in (False, True):
        trainer = nn.Trainer(model, "softmax_cross_entropy", metrics=["accuracy"], dtype="float64", threads=threads,
                             deterministic=deterministic)
        logs = trainer.evaluate(X, y, sample_weight=weights)
        params, rows = model.parameters.astype(float), naive.one_hot(y, 3)
        assert logs["loss"] == pytest.approx(naive.data_loss(model, trainer.loss, params, X, rows, weights), rel=1e-12)
        right = naive.predict(model, params, X).argmax(axis=1) == y
        assert logs["accuracy"] == pytest.approx(weights @ right / weights.sum(), rel=1e-6)
        gradient = trainer.loss_and_gradient(X, y, sample_weight=weights)[1]
        np.testing.assert_allclose(gradient, naive.data_gradient(model, trainer.loss, params, X, rows, weights),
                                   rtol=1e-9, atol=1e-13)


def test_constraints_of_layers_do_not_meet(small_steps_too):
    """One worker constrains the only unit of a layer while the other is through with it, on the next layer."""
    X, y = classes(20, 3000, 4)
    results = []
    for threads in (1, 2):
        model = network(3000, 1, 900, 4)
        trainer = nn.Trainer(model, "softmax_cross_entropy", nn.SGD(0.5), regularizer=nn.MaxNorm(0.3), threads=threads,
                             dtype="float64", deterministic=True)
        trainer.fit(X, y, epochs=3, batch_size=20, shuffle=False, progress=False)
        results.append(model.parameters)
        for kernel in model.get_weights()[::2]:
            assert np.linalg.norm(kernel, axis=0).max() < 0.3 * (1 + 1e-12)
    np.testing.assert_allclose(*results, rtol=1e-9, atol=1e-12)
