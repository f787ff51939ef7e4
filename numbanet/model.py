"""A network: layers, the graph they describe, and one flat vector of parameters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from numbanet.backend import new_predictor
from numbanet.checks import listed, nonnegative_int, positive_int
from numbanet.data import as_features, as_samples
from numbanet.graph import Graph
from numbanet.layers import Layer
from numbanet.scaling import Scaling
from numbanet.slopes import Differentiated


class Sequential(Differentiated):
    """Layers one behind the other.

    Parameters
    ----------
    layers : sequence of Layer
        From the input to the output.
    input_shape : tuple of int, optional
        Shape of one sample; otherwise taken from the first data.
    seed : int
        Seed of the weights, where the model is not built by a trainer.

    Attributes
    ----------
    parameters : ndarray of shape (n,)
        All weights and biases in one vector, layer by layer; changing it changes the model.
    classes : list or None
        Labels of the outputs, as texts or numbers, for whoever uses the model; files keep them.
    preprocessing : Scaling or None
        What whoever uses the model is to call before `predict`, which does not; files keep it.

    Raises
    ------
    TypeError
        If ``layers`` holds something else.
    ValueError
        If there is no layer, or a layer can't take what the one before gives.
    """

    def __init__(self, layers: Sequence[Layer], input_shape: tuple[int, ...] | None = None, *, seed: int = 0) -> None:
        self.layers = listed(layers, "layers", "layers such as Dense(10)")
        if not self.layers:
            raise ValueError("layers is empty; expected at least one layer, such as Dense(10)")
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{i}] must be a layer such as Dense(10), got {layer!r}")
        self.seed = nonnegative_int("seed", seed)
        self._graph: Graph | None = None
        self._parameters: np.ndarray | None = None
        self._predictor: Any = None
        self._jacobian: Any = None
        self.classes: Sequence[Any] | None = None
        self.preprocessing: Scaling | None = None
        if input_shape is not None:
            self.build(input_shape)

    # -- building -----------------------------------------------------------------------

    def describe(self, input_shape: tuple[int, ...]) -> Graph:
        """Graph for samples of a shape; the model itself does not change.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.

        Returns
        -------
        Graph
            Nodes and parameters.

        Raises
        ------
        ValueError
            If a layer can't take what the one before gives.
        """
        shape = (input_shape,) if isinstance(input_shape, (int, np.integer)) else tuple(input_shape)
        graph = Graph(tuple(positive_int("input_shape", n) for n in shape))
        for index, layer in enumerate(self.layers):
            with graph.within(index):
                layer.build(graph)
        return graph

    def build(self, input_shape: tuple[int, ...], *, dtype: str = "float32", seed: int | None = None) -> None:
        """Create the parameters and give them their first values.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.
        dtype : str
            "float32" or "float64".
        seed : int, optional
            Seed of the weights; the model's own by default.

        Raises
        ------
        ValueError
            If a layer can't take what the one before gives.
        """
        graph = self.describe(input_shape)
        rng = np.random.default_rng(self.seed if seed is None else seed)
        parameters = np.empty(graph.size, dtype)
        for p in graph.parameters:
            sample = p.initializer.sample(rng, p.shape, p.fan_in, p.fan_out, *p.initializer.params.values())
            values = np.broadcast_to(sample, p.shape)
            parameters[p.offset : p.end] = (values if p.mask is None else values * p.mask).ravel()
        self.adopt(graph, parameters)

    def adopt(self, graph: Graph, parameters: np.ndarray) -> None:
        """Take parameters that are there already, without a copy, instead of creating them.

        Parameters
        ----------
        graph : Graph
            As from `describe`.
        parameters : ndarray of shape (n,)
            Of float32 or float64, C-contiguous and writable.
        """
        self._graph, self._parameters = graph, parameters
        self._predictor = self._jacobian = None

    def _unbuild(self) -> None:
        """Forget the input shape and the parameters."""
        self._graph = self._parameters = self._predictor = self._jacobian = None

    @property
    def built(self) -> bool:
        """Whether the input shape is known and the parameters exist."""
        return self._graph is not None

    @property
    def graph(self) -> Graph:
        """Description of the model that the backends read."""
        if self._graph is None:
            raise ValueError("the model's input shape is not known yet: fit it, or give Sequential input_shape=")
        return self._graph

    # -- parameters ---------------------------------------------------------------------

    @property
    def parameters(self) -> np.ndarray:
        """All weights and biases in one vector."""
        self.graph  # noqa: B018  for its error
        assert self._parameters is not None
        return self._parameters

    @parameters.setter
    def parameters(self, values: Any) -> None:
        array = as_features(np.reshape(values, (1, -1)), name="parameters", dtype=self.dtype)[0]
        if array.size != self.graph.size:
            raise ValueError(f"parameters has {array.size} elements; the model has {self.graph.size}")
        self.graph.check_masks(array)
        self.parameters[:] = array

    @property
    def dtype(self) -> str:
        """Type of the parameters."""
        return str(self.parameters.dtype)

    def astype(self, dtype: str) -> None:
        """Convert the parameters.

        Parameters
        ----------
        dtype : str
            "float32" or "float64".
        """
        if self.dtype != dtype:
            self.adopt(self.graph, self.parameters.astype(dtype))

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the parameters, each in its shape.

        Returns
        -------
        list of ndarray
            Kernel and bias of each layer, in order.
        """
        return [self.parameters[p.offset : p.end].reshape(p.shape).copy() for p in self.graph.parameters]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace all parameters.

        Parameters
        ----------
        weights : sequence of array_like
            As from `get_weights`.

        Raises
        ------
        ValueError
            If number or shapes differ, or a value is not finite; the model is then unchanged.
        """
        wanted = self.graph.parameters
        if len(weights) != len(wanted):
            raise ValueError(f"weights has {len(weights)} arrays; the model has {len(wanted)}")
        vector = np.empty_like(self.parameters)
        for p, values in zip(wanted, weights, strict=True):
            array = np.asarray(values)
            if array.shape != p.shape:
                raise ValueError(f"weights '{p.name}' has shape {array.shape}; the model has {p.shape}")
            name = f"weights '{p.name}'"
            vector[p.offset : p.end] = as_features(array.reshape(1, -1), name=name, dtype=self.dtype)[0]
        self.graph.check_masks(vector)
        self.parameters[:] = vector

    # -- use ----------------------------------------------------------------------------

    def predict(self, X: Any) -> np.ndarray:
        """Outputs of the network: logits, where the loss is on logits.

        Parameters
        ----------
        X : array_like of shape (n, ...)
            Samples.

        Returns
        -------
        ndarray of shape (n, ...)
            Outputs, of the model's dtype.

        Raises
        ------
        TypeError, ValueError
            If ``X`` can't be used.
        """
        predictor = self._predictor
        if predictor is None:
            predictor = self._prepare()
        # what a kernel can take as it is goes straight there, and is checked there
        if (
            type(X) is np.ndarray
            and X.dtype is predictor.type
            and X.shape[1:] == predictor.input_shape
            and X.flags.c_contiguous
            and X.flags.aligned
            and len(X)
            and not self.graph.vocabulary
        ):
            outputs = predictor(self._parameters, X)
            if outputs is not None:
                return outputs
        samples = as_samples(X, self.graph, self.dtype)
        return predictor(self._parameters, samples)

    def _prepare(self) -> Any:
        self._predictor = new_predictor(self.graph, self.dtype)
        return self._predictor

    def save(self, path: str | os.PathLike[str], *, samples: Any = None) -> None:
        """Write the model to a file that holds no code.

        Beside the weights it gets ``classes`` and ``preprocessing`` and a few rows with their outputs, with which
        `load` checks that the model is still the same.

        Parameters
        ----------
        path : path-like
            File, by custom with the ending ``.numbanet``.
        samples : array_like of shape (n, ...), optional
            These rows; by default random ones.

        Raises
        ------
        TypeError, ValueError
            If a layer uses a formula that has no name in the registry, a weight is not 0 where there is no connection,
            or samples, classes or preprocessing don't suit the model.
        """
        from numbanet.store import save

        save(self, path, samples=samples)

    def summary(self) -> str:
        """Table of layers: shapes, parameters, connections and floating-point operations.

        Connections are weights and biases that enter units, counted for each unit that shares
        them. FLOPs are the multiplications and additions of the weights, for one sample forward.

        Returns
        -------
        str
            For people.
        """
        graph = self.graph
        rows: list[tuple[str, ...]] = [("layer", "output shape", "parameters", "connections", "FLOPs")]
        shape = graph.input.shape
        for index, layer in enumerate(self.layers):
            nodes = [node for node in graph.nodes if node.layer == index]
            shape = nodes[-1].output.shape if nodes else shape
            figures = (
                sum(p.count for p in graph.parameters if p.name.startswith(f"{index}.")),
                sum(node.connections for node in nodes),
                sum(2 * node.products for node in nodes),
            )
            name = f"{index} {type(layer).__name__}{layer.label()}"
            rows.append((name, str(shape), *(f"{n:,}" for n in figures)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), row[1].ljust(widths[1]), *map(str.rjust, row[2:], widths[2:])])
            for row in rows
        ]
        averages = sum(p.size for p in graph.parameters if not p.trained)
        total = (
            f"{graph.count:,} parameters{f' and {averages:,} running averages' if averages else ''}, "
            f"{sum(n.connections for n in graph.nodes):,} connections, "
            f"{sum(2 * n.products for n in graph.nodes):,} FLOPs a sample, {self.dtype}"
        )
        return "\n".join([f"input {graph.input.shape}", *lines, total])

    def __repr__(self) -> str:
        return f"Sequential([{', '.join(map(repr, self.layers))}])"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_predictor": None, "_jacobian": None}
