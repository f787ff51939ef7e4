"""Samples: checks what the user hands in and turns it into what kernels take.

Every array passes through here once. An array that is already C-contiguous and of the working
dtype, read-only or memory-mapped ones included, is used where it lies.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.checks import converted, first_not, not_finite, place_of, real_array
from numbanet.device import on_gpu
from numbanet.graph import Graph


def as_features(
    X: Any, *, name: str = "X", dtype: Any = np.float32, shape: tuple[int, ...] | None = None, finite: bool = True
) -> np.ndarray:
    """Samples as an array a kernel can take.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        Booleans, integers or real floats: lists, arrays of any layout, pandas.
    name : str
        What errors call it.
    dtype : dtype
        Working dtype.
    shape : tuple of int, optional
        Shape of one sample, where it is known already.
    finite : bool
        Whether samples in a GPU's memory are looked through for NaN and infinity, which the host waits for.

    Returns
    -------
    ndarray, shape (n, ...)
        C-contiguous and finite; `X` itself, or a view of it, where it is so already.

    Raises
    ------
    TypeError
        If `X` isn't made of real numbers.
    ValueError
        If it is empty, has the wrong shape, or holds NaN, infinity or numbers too large for `dtype`.
    """
    array = _on_the_gpu(X, name, dtype, finite) if on_gpu(X) else real_array(X, name)
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}); expected at least one sample with one feature")
    if array.ndim < 2:
        raise ValueError(f"{name} has shape {array.shape}; expected (n, features): use {name}.reshape(-1, 1) for one "
                         f"feature a sample, {name}.reshape(1, -1) for one sample")
    if shape is not None and array.shape[1:] != tuple(shape):
        wanted = ", ".join(("n", *map(str, shape)))
        hint = ""
        if array.shape == tuple(shape):
            hint = f": use {name}[numpy.newaxis] for one sample"
        elif array.size == len(array) * int(np.prod(shape)):
            hint = f": use {name}.reshape({', '.join(('-1', *map(str, shape)))})"
        raise ValueError(f"{name} has shape {array.shape}; the model expects ({wanted}){hint}")
    return array if on_gpu(X) else converted(array, name, dtype)


def _on_the_gpu(X: Any, name: str, dtype: Any, finite: bool) -> Any:
    """Samples that stay where they are: of the working type or float16, side by side, and finite if that matters."""
    from numbanet.cuda.arrays import OnDevice

    array = OnDevice(X)
    if array.dtype not in (dtype, np.float16):
        raise TypeError(
            f"{name} is on the GPU and has dtype {array.dtype}; there it must be {np.dtype(dtype)} already, or float16"
        )
    if array.flat is None:
        raise ValueError(f"{name} is on the GPU and not C-contiguous; there it must be already")
    if finite and array.size and not array.finite():
        where = first_not(array.host(), np.isfinite)
        assert where is not None
        raise not_finite(array.host()[where], name, where)
    return array


def check_on_host(array: Any, name: str) -> None:
    """Raise TypeError if an array is in a GPU's memory.

    Parameters
    ----------
    array : object
        Anything.
    name : str
        What errors call it.

    Raises
    ------
    TypeError
        If it is.
    """
    if on_gpu(array):
        raise TypeError(f"{name} is on the GPU, and this is computed on the CPU: hand in a copy on the host, or use a "
                        "Trainer with device='cuda'")


def on_host(array: Any, name: str, gpu: bool) -> Any:
    """An array that is no longer in a GPU's memory.

    Parameters
    ----------
    array : object
        Anything.
    name : str
        What errors call it.
    gpu : bool
        Whether it may be there.

    Returns
    -------
    object
        Itself, or a copy.

    Raises
    ------
    TypeError
        If it is where it may not be.
    """
    if not on_gpu(array):
        return array
    if not gpu:
        check_on_host(array, name)
    from numbanet.cuda.arrays import OnDevice

    return OnDevice(array).host()


def as_samples(
    X: Any, graph: Graph, dtype: Any = np.float32, *, name: str = "X", gpu: bool = False, finite: bool = True
) -> Any:
    """Samples that a model takes.

    Parameters
    ----------
    X : array_like, shape (n, ...)
        Booleans, integers or real floats.
    graph : Graph
        The model.
    dtype : dtype
        Working dtype.
    name : str
        What errors call it.
    gpu : bool
        Whether samples in a GPU's memory can be used there.
    finite : bool
        As of `as_features`.

    Returns
    -------
    ndarray, shape (n, ...), or OnDevice
        As from `as_features`.

    Raises
    ------
    TypeError, ValueError
        As in `as_features`, and if a value is no index where the model embeds indices.
    """
    if not gpu:
        check_on_host(X, name)
    samples = as_features(X, name=name, dtype=dtype, shape=graph.input.shape, finite=finite)
    most = graph.vocabulary
    if most:
        if on_gpu(X):
            as_samples(np.asarray(samples[:]), graph, dtype, name=name)
            return samples
        where = first_not(samples, lambda v: (v >= 0) & (v < most) & (v == np.floor(v)))
        if where is not None:
            raise ValueError(
                f"{name} holds {samples[where]:g} at {place_of(where)}; the model's Embedding takes whole numbers "
                f"from 0 to {most - 1}"
            )
    return samples
