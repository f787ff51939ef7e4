"""The same seed gives the same bits, wherever and beside whatever training runs."""

import hashlib
import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest

import numbanet as nn
from numbanet.cpu import runner

RNG = np.random.default_rng(0)
X = RNG.normal(size=(230, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


def train(seed=0, *, optimizer="adam", epochs=2, batch_size=100, fit_options=None, **options):
    model = nn.Sequential([nn.Dense(9, activation="tanh"), nn.Dense(3)])
    trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, **{"seed": seed, "threads": 1, **options})
    trainer.fit(X, Y, epochs=epochs, batch_size=batch_size, **{"progress": False, **(fit_options or {})})
    return trainer


def bits(*arguments, **options):
    return train(*arguments, **options).model.parameters.tobytes()


@pytest.fixture
def eager(monkeypatch):
    """Workers run, however small a step is."""
    monkeypatch.setattr(runner, "SMALL_STEP", 0)
    teams = []
    run_team = runner.run_team

    def counted(workers, work, meeting):
        teams.append(workers)
        return run_team(workers, work, meeting)

    monkeypatch.setattr(runner, "run_team", counted)
    return teams


def everywhere(work, count=4):
    """Results of work(i) on threads that start together."""
    start, results = threading.Barrier(count), [None] * count

    def run(i):
        start.wait()
        try:
            results[i] = work(i)
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_again(dtype):
    assert bits(dtype=dtype) == bits(dtype=dtype)
    assert train(dtype=dtype, metrics=["accuracy"]).history == train(dtype=dtype, metrics=["accuracy"]).history


def test_seeds_differ():
    assert len({bits(seed) for seed in range(5)}) == 5


def test_seed_decides_the_order_of_a_built_model():
    def ordered(seed):
        model = nn.Sequential([nn.Dense(3)], input_shape=5)
        nn.Trainer(model, "softmax_cross_entropy", seed=seed).fit(X, Y, epochs=1, progress=False)
        return model.parameters.tobytes()

    assert ordered(0) == ordered(0) != ordered(1)


def test_python_and_numpy_generators_have_no_part():
    import random

    before = bits()
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert bits() == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer", ["adam", nn.SGD(0.1, clip_norm=0.5)], ids=["adam", "clipped"])
def test_again_with_threads(eager, threads, optimizer):
    results = {bits(threads=threads, optimizer=optimizer) for _ in range(4)}
    assert len(results) == 1
    assert set(eager) == {threads}


@pytest.mark.compiled  # NumPy's matrix product depends on how many rows it is given
@pytest.mark.parametrize("optimizer", ["adam", nn.SGD(0.1, clip_norm=0.5), nn.SGD(0.1, momentum=0.9, clip_value=0.01)],
                         ids=["adam", "clip_norm", "clip_value"])
@pytest.mark.parametrize("regularizer", [None, nn.L2(0.01), nn.MaxNorm(0.5)], ids=["plain", "l2", "max_norm"])
def test_deterministic(eager, optimizer, regularizer):
    options = {"deterministic": True, "optimizer": optimizer, "regularizer": regularizer, "batch_size": 150}
    results = {bits(threads=threads, **options) for threads in (1, 2, 3)}
    assert len(results) == 1
    assert set(eager) == {1, 2, 3}


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [30, 300])
def test_deterministic_with_large_batches_and_layers(eager, dtype, units):
    rng = np.random.default_rng(1)
    samples = rng.normal(size=(1500, 40))
    targets = rng.normal(size=(1500, 7))
    weights = rng.uniform(0, 2, 1500)

    def result(threads):
        model = nn.Sequential([nn.Dense(units, activation="gelu"), nn.Dense(units, activation="softmax"), nn.Dense(7)])
        trainer = nn.Trainer(model, "huber", regularizer=nn.MaxNorm(1.0), dtype=dtype, threads=threads,
                             deterministic=True, metrics=["mean_absolute_error"])
        trainer.fit(samples, targets, epochs=2, batch_size=1111, sample_weight=weights, progress=False)
        loss, gradient = trainer.loss_and_gradient(samples, targets)
        return model.parameters.tobytes(), repr(trainer.history), loss, gradient.tobytes()

    assert len({result(threads) for threads in (1, 2, 3)}) == 1
    assert set(eager) == {1, 2, 3}


@pytest.mark.compiled
@pytest.mark.parametrize("optimizer", ["adam", "adadelta", "rmsprop", "nadam"])
def test_deterministic_where_updates_are_fused(eager, optimizer):
    """A worker's share of the parameters then ends anywhere, not at a multiple of the vector's width."""
    def result(threads):
        model = nn.Sequential([nn.Dense(301, activation="tanh"), nn.Dense(301, activation="tanh"), nn.Dense(3)])
        trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, threads=threads, deterministic=True)
        trainer.fit(X, Y, epochs=2, batch_size=33, progress=False)
        return model.parameters.tobytes()

    assert len({result(threads) for threads in (1, 2, 3)}) == 1
    assert set(eager) == {1, 2}


@pytest.mark.parametrize("deterministic", [False, True])
def test_threads_agree_to_rounding(eager, deterministic):
    options = {"optimizer": nn.SGD(0.1, clip_norm=0.5), "regularizer": nn.MaxNorm(0.5), "deterministic": deterministic}
    one, two, three = (train(threads=threads, **options).model.parameters for threads in (1, 2, 3))
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(three, one, rtol=1e-4, atol=1e-6)
    assert set(eager) == {1, 2, 3}


# Whatever else is asked for


class Silent(nn.Callback):
    pass


@pytest.mark.parametrize("options", [
    {"fit_options": {"callbacks": [Silent()]}}, {"metrics": ["accuracy"]}, {"fit_options": {"progress": True}},
    {"fit_options": {"validation_data": (X[:50], Y[:50])}},
    {"metrics": ["accuracy"], "fit_options": {"callbacks": [nn.EarlyStopping(patience=99)], "validation_data": (X, Y)}},
], ids=["callback", "metrics", "progress", "validation", "all"])  # fmt: skip
def test_watching_does_not_change_training(options, capsys):
    watched = train(epochs=7, **options)
    plain = train(epochs=7)
    if any(isinstance(c, nn.EarlyStopping) for c in options.get("fit_options", {}).get("callbacks", ())):
        assert watched.history["loss"] == plain.history["loss"]
    else:
        assert watched.model.parameters.tobytes() == plain.model.parameters.tobytes()
    assert watched.history["loss"] == plain.history["loss"]
    capsys.readouterr()


def test_history_does_not_depend_on_being_watched():
    """Without callbacks many epochs are one call."""
    optimizer = nn.SGD(0.1, schedule=nn.ExponentialDecay(10, 0.5))
    watched = train(epochs=9, optimizer=optimizer, fit_options={"callbacks": [Silent()]})
    assert watched.history == train(epochs=9, optimizer=optimizer).history


# Beside others


def test_training_from_several_threads_at_once():
    alone = [bits(seed) for seed in range(4)]
    assert everywhere(lambda i: [bits(i) for _ in range(2)]) == [[each] * 2 for each in alone]


def test_teams_from_several_threads_at_once(eager):
    alone = [bits(seed, threads=2, epochs=1) for seed in range(3)]
    assert everywhere(lambda i: bits(i, threads=2, epochs=1), 3) == alone


@pytest.mark.compiled
def test_first_use_from_several_threads_at_once():
    """The threads race for the compiler, too."""
    def result(i):
        model = nn.Sequential([nn.Dense(4, activation=nn.Activation(
            f"mine{i}", forward=lambda x, c: x + c * x * x, derivative=lambda x, y, c: 1 + 2 * c * x,
            params={"c": 0.01 * i})), nn.Dense(3)])
        nn.Trainer(model, "softmax_cross_entropy", threads=1).fit(X, Y, epochs=1, progress=False)
        return model.parameters.tobytes()

    together = everywhere(result)
    assert together == [result(i) for i in range(4)]
    assert len(set(together)) == 4


def test_predicting_while_another_model_trains():
    model = train().model
    expected = model.predict(X).tobytes()
    alone = bits(3, epochs=6)

    def work(i):
        return bits(3, epochs=6) if i == 0 else {model.predict(X).tobytes() for _ in range(20)}

    assert everywhere(work, 3) == [alone, {expected}, {expected}]


def test_one_trainer_evaluates_while_another_trains():
    trainer = train(metrics=["accuracy"])
    expected = trainer.evaluate(X, Y)
    results = everywhere(lambda i: bits(1) if i else [trainer.evaluate(X, Y) for _ in range(5)], 2)
    assert results == [[expected] * 5, bits(1)]


def _child(queue, threads):
    runner.SMALL_STEP = 0
    queue.put(hashlib.sha256(bits(threads=threads)).hexdigest())


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_forked_child(eager, threads):
    expected = hashlib.sha256(bits(threads=threads)).hexdigest()  # trains in the parent
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=_child, args=(queue, threads)) for _ in range(2)]
    for child in children:
        child.start()
    results = [queue.get(timeout=120) for _ in children]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert results == [expected] * 2
    assert hashlib.sha256(bits(threads=threads)).hexdigest() == expected


SECOND = """
import sys
sys.path.insert(0, sys.argv[1])
import hashlib, test_reproducible as t
t.runner.SMALL_STEP = 0
print(*(hashlib.sha256(t.bits(threads=int(n))).hexdigest() for n in sys.argv[2:]))
"""


@pytest.mark.compiled
@pytest.mark.parametrize("cache", ["shared", "empty"])
def test_second_process(eager, request, tmp_path, monkeypatch, cache):
    if cache == "empty":
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    expected = [hashlib.sha256(bits(threads=threads)).hexdigest() for threads in (1, 2)]
    folder = str(request.path.parent)
    command = [sys.executable, "-c", SECOND, folder, "1", "2"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == expected
