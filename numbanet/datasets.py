"""Data to train on: images of digits and clothes, files, and a split into parts."""

from __future__ import annotations

import csv
import importlib.util
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numbanet import downloads, readers
from numbanet.checks import fraction as checked_fraction
from numbanet.checks import nonnegative_int

__all__ = ["FASHION_MNIST_CLASSES", "Dataset", "load_digits", "load_fashion_mnist", "load_file", "load_mnist", "split"]

MOST_CLASSES = 100  # more distinct whole numbers than this are taken for a quantity
FASHION_MNIST_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                         "Ankle boot")
MNIST_PARTS = {"train": 60_000, "t10k": 10_000}  # images, by the first word of the files' names

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and what is to be learnt of them.

    Parameters
    ----------
    X : ndarray, shape (n, ...)
        Samples.
    y : ndarray, shape (n,) or (n, outputs)
        Labels from 0, int64, or real targets, float64.
    task : {'classification', 'regression'}
        What `y` is.
    classes : list of str, optional
        Name of every class.
    test : tuple of ndarray, optional
        Further `X` and `y`, which are set apart for the test.
    """

    X: np.ndarray
    y: np.ndarray
    task: str
    classes: list[str] | None = None
    test: Arrays | None = None


def load_digits(*, images: bool = False) -> Arrays:
    """Scikit-learn's bundled images of handwritten digits.

    Parameters
    ----------
    images : bool
        Whether to return images, with one channel, rather than rows of pixels.

    Returns
    -------
    X : ndarray of float32, shape (1797, 64) or (1797, 8, 8, 1)
        Images of 8 x 8 pixels, from 0 to 1.
    y : ndarray of int64, shape (1797,)
        Digits.

    Raises
    ------
    ImportError
        If scikit-learn is missing.
    """
    spec = importlib.util.find_spec("sklearn")
    if spec is None:
        raise ImportError("the digits come with scikit-learn: pip install 'numbanet[sklearn]'")
    # Importing sklearn.datasets takes more than a second, reading its file 0.02 s.
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.exists():
            table = np.loadtxt(path, delimiter=",")
            break
    else:
        from sklearn.datasets import load_digits as bundled

        table = np.column_stack(bundled(return_X_y=True))
    X = (table[:, :-1] / 16).astype(np.float32)
    return X.reshape(-1, 8, 8, 1) if images else X, table[:, -1].astype(np.int64)


def load_mnist(folder: str | Path | None = None) -> tuple[Arrays, Arrays]:
    """Images of handwritten digits (LeCun et al., 1998).

    Parameters
    ----------
    folder : path-like, optional
        Where ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte`` are, plain or as ``.gz``. By default they are taken from
        ``$NUMBANET_DATA/mnist`` or the user's cache, or else fetched into the cache.

    Returns
    -------
    X_train, y_train : tuple of ndarray
        Images, float32 from 0 to 1, shape (60000, 28, 28, 1), and digits, int64, shape (60000,).
    X_test, y_test : tuple of ndarray
        The same of the 10,000 images for the test.

    Raises
    ------
    OSError
        If a file is missing, or can't be fetched.
    ValueError
        If a file is damaged or holds something else.
    """
    return _load_parts(downloads.MNIST, folder)


def load_fashion_mnist(folder: str | Path | None = None) -> tuple[Arrays, Arrays]:
    """Images of clothes, shoes and bags (Xiao, Rasul & Vollgraf, 2017).

    Parameters
    ----------
    folder : path-like, optional
        Where the files are, which are named as those of `load_mnist`. By default they are taken
        from ``$NUMBANET_DATA/fashion-mnist``, the user's cache or Debian's package
        ``dataset-fashion-mnist``, or else fetched into the cache.

    Returns
    -------
    X_train, y_train : tuple of ndarray
        Images, float32 from 0 to 1, shape (60000, 28, 28, 1), and labels, int64, shape (60000,):
        indices of ``FASHION_MNIST_CLASSES``.
    X_test, y_test : tuple of ndarray
        The same of the 10,000 images for the test.

    Raises
    ------
    OSError
        If a file is missing, or can't be fetched.
    ValueError
        If a file is damaged or holds something else.
    """
    return _load_parts(downloads.FASHION_MNIST, folder)


def _load_parts(source: downloads.Source, folder: str | Path | None) -> tuple[Arrays, Arrays]:
    paths = downloads.find(source, folder)
    train, test = (_load_part(paths[f"{part}-images-idx3-ubyte"], paths[f"{part}-labels-idx1-ubyte"], n)
                   for part, n in MNIST_PARTS.items())
    return train, test


def _load_part(images: Path, labels: Path, n: int) -> Arrays:
    found = load_file(images, str(labels), task="classification")
    if found.X.shape != (n, 28, 28) or found.X.dtype != np.float32:
        what = "bytes" if found.X.dtype == np.float32 else found.X.dtype
        raise ValueError(f"{images} holds {what} of shape {found.X.shape}; expected bytes of shape {(n, 28, 28)}")
    if found.classes != [str(label) for label in range(10)]:
        what = ", ".join(found.classes[:12]) if found.classes else f"an array of shape {found.y.shape}"
        raise ValueError(f"{labels} holds {what}; expected labels from 0 to 9, and each of them")
    return found.X[..., np.newaxis], found.y


def load_file(path: str | Path, target: str | int | None = None, *, task: str | None = None) -> Dataset:
    """Samples and targets from a CSV, NPY, NPZ or IDX file.

    Parameters
    ----------
    path : path-like
        File; CSV and IDX may be gzipped.
    target : str or int, optional
        The target: a column's name or index (CSV, NPY), an array's name (NPZ) or a file (NPY,
        IDX). By default the last column, an array named such as ``y``, or for
        ``train-images-idx3-ubyte`` the file ``train-labels-idx1-ubyte``.
    task : {'classification', 'regression'}, optional
        Otherwise texts, and whole numbers of at most 100 different values, are labels of classes.

    Returns
    -------
    Dataset
        Byte images are scaled to 0 to 1; nothing else is.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If it can't be read so; for a CSV with the line and the column.
    """
    path = Path(path)
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'")
    kind = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    try:
        X, y = readers.BY_SUFFIX.get("".join(kind[-1:]), readers.read_idx)(path, target)
    except FileNotFoundError:
        raise
    except (UnicodeError, csv.Error, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} can't be read: {error}") from None
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(f"{path}: samples have shape {X.shape}, targets {y.shape}; expected as many of both")
    return _dataset(X, y, task)


def _dataset(X: np.ndarray, y: np.ndarray, task: str | None) -> Dataset:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind not in "biuf" and (y.ndim != 1 or task == "regression"):
        raise ValueError(f"the target holds texts such as {str(y.flat[0])!r}; expected numbers for regression")
    if y.ndim == 1 and task != "regression":
        values, labels = np.unique(y, return_inverse=True)
        if y.dtype.kind not in "biuf":
            return Dataset(X, labels.astype(np.int64), "classification", [str(value) for value in values])
        values = values.astype(np.float64)
        whole = bool(np.isfinite(values).all() and (values == np.floor(values)).all())
        if task == "classification" or (whole and len(values) <= min(MOST_CLASSES, max(2, len(y) // 2))):
            return Dataset(X, labels.astype(np.int64), "classification", [f"{value:.15g}" for value in values])
    return Dataset(X, y.astype(np.float64), "regression")


def split(X: np.ndarray, y: np.ndarray, fraction: float, seed: int = 0, stratify: bool = False
          ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shuffle and split into two parts.

    Parameters
    ----------
    X : ndarray, shape (n, ...)
        Samples.
    y : ndarray, shape (n, ...)
        Targets.
    fraction : float
        Share of the second part, at least 0 and below 1.
    seed : int
        Seed of the shuffle.
    stratify : bool
        Whether the labels `y` are to occur as often in both parts, as far as can be.

    Returns
    -------
    tuple of ndarray
        ``X`` and ``y`` of the first part, then of the second.

    Raises
    ------
    ValueError
        If the lengths differ, or the first part would be empty.
    """
    n = len(X)
    if n != len(y):
        raise ValueError(f"X has {n} rows and y has {len(y)}; expected as many of both")
    count = round(checked_fraction("fraction", fraction) * n)
    if count >= n:
        raise ValueError(f"fraction {fraction} of {n} samples leaves none for the first part")
    order = np.random.default_rng(nonnegative_int("seed", seed)).permutation(n)
    if stratify:
        # Each class is spread evenly over the order: then any cut is proportional.
        _, labels, counts = np.unique(y[order], return_inverse=True, return_counts=True)
        place = np.empty(n)
        by_class = np.argsort(labels, kind="stable")
        place[by_class] = np.concatenate([(np.arange(c) + 0.5) / c for c in counts])
        order = order[np.argsort(place, kind="stable")]
    first, second = order[count:], order[:count]
    return X[first], y[first], X[second], y[second]
