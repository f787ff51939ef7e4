"""The examples of the documentation: each runs, and does what its page says."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
pytestmark = pytest.mark.compiled


def run(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def test_every_example_is_tested():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_neural_ode(capsys):
    found = run("neural_ode")
    assert found["error"] < 0.1
    assert found["agreement"] < 1e-3
    assert "ns each" in capsys.readouterr().out


def test_surrogate():
    found = run("surrogate")
    assert found["expensive"](found["found"].x) < found["y"].min()
    assert found["found"].success


def test_molecular_dynamics():
    found = run("molecular_dynamics")
    assert np.ptp(found["total"]) < 1e-4
    assert np.sqrt(np.mean((found["learned"] - found["energies"]) ** 2)) < 0.1


def test_policy():
    assert run("policy")["kept"] > 900
