"""Files made to harm whoever loads them, and damaged ones: each is an error that says what is wrong."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as read_back
from safetensors.numpy import save as serialize

import numbanet as nn
from numbanet import checkpoint, store, tensors

HERE = Path(__file__).parent


def good(dtype="float32"):
    """Header, description and data of a small model's file."""
    model = nn.Sequential([nn.Dense(2, activation="tanh"), nn.Dense(1)])
    model.build((3,), dtype=dtype)
    content = io.BytesIO()
    arrays = {name: array.astype(dtype) for name, array in store.arrays_of(model, None).items()}
    description = {"layers": store._pack(model.layers), "input_shape": [3], "dtype": dtype, "plugins": {},
                   "classes": None}  # fmt: skip
    content = serialize(arrays, {"format": "numbanet", "version": str(store.VERSION), "model": json.dumps(description)})
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), description, content[end:]


def assembled(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def refused(content, message):
    with pytest.raises(nn.FormatError, match=message) as caught:
        nn.load(content)
    assert re.search(r"; .*(again|upgrade|install|give)", str(caught.value)), "it does not say what to do"


def test_the_builder_builds_what_loads():
    header, _, data = good()
    assert nn.load(assembled(header, data)).dtype == "float32"


# -- the header -------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "message"), [
    (1 << 63, "claims 9223372036854775808 bytes, and it has"),
    ((1 << 64) - 1, "claims 18446744073709551615 bytes, and it has"),
    (1 << 20, "claims 1048576 bytes, and it has"),
    (0, "JSON can't be read"),
    (1, "JSON can't be read"),
])  # fmt: skip
def test_header_length(length, message):
    header, _, data = good()
    refused(assembled(header, data, length), message)


def test_longest_header(tmp_path):
    """A file may be as long as its header claims, which costs memory all the same."""
    with open(tmp_path / "m", "wb") as file:
        file.write((1 << 30).to_bytes(8, "little"))
        file.truncate((1 << 30) + 8)  # a hole on the disk
    refused(tmp_path / "m", "claims 1073741824 bytes, and 16777216 are the most")


def entry(header, name="0.kernel"):
    return header[name]


def offsets(start, stop):
    return lambda header: entry(header).update(data_offsets=[start, stop])


@pytest.mark.parametrize(("edit", "message"), [
    (offsets(4, 28), "overlaps another"),
    (offsets(0, 24), "overlaps another"),
    (lambda h: entry(h, "1.bias").update(data_offsets=[0, 4]), "overlaps another"),
    (offsets(9, 33), "leaves a gap before it"),
    (lambda h: h.pop("0.bias"), "leaves a gap before it"),
    (lambda h: h.pop("sample.outputs"), "its arrays have 80 bytes, and 92 follow its header"),
    (offsets(1000, 1024), "leaves a gap before it"),
    (offsets(1 << 62, (1 << 62) + 24), "leaves a gap before it"),
    (offsets(32, 8), "needs 24 bytes, and has -24"),
    (offsets(-24, 0), "has offsets"),
    (offsets(8.0, 32.0), "has offsets"),
    (offsets(True, 32), "has offsets"),
    (lambda h: entry(h).update(data_offsets=[8]), "has offsets"),
    (lambda h: entry(h).update(data_offsets=None), "has offsets"),
    (lambda h: entry(h).update(shape=[10**18, 10**18]), "too large for any machine"),
    (lambda h: entry(h).update(shape=[0, 10**18, 10**18]), "too large for any machine"),
    (lambda h: entry(h).update(shape=[10**18]), "needs 4000000000000000000 bytes, and has 24"),
    (lambda h: entry(h).update(shape=[1e18]), "expected whole numbers from 0"),
    (lambda h: entry(h).update(shape=[10**30]), "expected whole numbers from 0"),
    (lambda h: entry(h).update(shape=[-3, -2]), "expected whole numbers from 0"),
    (lambda h: entry(h).update(shape=[1] * 100), "expected whole numbers from 0"),
    (lambda h: entry(h).update(shape=[6]), r"has shape \(6,\), and the layers need \(3, 2\)"),
    (lambda h: entry(h).update(dtype="I32"), "has dtype I32, and the model needs F32"),
    (lambda h: entry(h).update(dtype="F64", shape=[3, 1]), r"has shape \(3, 1\)"),
    (lambda h: entry(h).update(dtype="O"), "has dtype 'O'; known: BOOL"),
    (lambda h: entry(h).update(dtype="BF16"), "has dtype 'BF16'; known: BOOL"),
    (lambda h: entry(h).update(dtype=["F32"]), "has dtype"),
    (lambda h: entry(h).update(pickle="gASV"), "is not described by dtype, shape and data_offsets"),
    (lambda h: h.update({"0.kernel": [1, 2]}), "is not described by"),
    (lambda h: h.update({"../../etc/passwd": h.pop("0.kernel")}), r"'0.kernel' of shape \(3, 2\) is missing"),
    (lambda h: h.update({"/etc/passwd": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), "belongs to none"),
    (lambda h: h.update({"__metadata__": []}), "metadata is not made of texts"),
    (lambda h: h["__metadata__"].update(version=2), "metadata is not made of texts"),
    (lambda h: h["__metadata__"].pop("format"), "holds no numbanet model"),
    (lambda h: h["__metadata__"].pop("model"), "JSON can't be read"),
    (lambda h: h.pop("__metadata__"), "holds no numbanet model"),
    (lambda h: h.update({"sample.extra": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}), "belongs to none"),
])  # fmt: skip
def test_headers(edit, message):
    header, _, data = good()
    edit(header)
    refused(assembled(header, data), message)


def test_missing_array():
    arrays = read_back(assembled(*good()[::2]))
    for name in arrays:
        rest = {other: array for other, array in arrays.items() if other != name}
        refused(serialize(rest, good()[0]["__metadata__"]), f"'{name}' of shape .* is missing")


def test_names_given_twice():
    header, description, data = good()
    text = json.dumps(header)
    refused(assembled(text.replace('{"__meta', '{"0.bias": 1, "__meta', 1).encode(), data), "name '0.bias' twice")
    twice = json.dumps(description).replace('"units": 2', '"units": 2, "units": 3')
    header["__metadata__"]["model"] = twice
    refused(assembled(header, data), "name 'units' twice")


@pytest.mark.parametrize("inner", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 5000 + b"]" * 5000])
def test_deep_nesting(inner):
    header, _, data = good()
    refused(assembled(inner, data), "nested too deeply")
    header["__metadata__"]["model"] = inner.decode()
    refused(assembled(header, data), "nested too deeply")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e999"])
def test_numbers_that_are_none(number):
    header, description, data = good()
    text = json.dumps(description)
    header["__metadata__"]["model"] = text.replace('"units": 2', f'"units": {number}')
    refused(assembled(header, data), f"JSON holds {number}, which is")
    refused(assembled(f'{{"a": {number}}}'.encode(), b""), f"JSON holds {number}, which is")


def test_number_of_many_digits():
    refused(assembled(b'{"a": ' + b"9" * 100_000 + b"}", b""), "JSON can't be read: Exceeds the limit")


# -- the description --------------------------------------------------------------------


def first(description):
    return description["layers"][0]["config"]


@pytest.mark.parametrize(("edit", "message"), [
    (lambda d: first(d)["activation"].update(name="os.system"), "unknown activation 'os.system'"),
    (lambda d: first(d)["activation"].update(name="numpy:load"), "unknown activation 'numpy:load'"),
    (lambda d: first(d)["activation"].update(name="x" * 10**6), "names a formula as"),
    (lambda d: first(d)["activation"].update(name=["tanh"]), "names a formula as"),
    (lambda d: first(d)["activation"].update(name="adam"), "unknown activation 'adam'"),
    (lambda d: first(d).update(activation="tanh; import os"), "unknown activation"),
    (lambda d: first(d).update(units=10**18), r"has shape \(3, 2\), and the layers need \(3, 1000000000000000000\)"),
    (lambda d: first(d).update(units=1e18), r"the layers need \(3, 1000000000000000000\)"),
    (lambda d: first(d).update(units=10**400), "the layers need"),
    (lambda d: first(d).update(units=-2), "units must be at least 1, got -2"),
    (lambda d: first(d).update(units=2.5), "units must be a whole number"),
    (lambda d: first(d).update(units="2"), "units must be a whole number"),
    (lambda d: first(d).update(units=True), "units must be a whole number"),
    (lambda d: first(d).update(__class__="os"), "unexpected keyword argument"),
    (lambda d: first(d).update(self=1), "multiple values for argument 'self'"),
    (lambda d: d["layers"][0].update({"class": "__import__"}), "unknown layer '__import__'"),
    (lambda d: d["layers"][0].update({"class": "numbanet.store.load"}), "unknown layer"),
    (lambda d: d["layers"].append({"class": "Reshape", "config": {"shape": [1 << 32, 1 << 32]}}), "can't take"),
    (lambda d: d.update(input_shape=[10**18]), "the layers need"),
    (lambda d: d.update(input_shape=[-3]), "input_shape must be at least 1"),
    (lambda d: d.update(dtype="float64"), "has dtype F32, and the model needs F64"),
    (lambda d: d.update(dtype="object"), "dtype is 'object'; expected one of float32, float64"),
    (lambda d: d.update(classes=["only one"]), "classes has 1 labels"),
    (lambda d: d.update(classes=[{"a": 1}, 2]), "classes must be texts or numbers"),
    (lambda d: d.pop("plugins"), "description lacks 'plugins'"),
    (lambda d: d.update(plugins=[]), "list of plugins is list"),
    (lambda d: d.update(plugins={"x; rm -rf /": {"version": "1", "formulas": {}}}), "is no name and version"),
    (lambda d: d.update(plugins={"x": {"version": "1 --index-url http://evil", "formulas": {}}}), "is no name and"),
    (lambda d: d.update(plugins={"x": {"version": "1", "formulas": {"code:y": "z"}}}), "not named 'kind:name'"),
    (lambda d: d.update(plugins={"x": {"version": "1", "formulas": []}}), "not named 'kind:name'"),
    (lambda d: d.update(plugins={"x": "1"}), "not described by version and formulas"),
])  # fmt: skip
def test_descriptions(edit, message):
    header, description, data = good()
    edit(description)
    header["__metadata__"]["model"] = json.dumps(description)
    refused(assembled(header, data), message)


@pytest.mark.parametrize("depth", [100, 200, 300, 1000, 30_000])
def test_layers_within_layers(depth):
    header, description, data = good()
    start, end = '{"class": "Residual", "config": {"shortcut": [], "layers": [', "]}}"
    inner = start * depth + json.dumps(description["layers"][1]) + end * depth
    text = json.dumps({**description, "layers": [1]})
    header["__metadata__"]["model"] = text.replace("[1]", f"[{inner}]", 1)
    refused(assembled(header, data), "fits no model|nested too deeply|is missing")


def test_weights_of_another_dtype():
    header, description, data = good("float64")
    description["dtype"] = "float32"
    header["__metadata__"]["model"] = json.dumps(description)
    refused(assembled(header, data), "has dtype F64, and the model needs F32")


# -- what is no such file ---------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def archive():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("data.pkl", pickle.dumps(Evil()))
    return content.getvalue()


def npy():
    content = io.BytesIO()
    np.save(content, np.ones(9))
    return content.getvalue()


@pytest.mark.parametrize(("content", "message"), [
    (b"", "it is empty"),
    (b"\0" * 7, "it has 7 bytes"),
    (archive(), "it is a zip archive"),
    *[(pickle.dumps(Evil(), protocol), "looks like a pickle") for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)],
    (pickle.dumps(Evil(), 0), "its header claims"),
    (npy(), "it is a .npy file"),
    (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "it is an HDF5 file"),
    (b"import os; os.mkdir('evil')\n", "its header claims"),
])  # fmt: skip
def test_other_files(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    Path("m").write_bytes(content)
    refused("m", message)
    assert os.listdir() == ["m"]


def test_folder_and_fifo(tmp_path):
    refused(tmp_path, "it is a folder, or a device")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
        refused(tmp_path / "fifo", "it is a folder, or a device")  # and does not wait for a writer
        with pytest.raises(nn.FormatError, match="it is a folder, or a device"):
            checkpoint.read(tmp_path / "fifo")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_device_without_an_end():
    refused("/dev/zero", "it is a folder, or a device")


# -- many at once -----------------------------------------------------------------------


@pytest.mark.compiled
def test_a_hundred_thousand_mutants():
    """Each is refused or loads, at once, in bounded memory, and nothing is opened, imported or run meanwhile."""
    pytest.importorskip("resource")
    command = [sys.executable, str(HERE / "mutations.py"), "100000", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["others"] == []
    assert report["events"] == {}
    assert report["modules"] == []
    assert report["slowest"] < 2
    assert report["outcomes"]["refused"] > 80_000
    assert report["outcomes"]["loaded"] > 1000  # many changes, as of a seed's digit, mean nothing


NAMES = st.text(st.characters(codec="utf-8"), max_size=9).filter(lambda name: name != "__metadata__")
SHAPES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@settings(deadline=None)
@given(st.dictionaries(NAMES, st.tuples(st.sampled_from(list(tensors.DTYPES.values())), SHAPES), max_size=5),
       st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=9), min_size=1, max_size=3))  # fmt: skip
def test_reads_what_safetensors_writes(kinds, metadata):
    arrays = {name: np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
              for name, (dtype, shape) in kinds.items()}  # fmt: skip
    file = tensors.Tensors(serialize(arrays, metadata))
    assert file.metadata == metadata
    assert set(file.entries) == set(arrays)
    for name, array in arrays.items():
        found = file.array(name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content):
    with pytest.raises(nn.FormatError):
        nn.load(content)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=8)  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(["layers", "input_shape", "dtype", "plugins", "classes", "0", "config", "units", "activation"]),
       JSON)  # fmt: skip
def test_any_value_in_a_description(key, value):
    header, description, data = good()
    place = {"0": description["layers"], "config": description["layers"][0]}.get(key, description)
    place = first(description) if key in ("units", "activation") else place
    place[int(key) if key == "0" else key] = value
    header["__metadata__"]["model"] = json.dumps(description)
    try:
        model = nn.load(assembled(header, data))
    except nn.FormatError:
        return
    assert model.graph.input.shape == (3,)


def test_hostile_checkpoint(tmp_path):
    model = nn.Sequential([nn.Dense(2)], input_shape=(2,))
    trainer = nn.Trainer(model, "mse")
    checkpoint.write(tmp_path / "checkpoint-00000001.safetensors", {"settings": 3}, {"parameters": np.ones(6)})
    with pytest.raises(nn.FormatError, match="the checkpoint lacks 'input_shape'"):
        trainer.resume(tmp_path)
    path = tmp_path / "checkpoint-00000001.safetensors"
    for content, message in ((b"", "it is empty"), (pickle.dumps(Evil()), "looks like a pickle")):
        path.write_bytes(content)
        with pytest.raises(nn.FormatError, match=message):
            checkpoint.read(path)
        with pytest.warns(RuntimeWarning, match=message), pytest.raises(FileNotFoundError):
            trainer.resume(tmp_path)
