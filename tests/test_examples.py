"""The examples of the documentation: each runs, and does what its page says."""

import doctest
import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest

import numbanet as nn

PACKAGE = Path(nn.__file__).parent
DOCUMENTED = [
    ".".join(("numbanet", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8") and "template" not in path.parts
]
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("module", DOCUMENTED)
def test_examples_of_docstrings(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0


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
