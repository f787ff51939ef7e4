"""Models in files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import numbanet as nn
from numbanet import store

FILES = Path(__file__).parent / "files"
X = np.random.default_rng(0).normal(size=(9, 4))


def network(dtype="float32", **options):
    model = nn.Sequential([
        nn.Dense(6, activation=nn.activation("leaky_relu", alpha=0.25), kernel_initializer=nn.RandomNormal(stddev=0.3),
                 kernel_regularizer=nn.L2(0.125), bias_regularizer="l1"),
        nn.Dense(5, activation="softmax", use_bias=False), nn.Dense(3, kernel_regularizer=nn.MaxNorm(2.0), **options)])
    model.build((4,), dtype=dtype)
    return model


def saved(path, **changes):
    """A good file with some of its metadata replaced."""
    network().save(path)
    return rewritten(path, **changes)


def rewritten(path, **changes):
    metadata = {"format": "numbanet", "version": str(store.VERSION), "model": description(path), **changes}
    metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    save_file(load_file(path), path, metadata)
    return path


def description(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["model"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip(tmp_path, dtype):
    model = network(dtype)
    path = tmp_path / "model.numbanet"
    model.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.numbanet"]
    for name in (path, str(path)):
        other = nn.load(name)
        assert other.dtype == dtype
        np.testing.assert_array_equal(other.parameters, model.parameters)
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
        assert repr(other) == repr(model)
        assert other.summary() == model.summary()
        assert [layer.config() for layer in other.layers] == [layer.config() for layer in model.layers]
    assert other.layers[0].activation.params == {"alpha": 0.25}
    assert other.layers[0].kernel_regularizer == nn.L2(0.125)


def test_trained_model(tmp_path):
    model = network()
    trainer = nn.Trainer(model, "mean_squared_error", dtype="float64")
    trainer.fit(X, X[:, :3], epochs=2, progress=False)
    model.save(tmp_path / "m")
    other = nn.load(tmp_path / "m")
    assert other.dtype == "float64"
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    # it can be trained on
    a, b = (nn.Trainer(m, "mean_squared_error", dtype="float64") for m in (model, other))
    for each in (a, b):
        each.fit(X, X[:, :3], epochs=2, progress=False)
    np.testing.assert_array_equal(a.model.parameters, b.model.parameters)


@pytest.mark.parametrize("name", ["identity", "relu", "gelu", "swish", "log_softmax", "scaled_tanh", "hard_silu"])
def test_activations(tmp_path, name):
    model = nn.Sequential([nn.Dense(3, activation=name)], input_shape=4)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(nn.load(tmp_path / "m").predict(X), model.predict(X))


@pytest.mark.parametrize("name", ["zeros", "orthogonal", "he_normal", "glorot_normal", "lecun_uniform",
                                  "truncated_normal"])
def test_initializers(tmp_path, name):
    nn.Sequential([nn.Dense(3, kernel_initializer=name)], input_shape=4).save(tmp_path / "m")
    assert nn.load(tmp_path / "m").layers[0].kernel_initializer.name == nn.initializer(name).name


@pytest.mark.compiled
def test_another_process_predicts_the_same_bits(tmp_path):
    model = network()
    model.save(tmp_path / "m")
    np.save(tmp_path / "X", X)
    code = ("import sys, numpy as np, numbanet as nn; d = sys.argv[1]; "
            "np.save(d + '/y', nn.load(d + '/m').predict(np.load(d + '/X.npy')))")
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.predict(X))


def test_weights_are_plain_safetensors(tmp_path):
    model = network()
    model.save(tmp_path / "m")
    arrays = load_file(tmp_path / "m")
    samples = {"sample.inputs", "sample.outputs"}
    assert set(arrays) == {"0.kernel", "0.bias", "1.kernel", "2.kernel", "2.bias", *samples}
    np.testing.assert_array_equal(arrays["1.kernel"], model.get_weights()[2])


def test_model_that_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="input shape is not known yet"):
        nn.Sequential([nn.Dense(2)]).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("failing", ["replace", "write"])
def test_file_is_complete_or_absent(tmp_path, monkeypatch, failing):
    path = tmp_path / "m"
    network().save(path)
    before = path.read_bytes()
    changed = network()
    changed.parameters[:] = 1

    def fail(*args):
        raise OSError("disk full")

    if failing == "replace":
        monkeypatch.setattr(os, "replace", fail)
    else:
        monkeypatch.setattr(type(path), "write_bytes", fail)
    for target in (path, tmp_path / "new"):
        with pytest.raises(OSError, match="disk full"):
            changed.save(target)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    changed.save(path)
    assert (nn.load(path).parameters == 1).all()


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        network().save(tmp_path / "nowhere" / "m")
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "m")


def test_not_a_model(tmp_path):
    path = tmp_path / "m"
    for content in (b"", b"hello", b"\x00" * 100, b"PK\x03\x04" + b"x" * 500, b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(nn.FormatError, match="can't be read as a numbanet model"):
            nn.load(path)
    save_file({"0.kernel": np.ones((2, 2))}, path)
    with pytest.raises(nn.FormatError, match="holds no numbanet model"):
        nn.load(path)
    save_file({"0.kernel": np.ones((2, 2))}, path, {"format": "other"})
    with pytest.raises(nn.FormatError, match="holds no numbanet model"):
        nn.load(path)
    assert issubclass(nn.FormatError, ValueError)


def test_truncated_or_longer(tmp_path):
    path = tmp_path / "m"
    network().save(path)
    content = path.read_bytes()
    for broken in (content[:4], content[:40], content[:len(content) // 2], content[:-1], content + b"\0"):
        path.write_bytes(broken)
        with pytest.raises(nn.FormatError, match=r"m can't be read as a numbanet model"):
            nn.load(path)


@pytest.mark.parametrize("version", ["3", "999999999"])
def test_newer_version(tmp_path, version):
    with pytest.raises(nn.FormatError, match=f"version {version}, .* up to {store.VERSION}; pip install --upgrade"):
        nn.load(saved(tmp_path / "m", version=version))


@pytest.mark.parametrize("version", ["", "0", "-1", "1.5", "two", "²", "9" * 5000])
def test_no_version(tmp_path, version):
    with pytest.raises(nn.FormatError, match="which is no number"):
        nn.load(saved(tmp_path / "m", version=version))


def test_file_of_the_first_version():
    """One that numbanet 0.1.0 wrote before files had plugins and sample rows; the outputs are those that it gave."""
    model = nn.load(FILES / "version1.numbanet")
    rows = np.linspace(-1, 1, 72).reshape(2, 6, 6, 1)
    expected = [[0.33543697, 0.08203854, 0.04311157], [0.11869994, -0.00208071, -0.02215782]]
    np.testing.assert_allclose(model.predict(rows), expected, rtol=0, atol=16 * np.finfo("f4").eps)
    assert model.classes is None
    assert model.preprocessing is None
    assert model.layers[3].layers[0].activation.params == {"alpha": 0.25}
    assert model.layers[3].layers[0].kernel_regularizer == nn.L2(0.125)


def change(path, edit):
    network().save(path)
    model = description(path)
    edit(model)
    return saved(path, model=model)


def dense(model):
    return model["layers"][0]["config"]


def activation(model):
    return dense(model)["activation"]


@pytest.mark.parametrize(("edit", "kind", "message"), [
    (lambda m: m["layers"][0].update({"class": "Dens"}), nn.FormatError, "unknown layer 'Dens'; known: .*Dense"),
    (lambda m: m["layers"][0].update({"class": "Layer"}), nn.FormatError, "unknown layer 'Layer'"),
    (lambda m: m["layers"][0].update({"class": "base"}), nn.FormatError, "unknown layer 'base'"),
    (lambda m: m["layers"][0].update({"class": "os.system"}), nn.FormatError, "unknown layer 'os.system'"),
    (lambda m: m["layers"][0].update({"class": ["Dense"]}), nn.FormatError, "unknown layer"),
    (lambda m: activation(m).update(name="their_own"), nn.FormatError, "unknown activation 'their_own'"),
    (lambda m: activation(m).update(name="os.system"), nn.FormatError, "unknown activation 'os.system'"),
    (lambda m: activation(m).update(name="os:system"), nn.FormatError, "unknown activation 'os:system'"),
    (lambda m: dense(m).update(activation="builtins.eval"), nn.FormatError, "unknown activation 'builtins.eval'"),
    (lambda m: activation(m).update(kind="os"), nn.FormatError, "names a formula as 'os'"),
    (lambda m: activation(m).update(params={"beta": 1}), nn.FormatError, "no parameter 'beta'"),
    (lambda m: activation(m).update(params={"alpha": "1"}), nn.FormatError, "must be a number"),
    (lambda m: dense(m).update(units=-3), nn.FormatError, "units"),
    (lambda m: dense(m).update(units=7), nn.FormatError, "shape"),
    (lambda m: dense(m).update(units=10**12), nn.FormatError, "shape"),
    (lambda m: dense(m).update(nothing=1), nn.FormatError, "nothing"),
    (lambda m: dense(m).pop("units"), nn.FormatError, "units"),
    (lambda m: m["layers"].pop(), nn.FormatError, "array '2.bias' belongs to none of the layers"),
    (lambda m: m["layers"].clear(), nn.FormatError, "layer"),
    (lambda m: m.pop("layers"), nn.FormatError, "layers"),
    (lambda m: m.update(layers=3), nn.FormatError, "can't be read as a numbanet model"),
    (lambda m: m.update(layers=[3]), nn.FormatError, "can't be read as a numbanet model"),
    (lambda m: m.update(input_shape=[5]), nn.FormatError, "shape"),
    (lambda m: m.update(input_shape=[0]), nn.FormatError, "input_shape"),
    (lambda m: m.update(input_shape=None), nn.FormatError, "can't be read as a numbanet model"),
    (lambda m: m.update(dtype="object"), nn.FormatError, "dtype|parameters"),
])  # fmt: skip
def test_damaged_descriptions(tmp_path, edit, kind, message):
    path = change(tmp_path / "m", edit)
    with pytest.raises(kind, match=message):
        nn.load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "__import__('os').system('true')"])
def test_broken_json(tmp_path, text):
    network().save(tmp_path / "m")
    save_file(load_file(tmp_path / "m"), tmp_path / "m", {"format": "numbanet", "version": "1", "model": text})
    with pytest.raises(nn.FormatError, match="can't be read as a numbanet model"):
        nn.load(tmp_path / "m")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(tmp_path, bad):
    path = tmp_path / "m"
    network().save(path)
    metadata = {"format": "numbanet", "version": "2", "model": json.dumps(description(path))}
    arrays = load_file(path)
    arrays["2.bias"][1] = bad
    save_file(arrays, path, metadata)
    with pytest.raises(ValueError, match=r"2.bias"):
        nn.load(path)


def test_nothing_in_a_file_is_imported_or_run(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    path = change(tmp_path / "m", lambda m: m["layers"][0]["config"]["activation"].update(name="evil.activation"))
    code = ("import sys, numbanet as nn\ntry:\n    nn.load('m')\nexcept ValueError as e:\n    print(e)\n"
            "assert 'evil' not in sys.modules")
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "unknown activation 'evil.activation'" in result.stdout
    assert path.exists()


@pytest.mark.parametrize("options", [
    {"activation": nn.Activation("mine", forward=lambda x: x, derivative=lambda x, y: 1.0)},
    {"activation": nn.Activation("relu", forward=lambda x: x, derivative=lambda x, y: 1.0)},  # borrows a name
    {"bias_initializer": nn.Initializer("mine", sample=lambda rng, shape, fan_in, fan_out: np.ones(shape))},
    {"bias_regularizer": nn.Regularizer("mine", penalty=lambda w: w * w, derivative=lambda w: 2 * w)},
])  # fmt: skip
def test_objects_made_on_the_spot_cannot_be_saved(tmp_path, options):
    key, spec = next(iter(options.items()))
    model = network(**options)
    with pytest.raises(ValueError, match=f"{key.split('_')[-1]} '{spec.name}' was made on the spot"):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


# -- what goes with a model -------------------------------------------------------------


def test_classes_and_preprocessing(tmp_path):
    model = network()
    model.classes = ["cat", 3, 2.5]
    model.preprocessing = nn.Scaling([1.0, 2.0, 3.0, 4.0], 0.5)
    for _ in range(2):  # what was loaded keeps them when it is saved
        model.save(tmp_path / "m")
        model = nn.load(tmp_path / "m")
    assert model.classes == ["cat", 3, 2.5]
    np.testing.assert_array_equal(model.preprocessing(X), (X - [1.0, 2.0, 3.0, 4.0]) / 0.5)
    assert repr(model.preprocessing) == "Scaling(mean=[1.0, 2.0, 3.0, 4.0], scale=0.5)"


def test_classes_of_one_output(tmp_path):
    model = nn.Sequential([nn.Dense(1)], input_shape=2)
    model.classes = np.array([0, 1])
    model.save(tmp_path / "m")
    assert nn.load(tmp_path / "m").classes == [0, 1]
    assert type(nn.load(tmp_path / "m").classes[0]) is int


@pytest.mark.parametrize(("classes", "kind", "message"), [
    (["a", "b"], ValueError, "classes has 2 labels; the model has 3 outputs"),
    (["a", "b", None], TypeError, "classes must be texts or numbers, got None"),
    ([1, 2, float("nan")], ValueError, "JSON compliant"),
])  # fmt: skip
def test_classes_that_do_not_suit(tmp_path, classes, kind, message):
    model = network()
    model.classes = classes
    with pytest.raises(kind, match=message):
        model.save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mean", "scale", "message"), [
    (0.0, 0.0, "scale must not be 0"),
    ([np.nan], 1.0, "mean must be finite"),
    (0.0, [np.inf], "scale must be finite"),
    (np.zeros(2), np.ones(3), "broadcast"),
])  # fmt: skip
def test_scaling_that_does_not_suit(mean, scale, message):
    with pytest.raises(ValueError, match=message):
        nn.Scaling(mean, scale)


@pytest.mark.parametrize("shape", [(3,), (2, 4)])
def test_scaling_of_other_samples(tmp_path, shape):
    model = network()
    model.preprocessing = nn.Scaling(np.zeros(shape), 1.0)
    with pytest.raises(ValueError, match=r"mean has shape .*; the samples have \(4,\)"):
        model.save(tmp_path / "m")


def test_own_samples(tmp_path):
    network().save(tmp_path / "m", samples=X)
    arrays = load_file(tmp_path / "m")
    np.testing.assert_array_equal(arrays["sample.inputs"], X.astype("f4"))
    np.testing.assert_array_equal(arrays["sample.outputs"], network().predict(X))
    nn.load(tmp_path / "m")
    with pytest.raises(ValueError, match="shape"):
        network().save(tmp_path / "m", samples=X[:, :2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_tell_of_a_change(tmp_path, dtype):
    """One weight changed by a hundredth."""
    path = tmp_path / "m"
    network(dtype).save(path)
    arrays = load_file(path)
    arrays["2.kernel"][1, 1] *= 1.01
    save_file(arrays, path, {"format": "numbanet", "version": "2", "model": json.dumps(description(path))})
    with pytest.raises(nn.FormatError, match="its sample rows have other outputs than when it was saved, such as"):
        nn.load(path)


@pytest.mark.parametrize("layers", [
    [nn.Dense(2, activation="exponential", kernel_initializer=nn.RandomNormal(stddev=100.0))],  # inf
    [nn.Dense(2, kernel_initializer="zeros")],
    [nn.Embedding(7, 3), nn.Flatten(), nn.Dense(2)],
])  # fmt: skip
def test_samples_of_any_model(tmp_path, layers):
    model = nn.Sequential(layers, input_shape=(5,))
    model.save(tmp_path / "m")
    rows = np.arange(5)[None]
    np.testing.assert_array_equal(nn.load(tmp_path / "m").predict(rows), model.predict(rows))


def test_models_too_large_to_be_run_have_no_samples(tmp_path):
    """Else a file of some bytes could ask for any memory."""
    def model(padding):
        return nn.Sequential([nn.Conv2D(1, 1, padding=padding), nn.GlobalAvgPool()], input_shape=(4, 4, 1))

    model(20).save(tmp_path / "small")
    assert "sample.inputs" in load_file(tmp_path / "small")
    model(1000).save(tmp_path / "large")
    assert set(load_file(tmp_path / "large")) == {"0.kernel", "0.bias"}
    assert nn.load(tmp_path / "large").layers[0].padding == 1000
    text = description(tmp_path / "small")
    text["layers"][0]["config"]["padding"] = 10**9
    with pytest.raises(nn.FormatError, match=r"for more than 2097152 model\.save leaves them out"):
        nn.load(rewritten(tmp_path / "small", model=text))


def test_device(tmp_path):
    network().save(tmp_path / "m")
    assert nn.load(tmp_path / "m", device="cpu").dtype == "float32"
    with pytest.raises(ValueError, match="device must be 'cpu', where models live"):
        nn.load(tmp_path / "m", device="cuda")


def test_bytes(tmp_path):
    network().save(tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for form in (bytes, bytearray, memoryview):
        np.testing.assert_array_equal(nn.load(form(content)).parameters, network().parameters)
    with pytest.raises(nn.FormatError, match="this can't be read as a numbanet model: "):
        nn.load(content[:-1])


def test_loading_makes_no_first_weights(tmp_path, monkeypatch):
    network().save(tmp_path / "m")
    monkeypatch.setattr(np.random, "default_rng", None)
    np.testing.assert_array_equal(nn.load(tmp_path / "m").predict(X), nn.load(tmp_path / "m").predict(X))


def test_the_file_may_go_once_it_is_loaded(tmp_path):
    network().save(tmp_path / "m")
    model = nn.load(tmp_path / "m")
    (tmp_path / "m").write_bytes(b"")
    (tmp_path / "m").unlink()
    np.testing.assert_array_equal(model.parameters, network().parameters)
    model.parameters[:] = 0
