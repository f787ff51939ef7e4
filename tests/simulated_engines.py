"""What the engine computes in simulation: ``NUMBA_ENABLE_CUDASIM=1 python simulated_engines.py GROUP``."""

from unittest import mock

import naive
import numpy as np
from devices_compared import Both, near, same
from simulated import DIRECT, FUSED, NEAR, PATHS, Check, main, raised, small
from test_export import MODELS, drawn

import numbanet as nn
from numbanet.cpu import random
from numbanet.cuda import intrinsics as own
from numbanet.cuda import program, target
from numbanet.registry import get, names


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


    with Check("weights that threads add up over lanes themselves") as case, mock.patch.object(program, "MANY", 1):
        for choice in PATHS.values():
            both = Both(case, *drawn("convolution", "float64"), choice, batch=3)
            both.train()
            both.gradient()


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


if __name__ == "__main__":
    main(globals())
