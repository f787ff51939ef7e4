"""Picks the backend, and imports it when it is first needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numbanet.device import CUDA, available_threads, chosen
from numbanet.graph import Graph


@contextmanager
def _told(dtype: str) -> Iterator[None]:
    """Say that kernels are compiled, the first time on this machine."""
    from numbanet.cpu.generate import known_types, remember_type

    known = dtype in known_types()
    if not known:
        print(f"numbanet compiles its {dtype} kernels for this machine, once ...", file=sys.stderr)
    yield
    if not known:
        remember_type(dtype)


def new_engine(
    graph: Graph, *arguments: Any, dtype: str, threads: int | None, classes: bool, device: Any = "cpu", **options: Any
) -> Any:
    """Engine that trains a model; its kernels are ready.

    Parameters
    ----------
    graph : Graph
        The model.
    *arguments
        Loss, optimizer, schedule and regularizer.
    dtype : str
        Working type.
    threads : int or None
        Threads at most; one a core where None.
    classes : bool
        Whether targets are class labels.
    device : str or CUDA
        Where to train.
    **options
        Of the engine.

    Returns
    -------
    Engine
        Of the backend.
    """
    choice = chosen(device)
    if choice is not None:
        from numbanet.cuda.engine import DeviceEngine

        return DeviceEngine(graph, *arguments, dtype=dtype, threads=1, choice=choice, **options)
    from numbanet.cpu.engine import Engine

    engine = Engine(graph, *arguments, dtype=dtype, threads=threads or available_threads(), **options)
    with _told(dtype):
        engine.prepare(classes)
    return engine


def new_predictor(graph: Graph, dtype: str, choice: CUDA | None = None) -> Any:
    """Forward pass of a model.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    choice : CUDA, optional
        How to use the card, where it is to predict.

    Returns
    -------
    Predictor
        Of the backend.
    """
    if choice is not None:
        from numbanet.cuda.predictor import DevicePredictor

        return DevicePredictor(graph, dtype, choice)
    from numbanet.cpu.predictor import Predictor

    with _told(dtype):
        return Predictor(graph, dtype)


def new_steps(graph: Graph, dtype: str, *arguments: Any, **options: Any) -> Any:
    """What one training step computes, operation by operation.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    *arguments, **options
        Loss, parameters, samples, targets and weights; classes, seed and step.

    Returns
    -------
    iterator
        Of direction, node, value and array.
    """
    from numbanet.cpu.tracing import traced

    with _told(dtype):
        return list(traced(graph, dtype, *arguments, **options))


def new_jacobian(graph: Graph, dtype: str) -> Any:
    """Derivatives of a model's outputs with respect to its inputs.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.

    Returns
    -------
    Jacobian
        Of the backend.
    """
    from numbanet.cpu.jacobian import Jacobian

    with _told(dtype):
        return Jacobian(graph, dtype)


def new_functions(graph: Graph, dtype: str, inputs: Any, outputs: Any) -> Any:
    """Functions of a model for other compiled code.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.
    inputs, outputs : (ndarray, ndarray) or None
        As `scalings` of the exporters gives them.

    Returns
    -------
    Functions
        Of the backend.
    """
    from numbanet.cpu.functions import Functions
    from numbanet.cpu.program import Scales

    return Functions(graph, dtype, Scales(inputs, outputs), max(2, available_threads()))


def kernel_text(graph: Graph, dtype: str) -> str | None:
    """LLVM's code of a model's forward kernels, or None where nothing is compiled.

    Parameters
    ----------
    graph : Graph
        The model.
    dtype : str
        Working type.

    Returns
    -------
    str or None
        As LLVM has optimised it.
    """
    from numbanet.cpu.predictor import Predictor

    return Predictor(graph, dtype).code()
