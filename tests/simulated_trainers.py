"""What users see in simulation: ``NUMBA_ENABLE_CUDASIM=1 python simulated_trainers.py GROUP``."""

import math
import pickle
import tempfile

import numpy as np
from devices_compared import Both, near, same
from simulated import DIRECT, FUSED, NEAR, PATHS, Check, main, raised, small

import numbanet as nn
from numbanet.device import chosen
from numbanet.registry import entries

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


if __name__ == "__main__":
    main(globals())
