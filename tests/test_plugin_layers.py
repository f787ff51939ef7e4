"""Layers of plugins: offered by a hook, in files by name, and nothing in a file is imported."""

import json
import os
import subprocess
import sys

import packages
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import numbanet as nn
from numbanet import registry

RBF = packages.PLUGINS / "numbanet-rbf"
SAVE = """
import numpy as np
import numbanet as nn
from numbanet_rbf import RadialBasis, from_samples

X = np.random.default_rng(0).normal(size=(40, 3))
model = nn.Sequential([
    nn.Residual([RadialBasis(5, "inverse_quadratic", scale=0.5), nn.Dense(3)]),
    RadialBasis(4, center_initializer=from_samples(X)), nn.Dense(2)])
nn.Trainer(model, loss="mse", seed=0).fit(X, X[:, :2], epochs=3, progress=False)
model.save("model.numbanet")
np.save("X.npy", X.astype("float32"))
np.save("y.npy", model.predict(X))
"""
LOAD = """
import sys
import numpy as np
import numbanet as nn

model = nn.load("model.numbanet")
np.testing.assert_array_equal(model.predict(np.load("X.npy")), np.load("y.npy"))
assert model.layers[0].layers[0].function.name == "inverse_quadratic"
assert model.layers[0].layers[0].scale == 0.5
print(type(model.layers[1]).__module__)
"""


def run(code, folder, environment, ok=True):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, env=environment, text=True,
                          capture_output=True)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout + done.stderr


def description(path):
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["model"])


def test_saved_and_loaded(tmp_path):
    environment = packages.install(RBF, tmp_path / "site")
    run(SAVE, tmp_path, environment)
    assert run(LOAD, tmp_path, environment) == "numbanet_rbf.layer\n"
    path = tmp_path / "model.numbanet"
    model = description(path)

    def damaged(changed):
        save_file(load_file(path), path, {"format": "numbanet", "version": "2", "model": json.dumps(changed)})
        return run(LOAD, tmp_path, environment, ok=False)

    layer = model["layers"][1]
    assert (layer["class"], layer["distribution"]) == ("RadialBasis", "numbanet-rbf")
    assert set(model["plugins"]["numbanet-rbf"]["formulas"]) == {
        "activation:inverse_quadratic", "activation:radial_gaussian", "layer:RadialBasis"}

    without = {**environment, "NUMBANET_LOAD_PLUGINS": ""}
    message = "it needs the plugin numbanet-rbf 0.1.0, which is not installed or switched off: pip install"
    assert message in run(LOAD, tmp_path, without, ok=False)

    for changes, message in (({"class": "numbanet_rbf.layer:RadialBasis"}, "is not in its list of plugins"),
                             ({"distribution": "os", "class": "system"}, "layer 'system' of 'os' is not in its list"),
                             ({"class": "Radial"}, "layer 'Radial' of 'numbanet-rbf' is not in its list of plugins")):
        changed = {**model, "layers": [model["layers"][0], {**layer, **changes}, model["layers"][2]]}
        assert message in damaged(changed)
    del layer["distribution"]
    assert "unknown layer 'RadialBasis'; known: " in damaged(model)
    needed = model["plugins"]["numbanet-rbf"]["formulas"]
    layer.update({"distribution": "numbanet-rbf", "class": "Radial"})
    needed["layer:Radial"] = needed["layer:RadialBasis"]
    assert "it needs layer Radial of numbanet-rbf 0.1.0, and numbanet-rbf 0.1.0 has none" in damaged(model)


class Doubled(nn.Layer):
    def build(self, graph):
        graph.node("affine", graph.output.shape, (graph.parameter(
            "gamma", graph.output.shape, nn.initializer("constant", value=2), fan_in=1, fan_out=1),))


def test_a_layer_that_nobody_offers(tmp_path):
    model = nn.Sequential([Doubled()], input_shape=(3,))
    with pytest.raises(ValueError, match=r"layer Doubled is neither numbanet's nor a plugin's, .* numbanet_layers"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


OFFER = """
import numbanet as nn

class Dense(nn.Layer):
    def build(self, graph):
        graph.node("activation", graph.output.shape, activation=nn.activation("tanh"))

@nn.hookimpl
def numbanet_layers():
    yield {offered}
"""


def offer(site, offered, distribution="acme"):
    (site / f"{distribution}.py").write_text(OFFER.format(offered=offered))
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[numbanet]\n{distribution} = {distribution}\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}


def test_two_with_the_name_of_a_built_in(tmp_path):
    """Each is what it was: a file names the distribution."""
    offer(tmp_path, "Dense", "acme")
    environment = offer(tmp_path, "Dense", "bolt")
    code = """
import acme, bolt, numbanet as nn
nn.Sequential([acme.Dense(), bolt.Dense(), nn.Dense(2)], input_shape=(2,)).save("m")
print([type(layer).__module__ for layer in nn.load("m").layers])
"""
    assert run(code, tmp_path, environment) == "['acme', 'bolt', 'numbanet.layers.dense']\n"


@pytest.mark.parametrize("offered", ["Dense()", "dict", "'Dense'"])
def test_what_is_no_class_of_layers(tmp_path, offered):
    environment = offer(tmp_path, offered)
    found = run("import numbanet as nn; nn.activation('relu')", tmp_path, environment, ok=False)
    assert "plugin 'acme' of acme 1.0 is left out: TypeError: numbanet_layers must give subclasses of" in found


def test_the_table_has_layers(tmp_path):
    environment = packages.install(RBF, tmp_path)
    code = "from numbanet.cli import main; main(['plugins', '--json', '--kind', 'layer'])"
    row, = json.loads(run(code, tmp_path, environment))
    assert row["name"] == "RadialBasis"
    assert row["distribution"] == "numbanet-rbf"
    assert row["file"] == str(RBF / "numbanet_rbf" / "layer.py")
    assert row["derivative"] == row["error"] == ""
    code = "from numbanet.cli import main; main(['plugins', '--check', 'RadialBasis'])"
    assert "'RadialBasis' is a layer, made with arguments" in run(code, tmp_path, environment, ok=False)


def test_numbanet_offers_its_own_layers_itself():
    with pytest.raises(ValueError, match="unknown layer 'numbanet:Dense'"):
        registry.layer("numbanet:Dense")
    assert registry.origin_of_layer(nn.Dense) is None


def test_names_of_formulas_keep_their_distribution(tmp_path):
    """A plugin's formula is found again where another plugin offers the same name."""
    text = ("import numbanet as nn\n@nn.hookimpl\ndef numbanet_activations():\n"
            "    yield nn.Activation('bell', forward=lambda x: {factor} * x)\n")
    for factor, distribution in ((2, "acme"), (3, "bolt")):
        environment = offer(tmp_path, "Dense", distribution)
        (tmp_path / f"{distribution}.py").write_text(text.format(factor=factor))
    code = """
import numpy as np, numbanet as nn
model = nn.Sequential([nn.Apply("acme:bell"), nn.Apply("bolt:bell")], input_shape=(1,))
model.save("m")
print(nn.load("m").predict(np.ones((1, 1)))[0, 0])
"""
    assert run(code, tmp_path, environment) == "6.0\n"
