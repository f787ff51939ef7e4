"""Files that people have, and what is said of those that can't be read."""

import gzip
import hashlib
import io
import re
import sys
from http.client import BadStatusLine
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbanet import _cache, datasets, downloads
from numbanet.datasets import load_digits, load_fashion_mnist, load_file, load_mnist, split

FLOWERS = "length,width,species\n5.1,3.5,setosa\n7.0,3.2,versicolor\n4.9,3.0,setosa\n6.4,3.2,versicolor\n"


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
    return write


def fails(error, *words):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(word) for word in words))


def idx(array):
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


# Digits


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits as bundled

    X, y = load_digits()
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    expected = bundled()
    np.testing.assert_array_equal(X * 16, expected.data)
    np.testing.assert_array_equal(y, expected.target)


def test_digits_as_images():
    images, y = load_digits(images=True)
    assert images.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(images.reshape(1797, 64), load_digits()[0])
    np.testing.assert_array_equal(y, load_digits()[1])


def test_digits_without_their_file(monkeypatch):
    expected = load_digits()
    monkeypatch.setattr(datasets.Path, "exists", lambda self: False)
    for found, wanted in zip(load_digits(), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_digits_need_scikit_learn(monkeypatch):
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with fails(ImportError, "pip install 'numbanet[sklearn]'"):
        load_digits()


# CSV


def test_header_and_text_labels(write):
    found = load_file(write(FLOWERS))
    np.testing.assert_array_equal(found.X, [[5.1, 3.5], [7, 3.2], [4.9, 3], [6.4, 3.2]])
    np.testing.assert_array_equal(found.y, [0, 1, 0, 1])
    assert found.y.dtype == np.int64
    assert found.classes == ["setosa", "versicolor"]
    assert found.task == "classification"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_no_header_and_delimiters(write, delimiter):
    found = load_file(write(FLOWERS.partition("\n")[2].replace(",", delimiter)))
    assert found.X.shape == (4, 2)
    assert found.classes == ["setosa", "versicolor"]


def test_gzipped_with_byte_order_mark_and_windows_lines(write):
    path = write(gzip.compress(b"\xef\xbb\xbf" + FLOWERS.replace("\n", "\r\n").encode()), "table.csv.gz")
    assert load_file(path, "species").classes == ["setosa", "versicolor"]


def test_quotes_blanks_and_empty_lines(write):
    found = load_file(write('"y","width, mm"\n1.5,"2"\n\n2.5, 3 \n   \n3.5,4\n'), target="y")
    np.testing.assert_array_equal(found.X, [[2], [3], [4]])
    np.testing.assert_array_equal(found.y, [1.5, 2.5, 3.5])
    assert found.task == "regression"
    assert found.classes is None


@pytest.mark.parametrize("target", ["b", 1, "1", -2])
def test_target_by_name_or_index(write, target):
    found = load_file(write("a,b,c\n1,2.5,3\n4,5.5,6\n"), target)
    np.testing.assert_array_equal(found.y, [2.5, 5.5])
    np.testing.assert_array_equal(found.X, [[1, 3], [4, 6]])


def test_columns_numbered_by_pandas(write):
    assert load_file(write("0,1,2\n5,6,7.5\n8,9,1.5\n")).X.shape == (2, 2)


@pytest.mark.parametrize(("labels", "task", "expected", "classes"), [
    ([3, 1, 3, 1], None, [1, 0, 1, 0], ["1", "3"]),
    ([-1, 1, 1, -1], None, [0, 1, 1, 0], ["-1", "1"]),
    ([1, 2, 3, 4], None, [1, 2, 3, 4], None),
    ([1, 2, 3, 4], "classification", [0, 1, 2, 3], ["1", "2", "3", "4"]),
    ([0, 1, 0, 1], "regression", [0, 1, 0, 1], None),
    ([0.5, 1, 0.5, 1], None, [0.5, 1, 0.5, 1], None),
])
def test_task(write, labels, task, expected, classes):
    found = load_file(write("".join(f"7,{label}\n" for label in labels)), task=task)
    np.testing.assert_array_equal(found.y, expected)
    assert found.classes == classes
    assert found.task == ("regression" if classes is None else "classification")


@pytest.mark.parametrize(("text", "words"), [
    ("a,b,y\n1,2,3\n4,x,6\n", ["table.csv, line 3, column 1 ('b'): 'x'", "expected a finite number"]),
    ("1,2,3\n\n4,,6\n", ["line 3, column 1: no value"]),
    ("a,b,y\n1,2,3\n4,5,\n", ["line 3, column 2 ('y'): no value"]),
    ("a,b,y\n1,2,3\n4,nan,6\n", ["line 3, column 1 ('b'): 'nan'"]),
    ("a,b,y\n1,2,3\n4,5,inf\n", ["line 3, column 2 ('y'): 'inf'"]),
    ("a,b,y\n1,2,3\n4,5\n", ["line 3: 2 columns; expected 3"]),
    ("a,b,y\n", ["line 1, column 0: 'a'"]),
    ("", ["first line has 0 columns"]),
    ("1\n2\n", ["first line has 1 column;"]),
    ("1_0,2,3\n4,5,6\n", ["table.csv: could not convert"]),
])
def test_bad_tables(write, text, words):
    with fails(ValueError, *words):
        load_file(write(text))


def test_unknown_columns(write):
    with fails(ValueError, "no column 'kind'", "length, width, species"):
        load_file(write(FLOWERS), "kind")
    with fails(ValueError, "no column 3", "from 0 to 2"):
        load_file(write(FLOWERS), 3)
    with fails(ValueError, "3 columns have no names"):
        load_file(write("1,2,3\n4,5,6\n"), "kind")
    with fails(ValueError, "'setosa'", "expected numbers for regression"):
        load_file(write(FLOWERS), task="regression")
    with fails(ValueError, "task must be", "'cluster'"):
        load_file(write(FLOWERS), task="cluster")


@pytest.mark.parametrize("name", ["table.csv", "table.npy", "table.npz", "table.csv.gz", "table-idx3-ubyte", "table"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x01garbage,\x80", b"PK\x03\x04broken", b"\x1f\x8bbroken"])
def test_damaged_files(write, name, content):
    with fails(ValueError, name):
        load_file(write(content, name))


def test_missing_file(tmp_path):
    with fails(FileNotFoundError, "no file", "nothing.csv"):
        load_file(tmp_path / "nothing.csv")


# NumPy


def test_npy_with_target_column_or_file(tmp_path):
    table = np.array([[1.0, 2, 0.5], [3, 4, 1.5]])
    np.save(tmp_path / "table.npy", table)
    found = load_file(tmp_path / "table.npy")
    np.testing.assert_array_equal(found.X, table[:, :2])
    np.testing.assert_array_equal(found.y, [0.5, 1.5])
    np.testing.assert_array_equal(load_file(tmp_path / "table.npy", "0", task="regression").y, [1, 3])
    np.save(tmp_path / "labels.npy", np.array(["no", "yes"]))
    for target in ("labels.npy", str(tmp_path / "labels.npy")):
        found = load_file(tmp_path / "table.npy", target)
        np.testing.assert_array_equal(found.X, table)
        assert found.classes == ["no", "yes"]


@pytest.mark.parametrize(("features", "labels", "target"), [
    ("X", "y", None), ("x_train", "y_train", None), ("data", "target", None), ("images", "what", "what")])
def test_npz(tmp_path, features, labels, target):
    X, y = np.arange(8, dtype=np.uint8).reshape(4, 2), np.array([[0], [1], [1], [0]])
    np.savez(tmp_path / "arrays.npz", **{features: X, labels: y})
    found = load_file(tmp_path / "arrays.npz", target)
    np.testing.assert_array_equal(found.X, X)
    np.testing.assert_array_equal(found.y, y[:, 0])
    assert found.task == "classification"


def test_targets_of_several_columns(tmp_path):
    np.savez(tmp_path / "arrays.npz", X=np.ones((4, 2)), y=np.zeros((4, 3), int))
    found = load_file(tmp_path / "arrays.npz")
    assert found.task == "regression"
    assert found.y.dtype == np.float64
    assert found.y.shape == (4, 3)


def test_numpy_files_that_cannot_be_used(tmp_path):
    def save(**arrays):
        np.savez(tmp_path / "arrays.npz", **arrays)
        return tmp_path / "arrays.npz"

    with fails(ValueError, "arrays a, y; expected samples", "X, x"):
        load_file(save(a=np.ones(3), y=np.ones(3)))
    with fails(ValueError, "arrays X, b; expected a target", "name the target"):
        load_file(save(X=np.ones(3), b=np.ones(3)))
    with fails(ValueError, "no array 'c'", "X, b"):
        load_file(save(X=np.ones(3), b=np.ones(3)), "c")
    with fails(ValueError, "arrays.npz", "(3, 2)", "(4,)", "as many"):
        load_file(save(X=np.ones((3, 2)), y=np.ones(4)))
    with fails(ValueError, "arrays.npz", "()"):
        load_file(save(X=np.ones((3, 2)), y=np.ones(())))
    with fails(ValueError, "arrays.npz can't be read", "allow_pickle=False"):
        load_file(save(X=np.ones((3, 2)), y=np.array([{}, 1, 2], object)))
    np.save(tmp_path / "vector.npy", np.ones(3))
    with fails(ValueError, "arrays.npz holds several arrays"):
        load_file(tmp_path / "vector.npy", "arrays.npz")
    with fails(ValueError, "shape (3,)", "name the file"):
        load_file(tmp_path / "vector.npy")
    np.save(tmp_path / "objects.npy", np.array([{}, 1], object))
    with fails(ValueError, "objects.npy can't be read", "allow_pickle=False"):
        load_file(tmp_path / "objects.npy")


# IDX


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_images_and_labels_beside_them(write, suffix):
    images = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    labels = np.array([1, 0, 1, 0], np.uint8)
    pack = gzip.compress if suffix else bytes
    path = write(pack(idx(images)), f"train-images-idx3-ubyte{suffix}")
    write(pack(idx(labels)), f"train-labels-idx1-ubyte{suffix}")
    found = load_file(path)
    assert found.X.dtype == np.float32
    np.testing.assert_allclose(found.X, images / 255, rtol=1e-6)
    np.testing.assert_array_equal(found.y, labels)
    assert found.classes == ["0", "1"]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "f4", "f8"])
def test_idx_types(write, dtype):
    values = np.array([[-1, 2], [3, -4]], dtype)
    path = write(idx(values), "values.idx")
    write(idx(np.array([0.5, 1.5])), "targets.idx")
    found = load_file(path, "targets.idx")
    np.testing.assert_array_equal(found.X, values)
    assert found.X.dtype == np.dtype(dtype)
    assert found.task == "regression"


def test_idx_files_that_cannot_be_used(write):
    content = idx(np.zeros((4, 2), np.uint8))
    with fails(ValueError, "cut-images", "19 bytes", "shape (4, 2)", "20"):
        load_file(write(content[:-1], "cut-images"))
    path = write(content, "data.idx")
    with fails(FileNotFoundError, "data.idx", "name it as the target"):
        load_file(path)
    with fails(FileNotFoundError, "no file 'labels.idx'"):
        load_file(path, "labels.idx")
    with fails(ValueError, "no CSV, NPY, NPZ or IDX file"):
        load_file(write(b"\0\0\x07\x01", "data.bin"))


# MNIST and Fashion-MNIST


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two small parts as bytes of IDX files; no folder of this machine, no network."""
    monkeypatch.setattr(datasets, "MNIST_PARTS", {"train": 20, "t10k": 10})
    monkeypatch.setattr(downloads, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(downloads, "user_cache", lambda: tmp_path / "cache")
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: pytest.fail(f"fetches {url}"))
    monkeypatch.delenv("NUMBANET_DATA", raising=False)
    files = {}
    for part, n in datasets.MNIST_PARTS.items():
        images = np.random.default_rng(n).integers(0, 256, (n, 28, 28), np.uint8)
        files[f"{part}-images-idx3-ubyte"] = idx(images)
        files[f"{part}-labels-idx1-ubyte"] = idx((np.arange(n) * 7 % 10).astype(np.uint8))
    return files


def put(files, folder, packed=()):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        gz = name in packed
        (folder / (name + ".gz" * gz)).write_bytes(gzip.compress(content) if gz else content)


def serve(monkeypatch, source, files, **changes):
    """Let `source` be fetched from memory; the list of what was asked for."""
    bodies = {name: gzip.compress(content, mtime=0) for name, content in files.items()}
    for name, body in bodies.items():
        monkeypatch.setitem(source.md5, name, hashlib.md5(body).hexdigest())
    asked = []

    def urlopen(url, timeout):
        name = url.removeprefix(source.url).removesuffix(".gz")
        asked.append(name)
        body = changes.get("body", bodies[name])
        if isinstance(body, Exception):
            raise body
        return io.BytesIO(body)

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    return asked


def check_small(found, files):
    for (X, y), part, n in zip(found, ("train", "t10k"), (20, 10), strict=True):
        assert (X.shape, X.dtype, y.dtype) == ((n, 28, 28, 1), np.float32, np.int64)
        pixels = np.frombuffer(files[f"{part}-images-idx3-ubyte"], np.uint8, offset=16)
        np.testing.assert_allclose(X.ravel(), pixels / 255, rtol=1e-6)
        np.testing.assert_array_equal(y, np.arange(n) * 7 % 10)


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
@pytest.mark.parametrize("packed", [(), tuple(downloads.MNIST.md5), ("train-images-idx3-ubyte",)])
def test_parts_in_a_folder_plain_or_gzipped(small, tmp_path, load, packed):
    put(small, tmp_path / "mine", packed)
    check_small(load(tmp_path / "mine"), small)
    check_small(load(str(tmp_path / "mine")), small)


def test_order_of_folders(small, tmp_path, monkeypatch):
    name = "fashion-mnist"
    folders = [tmp_path / "data" / name, tmp_path / "cache" / "numbanet" / "datasets" / name,
               tmp_path / "debian" / name]
    for folder in folders:
        put(small, folder)
    monkeypatch.setenv("NUMBANET_DATA", str(tmp_path / "data"))
    for folder in folders:
        assert {path.parent for path in downloads.find(downloads.FASHION_MNIST).values()} == {folder}
        check_small(load_fashion_mnist(), small)
        (folder / "t10k-labels-idx1-ubyte").unlink()  # passed over from now on


def test_fetched_once(small, tmp_path, monkeypatch, capsys):
    asked = serve(monkeypatch, downloads.MNIST, small)
    monkeypatch.setenv("NUMBANET_DATA", "")  # as if it weren't set
    check_small(load_mnist(), small)
    assert asked == list(downloads.MNIST.md5)
    assert f"Fetching {downloads.MNIST.url}train-images-idx3-ubyte.gz" in capsys.readouterr().err
    folder = tmp_path / "cache" / "numbanet" / "datasets" / "mnist"
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in asked)
    check_small(load_mnist(), small)
    assert len(asked) == 4
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    check_small(load_mnist(), small)
    assert asked[4:] == ["train-labels-idx1-ubyte"]


@pytest.mark.parametrize(("body", "words"), [
    (b"a login page", ["can't be fetched: its MD5 checksum is", "; expected"]),
    (URLError("Name or service not known"), ["can't be fetched: <urlopen error Name or service not known>"]),
    (TimeoutError("timed out"), ["can't be fetched: timed out"]),
    (BadStatusLine("?"), ["can't be fetched: ?"]),
])
def test_download_that_fails(small, tmp_path, monkeypatch, body, words):
    serve(monkeypatch, downloads.MNIST, small, body=body)
    serve(monkeypatch, downloads.FASHION_MNIST, small, body=body)
    monkeypatch.setenv("NUMBANET_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "fashion-mnist"
    with fails(OSError, f"aren't all in {folder} or", "cache", "or", "debian", downloads.FASHION_MNIST.url, *words,
               "Put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, "
               f"plain or as .gz, into {folder}, or: apt install dataset-fashion-mnist"):
        load_fashion_mnist()
    assert not list(tmp_path.rglob("*.gz"))


def test_nothing_is_fetched_into_a_given_folder(small, tmp_path):
    with fails(FileNotFoundError, f"folder '{tmp_path / 'nothing'}' doesn't exist; expected the files of mnist",
               "t10k-labels-idx1-ubyte"):
        load_mnist(tmp_path / "nothing")
    put(small, tmp_path / "mine")
    (tmp_path / "mine" / "t10k-labels-idx1-ubyte").unlink()
    with fails(FileNotFoundError, f"folder '{tmp_path / 'mine'}' has no t10k-labels-idx1-ubyte; expected"):
        load_fashion_mnist(tmp_path / "mine")


@pytest.mark.parametrize(("name", "content", "words"), [
    ("train-images-idx3-ubyte", idx(np.zeros((20, 28, 27), np.uint8)), ["bytes of shape (20, 28, 27)", "(20, 28, 28)"]),
    ("train-images-idx3-ubyte", idx(np.zeros((20, 28, 28), np.int32)), ["int32 of shape (20, 28, 28); expected bytes"]),
    ("t10k-images-idx3-ubyte", idx(np.zeros((9, 28, 28), np.uint8)), ["samples have shape (9, 28, 28)"]),
    ("t10k-labels-idx1-ubyte", idx(np.arange(1, 11, dtype=np.uint8)), ["holds 1, 2, 3", "expected labels from 0 to 9"]),
    ("t10k-labels-idx1-ubyte", idx(np.zeros((10, 2), np.uint8)), ["shape (10, 2); expected labels"]),
    ("t10k-labels-idx1-ubyte", b"<html>", ["t10k-labels-idx1-ubyte is no"]),
])
def test_parts_that_hold_something_else(small, tmp_path, name, content, words):
    put(small | {name: content}, tmp_path / "mine")
    with fails(ValueError, *words):
        load_mnist(tmp_path / "mine")


@pytest.mark.parametrize(("platform", "variable", "expected"), [
    ("linux", "XDG_CACHE_HOME", ".cache"), ("win32", "LOCALAPPDATA", "AppData/Local"),
    ("darwin", None, "Library/Caches")])
def test_cache_of_the_platform(tmp_path, monkeypatch, platform, variable, expected):
    monkeypatch.setattr(_cache.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert _cache.user_cache() == tmp_path / expected
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "mine"))
        assert _cache.user_cache() == tmp_path / "mine"


@pytest.mark.skipif(not (downloads.DEBIAN / "fashion-mnist").is_dir(), reason="needs dataset-fashion-mnist of Debian")
def test_fashion_mnist_of_debian():
    (X, y), (X_test, y_test) = load_fashion_mnist(downloads.DEBIAN / "fashion-mnist")
    assert (X.shape, X_test.shape) == ((60000, 28, 28, 1), (10000, 28, 28, 1))
    assert (X.min(), X.max()) == (0, 1)
    np.testing.assert_array_equal(np.bincount(y), [6000] * 10)
    np.testing.assert_array_equal(np.bincount(y_test), [1000] * 10)
    assert [datasets.FASHION_MNIST_CLASSES[label] for label in y_test[:3]] == ["Ankle boot", "Pullover", "Trouser"]


# Splits


@given(n=st.integers(2, 60), share=st.floats(0, 0.9), seed=st.integers(0, 2 ** 32), stratify=st.booleans())
def test_split_keeps_every_sample_once(n, share, seed, stratify):
    X, y = np.arange(n)[:, np.newaxis], np.arange(n) % 3
    if round(share * n) >= n:
        return
    first, y_first, second, y_second = split(X, y, share, seed, stratify)
    assert len(second) == round(share * n)
    assert sorted([*first[:, 0], *second[:, 0]]) == list(range(n))
    np.testing.assert_array_equal(np.concatenate([y_first, y_second]), np.concatenate([first, second])[:, 0] % 3)
    for part, again in zip((first, y_first, second, y_second), split(X, y, share, seed, stratify), strict=True):
        np.testing.assert_array_equal(part, again)


@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=5), seed=st.integers(0, 100))
def test_stratified_split_is_proportional(counts, seed):
    y = np.repeat(np.arange(len(counts)), counts)
    found = np.bincount(split(y[:, np.newaxis], y, 0.25, seed, True)[3], minlength=len(counts))
    assert np.all(np.abs(found - 0.25 * np.array(counts)) <= 1.5)


def test_split_that_cannot_be_made():
    with fails(ValueError, "fraction must be at least 0 and below 1", "1.0"):
        split(np.ones((3, 1)), np.ones(3), 1.0)
    with fails(ValueError, "fraction 0.9 of 2 samples"):
        split(np.ones((2, 1)), np.ones(2), 0.9)
    with fails(ValueError, "X has 3 rows and y has 2"):
        split(np.ones((3, 1)), np.ones(2), 0.5)
    with fails(ValueError, "seed"):
        split(np.ones((3, 1)), np.ones(3), 0.5, -1)
