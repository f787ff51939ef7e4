"""Figures of merit, weighted by sample, as in scikit-learn where it has them.

A target of shape ``(n,)`` holds labels where the prediction has several columns; the predicted
label is the largest column's. Otherwise each column is a number, or a class of its own that is
there where it exceeds ``threshold``: 0.5 for probabilities, 0 for targets of -1 and 1.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from numbanet.hookspecs import hookimpl
from numbanet.spec import Metric


def _columns(target, prediction):
    """Target and prediction in float64, of the same shape."""
    target = np.asarray(target, np.float64)
    if target.ndim == 1 and prediction.shape[1] == 1:
        target = target[:, None]
    if target.shape != prediction.shape:
        raise ValueError(f"targets of shape {target.shape} can't be compared with predictions of {prediction.shape}")
    return target, np.asarray(prediction, np.float64)


def _is_label(target, prediction):
    return target.ndim == 1 and prediction.shape[1] > 1


def _mean(values, weight):
    """Mean over the columns, and over the samples by weight."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def accuracy(target, prediction, weight, threshold):
    """Part of the labels, or of the columns' classes, that are right."""
    if _is_label(target, prediction):
        return _mean(prediction.argmax(axis=1) == target, weight)
    target, prediction = _columns(target, prediction)
    return _mean((prediction > threshold) == (target > threshold), weight)


def top_k_accuracy(target, prediction, weight, k):
    """Part of the samples with fewer than k columns above the label's own."""
    own = np.take_along_axis(prediction, np.asarray(target, np.intp)[:, None], axis=1)
    return _mean((~(prediction <= own)).sum(axis=1) < k, weight)


def mean_squared_error(target, prediction, weight):
    target, prediction = _columns(target, prediction)
    return _mean((prediction - target) ** 2, weight)


def mean_absolute_error(target, prediction, weight):
    target, prediction = _columns(target, prediction)
    return _mean(abs(prediction - target), weight)


def r2_score(target, prediction, weight):
    """1 - squared error / variance, mean over the columns; 1 or 0 for a constant target, hit or missed."""
    target, prediction = _columns(target, prediction)
    error = weight @ (prediction - target) ** 2
    spread = weight @ (target - np.average(target, axis=0, weights=weight)) ** 2
    score = 1 - np.divide(error, spread, out=(error != 0).astype(np.float64), where=spread > 0)
    return float(score.mean())


def _counts(target, prediction, weight, threshold):
    """True positives, predicted positives and positives of each class that occurs."""
    if _is_label(target, prediction):
        classes = np.arange(prediction.shape[1])
        actual, predicted = target[:, None] == classes, prediction.argmax(axis=1)[:, None] == classes
    else:
        target, prediction = _columns(target, prediction)
        actual, predicted = target > threshold, prediction > threshold
    counts = np.stack([weight @ (actual & predicted), weight @ predicted, weight @ actual])
    return counts[:, counts.any(axis=0)]


def _macro(hits, of):
    """Mean over the classes of a ratio, 0 where there is nothing to count."""
    return float(np.divide(hits, of, out=np.zeros(len(hits)), where=of > 0).mean()) if len(hits) else 0.0


def precision(target, prediction, weight, threshold):
    """Part of those predicted that are of the class; mean over the classes that occur."""
    hits, predicted, _ = _counts(target, prediction, weight, threshold)
    return _macro(hits, predicted)


def recall(target, prediction, weight, threshold):
    """Part of those of the class that are predicted; mean over the classes that occur."""
    hits, _, actual = _counts(target, prediction, weight, threshold)
    return _macro(hits, actual)


def f1(target, prediction, weight, threshold):
    """Harmonic mean of precision and recall; mean over the classes that occur."""
    hits, predicted, actual = _counts(target, prediction, weight, threshold)
    return _macro(2 * hits, predicted + actual)


THRESHOLD = {"threshold": 0.5}
MSE = Metric("mean_squared_error", compute=mean_squared_error, greater_is_better=False)
MAE = Metric("mean_absolute_error", compute=mean_absolute_error, greater_is_better=False)


@hookimpl
def numbanet_metrics() -> Iterable[Metric]:
    return (
        Metric("accuracy", compute=accuracy, params=THRESHOLD),
        Metric("top_k_accuracy", compute=top_k_accuracy, params={"k": 5}, bounds={"k": "[1, inf)"}),
        MSE,
        replace(MSE, name="mse"),
        MAE,
        replace(MAE, name="mae"),
        Metric("r2_score", compute=r2_score),
        Metric("precision", compute=precision, params=THRESHOLD),
        Metric("recall", compute=recall, params=THRESHOLD),
        Metric("f1", compute=f1, params=THRESHOLD),
    )
