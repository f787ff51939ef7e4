"""Where the data of the command line comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from numbanet.checks import real_array
from numbanet.data import as_features
from numbanet.datasets import (
    FASHION_MNIST_CLASSES,
    Dataset,
    load_digits,
    load_fashion_mnist,
    load_file,
    load_mnist,
)
from numbanet.registry import get

DIGITS = [str(digit) for digit in range(10)]


def load(source: str, target: str | None = None, loss: str | None = None) -> tuple[str, Dataset, bool]:
    """The data that a source names.

    Parameters
    ----------
    source : str
        "digits", "mnist", "fashion" or a file.
    target : str, optional
        As for `load_file`.
    loss : str, optional
        Loss to be used, which may decide what whole numbers are.

    Returns
    -------
    name : str
        What to call the run.
    dataset : Dataset
        Samples as vectors, or as images of shape (height, width, channels).
    rescale : bool
        Whether features are to be rescaled; images of floats are not.

    Raises
    ------
    ValueError, OSError, ImportError
        If there is no such file, or it can't be used.
    """
    if source == "digits":
        X, y = load_digits(images=True)
        return source, Dataset(X, y, "classification", DIGITS), False
    if source in ("mnist", "fashion"):
        (X, y), (X_test, y_test) = load_mnist() if source == "mnist" else load_fashion_mnist()
        classes = DIGITS if source == "mnist" else list(FASHION_MNIST_CLASSES)
        return source, Dataset(X, y, "classification", classes, (X_test, y_test)), False
    if not Path(source).is_file():
        raise FileNotFoundError(f"SOURCE must be 'digits', 'mnist', 'fashion' or a file; found no file '{source}'")
    task = None
    if loss is not None:
        task = "classification" if get("loss", loss).targets in ("classes", "binary", "sign") else "regression"
    dataset = load_file(source, target, task=task)
    scaled = dataset.X.ndim > 2 and dataset.X.dtype != np.uint8
    X = real_array(dataset.X, "X")
    X = as_features(X if X.ndim > 1 else X[:, None], dtype=X.dtype)  # a bad value is named by its row in the file
    if X.ndim == 3:
        X = X[..., None]
    return Path(source).name.split(".")[0], Dataset(X, dataset.y, dataset.task, dataset.classes), not scaled
