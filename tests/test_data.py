"""What the user may hand in, and what is said of the rest."""

import re

import numpy as np
import pandas
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from numbanet import checks
from numbanet.checks import (
    finite_float,
    fraction,
    nonnegative_float,
    nonnegative_int,
    positive_float,
    positive_int,
)
from numbanet.data import as_features
from numbanet.spec import Loss
from numbanet.targets import as_targets, as_weights

FLOATS = [np.float32, np.float64]


def loss(targets):
    def zero(output, target):
        return 0.0

    return Loss(f"{targets}_loss", loss=zero, derivative=zero, targets=targets)


def targets(y, kind="classes", outputs=3, **options):
    return as_targets(y, loss(kind), outputs=outputs, n=len(y), **options)


def fails(error, *words):
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(word) for word in words))


# Features


@pytest.mark.parametrize("dtype", FLOATS)
@given(source=arrays.arrays(
    st.sampled_from(["?", "i1", "u1", "<i2", ">i4", "i8", "u8", "f2", "<f4", ">f4", "f8", "g"]),
    arrays.array_shapes(min_dims=2, max_dims=4, max_side=5), elements={"min_value": 0, "max_value": 1}))
def test_any_dtype_and_layout_becomes_contiguous(dtype, source):
    wide = np.repeat(source, 2, axis=-1)
    read_only = source.copy()
    read_only.flags.writeable = False
    for array in (source, np.asfortranarray(source), wide[..., ::2], source[::-1, ::-1][::-1, ::-1], read_only,
                  source.tolist()):
        values = as_features(array, dtype=dtype)
        assert values.dtype == dtype
        assert values.flags.c_contiguous
        assert values.flags.aligned
        np.testing.assert_array_equal(values, source.astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_suitable_array_is_not_copied(dtype, tmp_path):
    array = np.arange(12, dtype=dtype).reshape(4, 3)
    np.save(tmp_path / "array.npy", array)
    mapped = np.load(tmp_path / "array.npy", mmap_mode="r")
    array.flags.writeable = False
    for source in (array, mapped, array[1:3]):
        values = as_features(source, dtype=dtype)
        assert type(values) is np.ndarray
        assert np.shares_memory(values, source)


def test_unaligned_array():
    source = np.frombuffer(b"\0" + np.arange(6, dtype=np.float32).tobytes(), np.float32, offset=1).reshape(2, 3)
    assert not source.flags.aligned
    assert as_features(source).flags.aligned


def test_matrix_and_unmasked_array_are_plain():
    for source in (np.ma.array([[1.0, 2.0]]), np.array([[1.0, 2.0]])):
        assert type(as_features(source)) is np.ndarray


def test_pandas():
    frame = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": pandas.array([1.5, 2.5], dtype="Float64")})
    np.testing.assert_array_equal(as_features(frame), np.array([[1, 1, 1.5], [2, 0, 2.5]], np.float32))
    floats = pandas.DataFrame(np.ones((3, 2), np.float32))
    assert as_features(floats).shape == (3, 2)
    np.testing.assert_array_equal(targets(pandas.Series([0, 2])).values, [[0], [2]])
    np.testing.assert_array_equal(targets(pandas.Series([0, 2], dtype="Int64")).values, [[0], [2]])


def test_pandas_errors_name_the_column():
    with fails(TypeError, "X: column 'sex'", "dtype", "expected numbers"):
        as_features(pandas.DataFrame({"age": [1, 2], "sex": ["f", "m"]}))
    with fails(TypeError, "y: column 'when'", "datetime64"):
        targets(pandas.Series(pandas.to_datetime(["2020-01-01"]), name="when"))
    with fails(ValueError, "X holds NaN", "row 1, column 0"):
        as_features(pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64"), "b": [1.0, 2.0]}))
    with fails(ValueError, "X is empty"):
        as_features(pandas.DataFrame(index=range(3)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
@given(place=st.tuples(st.integers(0, 49), st.integers(0, 6)), chunk=st.sampled_from([8, 100, 1 << 20]),
       fortran=st.booleans())
def test_first_bad_value_is_found(dtype, value, word, place, chunk, fortran):
    array = np.zeros((50, 7), order="F" if fortran else "C")
    array[place] = value
    array[49, 6] = value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHUNK", chunk)
        with fails(ValueError, f"X holds {word}", f"row {place[0]}, column {place[1]} "):
            as_features(array, dtype=dtype)


def test_bad_value_in_images():
    array = np.zeros((3, 2, 2, 1))
    array[2, 1, 0, 0] = np.nan
    with fails(ValueError, "index (2, 1, 0, 0)"):
        as_features(array)


def test_overflow_on_conversion():
    with fails(ValueError, "X holds 1e+39 at row 1, column 0", "too large for float32", "float64"):
        as_features([[1.0], [1e39]])
    assert as_features([[1.0], [1e39]], dtype=np.float64)[1, 0] == 1e39


@pytest.mark.parametrize(("X", "error", "words"), [
    ([[1j, 0]], TypeError, ["complex"]),
    (np.array([[1, 2]], object), TypeError, ["dtype object", "expected numbers"]),
    ([[None, 1]], TypeError, ["dtype object"]),
    ([[10 ** 30]], TypeError, ["dtype object"]),
    ([["a", "b"]], TypeError, ["strings"]),
    (np.array([["2020-01-01"]], "M8[D]"), TypeError, ["datetime64"]),
    (np.zeros((2, 2), [("a", "f4")]), TypeError, ["dtype"]),
    (None, TypeError, [" is NoneType"]),
    ({1: 2}, TypeError, [" is dict"]),
    ("text", TypeError, ["strings"]),
    (scipy.sparse.csr_array(np.eye(2)), TypeError, ["sparse", "X.toarray()"]),
    ([[1, 2], [3]], ValueError, ["equal length"]),
    (np.ma.array([[1.0, 2.0]], mask=[[True, False]]), ValueError, ["masked"]),
    ([], ValueError, ["empty"]),
    (np.zeros((0, 3)), ValueError, ["empty", "(0, 3)"]),
    (np.zeros((3, 0)), ValueError, ["empty", "(3, 0)"]),
    ([1.0, 2.0], ValueError, ["shape (2,)", "X.reshape(-1, 1)", "X.reshape(1, -1)"]),
    (1.0, ValueError, ["shape ()"]),
])
def test_features_that_cannot_be_used(X, error, words):
    with fails(error, "X", *words):
        as_features(X)


def test_wrong_width():
    with fails(ValueError, "X has shape (5, 3)", "expects (n, 4)"):
        as_features(np.zeros((5, 3)), shape=(4,))
    with fails(ValueError, "images has shape (5, 3, 2)", "images.reshape(-1, 6)"):
        as_features(np.zeros((5, 3, 2)), shape=(6,), name="images")
    with fails(ValueError, "X[numpy.newaxis]"):
        as_features(np.zeros((3, 2)), shape=(3, 2))
    with fails(ValueError, "X.reshape(-1, 28, 28, 1)"):
        as_features(np.zeros((2, 28, 28)), shape=(28, 28, 1))
    assert as_features(np.zeros((5, 3, 2)), shape=(3, 2)).shape == (5, 3, 2)


# Targets


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("source", [
    [0, 2, 1], [[0], [2], [1]], np.array([0, 2, 1], np.uint8), np.array([0.0, 2.0, 1.0]),
    np.array([0, 9, 2, 9, 1])[::2]])
def test_labels(source, dtype):
    found = targets(source, dtype=dtype)
    assert found.classes
    assert found.values.dtype == dtype
    assert found.values.flags.c_contiguous
    np.testing.assert_array_equal(found.values, [[0], [2], [1]])


def test_boolean_labels():
    np.testing.assert_array_equal(targets([True, False], outputs=2).values, [[1], [0]])


def test_one_hot_and_soft_rows():
    rows = np.asfortranarray([[0.5, 0.25, 0.25], [0, 0, 1]])
    found = targets(rows)
    assert not found.classes
    assert found.values.flags.c_contiguous
    np.testing.assert_array_equal(found.values, rows)


@pytest.mark.parametrize(("y", "words"), [
    ([0, 1, 3], ["y holds 3 at row 2", "labels 0 to 2"]),
    ([1, 2, 3], ["use y - 1"]),
    ([0, -1, 1], ["y holds -1 at row 1", "labels 0 to 2"]),
    ([0, 0.5, 1], ["y holds 0.5 at row 1", "whole numbers"]),
    ([0, np.nan, 1], ["y holds NaN", "row 1"]),
    (np.eye(4), ["y has shape (4, 4)", "3 outputs", "one-hot rows: (n, 3)"]),
    (np.zeros((2, 0)), ["0 columns"]),
    ([[0, -1, 1]], ["y holds -1.0 at row 0, column 1", "at least 0"]),
    ([[0, np.inf, 1]], ["y holds infinity", "row 0, column 1"]),
    (np.zeros((2, 3, 1)), ["y has shape (2, 3, 1)", "(n, outputs)"]),
])
def test_labels_that_cannot_be_used(y, words):
    with fails(ValueError, *words):
        targets(y)


def test_text_labels():
    with fails(TypeError, "y holds strings", "numpy.unique(y"):
        targets(["a", "b"])


def test_mismatched_lengths():
    with fails(ValueError, "y has 3 rows for 4 samples"):
        as_targets([0, 1, 2], loss("classes"), outputs=3, n=4)
    with fails(ValueError, "y has 0 rows for 4 samples"):
        as_targets([], loss("real"), outputs=1, n=4)
    with fails(ValueError, "y has shape ()"):
        as_targets(1.0, loss("real"), outputs=1, n=1)


def test_classes_need_two_outputs():
    with fails(ValueError, "classes_loss", "1 output", "binary_cross_entropy"):
        targets([0, 0], outputs=1)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("kind", "good", "bad", "words"), [
    ("real", [-1.5, 0, 2], [1, np.nan, 2], ["NaN", "row 1"]),
    ("positive", [1, 2, 0.5], [1, 0, 2], ["0.0 at row 1", "above 0"]),
    ("nonnegative", [0, 1, 2], [1, -0.5, 2], ["-0.5 at row 1", "at least 0"]),
    ("binary", [0, 0.5, 1], [0, 2, 1], ["2.0 at row 1", "from 0 to 1"]),
    ("sign", [-1, 1, 1], [-1, 1, 2], ["2.0 at row 2", "-1 and 1"]),
    ("sign", [-1, 1, 1], [-1, 0, 1], ["-1, 0 and 1"]),
])
def test_ranges(kind, good, bad, words, dtype):
    found = targets(good, kind, 1, dtype=dtype)
    assert not found.classes
    np.testing.assert_array_equal(found.values, np.array(good, dtype)[:, np.newaxis])
    with fails(ValueError, "y holds", *words):
        targets(bad, kind, 1, dtype=dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_zero_is_read_as_minus_one(dtype):
    found = targets([[0, 1], [1, 0]], "sign", 2, dtype=dtype).values
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, [[-1, 1], [1, -1]])


def test_columns_match_outputs():
    with fails(ValueError, "y has shape (3,), 1 column", "2 outputs", "(n, 2)"):
        targets([1, 2, 3], "real", 2)
    with fails(ValueError, "2 columns", "1 output"):
        targets(np.zeros((3, 2)), "binary", 1)


def test_targets_are_not_copied():
    y = np.zeros((4, 2), np.float32)
    assert np.shares_memory(targets(y, "real", 2).values, y)


# Weights


def test_no_weights():
    assert as_weights(None, None, targets([0, 1]), n=2) is None


@pytest.mark.parametrize("dtype", FLOATS)
def test_weights_multiply(dtype):
    weights = as_weights([1, 2, 0, 4], {0: 10, 2: 0.5}, targets([0, 1, 0, 2]), n=4, dtype=dtype)
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights, [10, 2, 0, 2])


def test_balanced_as_scikit_learn_has_it():
    from sklearn.utils.class_weight import compute_sample_weight

    y = np.array([0, 0, 0, 2, 2, 5])
    weights = as_weights(None, "balanced", targets(y, outputs=7), n=6, dtype=np.float64)
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", y))


@pytest.mark.parametrize(("kind", "y", "class_weight"), [
    ("binary", [0, 1, 1], {0: 3}), ("sign", [-1, 1, 1], {-1: 3}), ("sign", [0, 1, 1], {0: 3, 1: 1})])
def test_class_weight_of_one_output(kind, y, class_weight):
    weights = as_weights(None, class_weight, targets(y, kind, 1), n=3)
    np.testing.assert_array_equal(weights, [3, 1, 1])


@pytest.mark.parametrize(("sample_weight", "class_weight", "error", "words"), [
    ([1, 2], None, ValueError, ["sample_weight has shape (2,)", "(3,)"]),
    ([1, -1, 1], None, ValueError, ["sample_weight holds -1.0 at row 1", "at least 0"]),
    ([1, np.nan, 1], None, ValueError, ["sample_weight holds NaN", "row 1"]),
    ([0, 0, 0], None, ValueError, ["sample_weight", "no sample a weight"]),
    (["a", "b", "c"], None, TypeError, ["sample_weight holds strings"]),
    (None, {0: 0, 1: 0, 2: 0}, ValueError, ["class_weight", "no sample a weight"]),
    (None, {3: 1}, ValueError, ["label 3", "labels 0 to 2"]),
    (None, {-1: 1}, ValueError, ["label in class_weight", "at least 0"]),
    (None, {"a": 1}, TypeError, ["label in class_weight", "'a'"]),
    (None, {0: -1}, ValueError, ["class_weight[0]", "negative"]),
    (None, {0: np.inf}, ValueError, ["class_weight[0]", "finite"]),
    (None, {0: None}, TypeError, ["class_weight[0]", "number"]),
    (None, "balance", TypeError, ["class_weight must be 'balanced'", "'balance'"]),
    (None, [1, 1, 1], TypeError, ["class_weight must be 'balanced'"]),
    ([1e30, 1, 1], {0: 1e30}, ValueError, ["sample_weight times class_weight", "too large"]),
])
def test_weights_that_cannot_be_used(sample_weight, class_weight, error, words):
    with fails(error, *words):
        as_weights(sample_weight, class_weight, targets([0, 1, 2]), n=3)


@pytest.mark.parametrize("unlabelled", [
    (np.eye(3), "classes", 3), ([0, 0.5, 1], "binary", 1), ([[0, 1], [1, 0]], "binary", 2), ([1, 2], "real", 1)])
def test_class_weight_needs_labels(unlabelled):
    y, kind, outputs = unlabelled
    with fails(ValueError, "class_weight needs class labels"):
        as_weights(None, "balanced", targets(y, kind, outputs), n=len(y))


# Numbers


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3), 3.0, np.float32(3)])
def test_whole_numbers(value):
    assert type(positive_int("epochs", value)) is int
    assert positive_int("epochs", value) == nonnegative_int("epochs", value) == 3


@pytest.mark.parametrize(("check", "value", "error"), [
    (positive_int, 0, ValueError), (positive_int, -1, ValueError), (nonnegative_int, -1, ValueError),
    (positive_int, 1.5, ValueError), (positive_int, np.nan, ValueError), (positive_int, np.inf, ValueError),
    (positive_int, True, TypeError), (positive_int, np.True_, TypeError), (positive_int, "3", TypeError),
    (positive_int, None, TypeError), (positive_int, [3], TypeError),
    (finite_float, np.nan, ValueError), (finite_float, -np.inf, ValueError), (finite_float, 10 ** 400, ValueError),
    (finite_float, True, TypeError), (finite_float, "1", TypeError), (finite_float, None, TypeError),
    (positive_float, 0, ValueError), (nonnegative_float, -1e-9, ValueError),
    (fraction, 1, ValueError), (fraction, -0.1, ValueError),
])
def test_numbers_that_cannot_be_used(check, value, error):
    with fails(error, "batch_size must", repr(value)):
        check("batch_size", value)


def test_numbers():
    assert positive_float("rate", np.float32(0.5)) == nonnegative_float("rate", 0.5) == fraction("rate", 0.5) == 0.5
    assert type(finite_float("rate", np.int64(2))) is float
    assert nonnegative_float("rate", 0) == fraction("rate", 0) == 0
