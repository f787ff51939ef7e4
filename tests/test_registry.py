"""Names: found, explained, and safe from plugins that fail."""

import os
import re
import subprocess
import sys
import threading
import time

import pytest

from numbanet import _discovery, registry
from numbanet.registry import KINDS, Registry
from numbanet.spec import Activation

GAUSSIAN = """
import math
from numbanet.hookspecs import hookimpl
from numbanet.spec import Activation

def gaussian(x):
    return math.exp(-x * x)

@hookimpl
def numbanet_activations():
    yield Activation("{name}", forward=gaussian)
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with a plugin on the path, as pip would."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def install(distribution, source, version="1.0"):
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[numbanet]\n{module} = {module}\n")

    yield install
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and sys.modules[name].__file__.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("kind", KINDS)
def test_built_ins_of_every_kind(kind):
    names = registry.names(kind)
    assert names == sorted(names)
    for name in names:
        if registry.entry(kind, name).distribution != "numbanet":
            continue  # of a plugin that happens to be installed
        spec = registry.get(kind, name)
        assert type(spec) is KINDS[kind]
        assert spec.name == name
        assert registry.get(kind, spec) is spec
        assert registry.get(kind, f"numbanet:{name}") is spec


@pytest.mark.parametrize(("kind", "alias", "name"), [
    ("activation", "swish", "silu"), ("loss", "mse", "mean_squared_error"), ("loss", "mae", "mean_absolute_error"),
    ("loss", "poisson", "poisson_deviance"), ("loss", "gamma", "gamma_deviance"),
    ("metric", "mse", "mean_squared_error"), ("metric", "mae", "mean_absolute_error"),
])
def test_alias(kind, alias, name):
    mine, other = vars(registry.get(kind, alias)), vars(registry.get(kind, name))
    assert {**mine, "name": name} == other


def test_parameters():
    spec = registry.get("activation", "leaky_relu", alpha=0.3)
    assert spec.params == {"alpha": 0.3}
    assert registry.get("activation", spec, alpha=0.4).params == {"alpha": 0.4}
    assert registry.get("activation", "leaky_relu").params == {"alpha": 0.01}
    assert registry.get("initializer", "constant", value=2).params == {"value": 2}
    with pytest.raises(TypeError, match="leaky_relu has no parameter 'beta'; it has: alpha"):
        registry.get("activation", "leaky_relu", beta=1)


def test_object_needs_no_registration():
    square = Activation("square", forward=lambda x: x * x, derivative=lambda x, y: 2 * x)
    assert registry.get("activation", square) is square
    assert "square" not in registry.names("activation")


@pytest.mark.parametrize(("name", "message"), [
    ("swich", r"unknown activation 'swich'; did you mean 'swish'\? Known: celu, elu, "),
    ("ReLU", r"unknown activation 'ReLU'; did you mean 'relu'\? Known: "),
    ("qqq", r"unknown activation 'qqq'; Known: celu, "),
    ("", r"unknown activation ''; Known: celu, "),
    ("nobody:relu", r"unknown activation 'nobody:relu'; "),
])
def test_unknown_name(name, message):
    with pytest.raises(ValueError, match=message):
        registry.get("activation", name)


@pytest.mark.parametrize(("value", "found"), [
    (3, "int 3"), (None, "NoneType None"), (registry.get("loss", "huber"), "Loss 'huber'"),
])
def test_wrong_type(value, found):
    message = f"expected the name of the activation or a numbanet.Activation, got {found}"
    with pytest.raises(TypeError, match=message):
        registry.get("activation", value)


def test_plugin(install):
    install("my-bells", GAUSSIAN.format(name="bell"), "2.5")
    registry = Registry()
    assert "bell" in registry.names("activation")
    assert registry.entry("activation", "bell")[1:] == ("my-bells", "2.5")
    spec = registry.get("activation", "bell")
    assert registry.get("activation", "my-bells:bell") is spec
    assert registry.get("activation", "My_Bells:bell") is spec
    assert spec.forward(0.0) == 1.0


def test_plugins_are_not_imported_with_numbanet(install, tmp_path):
    install("lazy-bells", GAUSSIAN.format(name="bell"))
    code = ("import sys, numbanet, numbanet.registry as r; assert 'lazy_bells' not in sys.modules; "
            "r.get('activation', 'bell'); assert 'lazy_bells' in sys.modules")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.parametrize(("source", "error"), [
    ("import a_module_that_is_not_there", "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
    ("1 / 0", "ZeroDivisionError"),
    ("def f(:", "SyntaxError"),
    ("", "ValueError: it offers nothing; mark its hooks with @numbanet.hookimpl"),
    (GAUSSIAN.replace("numbanet_activations", "numbanet_activation"),
     r"unknown hook 'numbanet_activation'; did you mean 'numbanet_activations'\? Known: numbanet_activations, "),
    (GAUSSIAN + "    yield Activation('{name}', forward=gaussian)\n", "the activation '{name}' twice; give each a"),
    ("NUMBANET_API = '1'\n" + GAUSSIAN, "TypeError: NUMBANET_API must be a whole number, as 1 is, got '1'"),
    (GAUSSIAN.replace("activations()", "activations(x)"), "PluginValidationError"),
    (GAUSSIAN.replace("yield Activation", "yield dict"), "ValueError"),
    (GAUSSIAN.replace("numbanet_activations", "numbanet_losses"),
     r"TypeError: numbanet_losses must give Loss objects, got Activation\('\{name\}'"),
    (GAUSSIAN.replace("yield", "return"), "TypeError: 'Activation' object is not iterable"),
    (GAUSSIAN.replace("return math.exp(-x * x)", "pass").replace("gaussian(x)", "gaussian(x, y)"),
     r"TypeError: Activation '\{name\}': forward takes \(x, y\); expected \(x\)"),
])
def test_failing_plugin(install, source, error):
    install("a-broken-one", source, "0.3")
    install("my-bells", GAUSSIAN.format(name="bell"))
    registry = Registry()
    with pytest.warns(RuntimeWarning) as warned:
        assert registry.get("activation", "relu").name == "relu"
    message, = (str(warning.message) for warning in warned)
    assert re.search(r"plugin 'a_broken_one' of a-broken-one 0\.3 is left out: .*" + error, message)
    assert "bell" in registry.names("activation")  # and no second warning
    assert "{name}" not in registry.names("activation")


def test_failure_leaves_out_the_whole_plugin(install):
    second = "\n@hookimpl\ndef numbanet_losses():\n    raise OSError('no disk')\n"
    install("half-done", GAUSSIAN.format(name="bell") + second)
    registry = Registry()
    with pytest.warns(RuntimeWarning, match="half-done 1.0 is left out: OSError: no disk"):
        assert "bell" not in registry.names("activation")


def test_misspelt_hook_blames_nobody_else(install):
    wrong = GAUSSIAN.replace("activations()", "activations(x)") + "\n@hookimpl\ndef numbanet_aaa():\n    return ()\n"
    install("a-broken-one", wrong)
    install("my-bells", GAUSSIAN.format(name="bell"))
    registry = Registry()
    with pytest.warns(RuntimeWarning, match="a-broken-one") as warned:
        assert "bell" in registry.names("activation")
    assert len(warned) == 1


def test_name_of_two_distributions(install):
    install("bells-a", GAUSSIAN.format(name="bell"), "1.1")
    install("bells-b", GAUSSIAN.format(name="bell"), "2.2")
    registry = Registry()
    assert registry.get("activation", "relu").name == "relu"
    with pytest.raises(ValueError, match=r"'bell' is offered by bells-[ab] [\d.]+ and by bells-[ab] [\d.]+; choose"):
        registry.get("activation", "bell")
    assert registry.get("activation", "bells-a:bell") is not registry.get("activation", "bells-b:bell")
    assert registry.entry("activation", "bells-b:bell")[1:] == ("bells-b", "2.2")


def test_name_that_a_distribution_gives_twice(install, tmp_path):
    """From two modules: the distribution's name could not tell them apart."""
    install("my-bells", GAUSSIAN.format(name="bell"))
    (tmp_path / "second.py").write_text(GAUSSIAN.format(name="bell"))
    points = tmp_path / "my_bells-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "second = second\n")
    registry = Registry()
    with pytest.warns(RuntimeWarning, match="plugin 'second' of my-bells 1.0 is left out: .* 'bell' twice"):
        assert registry.get("activation", "bell").forward(0.0) == 1


def test_checks_of_a_name_of_two_distributions(install, tmp_path):
    for distribution in ("bells-a", "bells-b"):
        install(distribution, GAUSSIAN.format(name="bell"))
    code = ["from numbanet.cli import main; main()", "plugins", "--check", "bell"]
    done = subprocess.run([sys.executable, "-c", *code], text=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("activation 'bell'") == 2
    assert done.stdout.count("ok    saved and loaded") == 2


def test_built_in_is_not_replaced(install):
    install("my-relu", GAUSSIAN.format(name="relu"))
    registry = Registry()
    with pytest.warns(RuntimeWarning, match="'relu' of my-relu 1.0 does not replace the built-in one"):
        assert registry.entry("activation", "relu").distribution == "numbanet"
    assert registry.get("activation", "my-relu:relu").forward(0.0) == 1.0


def test_warnings_as_errors_do_not_break_the_registry(install):
    install("a-broken-one", "1 / 0")
    registry = Registry()
    with pytest.raises(RuntimeWarning, match="a-broken-one"):  # the tests turn warnings into errors
        registry.get("activation", "relu")
    assert registry.get("activation", "relu").name == "relu"


def test_plugin_may_use_names_while_it_loads(install):
    install("asks-early", "from numbanet.registry import _registry\n_registry.get('activation', 'relu')\n"
            + GAUSSIAN.format(name="bell"))
    code = "import numbanet.registry as r; assert r.get('activation', 'bell').name == 'bell'"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True,
                   env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def test_interrupted_load_begins_anew(monkeypatch):
    def interrupt(group):
        raise KeyboardInterrupt

    registry = Registry()
    with monkeypatch.context() as patch:
        patch.setattr("importlib.metadata.entry_points", interrupt)
        with pytest.raises(KeyboardInterrupt):
            registry.get("activation", "relu")
    assert registry.get("activation", "relu").name == "relu"


def test_threads_load_once(monkeypatch):
    loads, found = [], []

    def entry_points(group):
        loads.append(group)
        time.sleep(0.05)
        return []

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    registry = Registry()
    threads = [threading.Thread(target=lambda: found.append(registry.get("loss", "huber"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == ["numbanet"]
    assert len(found) == 4
    assert all(spec is found[0] for spec in found)


# -- switched off, strict, slow, of another time ----------------------------------------------


def test_plugins_switched_off(install, monkeypatch):
    install("bells-a", GAUSSIAN.format(name="bell_a"))
    install("bells-b", "1 / 0")
    monkeypatch.setenv("NUMBANET_PLUGINS_DISABLED", "something, Bells_B")
    assert "bell_a" in Registry().names("activation")
    monkeypatch.setenv("NUMBANET_PLUGINS_DISABLED", "bells_a,bells_b")
    assert "bell_a" not in Registry().names("activation")


def test_only_some_plugins(install, monkeypatch):
    install("bells-a", GAUSSIAN.format(name="bell_a"))
    install("bells-b", GAUSSIAN.format(name="bell_b"))
    for value, expected in (("bells-b", {"bell_b"}), ("", set()), ("bells-a,bells-b", {"bell_a", "bell_b"})):
        monkeypatch.setenv("NUMBANET_LOAD_PLUGINS", value)
        assert {"bell_a", "bell_b"} & set(Registry().names("activation")) == expected


def test_strict(install, monkeypatch):
    install("a-broken-one", "1 / 0", "0.3")
    monkeypatch.setenv("NUMBANET_STRICT_PLUGINS", "1")
    with pytest.raises(RuntimeError, match=r"plugin 'a_broken_one' of a-broken-one 0\.3 can't be loaded: ZeroDivision"):
        Registry().get("activation", "relu")
    monkeypatch.setenv("NUMBANET_STRICT_PLUGINS", "0")
    with pytest.warns(RuntimeWarning, match=r"left out: Zero.* \(NUMBANET_PLUGINS_DISABLED=a_broken_one switches it"):
        Registry().get("activation", "relu")


def test_an_import_that_never_ends(install, monkeypatch):
    install("endless", "import time\nimport sys\nwhile not hasattr(sys, 'enough'): time.sleep(0.01)\n")
    monkeypatch.setattr(_discovery, "SECONDS", 0.2)
    registry = Registry()
    with pytest.warns(RuntimeWarning, match="its import has not ended after 0.2 s"):
        assert registry.get("activation", "relu").name == "relu"
    monkeypatch.setattr(sys, "enough", True, raising=False)
    for thread in threading.enumerate():
        if thread.name.startswith("numbanet imports"):
            thread.join(10)


def test_a_plugin_that_wants_to_end_the_program(install):
    install("the-end", "raise SystemExit(3)")
    with pytest.warns(RuntimeWarning, match="SystemExit: 3"):
        assert Registry().get("loss", "huber").name == "huber"


@pytest.mark.parametrize(("version", "what"), [(2, "numbanet"), (0, "the plugin")])
def test_another_version_of_the_interface(install, version, what):
    install("of-another-time", f"NUMBANET_API = {version}\n" + GAUSSIAN.format(name="bell"))
    registry = Registry()
    with pytest.warns(RuntimeWarning, match=f"written for version {version} .* this numbanet has 1; upgrade {what}"):
        assert "bell" not in registry.names("activation")
    (failure,) = registry.failures()
    assert failure.plugin.distribution == "of-another-time"


def test_the_version_of_the_interface(install):
    install("of-today", "NUMBANET_API = 1\n" + GAUSSIAN.format(name="bell"))
    assert "bell" in Registry().names("activation")
