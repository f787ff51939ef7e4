"""Models in files whose formulas come from plugins."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import packages
import pytest
from safetensors.numpy import load_file, save_file

import numbanet as nn
from numbanet import registry
from numbanet._discovery import Found
from numbanet.provenance import fingerprint
from numbanet.registry import Entry, Failure
from numbanet.store import FormatError

HALF = 0.5


def scaled(x, a):
    return a * math.tanh(HALF * x)


def helper(x, b=2.0):
    return b * x


def with_helper(x, y):
    return helper(x) + y


SCALED = nn.Activation("scaled", forward=scaled, params={"a": 1.5})


@pytest.fixture
def installed(monkeypatch):
    """Pretend that a distribution offers activations."""
    registry.names("activation")  # they are loaded
    table = dict(registry._registry._entries["activation"])
    monkeypatch.setitem(registry._registry._entries, "activation", table)

    def install(distribution, version, *specs):
        for name in [name for name, offers in table.items() if offers[-1].distribution == distribution]:
            table[name] = [entry for entry in table[name] if entry.distribution != distribution]
        for spec in specs:
            table[spec.name] = [*table.get(spec.name, []), Entry(spec, distribution, version)]

    return install


def saved(folder, activation):
    path = folder / "m.numbanet"
    model = nn.Sequential([nn.Dense(3, activation=activation), nn.Dense(2)], input_shape=4)
    model.save(path)
    return path, model


X = np.random.default_rng(0).normal(size=(7, 4))


def test_the_same_plugin(tmp_path, installed):
    installed("my-plugin", "1.2", SCALED)
    path, model = saved(tmp_path, nn.activation("scaled", a=0.75))
    again = nn.load(path)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.layers[0].activation.params == {"a": 0.75}
    again.save(tmp_path / "again")
    np.testing.assert_array_equal(nn.load(tmp_path / "again").predict(X), model.predict(X))


def test_what_a_file_says(tmp_path, installed):
    installed("my-plugin", "1.2", SCALED)
    path, _ = saved(tmp_path, "scaled")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["model"])
    formulas = {"activation:scaled": fingerprint(SCALED)}
    assert description["plugins"] == {"my-plugin": {"version": "1.2", "formulas": formulas}}
    assert description["numbanet"] == nn.__version__
    assert description["layers"][0]["config"]["activation"]["distribution"] == "my-plugin"


def test_missing_plugin(tmp_path, installed, monkeypatch):
    installed("my-plugin", "1.2", SCALED)
    path, _ = saved(tmp_path, "scaled")
    installed("my-plugin", "1.2")
    with pytest.raises(FormatError, match=r"my-plugin 1\.2, which is not installed .*: pip install my-plugin==1\.2"):
        nn.load(path)
    broken = Failure(Found("mine", "My.Plugin", "1.2", None), "SyntaxError: invalid syntax")
    monkeypatch.setattr(registry._registry, "_failures", [broken])
    with pytest.raises(FormatError, match=r"plugin my-plugin 1\.2, which can't be loaded here: SyntaxError"):
        nn.load(path)


def test_another_version_with_the_same_formula(tmp_path, installed):
    installed("my-plugin", "1.2", SCALED)
    path, model = saved(tmp_path, "scaled")
    installed("my-plugin", "1.3", SCALED)
    with pytest.warns(RuntimeWarning, match=r"my-plugin 1\.2, and my-plugin 1\.3 has .* my-plugin==1\.2") as told:
        again = nn.load(path)
    assert told[0].filename == __file__
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("version", ["1.2", "2.0"])
def test_another_formula(tmp_path, installed, version):
    installed("my-plugin", "1.2", SCALED)
    path, _ = saved(tmp_path, "scaled")
    installed("my-plugin", version, nn.Activation("scaled", forward=lambda x, a: a * math.tanh(x), params={"a": 1.5}))
    with pytest.raises(FormatError, match=f"'?activation scaled'? of my-plugin {version} is another formula than .*"
                                          "my-plugin 1.2, .*: pip install my-plugin==1.2"):  # fmt: skip
        nn.load(path)


def test_formula_that_is_gone(tmp_path, installed):
    installed("my-plugin", "1.2", SCALED)
    path, _ = saved(tmp_path, "scaled")
    installed("my-plugin", "2.0", replace(SCALED, name="other"))
    with pytest.raises(FormatError, match=r"needs activation scaled of my-plugin 1\.2, and my-plugin 2\.0 has"):
        nn.load(path)


def test_a_built_in_name(tmp_path, installed):
    """A plugin's formula of a built-in name stays the plugin's."""
    own = nn.Activation("relu", forward=lambda x: math.tanh(x) + 0.25 * x)
    installed("my-plugin", "1.2", own)
    path, model = saved(tmp_path, "my-plugin:relu")
    np.testing.assert_array_equal(nn.load(path).predict(X), model.predict(X))
    assert nn.load(path).layers[0].activation == own
    path, model = saved(tmp_path, "relu")
    np.testing.assert_array_equal(nn.load(path).predict(X), model.predict(X))


def test_a_plugin_does_not_stand_in_for_what_was_built_in(tmp_path, installed):
    path, _ = saved(tmp_path, "gelu")
    gelu = registry.entry("activation", "gelu").spec
    registry._registry._entries["activation"].pop("gelu")
    installed("my-plugin", "1.2", gelu)
    with pytest.raises(FormatError, match=r"'gelu' is not numbanet's any more, but that of my-plugin 1\.2"):
        nn.load(path)


def test_formula_that_is_not_listed(tmp_path, installed):
    installed("my-plugin", "1.2", SCALED)
    path, _ = saved(tmp_path, "scaled")
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    metadata["model"] = metadata["model"].replace('"plugins": {', '"plugins": {}, "others": {')
    save_file(load_file(path), path, metadata)
    with pytest.raises(FormatError, match="activation 'scaled' of 'my-plugin' is not in its list of plugins"):
        nn.load(path)


def test_a_plugin_of_a_package(tmp_path):
    """Saved where it is installed, and loaded where it isn't."""
    package = packages.PLUGINS / "numbanet-activations-extra"
    environment = packages.install(package, tmp_path / "site")
    code = ("import numbanet as nn; "
            "nn.Sequential([nn.Dense(2, activation='snake')], input_shape=2).save('m'); nn.load('m')")
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, cwd=tmp_path, check=True)
    alone = {**os.environ, "NUMBANET_PLUGINS_DISABLED": "numbanet-activations-extra"}
    code = "import numbanet as nn\ntry:\n    nn.load('m')\nexcept nn.FormatError as error:\n    print(error)"
    done = subprocess.run([sys.executable, "-c", code], env=alone, cwd=tmp_path, check=True, text=True,
                          capture_output=True)  # fmt: skip
    assert "pip install numbanet-activations-extra==0.1.0" in done.stdout


# -- fingerprints -----------------------------------------------------------------------


def module(folder, name, text):
    """Functions of a file's own."""
    path = folder / f"{name}.py"
    path.write_text(text)
    scope = {"__name__": name}
    exec(compile(text, str(path), "exec"), scope)
    return scope


BASE = "import math\nC = 2.0\ndef h(x, b=1.0):\n    return b * x\ndef f(x):\n    return math.exp(C * h(x))\n"


@pytest.mark.parametrize(("text", "same"), [
    (BASE.replace("C = 2.0", "# a comment\nC = 1.0 + 1.0"), True),
    (BASE.replace("def f(x):", "def f(x: float) -> float:\n    '''What it does.'''"), True),
    (BASE.replace("h(x))", "  h(\n        x))"), True),
    (BASE.replace("import math", "from math import exp").replace("math.exp", "exp"), True),
    (BASE.replace("C = 2.0", "C = 2.5"), False),
    (BASE.replace("b * x", "b + x"), False),
    (BASE.replace("b=1.0", "b=1.5"), False),
    (BASE.replace("math.exp", "math.tanh"), False),
    (BASE.replace("h(x))", "x)"), False),
])  # fmt: skip
def test_what_a_fingerprint_tells_apart(tmp_path, text, same):
    one, other = (nn.Activation("a", forward=module(tmp_path, name, content)["f"])
                  for name, content in (("one", BASE), ("other", text)))  # fmt: skip
    assert (fingerprint(one) == fingerprint(other)) == same


def test_fingerprints_depend_on_no_process_and_no_version_of_python():
    """Written down once: a change here means that files refuse the plugins with which they were saved."""
    assert fingerprint(SCALED) == "535d3a45f9e6cfe5400274d46cbc35c9"
    other = nn.Activation("b", forward=lambda x: helper(x), derivative=with_helper)
    assert fingerprint(other) == "1af8b8cdc3397d20b04f8feadb7d420f"
    assert fingerprint(SCALED.with_params(a=3.0)) == fingerprint(SCALED)


def test_every_built_in_has_a_fingerprint_of_its_own():
    seen = {}
    for kind, entry in registry.entries():
        if entry.distribution == "numbanet":
            seen.setdefault((kind, fingerprint(entry.spec)), set()).add(entry.spec.name)
    twins = [names for names in seen.values() if len(names) > 1]
    assert all(len(names) == 2 for names in twins), twins  # a name and its alias
