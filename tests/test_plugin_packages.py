"""The packages in plugins/, found through their entry points as if they were installed."""

import os
import subprocess
import sys
import tomllib

import packages
import pytest

PACKAGES = sorted(path.parent for path in packages.PLUGINS.glob("*/pyproject.toml"))
TRAIN = """
import sys
import numpy as np
import numbanet as nn
from numbanet.registry import entries

rng = np.random.default_rng(0)
X = rng.normal(size=(32, 4))
y = np.tanh(X @ rng.normal(size=(4, 2)))
count = 0
for kind, entry in entries():
    if entry.distribution != sys.argv[1] or kind == "layer":
        continue
    assert kind in ("activation", "loss", "regularizer"), kind
    name = f"{entry.distribution}:{entry.spec.name}"
    layers = [nn.Dense(4, activation=name if kind == "activation" else "tanh"), nn.Dense(2)]
    trainer = nn.Trainer(nn.Sequential(layers), loss=name if kind == "loss" else "mse",
                         regularizer=name if kind == "regularizer" else None, seed=0)
    before = trainer.loss_and_gradient(X, y)[0]
    trainer.fit(X, y, epochs=5, batch_size=8, progress=False)
    assert trainer.loss_and_gradient(X, y)[0] < before, name
    count += 1
print(count)
"""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_name_trains(package, tmp_path):
    environment = {**packages.install(package, tmp_path), "NUMBANET_STRICT_PLUGINS": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", TRAIN, package.name], env=environment, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


@pytest.mark.compiled
@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_name_is_right(package, tmp_path):
    """By the command alone, which knows of a plugin what the plugin says of itself."""
    environment = {**packages.install(package, tmp_path), "NUMBANET_STRICT_PLUGINS": "1"}
    command = [sys.executable, "-W", "error", "-c", "from numbanet.cli import main; main()"]
    command += ["plugins", "--check", package.name]
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  ok    " in done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.compiled
def test_every_name_is_right_by_pytest(tmp_path):
    environment = packages.install(packages.PLUGINS / "numbanet-sparse", tmp_path)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--numbanet-plugin", "numbanet-sparse"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_package_is_complete(package):
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == package.name
    assert project["license"] == "BSD-3-Clause"
    for name in ("LICENSE", "README.md", "tests"):
        assert (package / name).exists()
    for module in project["entry-points"]["numbanet"].values():
        assert (package / f"{module.replace('.', '/')}.py").is_file()


def test_no_name_is_offered_twice(tmp_path):
    paths = [packages.install(package, tmp_path)["PYTHONPATH"] for package in PACKAGES]
    code = ("from numbanet.registry import entries\nseen = [(kind, e.spec.name) for kind, e in entries()]\n"
            "assert len(seen) == len(set(seen)), sorted(seen)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "NUMBANET_STRICT_PLUGINS": "1"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)
