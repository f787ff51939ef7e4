"""Training on a card, beside the CPU: ``pytest -m gpu``."""

import functools
import importlib.util

import numpy as np
import pytest
from numba import config

import numbanet as nn
from numbanet.device import why_not_cuda

MISSING = "NUMBA_ENABLE_CUDASIM is set, which simulates a card" if config.ENABLE_CUDASIM else why_not_cuda()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(MISSING), reason=f"no card: {MISSING}")]
if not MISSING:
    import devices_compared
    from devices_compared import Both, near, same

DTYPES = ("float32", "float64")
WAYS = {
    "fused": nn.CUDA(path="fused"), "direct": nn.CUDA(path="direct"), "chosen": nn.CUDA(),
    "few threads": nn.CUDA(path="fused", threads=32, blocks=3, lanes=16),
    "odd sizes": nn.CUDA(path="direct", threads=96, blocks=7),
}  # fmt: skip
EXACT = {"float32": 5e-4, "float64": 1e-8}  # after some epochs


def dense(*units, activation="relu"):
    return [*(nn.Dense(n, activation) for n in units[:-1]), nn.Dense(units[-1])]


def lenet():
    return [
        nn.Conv2D(6, 5, "tanh", padding=2), nn.AvgPool2D(2), nn.Conv2D(16, 5, "tanh"), nn.MaxPool2D(2), nn.Flatten(),
        *dense(120, 84, 10, activation="tanh"),
    ]  # fmt: skip


# layers, shape of a sample, samples, batch, loss; of an Embedding also how many words
CASES = {
    "64-64-64-64": (lambda: dense(64, 64, 64), (64,), 3000, 1000, "mean_squared_error"),
    "784-128-10": (lambda: dense(128, 10), (784,), 2100, 128, "softmax_cross_entropy"),
    "512-512-16": (lambda: dense(512, 512, 16, activation="tanh"), (200,), 700, 128, "mean_squared_error"),
    "lenet": (lenet, (28, 28, 1), 400, 128, "softmax_cross_entropy"),
    "dropout": (lambda: [nn.Dropout(0.2), nn.Dense(100, "gelu"), nn.Dropout(0.5), nn.Dense(40, "silu"),
                         nn.GaussianNoise(0.1), nn.Dense(10)], (30,), 1500, 64, "softmax_cross_entropy"),
    "spatial dropout": (lambda: [nn.Conv2D(8, 3, "relu"), nn.SpatialDropout(0.3), nn.Conv2D(8, 3, strides=2),
                                 nn.Flatten(), nn.Dense(3)], (12, 11, 3), 300, 50, "mean_squared_error"),
    "normalized": (lambda: [nn.Dense(50), nn.BatchNorm(), nn.Apply("relu"), nn.Dense(30), nn.LayerNorm(),
                            nn.Dense(5)], (20,), 900, 200, "mean_squared_error"),
    "images normalized": (lambda: [nn.Conv2D(8, 3, padding="same"), nn.BatchNorm(), nn.Apply("relu"), nn.MaxPool2D(2),
                                   nn.Residual([nn.Conv2D(8, 3, padding="same"), nn.BatchNorm()]), nn.GlobalAvgPool(),
                                   nn.Dense(4)], (10, 10, 2), 300, 64, "mean_squared_error"),
    "embedding": (lambda: [nn.Embedding(500, 16), nn.Conv1D(12, 3, "relu"), nn.GlobalMaxPool(), nn.Dense(5)],
                  (20,), 1000, 100, "softmax_cross_entropy", 500),
}  # fmt: skip


@functools.cache
def drawn(name, dtype):
    layers, shape, n, _, _, *words = CASES[name]
    return devices_compared.drawn(layers(), shape, n, dtype, indices=words[0] if words else 0)


def both(case, name, dtype, way, **options):
    _, _, _, batch, loss, *_ = CASES[name]
    options = {"optimizer": nn.SGD(0.01, momentum=0.9), "batch": batch, "tolerance": EXACT[dtype], **options}
    return Both(case, *drawn(name, dtype), WAYS[way], loss=loss, **options)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_the_cpu(name, dtype, way):
    if "normalized" in name and WAYS[way].path == "fused":
        with pytest.raises(ValueError, match="path='fused' can't normalize a batch"):
            both(name, name, dtype, way).everything()
        return
    one = both(f"{name}, {dtype}, {way}", name, dtype, way)
    one.gradient()
    one.evaluate()
    one.train()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_same_bits_twice(name, dtype, way):
    if "normalized" in name and WAYS[way].path == "fused":
        pytest.skip("blocks of threads can't normalize a batch that is spread over them")
    both(f"{name}, {dtype}, {way}", name, dtype, way, optimizer="adam").again()


@pytest.mark.parametrize("way", WAYS)
def test_masks_are_the_cpus(way):
    model, X = devices_compared.drawn([nn.Dense(50), nn.Dropout(0.5)], (10,), 2000)
    one = Both(way, model, X, WAYS[way], batch=300)
    masks = [one.on(engine, one.params.copy())[3] == 0 for engine in (one.device, one.cpu)]
    same(way, "mask", *masks)
    assert 0.4 < masks[0].mean() < 0.6


@pytest.mark.parametrize("samples", [2, 33, 1000, 65_537])
@pytest.mark.parametrize("way", WAYS)
def test_orders_are_the_cpus(samples, way):
    model, X = devices_compared.drawn([nn.Dense(1)], (1,), samples)
    one = Both(way, model, X, WAYS[way], batch=-(-samples // 2), optimizer=nn.SGD(1e-3))
    for seed in (0, 2**62 + 1):
        one.seed = seed
        orders = [one.on(engine, one.params.copy(), epoch=3)[2] for engine in (one.device, one.cpu)]
        same(f"{way}, {samples} samples", "order", *orders)
        same(way, "samples", np.sort(orders[0]), np.arange(samples))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", [
    {"optimizer": nn.Adam(0.003, clip_norm=0.1)}, {"optimizer": nn.SGD(0.1, clip_value=1e-3)},
    {"optimizer": nn.AdamW(0.01, schedule=nn.CosineDecay(10, 2))}, {"optimizer": "rmsprop", "regularizer": "l2"},
    {"regularizer": nn.MaxNorm(0.5)}, {"regularizer": nn.ElasticNet(0.01)},
], ids=["clip_norm", "clip_value", "schedule", "l2", "max_norm", "elastic_net"])
def test_updates(options, way):
    both(way, "64-64-64-64", "float64", way, **options).train()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_of_samples(dtype, way):
    weights = np.random.default_rng(4).uniform(0, 3, 2100).astype(dtype)
    weights[:700] = 0
    one = both(way, "784-128-10", dtype, way, weights=weights)
    one.train(shuffle=False)
    one.train(epochs=1)
    one.gradient()
    one.evaluate()


@pytest.mark.parametrize("way", WAYS)
def test_penalties_divided(way):
    one = both(way, "64-64-64-64", "float64", way, regularizer=nn.L2(0.1))
    one.train(penalized=True)
    one.gradient(penalized=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 31])
@pytest.mark.parametrize("way", WAYS)
def test_few_samples(n, dtype, way):
    model, X = devices_compared.drawn(dense(5, 3), (4,), n, dtype)
    Both(way, model, X, WAYS[way], batch=7, optimizer=nn.SGD(0.02)).everything()


def trainers(loss="softmax_cross_entropy", **options):
    """One on each device."""
    return [nn.Trainer(nn.Sequential([nn.Dense(32, "tanh"), nn.Dropout(0.2), nn.Dense(3)]), loss,
                       **{"dtype": "float64", "device": device, **options}) for device in ("cpu", "cuda")]  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(1000, 8)), rng.integers(0, 3, 1000)


def test_trainer(data):
    made = trainers(optimizer=nn.Adam(0.01), metrics=["accuracy"])
    for trainer in made:
        trainer.fit(*data, epochs=5, batch_size=64, validation_data=data, class_weight="balanced", progress=False)
    ours, theirs = made
    for name in ours.history:
        near("trainer", name, theirs.history[name], ours.history[name], 1e-7)
    near("trainer", "weights", theirs.model.parameters, ours.model.parameters, 1e-6)
    theirs.to("cpu")
    for trainer in made:
        trainer.fit(*data, epochs=2, batch_size=64, progress=False)
    near("back on the CPU", "weights", theirs.model.parameters, ours.model.parameters, 1e-6)


def test_resumed(data, tmp_path):
    ours, theirs = trainers(seed=4)
    ours.fit(*data, epochs=2, callbacks=[nn.Checkpoint(tmp_path)], progress=False)
    theirs.resume(tmp_path)
    for trainer in (ours, theirs):
        trainer.fit(*data, epochs=2, progress=False)
    near("resumed", "weights", theirs.model.parameters, ours.model.parameters, 1e-6)


def test_a_loss_that_is_not_finite(data):
    late = nn.Schedule("late", rate=lambda step, learning_rate: learning_rate if step == 20 else 0.0)
    texts = []
    for trainer in trainers("mean_squared_error", optimizer=nn.SGD(1e300, schedule=late)):
        with pytest.raises(FloatingPointError, match="is no longer finite, at epoch 2, step 6 of 16") as found:
            trainer.fit(data[0], data[0][:, :3], epochs=5, batch_size=64, progress=False)
        texts.append(str(found.value))
        assert np.isfinite(trainer.model.parameters).all()
    assert texts[0] == texts[1]


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_arrays_of_the_card(data):
    import cupy

    made = trainers(optimizer=nn.SGD(0.1))[1], trainers(optimizer=nn.SGD(0.1))[1]
    for trainer, module in zip(made, (np, cupy), strict=True):
        trainer.fit(*(module.asarray(a) for a in data), epochs=3, progress=False)
    same("arrays of the card", "weights", made[1].model.parameters, made[0].model.parameters)
