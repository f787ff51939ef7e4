"""Targets and weights of samples as kernels take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from numbanet.checks import converted, first_not, nonnegative_float, not_finite, place_of, real_array, whole_number
from numbanet.spec import Loss

RANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "positive": (lambda v: v > 0, "values above 0"),
    "nonnegative": (lambda v: v >= 0, "values of at least 0"),
    "binary": (lambda v: (v >= 0) & (v <= 1), "values from 0 to 1; more than two classes need softmax_cross_entropy"),
    "sign": (lambda v: (v == 1) | (v == -1) | (v == 0), "only -1 and 1, or 0 and 1"),
}


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets as the kernels take them.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        C-contiguous, of the working dtype.
    classes : bool
        Whether `values`, of shape (n, 1), holds class labels from 0.
    kind : str
        `Loss.targets` of the loss they were checked for.
    outputs : int
        Outputs of the model.
    """

    values: np.ndarray
    classes: bool
    kind: str
    outputs: int


def as_targets(y: Any, loss: Loss, *, outputs: int, n: int, dtype: Any = np.float32, name: str = "y") -> Targets:
    """Targets that suit the loss and the model.

    Parameters
    ----------
    y : array_like, shape (n,) or (n, outputs)
        Values; or, for a loss on classes, labels from 0, or one-hot or soft rows.
    loss : Loss
        Its `targets` says what is allowed.
    outputs, n : int
        Outputs of the model; samples.
    dtype : dtype
        Working dtype.
    name : str
        What errors call it.

    Returns
    -------
    Targets
        Labels as one column, anything else as `outputs` columns.

    Raises
    ------
    TypeError
        If `y` isn't made of real numbers.
    ValueError
        If its shape or a value doesn't suit.
    """
    array = real_array(y, name)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {array.shape}; expected (n,) or (n, outputs)")
    if len(array) != n:
        raise ValueError(f"{name} has {len(array)} rows for {n} samples; expected one row for each sample")
    if loss.targets == "classes":
        if outputs < 2:
            raise ValueError(f"{loss.name} needs a model with one output for each class, got {outputs} output; for "
                             "two classes and one output use binary_cross_entropy")
        if array.ndim == 1 or array.shape[1] == 1:
            return Targets(_labels(array.reshape(n, 1), name, outputs, dtype), True, loss.targets, outputs)
    columns = 1 if array.ndim == 1 else array.shape[1]
    if columns != outputs:
        either = "integer labels of shape (n,) or one-hot rows" if loss.targets == "classes" else "one column an output"
        raise ValueError(f"{name} has shape {array.shape}, {columns} column{'s' * (columns != 1)}, and the model has "
                         f"{outputs} output{'s' * (outputs != 1)}; {loss.name} expects {either}: (n, {outputs})")
    values = converted(array.reshape(n, columns), name, dtype)
    good, expected = RANGES.get("nonnegative" if loss.targets == "classes" else loss.targets, (None, ""))
    where = None if good is None else first_not(values, good)
    if where is not None:
        raise ValueError(f"{name} holds {values[where]} at {place_of(where)}; {loss.name} expects {expected}")
    if loss.targets == "sign" and first_not(values, lambda v: v != 0) is not None:
        if first_not(values, lambda v: v != -1) is not None:
            raise ValueError(f"{name} holds -1, 0 and 1 or -1 and 0; {loss.name} expects {expected}")
        values = np.where(values > 0, values, -1).astype(dtype, copy=False)
    return Targets(values, False, loss.targets, outputs)


def _labels(array: np.ndarray, name: str, outputs: int, dtype: Any) -> np.ndarray:
    """Class labels from 0 to outputs - 1."""
    array = np.ascontiguousarray(array)
    where = first_not(array, lambda v: (v >= 0) & (v < outputs) & (v == np.floor(v)))
    if where is None:
        return np.require(array, dtype, ("C", "A"))
    found = array[where]
    if not np.isfinite(found):
        raise not_finite(found, name, where)
    if found != np.floor(found):
        hint = "expected whole numbers; for a loss on real targets use for example mean_squared_error"
    elif array.min() == 1 and array.max() == outputs:
        hint = f"expected labels from 0: use {name} - 1"
    else:
        hint = f"expected labels 0 to {outputs - 1}, for the model has {outputs} outputs"
    raise ValueError(f"{name} holds {found} at row {where[0]}; {hint}")


def as_weights(sample_weight: Any, class_weight: Mapping[int, float] | str | None, targets: Targets, *, n: int,
               dtype: Any = np.float32) -> np.ndarray | None:
    """Weight of every sample: sample weight times class weight.

    Parameters
    ----------
    sample_weight : array_like, shape (n,), optional
        Nonnegative, not all 0.
    class_weight : mapping of int to float or 'balanced', optional
        Weight of each label, 1 where it has none; 'balanced' is n / (classes x samples of the
        class), counting the classes that occur. Labels are 0 and 1, or -1 and 1, for one output.
    targets : Targets
        Checked targets.
    n : int
        Samples.
    dtype : dtype
        Working dtype.

    Returns
    -------
    ndarray, shape (n,), or None
        None where neither is given.

    Raises
    ------
    TypeError
        If a weight is no number.
    ValueError
        If a weight is negative, all are 0, a shape doesn't suit, or targets have no labels.
    """
    if sample_weight is None and class_weight is None:
        return None
    weights = np.ones(n, dtype)
    if sample_weight is not None:
        array = real_array(sample_weight, "sample_weight")
        if array.shape not in ((n,), (n, 1)):
            raise ValueError(f"sample_weight has shape {array.shape}; expected ({n},), one weight for each sample")
        weights = converted(array.reshape(n), "sample_weight", dtype)
        where = first_not(weights, RANGES["nonnegative"][0])
        if where is not None:
            raise ValueError(f"sample_weight holds {weights[where]} at row {where[0]}; expected values of at least 0")
    if class_weight is not None:
        weights = converted(weights * _class_weights(class_weight, targets), "sample_weight times class_weight", dtype)
    if not weights.any():
        raise ValueError("sample_weight and class_weight leave no sample a weight above 0; expected at least one")
    return weights


def _class_weights(class_weight: Any, targets: Targets) -> np.ndarray:
    single = targets.kind in ("binary", "sign") and targets.outputs == 1
    if not targets.classes and (not single or first_not(targets.values, lambda v: abs(v) == v * v) is not None):
        raise ValueError("class_weight needs class labels of shape (n,), and the targets are rows or real values: "
                         "pass labels, or use sample_weight")
    labels = targets.values[:, 0].astype(np.intp)
    if isinstance(class_weight, str) and class_weight == "balanced":
        _, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return (len(labels) / (len(counts) * counts))[labels]
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight must be 'balanced' or a dict of label to weight, got {class_weight!r}")
    known = {"binary": [0, 1], "sign": [-1, 1]}.get(targets.kind, range(targets.outputs))
    weights = np.ones(len(labels))
    for key, weight in class_weight.items():
        label = whole_number("a label in class_weight", key, known[0])
        if targets.kind == "sign" and label == 0:
            label = -1
        if label not in known:
            raise ValueError(f"class_weight names the label {key!r}; expected labels {known[0]} to {known[-1]}")
        weights[labels == label] = nonnegative_float(f"class_weight[{key!r}]", weight)
    return weights
