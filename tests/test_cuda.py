"""Training on the device, in a simulation of one; `test_gpu` compares the same on a card."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import packages
import pytest
from numba import config

import numbanet as nn
from numbanet.device import chosen

compiled = pytest.mark.compiled
HERE = Path(__file__).parent
PLUGINS = ("numbanet-activations-extra", "numbanet-losses-robust", "numbanet-rbf", "numbanet-sparse")


def run(*arguments, environment=os.environ, **variables):
    path = os.pathsep.join([str(HERE), environment.get("PYTHONPATH", ""), *sys.path])
    return subprocess.run(
        [sys.executable, *arguments], env={**environment, "PYTHONPATH": path, **variables}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


@compiled
@pytest.mark.parametrize(("file", "group"), [
    ("engines", "models"), ("engines", "formulas"), ("engines", "data"), ("trainers", "trainers"),
])  # fmt: skip
def test_agrees_with_the_cpu(file, group):
    done = run(str(HERE / f"simulated_{file}.py"), group, NUMBA_ENABLE_CUDASIM="1")
    assert done.stdout.endswith("\nall agree\n"), done.stdout + done.stderr
    assert done.returncode == 0


@compiled
def test_plugins_agree_with_the_cpu(tmp_path):
    found = []
    for name in PLUGINS:
        site = tmp_path / name
        found.append(packages.install(packages.PLUGINS / name, site)["PYTHONPATH"])
    done = run(
        str(HERE / "simulated_trainers.py"), "plugins", NUMBA_ENABLE_CUDASIM="1",
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
    )  # fmt: skip
    assert done.stdout.endswith("\nall agree\n"), done.stdout + done.stderr


# -- what can't be used ---------------------------------------------------------------------


@pytest.fixture
def no_numba_cuda(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(config, "ENABLE_CUDASIM", False)
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "numba_cuda" else find(name))


def trainer(**options):
    return nn.Trainer(nn.Sequential([nn.Dense(1)]), "mean_squared_error", **options)


def test_without_numba_cuda(no_numba_cuda):
    problem = r"numba-cuda is not installed: pip install 'numbanet\[cuda\]'"
    for wanted in ("cuda", nn.CUDA(threads=64)):
        with pytest.raises(RuntimeError, match=re.escape(f"device={wanted!r} can't be used: ")):
            trainer(device=wanted)
        with pytest.raises(RuntimeError, match=problem):
            trainer().to(wanted)
    cpu, card = nn.devices()
    assert cpu.usable
    assert cpu.name == "cpu"
    assert not card.usable
    assert "pip install 'numbanet[cuda]'" in card.problem


@compiled
def test_auto_falls_back(no_numba_cuda):
    fitted = trainer(device="auto", seed=3)
    fitted.fit([[1.0], [2.0], [4.0]], [1.0, 3.0, 2.0], epochs=2, progress=False)
    expected = trainer(device="cpu", seed=3)
    expected.fit([[1.0], [2.0], [4.0]], [1.0, 3.0, 2.0], epochs=2, progress=False)
    assert (fitted.model.parameters == expected.model.parameters).all()
    assert type(fitted._engine) is type(expected._engine)


@compiled
def test_a_refused_device_changes_nothing(no_numba_cuda):
    fitted = trainer(seed=3)
    fitted.fit([[1.0], [2.0]], [1.0, 3.0], epochs=1, progress=False)
    engine = fitted._engine
    with pytest.raises(RuntimeError):
        fitted.to("cuda")
    assert fitted.device == "cpu"
    assert fitted._engine is engine


def test_no_card(monkeypatch):
    """The package is there; a driver or a card is not."""
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: spec("sys" if name == "numba_cuda" else name))
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    target = pytest.importorskip("numbanet.cuda.target")
    monkeypatch.setattr(target, "why_not", lambda: "no NVIDIA card with a driver was found")
    with pytest.raises(RuntimeError, match="device='cuda' can't be used: no NVIDIA card with a driver was found"):
        trainer(device="cuda")
    assert nn.devices()[1].problem == "no NVIDIA card with a driver was found"
    assert chosen("auto") is None


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:0", None, 0, nn.CUDA])
def test_unknown_devices(name):
    with pytest.raises(ValueError, match=r"device must be one of cpu, cuda, auto, or nn.CUDA\(...\); got"):
        trainer(device=name)


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"path": "both"}, ValueError, "path must be one of fused, direct, gemm; got 'both'"),
    ({"threads": 1025}, ValueError, "threads must be at most 1,024, got 1025"),
    ({"threads": 0}, ValueError, "threads must be"),
    ({"threads": 2.5}, ValueError, "threads must be a whole number"),
    ({"blocks": True}, TypeError, "blocks must be a whole number"),
    ({"blocks": -1}, ValueError, "blocks must be"),
    ({"lanes": "8"}, TypeError, "lanes must be"),
])
def test_wrong_ways_to_use_a_card(options, kind, message):
    with pytest.raises(kind, match=message):
        nn.CUDA(**options)


def test_whole_numbers_become_int():
    choice = nn.CUDA(threads=64.0, blocks=np.int64(3))
    assert choice == nn.CUDA(threads=64, blocks=3)
    assert [type(value) for value in (choice.threads, choice.blocks)] == [int, int]


def test_the_name_of_a_function_stays_its_own():
    """A module of its name would take its place once it is imported."""
    nn.Trainer  # noqa: B018
    assert callable(nn.devices)


@compiled
def test_where_nothing_is_compiled():
    script = """
import numbanet as nn
print(nn.devices()[1].problem)
try:
    nn.Trainer(nn.Sequential([nn.Dense(1)]), "mse", device="cuda")
except RuntimeError as error:
    print(error)
print(nn.Trainer(nn.Sequential([nn.Dense(1)]), "mse", device="auto").fit([[1.0]], [1.0], progress=False).epochs)
"""
    done = run("-c", script, NUMBA_DISABLE_JIT="1", NUMBA_ENABLE_CUDASIM="1")
    problem = "NUMBA_DISABLE_JIT is set, under which nothing is compiled"
    assert done.stdout == f"{problem}\ndevice='cuda' can't be used: {problem}\n10\n", done.stderr
