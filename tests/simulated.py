"""Checks of the CUDA backend in Numba's simulator: ``NUMBA_ENABLE_CUDASIM=1 python simulated.py GROUP``.

Every check of a group is made, whatever became of those before; a line each says how it went.
"""

import math
import pickle
import sys
import tempfile
import time
import traceback
import warnings

import devices_compared
import naive
import numpy as np
from devices_compared import Both, near, same
from test_export import MODELS, drawn

import numbanet as nn
from numbanet.cpu import random
from numbanet.cuda import intrinsics as own
from numbanet.cuda import target
from numbanet.device import chosen
from numbanet.registry import entries, get, names

warnings.simplefilter("error")
FUSED, DIRECT = nn.CUDA(path="fused", threads=3, blocks=2, lanes=2), nn.CUDA(path="direct", threads=3, blocks=2)
PATHS = {"fused": FUSED, "direct": DIRECT}
NEAR = nn.CUDA(path="fused", threads=2, blocks=1, lanes=8)  # lanes in the memory that a block of threads shares
FAILED = []


class Check:
    """Notes how a check went, and goes on."""

    def __init__(self, case):
        self.case = case

    def __enter__(self):
        self.began = time.perf_counter()
        return self.case

    def __exit__(self, kind, error, trace):
        if error is not None:
            FAILED.append(self.case)
            print(f"FAIL {self.case}")
            traceback.print_exception(error, file=sys.stdout)
        else:
            print(f"ok   {self.case} ({time.perf_counter() - self.began:.1f} s)")
        return isinstance(error, Exception)


def small(layers, shape=(3,), n=5, dtype="float64", **options):
    return devices_compared.drawn(layers, shape, n, dtype, **options)


def models():
    """Every kind of layer, on both paths, with a last batch that is smaller."""
    for name in MODELS:
        for path, choice in PATHS.items():
            if name == "normalized" and path == "fused":
                continue  # it can't be
            for dtype in ("float64", "float32"):
                with Check(f"{name}, {path}, {dtype}") as case:
                    model, X = drawn(name, dtype)
                    both = Both(case, model, X[:5], choice, optimizer=nn.SGD(0.05, momentum=0.5), batch=3)
                    both.train(epochs=1)
                    both.gradient()
                    both.evaluate()


def formulas():
    """Every activation, loss, optimizer, regularizer and schedule, and ways to clip."""
    for dtype in ("float64", "float32"):
        for name in names("activation"):
            with Check(f"activation {name}, {dtype}") as case:
                Both(case, *small([nn.Dense(4, name), nn.Dense(2)], n=3, dtype=dtype), NEAR).gradient()
        losses = [*names("loss"), nn.loss("softmax_cross_entropy", label_smoothing=0.1), nn.loss("focal", gamma=3)]
        for loss in losses:
            with Check(f"loss {loss if isinstance(loss, str) else loss.params}, {dtype}") as case:
                both = Both(case, *small([nn.Dense(3)], n=4, dtype=dtype), NEAR, loss=loss)
                both.gradient()
                both.evaluate()
    with Check("soft targets") as case:
        rows = np.random.default_rng(0).dirichlet([1, 1, 1], 5)
        both = Both(case, *small([nn.Dense(3)]), NEAR, loss="softmax_cross_entropy", y=rows)
        both.classes = False
        both.everything()
    net = [nn.Dense(4, "tanh"), nn.Dense(2)]
    for name in names("optimizer"):
        with Check(f"optimizer {name}") as case:
            Both(case, *small(net), FUSED, optimizer=nn.optimizer(name, learning_rate=0.02)).train()
    clips = {"clip_value": {"clip_value": 0.02}, "clip_norm": {"clip_norm": 0.1}, "both": {
        "clip_value": 0.02, "clip_norm": 0.05}, "large clip_norm": {"clip_norm": 1e6}}
    for name, clip in clips.items():
        for path, choice in PATHS.items():
            with Check(f"{name}, {path}") as case:
                both = Both(case, *small(net), choice, optimizer=nn.SGD(0.5, momentum=0.5, **clip), regularizer="l2")
                changed(both, Both(case, *small(net), choice, optimizer=nn.SGD(0.5, momentum=0.5), regularizer="l2"),
                        name != "large clip_norm")
    normed = [nn.Dense(4), nn.BatchNorm(), nn.Dense(2)]
    with Check("running averages have no part in clip_norm") as case:
        both = Both(case, *small(normed, n=6), DIRECT, optimizer=nn.SGD(0.1, clip_norm=0.3), batch=3)
        changed(both, Both(case, *small(normed, n=6), DIRECT, optimizer=nn.SGD(0.1), batch=3))
    rules = {name: get("regularizer", name) for name in names("regularizer")}
    rules |= {"biases": nn.L2(0.1, biases=True), "projection": nn.MaxNorm(0.4)}
    rules["max_norm"] = nn.MaxNorm(0.6)
    for name, rule in rules.items():
        for path, choice in PATHS.items():
            with Check(f"regularizer {name}, {path}") as case:
                both = Both(case, *small(net), choice, regularizer=rule)
                changed(both, Both(case, *small(net), choice))
                if rule.penalty:
                    both.gradient()
    with Check("regularizers of layers") as case:
        own = [nn.Dense(4, "tanh", kernel_regularizer=nn.L1(0.1)), nn.Dense(2, bias_regularizer=nn.L2(0.3))]
        Both(case, *small(own), NEAR, regularizer="l2").everything()
    for path, choice in PATHS.items():
        with Check(f"penalties divided by a batch's weight, {path}") as case:
            weights = np.array([1, 2, 0.5, 3, 0.25])
            both = Both(case, *small(net), choice, regularizer=nn.L2(0.1), weights=weights, batch=2)
            both.train(penalized=True)
            both.gradient(penalized=True)
    schedules = [nn.ConstantSchedule(), nn.StepDecay(1, 0.5), nn.ExponentialDecay(2, 0.7), nn.InverseTimeDecay(3, 2.0),
                 nn.PolynomialDecay(3, 0.01, 2.0), nn.CosineDecay(3, 2, 0.02), nn.OneCycle(4)]
    assert {s.name for s in schedules} | {"bold_driver"} == set(names("schedule"))
    for schedule in schedules:
        with Check(f"schedule {schedule.name}") as case:
            Both(case, *small(net), NEAR, optimizer=nn.AdamW(0.1, schedule=schedule)).train()


def changed(both, plain, differs=True):
    """Both agree, and what was asked for made a difference, or did not."""
    found, before = both.train(), plain.params.copy()
    plain.on(plain.cpu, before)
    assert (np.abs(found - before).max() > 1e-6) == differs, f"{both.case}: what is tested changes nothing"


def data():
    """Noise, weights, indices, windows, orders, and the smallest sizes."""
    noises = {"dropout": ([nn.Dense(6), nn.Dropout(0.5)], (3,)), "gaussian noise": ([nn.GaussianNoise(0.3)], (4,)),
              "spatial dropout": ([nn.Conv2D(4, 2), nn.SpatialDropout(0.5), nn.Flatten()], (3, 3, 2)),
              "two noises": ([nn.Dropout(0.2), nn.GaussianNoise(0.1), nn.Dense(5), nn.Dropout(0.5)], (3,))}
    for name, (layers, shape) in noises.items():
        for path, choice in PATHS.items():
            with Check(f"{name}, {path}") as case:
                layers = [*layers, nn.Dense(3)] if name == "gaussian noise" else layers
                both = Both(case, *small(layers, shape, n=6), choice)
                outputs = [both.on(engine, both.params.copy())[3] for engine in (both.device, both.cpu)]
                near(case, "noise", *outputs, 1e-9)
                if "dropout" in name or name == "two noises":
                    same(case, "mask", *(out == 0 for out in outputs))
                    assert 0 < (outputs[0] == 0).mean() < 1, f"{case}: the mask is not one"
                both = Both(case, *small(layers, shape, n=6), choice, seed=11)
                both.everything()
                assert not np.array_equal(both.on(both.cpu, both.params.copy())[3], outputs[1]), f"{case}: seed"
    with Check("dropout in float32 drops the same") as case:
        both = Both(case, *small([nn.Dense(6), nn.Dropout(0.5)], dtype="float32"), NEAR)
        masks = [both.on(engine, both.params.copy())[3] == 0 for engine in (both.device, both.cpu)]
        same(case, "mask", *masks)
        assert 0 < masks[0].mean() < 1
    table = [[1, 0], [1, 1], [0, 1]]
    layers = {
        "embedding": ([nn.Embedding(5, 3), nn.Flatten(), nn.Dense(2)], (4,), 5),
        "connections": ([nn.Conv2D(3, 1, "tanh"), nn.Conv2D(2, 2, connections=table), nn.Flatten()], (3, 4, 2), 0),
        "windows that overlap": ([nn.Conv2D(2, 2), nn.MaxPool2D(3, strides=1), nn.AvgPool2D(2, strides=1), nn.Flatten(),
                                  nn.Dense(2)], (6, 6, 2), 0),
        "windows apart": ([nn.Conv2D(2, 2), nn.MaxPool2D(2, strides=3), nn.Conv2D(2, 1), nn.AvgPool2D(1, strides=2),
                           nn.Flatten(), nn.Dense(2)], (9, 8, 1), 0),
        "padding and strides": ([nn.Conv2D(2, 3, padding=2, strides=2), nn.Conv2D(2, 2, padding="same", dilation=2),
                                 nn.GlobalMaxPool()], (5, 4, 2), 0),
        "images normalized": ([nn.Conv2D(2, 2), nn.BatchNorm(), nn.Apply("relu"), nn.LayerNorm(), nn.Flatten(),
                               nn.Dense(2)], (3, 4, 1), 0),
        "shortcuts": ([nn.Dense(4), nn.Residual([nn.Dense(4, "tanh"), nn.Residual([nn.Dense(4)])]), nn.LayerNorm()],
                      (3,), 0),
    }  # fmt: skip
    for name, (parts, shape, indices) in layers.items():
        for path, choice in PATHS.items():
            if name != "images normalized" or path == "direct":
                with Check(f"{name}, {path}") as case:
                    model, X = small(parts, shape, indices=indices)
                    both = Both(case, model, X, choice, batch=3)
                    found = both.train()
                    both.gradient()
                    for p in model.graph.parameters:
                        if p.mask is not None:
                            weights = found[p.offset : p.end].reshape(p.shape) * ~p.mask
                            assert not weights.any(), f"{case}: a weight that is masked"
    with Check("the normalization of a batch needs all of it") as case:
        model, X = small([nn.BatchNorm(), nn.Dense(2)])
        both = Both(case, model, X, FUSED)
        raised(ValueError, "path='fused' can't normalize a batch", both.on, both.device, both.params)
    net = [nn.Dense(4, "tanh"), nn.Dense(3)]
    for path, choice in PATHS.items():
        with Check(f"weights, {path}") as case:
            weights = np.array([0, 0, 0.3, 5, 0, 1, 2.0])
            both = Both(case, *small(net, n=7), choice, loss="softmax_cross_entropy", weights=weights, batch=2)
            both.train(shuffle=False)  # the first batch has none
            both.train(epoch=2)
            both.gradient()
            both.evaluate()
        with Check(f"what has no weight may overflow, {path}") as case:
            model, X = small(net, n=4)
            X[1] = 1e300
            Both(case, model, X, choice, weights=np.array([1.0, 0, 1, 1]), optimizer=nn.SGD(0.0625)).evaluate()
        with Check(f"one sample, {path}") as case:
            Both(case, *small(net, n=1), choice).everything()
        with Check(f"batches of one, {path}") as case:
            Both(case, *small(net, n=3), choice, batch=1).everything()
        with Check(f"a batch of all, {path}") as case:
            Both(case, *small(net, n=5), choice, batch=100).everything()
        with Check(f"no shuffling, {path}") as case:
            both = Both(case, *small(net, n=7), choice, batch=3)
            both.train(shuffle=False)
            same(case, "order", both.device.order, np.arange(7))
        with Check(f"from epoch to epoch, {path}") as case:
            both = Both(case, *small(net, n=7), choice, batch=3, optimizer="adam")
            both.params = both.train(epochs=1)
            both.train(epochs=2, epoch=1)
        with Check(f"the same bits twice, {path}") as case:
            Both(case, *small([nn.Dense(4), nn.Dropout(0.5), nn.Dense(2)], n=7), choice, optimizer="adam").again()
        with Check(f"the step whose loss is not finite, {path}") as case:
            model, X = small(net, n=7)
            y = np.zeros((7, 3))
            y[5] = 1e200
            both = Both(case, model, X, choice, y=y, batch=2)
            found, ours = both.on(both.device, both.params.copy(), shuffle=False, epochs=1), both.on(
                both.cpu, both.params.copy(), shuffle=False, epochs=1)
            assert found[1] == ours[1] == 2, f"{case}: {found[1]} steps, on the CPU {ours[1]}"
            same(case, "backup", found[5], both.params)
    with Check("shares of work that are empty") as case:  # more threads than numbers
        Both(case, *small([nn.Dense(1)], (1,), n=2), nn.CUDA(path="direct", threads=9, blocks=2)).everything()
        Both(case, *small([nn.Dense(1)], (1,), n=3), nn.CUDA(path="fused", threads=2, blocks=4, lanes=1)).everything()
    oracle()
    orders()


def oracle():
    """The device's gradient beside differences of its loss, and a textbook's in NumPy."""
    for path, choice in PATHS.items():
        with Check(f"gradient beside NumPy's, {path}") as case:
            model, X = small([nn.Dense(4, "tanh"), nn.Dense(3, "softplus")], n=6)
            weights = np.array([1, 0, 2, 1, 0.5, 3])
            rule, loss = nn.L2(0.1), nn.loss("huber")
            both = Both(case, model, X, choice, regularizer=rule, loss=loss, weights=weights)
            take = lambda params, both=both: both.device.gradient(
                params, both.X, both.y, both.weights, classes=False, seed=1)
            value, gradient = take(both.params)
            expected = naive.loss_and_gradient(model, loss, both.params, X, both.y, weights, rule)
            near(case, "loss", value, expected[0], 1e-12)
            near(case, "gradient", gradient, expected[1], 1e-10)
            for i in range(0, both.params.size, 5):
                step = np.zeros(both.params.size)
                step[i] = 1e-5
                slope = (take(both.params + step)[0] - take(both.params - step)[0]) / 2e-5
                assert abs(slope - gradient[i]) < 1e-8, f"{case}: parameter {i}: {gradient[i]}, differences {slope}"


def orders():
    """Exchanges made at the same time give the order that they give one after the other."""
    both = Both("orders", *small([nn.Dense(1)], n=2), FUSED)  # whose blocks wait for one another
    both.on(both.device, both.params.copy())
    (launch,) = both.device._runner._launches.values()
    names = launch.space.names
    place, data, shuffle = names["Place"], names["Data"], names["shuffle"]

    def kernel(order, partial, sizes):
        at = place(own.thread(), own.threads(), own.block(), own.blocks(), 0, 1, 0)
        nothing = partial
        arrays = data(nothing, nothing, nothing, nothing, order, partial, nothing, own.sums())
        shuffle(at, arrays, sizes[0], sizes[1], sizes[2])

    for blocks, threads in ((1, 1), (2, 2)):
        with Check(f"orders made by {blocks} blocks of {threads} threads") as case:
            for n in range(1, 71):
                for seed, epoch in ((0, 0), (2**63 - 1, 3)) if threads > 1 else [(12345, n)]:
                    found, expected = np.full(3 * n, -1, np.int32), np.empty(n, np.int64)
                    numbers = np.array([n, seed, epoch])
                    arrays = found, np.zeros(6), numbers
                    target.Kernel(kernel, ("int32", "float64", "int64"), threads).prepare(blocks, 0, arrays)()
                    random.shuffle(expected, seed, epoch)
                    same(case, f"order of {n}, seed {seed}, epoch {epoch}", found[:n], expected)


def raised(kind, text, call, *arguments, **options):
    """The error has the text."""
    try:
        call(*arguments, **options)
    except kind as error:
        found = str(error)
    else:
        raise AssertionError(f"no {kind.__name__}")
    assert text in found, f"{text!r} is not in {found!r}"
    return found


RNG = np.random.default_rng(0)
SAMPLES = RNG.normal(size=(14, 3))
LABELS, REAL = RNG.integers(0, 3, 14), SAMPLES @ RNG.normal(size=(3, 2))
TINY = nn.CUDA(threads=2, blocks=2, lanes=4)


def trainer_on(device, loss="mean_squared_error", optimizer="adam", layers=None, **options):
    layers = layers or [nn.Dense(4, "tanh"), nn.Dense(3 if loss == "softmax_cross_entropy" else 2)]
    return nn.Trainer(nn.Sequential(layers), loss, optimizer, **{"dtype": "float64", "device": device, **options})


def fit(trainer, X=SAMPLES, y=REAL, **options):
    return trainer.fit(X, y, **{"epochs": 3, "batch_size": 8, "progress": False, **options})


def alike(case, found, expected, tolerance=1e-9):
    """Trainers have come to the same weights, and by the same way."""
    near(case, "weights", found.model.parameters, expected.model.parameters, tolerance)
    assert list(found.history) == list(expected.history), f"{case}: {list(found.history)}"
    for name in expected.history:
        near(case, name, found.history[name], expected.history[name], tolerance)
    assert found.epochs_done == expected.epochs_done, f"{case}: {found.epochs_done} epochs"
    near(case, "learning rate", found.learning_rate, expected.learning_rate, 1e-12)


def trainers():
    """What a user of the trainer sees."""
    ours = lambda: ("cpu", TINY)
    with Check("devices"):
        cpu, card = nn.devices()
        assert (cpu.usable, card.usable, card.name, card.description) == (True, True, "cuda", "simulated")
        assert chosen("auto") == chosen("cuda") == nn.CUDA()
        assert chosen("cpu") is None
    with Check("metrics, weights, validation and noise") as case:
        layers = [nn.Dense(5, "relu"), nn.Dropout(0.3), nn.Dense(3)]
        made = [trainer_on(device, "softmax_cross_entropy", nn.Adam(0.02, clip_norm=0.5), layers, regularizer="l2",
                           metrics=["accuracy", "top_k_accuracy"]) for device in ours()]
        for trainer in made:
            fit(trainer, y=LABELS, validation_data=(SAMPLES, LABELS), class_weight="balanced",
                sample_weight=np.arange(14))
        alike(case, made[1], made[0])
        near(case, "evaluation", *(list(t.evaluate(SAMPLES, LABELS).values()) for t in reversed(made)), 1e-9)
        near(case, "predictions", *(t.predict(SAMPLES) for t in reversed(made)), 1e-9)
        parts = [t.loss_and_gradient(SAMPLES, LABELS) for t in reversed(made)]
        near(case, "loss", parts[0][0], parts[1][0], 1e-9)
        near(case, "gradient", parts[0][1], parts[1][1], 1e-9)
    with Check("float32") as case:
        made = [trainer_on(device, optimizer=nn.SGD(0.1, momentum=0.9), dtype="float32") for device in ours()]
        for trainer in made:
            fit(trainer)
        alike(case, made[1], made[0], 1e-4)
    with Check("data that change in place from call to call") as case:
        made = [trainer_on(device, optimizer=nn.SGD(0.05)) for device in ours()]
        for trainer in made:
            X, y, weights = SAMPLES.copy(), REAL.copy(), np.ones(14)
            for _ in range(3):
                fit(trainer, X, y, sample_weight=weights, validation_data=(X, y))
                for array in (X, y, weights):
                    array[:7] /= 2
            trainer.history["loss"].append(trainer.evaluate(X, y)["loss"])
        alike(case, made[1], made[0])
    failures(ours)
    with Check("early stopping") as case:
        made, stops = [], []
        for device in ours():
            rates, stopping = iter([0.05, 0.05, 2.0, 2.0, 2.0, 2.0, 2.0]), nn.EarlyStopping(patience=2)
            disturb = lambda trainer, epoch, logs, rates=rates: setattr(trainer, "learning_rate", next(rates))
            made.append(trainer_on(device, optimizer=nn.SGD(0.05)))
            fit(made[-1], epochs=7, validation_data=(SAMPLES, REAL),
                callbacks=[nn.LambdaCallback(on_epoch_end=disturb), stopping])
            stops.append(stopping)
        alike(case, made[1], made[0], 1e-8)
        assert stops[0].best_epoch == stops[1].best_epoch < made[0].epochs_done, f"{case}: {stops[1].best_epoch}"
    with Check("a rate that is lowered") as case:
        made = [trainer_on(device, optimizer=nn.SGD(1e-9)) for device in ours()]
        for trainer in made:
            fit(trainer, epochs=4, callbacks=[nn.ReduceLROnPlateau("loss", patience=1, min_delta=1)])
        alike(case, made[1], made[0])
        assert made[1].learning_rate < 1e-9
    with Check("bold driver") as case:
        made = [trainer_on(device, optimizer=nn.SGD(0.2, momentum=0.5, schedule=nn.BoldDriver(1.5, 0.5)))
                for device in ours()]  # fmt: skip
        for trainer in made:
            fit(trainer, epochs=8, batch_size=14)
        alike(case, made[1], made[0])
        rates = np.diff(made[1].history["learning_rate"])
        assert rates.max() > 0 > rates.min(), f"{case}: every epoch went one way"
    with Check("a schedule") as case:
        made = [trainer_on(device, optimizer=nn.Adam(0.1, schedule=nn.CosineDecay(5, 2))) for device in ours()]
        for trainer in made:
            fit(trainer, epochs=2)
            fit(trainer, epochs=1)
        alike(case, made[1], made[0])
    moves(ours)


def failures(ours):
    """A loss that is not finite: the same words, and the weights from before the epoch."""
    late = nn.Schedule("late", rate=lambda step, learning_rate: learning_rate if step == 3 else 0.0)
    for loss, y in (("mean_squared_error", REAL), ("poisson", np.abs(REAL))):
        with Check(f"a loss that is not finite, {loss}") as case:
            made = [trainer_on(device, loss, nn.SGD(1e300, schedule=late), [nn.Dense(4, "relu"), nn.Dense(2)])
                    for device in ours()]  # fmt: skip
            texts = [raised(FloatingPointError, "is no longer finite, at epoch 3, step 1 of 2", fit, trainer, y=y,
                            epochs=5) for trainer in made]  # fmt: skip
            assert texts[0] == texts[1], f"{case}: {texts[1]!r}, on the CPU {texts[0]!r}"
            assert np.isfinite(made[1].model.parameters).all(), f"{case}: weights"
            alike(case, made[1], made[0])
    with Check("weights are put back, and training goes on") as case:
        made = [trainer_on(device) for device in ours()]
        bad = SAMPLES.copy()
        bad[12:] = 1e200
        targets = REAL.copy()
        targets[13] = 1e200
        for trainer in made:
            fit(trainer)
            before = trainer.model.parameters.copy()
            raised(FloatingPointError, "at epoch 4, step 2 of 2", fit, trainer, bad, targets, epochs=2, shuffle=False)
            same(case, f"weights on {trainer.device}", trainer.model.parameters, before)
            fit(trainer)
        alike(case, made[1], made[0])


def moves(ours):
    """From device to device, by call, by checkpoint, by pickle."""
    at_once = trainer_on("cpu", optimizer="adam")
    fit(at_once, epochs=4)
    for first, second in (ours(), reversed(ours())):
        with Check(f"a checkpoint of {first}, resumed on the other") as case, tempfile.TemporaryDirectory() as folder:
            begun = trainer_on(first, optimizer="adam")
            fit(begun, epochs=2, callbacks=[nn.Checkpoint(folder)])
            trainer = trainer_on(second, optimizer="adam", seed=3)
            assert trainer.resume(folder) == 0
            fit(trainer, epochs=2)
            alike(case, trainer, at_once)
        with Check(f"from {first} to the other") as case:
            trainer = trainer_on(first, optimizer="adam")
            fit(trainer, epochs=2)
            engine = trainer._engine
            assert trainer.to(second) is trainer
            fit(trainer, epochs=2)
            assert type(trainer._engine) is not type(engine), f"{case}: it stayed where it was"
            alike(case, trainer, at_once)
            raised(ValueError, "device must be one of cpu, cuda, auto", trainer.to, "gpu")
            same(case, "device", trainer.device, second)
    with Check("from one way to use the card to another") as case:
        trainer = trainer_on(FUSED, optimizer="adam")
        fit(trainer, epochs=2)
        fit(trainer.to(DIRECT), epochs=2)
        alike(case, trainer, at_once)
    with Check("moved before anything was built") as case:
        trainer = trainer_on("cpu", optimizer="adam").to(TINY)
        fit(trainer, epochs=4)
        alike(case, trainer, at_once)
        assert type(trainer._engine).__name__ == "DeviceEngine"
    with Check("pickled") as case:
        trainer = trainer_on(TINY, optimizer="adam")
        fit(trainer, epochs=2)
        other = pickle.loads(pickle.dumps(trainer))
        assert other.device == TINY
        for each in (trainer, other):
            fit(each, epochs=2)
        same(case, "weights", other.model.parameters, trainer.model.parameters)
        alike(case, other, at_once)


def plugins():
    """Formulas of plugins, and made on the spot; layers with kernels of their own."""
    net = lambda activation: [nn.Dense(4, activation), nn.Dense(2)]
    found = {kind: [e.spec for k, e in entries() if k == kind and e.distribution != "numbanet"]
             for kind in ("activation", "loss", "regularizer")}
    assert all(found.values()), found
    for dtype in ("float64", "float32"):
        for spec in found["activation"]:
            with Check(f"activation {spec.name}, {dtype}") as case:
                Both(case, *small(net(spec), n=3, dtype=dtype), NEAR).gradient()
        for spec in found["loss"]:
            with Check(f"loss {spec.name}, {dtype}") as case:
                Both(case, *small([nn.Dense(3)], n=4, dtype=dtype), NEAR, loss=spec).gradient()
        for spec in found["regularizer"]:
            with Check(f"regularizer {spec.name}, {dtype}") as case:
                Both(case, *small(net("tanh"), dtype=dtype), NEAR, regularizer=spec).train()
    with Check("made on the spot") as case:
        bent = nn.Activation("bent", forward=lambda x, a: x if x > a else a * math.expm1(x), params={"a": 0.2})
        loss = nn.Loss("quartic", loss=lambda output, target: 0.25 * (output - target) ** 4)
        step = nn.Optimizer("heavy", update=lambda p, g, m, c, learning_rate: (p - learning_rate * c * (m + g), m + g),
                            states={"m": 0.0}, coefficients=lambda t, learning_rate: (1.0 / t,),
                            params={"learning_rate": 0.02})  # fmt: skip
        rule = nn.Regularizer("soft", penalty=lambda w: 0.01 * math.log1p(w * w))
        for choice in PATHS.values():
            Both(case, *small(net(bent)), choice, loss=loss, optimizer=step, regularizer=rule).everything()
    with Check("a layer with kernels of its own") as case:
        from numbanet_rbf import RadialBasis

        model, X = small([RadialBasis(4, "inverse_quadratic"), nn.Dense(2)])
        both = Both(case, model, X, NEAR)
        both.evaluate()
        raised(ValueError, "numbanet_rbf.kernels.gradient has no counterpart on the GPU", both.on, both.device,
               both.params)  # fmt: skip
        same(case, "weights", both.params, model.parameters)


def main():
    globals()[sys.argv[1]]()
    print(f"failed: {', '.join(FAILED)}" if FAILED else "all agree")
    sys.exit(bool(FAILED))


if __name__ == "__main__":
    main()
