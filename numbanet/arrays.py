"""The arrays of a model's file: weights, units of the inputs, and rows that show whether it is still the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.checks import first_not
from numbanet.data import as_samples
from numbanet.graph import Graph
from numbanet.model import Sequential
from numbanet.scaling import Scaling
from numbanet.tensors import Entry, Tensors, damaged

INPUTS, OUTPUTS, MEAN, SCALE = "sample.inputs", "sample.outputs", "preprocessing.mean", "preprocessing.scale"
ROWS, NUMBERS = 3, 1 << 16  # sample rows by default, and how many numbers they have if that is more than one row
VALUES = 1 << 21  # numbers between layers, for one sample, above which a model is not run: a file can't ask for memory
TYPES = {"float32": "F32", "float64": "F64"}


def arrays_of(model: Sequential, samples: Any) -> dict[str, np.ndarray]:
    """What a file of a model holds.

    Parameters
    ----------
    model : Sequential
        Built.
    samples : array_like or None
        Sample rows.

    Returns
    -------
    dict of str to ndarray
        C-contiguous.

    Raises
    ------
    TypeError, ValueError
        If the samples or the preprocessing don't suit.
    """
    graph = model.graph
    arrays = {p.name: w for p, w in zip(graph.parameters, model.get_weights(), strict=True)}
    if model.preprocessing is not None:
        model.preprocessing.check(graph.input.shape)
        arrays |= {MEAN: model.preprocessing.mean, SCALE: model.preprocessing.scale}
    if samples is not None or _values(graph) <= VALUES:
        inputs = as_samples(_random_rows(graph) if samples is None else samples, graph, model.dtype)
    if _values(graph) <= VALUES:
        arrays |= {INPUTS: inputs, OUTPUTS: model.predict(inputs)}
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def check_arrays(file: Tensors, graph: Graph, dtype: str, version: int) -> None:
    """Compare the arrays that a file says it has with those of a model; nothing is read.

    Parameters
    ----------
    file : Tensors
        Of a model.
    graph : Graph
        The model.
    dtype : str
        Of its parameters.
    version : int
        Of the format; the first had weights alone.

    Raises
    ------
    FormatError
        If they differ.
    """
    own, found = TYPES[dtype], file.entries
    _compare(found, {p.name: (own, p.shape) for p in graph.parameters})
    wanted = {}
    if version > 1 and _values(graph) <= VALUES:
        rows = found[INPUTS].shape[:1] if INPUTS in found else (ROWS,)
        wanted = {INPUTS: (own, (*rows, *graph.input.shape)), OUTPUTS: (own, (*rows, *graph.output.shape))}
    elif version > 1 and INPUTS in found:
        raise damaged(f"it has sample rows, and layers that make {_values(graph)} numbers of one row; for more than "
                      f"{VALUES} model.save leaves them out")  # fmt: skip
    if version > 1 and {MEAN, SCALE} & set(found):  # `Scaling` looks at their shapes
        wanted |= {name: ("F64", found[name].shape if name in found else ()) for name in (MEAN, SCALE)}
    extra = sorted(set(found) - set(wanted) - {p.name for p in graph.parameters})
    if extra:
        raise damaged(f"array {extra[0]!r} belongs to none of the layers")
    _compare(found, wanted)


def _compare(found: dict[str, Entry], wanted: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    for name, (dtype, shape) in wanted.items():
        if name not in found:
            raise damaged(f"array '{name}' of shape {shape} is missing")
        if found[name].shape != shape:
            raise damaged(f"array '{name}' has shape {found[name].shape}, and the layers need {shape}")
        if found[name].dtype != dtype:
            raise damaged(f"array '{name}' has dtype {found[name].dtype}, and the model needs {dtype}")


def weights(file: Tensors, graph: Graph, dtype: str) -> np.ndarray:
    """The parameters of a model, in memory of its own: the file may change afterwards.

    Parameters
    ----------
    file : Tensors
        Its arrays have been checked.
    graph : Graph
        The model.
    dtype : str
        Of its parameters.

    Returns
    -------
    ndarray of shape (n,)
        Finite.

    Raises
    ------
    FormatError
        If a number is not finite.
    ValueError
        If there is a weight where there is no connection.
    """
    vector = np.empty(graph.size, dtype)
    for p in graph.parameters:
        vector[p.offset : p.end].reshape(p.shape)[...] = file.array(p.name)
    where = first_not(vector, np.isfinite)
    if where is not None:
        name = next(p.name for p in graph.parameters if where[0] < p.end)
        raise damaged(f"array '{name}' holds {vector[where]}, and weights are finite")
    graph.check_masks(vector)
    return vector


def scaling(file: Tensors, graph: Graph) -> Scaling | None:
    """Units of the inputs, where a file has them.

    Parameters
    ----------
    file : Tensors
        Its arrays have been checked.
    graph : Graph
        The model.

    Returns
    -------
    Scaling or None
        What the user calls before the model.

    Raises
    ------
    ValueError
        If it doesn't suit the model.
    """
    if MEAN not in file.entries:
        return None
    found = Scaling(file.array(MEAN), file.array(SCALE))
    found.check(graph.input.shape)
    return found


def check_samples(file: Tensors, model: Sequential) -> None:
    """Compare outputs of the file's sample rows with those that it had when it was saved.

    Equal are numbers that differ by less than the square root of the dtype's resolution, 3e-4 for float32 and 1e-8 for
    float64, times the largest output: processors add in different orders.

    Parameters
    ----------
    file : Tensors
        Its arrays have been checked.
    model : Sequential
        As it was loaded.

    Raises
    ------
    FormatError
        If they differ.
    """
    if INPUTS not in file.entries:
        return
    expected = file.array(OUTPUTS).astype(np.float64)
    try:
        found = model.predict(np.array(file.array(INPUTS))).astype(np.float64)
    except ValueError as error:
        raise damaged(f"its sample rows can't be used: {error}") from error
    scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)) or 1.0
    tolerance = float(np.sqrt(np.finfo(model.dtype).eps)) * scale
    with np.errstate(all="ignore"):  # outputs may be infinite, on both sides
        distance = np.abs(found - expected)
        same = (distance <= tolerance) | (found == expected) | (np.isnan(found) & np.isnan(expected))
    if not same.all():
        raise damaged(
            f"its sample rows have other outputs than when it was saved, such as {found[~same][0]:.6g} instead of "
            f"{expected[~same][0]:.6g}, where {tolerance:.3g} is allowed: its numbers have changed, or a formula "
            "computes something else here"
        )


def _values(graph: Graph) -> int:
    """Numbers that flow for one sample."""
    return graph.input.size + sum(node.output.size for node in graph.nodes)


def _random_rows(graph: Graph) -> np.ndarray:
    """A few rows that any model of this shape takes; none of anybody's data."""
    rng = np.random.default_rng(0)
    shape = (max(1, min(ROWS, NUMBERS // graph.input.size)), *graph.input.shape)
    return rng.integers(graph.vocabulary, size=shape) if graph.vocabulary else rng.normal(size=shape)
