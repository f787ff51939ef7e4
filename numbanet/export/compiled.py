"""A network as functions for the user's own compiled code."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.backend import new_functions
from numbanet.graph import Graph
from numbanet.scaling import Scaling

if TYPE_CHECKING:
    from numbanet.model import Sequential


def to_njit(model: Sequential, *, inputs: Any = None, outputs: Any = None) -> CompiledModel:
    """Functions of a network that Numba-compiled code can call.

    Parameters
    ----------
    model : Sequential
        Built, with any layers. Its architecture goes into the functions, its weights do not.
    inputs, outputs : Scaling, (mean, scale) or fitted StandardScaler, optional
        Becomes part of the functions: ``(x - mean) / scale`` before the network, such as
        ``inputs=model.preprocessing``, and ``output * scale + mean`` behind it.

    Returns
    -------
    CompiledModel
        Its functions ``predict``, ``jacobian`` and ``predict_batch``.

    Raises
    ------
    TypeError, ValueError
        If the model's input shape is not known yet, or a scaling does not fit.
    """
    return CompiledModel(model, *scalings(model.graph, inputs, outputs))


Factors = tuple[np.ndarray, np.ndarray] | None


def scalings(graph: Graph, inputs: Any, outputs: Any) -> tuple[Factors, Factors]:
    """What is subtracted from inputs and their factors, factors of outputs and what is added to them.

    Parameters
    ----------
    graph : Graph
        The model.
    inputs, outputs : Scaling, (mean, scale), fitted StandardScaler or None
        As the user gives them.

    Returns
    -------
    before, behind : (ndarray, ndarray) or None
        Means and factors, factors and means: each with an element for every element of a sample, or of an output.

    Raises
    ------
    TypeError, ValueError
        If one does not fit.
    """
    before = behind = None
    if inputs is not None:
        if graph.vocabulary:
            raise ValueError("inputs: indices of an Embedding can't be scaled")
        mean, scale = _scaling("inputs", inputs, graph.input.shape)
        before = mean, 1 / scale
    if outputs is not None:
        mean, scale = _scaling("outputs", outputs, graph.output.shape)
        behind = scale, mean
    return before, behind


def _scaling(name: str, scaling: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each element."""
    if not isinstance(scaling, Scaling):
        try:
            mean, scale = (scaling.mean_, scaling.scale_) if hasattr(scaling, "scale_") else scaling
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a Scaling or (mean, scale), got {scaling!r}") from None
        scaling = Scaling(mean, scale)
    try:
        return np.broadcast_to(scaling.mean, shape).ravel(), np.broadcast_to(scaling.scale, shape).ravel()
    except ValueError:
        raise ValueError(f"{name}={scaling!r} does not suit samples of shape {shape}") from None


class CompiledModel:
    """Functions of a network, made when they are first asked for. Use `to_njit` to get one.

    They may be called in ``@njit`` and ``prange``, from threads that do not hold the GIL, and from
    Python. They allocate nothing and raise ValueError for arrays of other sizes and for samples
    that are not finite.

    Parameters
    ----------
    model : Sequential
        Built, with any layers.
    inputs, outputs : Scaling, (mean, scale) or fitted StandardScaler, optional
        As `to_njit` takes them.

    Attributes
    ----------
    predict : function of (params, x, out)
        Output of one sample, into ``out``.
    jacobian : function of (params, x, out)
        Derivatives of the outputs with respect to the inputs, into ``out`` of shape (outputs, inputs).
    predict_batch : function of (params, X, out)
        Outputs of many samples on the calling thread: blocks of them are multiplied at a time.
    parameters : ndarray of shape (n,)
        The model's weights when it was exported; what ``params`` has to look like.
    input_shape, output_shape : tuple of int
        Of one sample.
    dtype : str
        "float32" or "float64", of ``params`` and of samples in batches.

    Notes
    -----
    ``predict`` and ``jacobian`` of a network that needs no more than 128 KiB, has no convolutions and no more
    than 262,144 multiplications become part of the caller's code. Larger networks, whose samples must have the
    model's dtype, and ``predict_batch`` call numbanet's kernels where they are in this process. Numba does not keep
    a caller on disk (``cache=True`` warns): it would not notice that the network is another.
    """

    def __init__(self, model: Sequential, inputs: Any = None, outputs: Any = None) -> None:
        self.parameters = model.parameters.copy()
        self.input_shape, self.output_shape = model.graph.input.shape, model.graph.output.shape
        self.dtype = model.dtype
        self._functions = new_functions(model.graph, model.dtype, inputs, outputs)

    @cached_property
    def predict(self) -> Any:
        """``predict(params, x, out)``: output of one sample."""
        return self._functions.predict()

    @cached_property
    def jacobian(self) -> Any:
        """``jacobian(params, x, out)``: derivatives of the outputs with respect to the inputs."""
        return self._functions.jacobian()

    @cached_property
    def predict_batch(self) -> Any:
        """``predict_batch(params, X, out)``: outputs of many samples."""
        return self._functions.predict_batch()

    def bind(self) -> Any:
        """``f(x)`` with the weights that the model had when it was exported.

        Returns
        -------
        function of (x,)
            Gives the output of one sample as a new array.
        """
        return self._functions.bound(self.predict, self.parameters, self.output_shape)
