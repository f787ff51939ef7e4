"""Importing numbanet is cheap, and gives what it says."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import numbanet

HEAVY = ("numba", "llvmlite", "scipy", "rich", "matplotlib", "sklearn", "pandas", "click", "pluggy", "safetensors",
         "onnx")


def python(code):
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return json.loads(result.stdout)


def test_import_is_light():
    assert python(f"import numbanet, sys, json; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))") == []


def test_model_without_compiling():
    """Numba comes with the first training or prediction."""
    code = ("import numbanet as nn, sys, json; m = nn.Sequential([nn.Dense(3, 'relu')], input_shape=2); "
            "t = nn.Trainer(m, 'softmax_cross_entropy'); repr(t.model); m.summary(); "
            "print(json.dumps([m for m in ('numba', 'scipy', 'rich', 'matplotlib', 'sklearn') if m in sys.modules]))")
    assert python(code) == []


@pytest.mark.parametrize("name", numbanet.__all__)
def test_every_name(name):
    assert getattr(numbanet, name) is getattr(numbanet, name)


def test_type_checkers_see_every_name():
    stub = Path(numbanet.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    found = [
        (node.module, name.name, name.asname)
        for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom) for name in node.names
    ]  # fmt: skip
    submodules = numbanet._SUBMODULES + numbanet._WITH_EXTRAS
    expected = [(f"numbanet.{module}", name) for name, module in numbanet._OWNERS.items()]
    expected += [("numbanet", name) for name in submodules]
    assert sorted(found) == sorted((module, name, name) for module, name in expected)


def test_star_import():
    names = {}
    exec("from numbanet import *", names)
    assert set(numbanet.__all__) <= set(names)


def test_dir():
    names = dir(numbanet)
    assert len(names) == len(set(names))
    assert set(numbanet.__all__) | {"__version__"} <= set(names)
    assert numbanet.__all__ == sorted(set(numbanet.__all__))


def test_names_of_the_readme():
    for name in ("Sequential", "Dense", "Trainer", "Adam", "L2", "EarlyStopping", "Activation", "activation", "load"):
        assert name in numbanet.__all__


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'numbanet' has no attribute 'Densee'"):
        numbanet.Densee  # noqa: B018
    with pytest.raises(ImportError, match="Nothing"):
        from numbanet import Nothing  # noqa: F401


def test_lookups_by_name():
    for kind, name in (("activation", "relu"), ("loss", "huber"), ("optimizer", "adam"), ("regularizer", "l2"),
                       ("metric", "accuracy"), ("schedule", "cosine"), ("initializer", "zeros")):
        function = getattr(numbanet, kind)
        assert function(name).name == name
        assert function(function(name)) is function(name)
        assert function.__name__ == kind
        assert kind.title() in function.__doc__
        with pytest.raises(ValueError, match=f"unknown {kind} 'nothing'"):
            function("nothing")
    assert numbanet.activation("leaky_relu", alpha=0.1).params["alpha"] == 0.1
    with pytest.raises(TypeError, match="leaky_relu has no parameter 'slope'; it has: alpha"):
        numbanet.activation("leaky_relu", slope=0.1)
