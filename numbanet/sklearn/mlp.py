"""The multi-layer perceptron: dense layers and their first weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from numbanet.layers import Apply, BatchNorm, Dense, Dropout, Layer
from numbanet.registry import get
from numbanet.sklearn.base import Training
from numbanet.spec import Activation

NUMBANET = {"logistic": "sigmoid"}  # names of scikit-learn's activations


def activation_of(name: str | Activation) -> Activation:
    """Activation by scikit-learn's name or numbanet's, or itself."""
    return get("activation", NUMBANET.get(name, name) if isinstance(name, str) else name)


class Hidden(Training):
    """A network of dense layers."""

    def _sizes(self) -> list[Any]:
        """Units of the hidden layers."""
        sizes = self.hidden_layer_sizes
        return list(sizes) if isinstance(sizes, Iterable) else [sizes]

    def _each(self, name: str) -> list[Any]:
        """A parameter for each hidden layer."""
        value, layers = getattr(self, name), len(self._sizes())
        if isinstance(value, (str, Activation)) or not isinstance(value, Iterable):
            return [value] * layers
        values = list(value)
        if len(values) != layers:
            raise ValueError(f"{name} has {len(values)} elements, and there are {layers} hidden layers")
        return values

    def _check_layers(self) -> None:
        sizes = self._sizes()
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        for name in ("activation", "dropout"):
            self._each(name)

    def _layers(self) -> list[Layer]:
        link = self._loss().link
        if self.out_activation is not None and link != "identity":
            raise ValueError(f"loss={self.loss!r} is computed before {link}, so it takes no out_activation")
        layers: list[Layer] = []
        for units, name, rate in zip(self._sizes(), self._each("activation"), self._each("dropout"), strict=True):
            activation = activation_of(name)
            if self.batch_norm:
                layers += [Dense(units), BatchNorm(), Apply(activation)]
            else:
                layers.append(Dense(units, activation))
            layers.append(Dropout(rate))
        out = None if self.out_activation is None else activation_of(self.out_activation)
        return [*layers, Dense(self.n_outputs_, out)]

    def _first_weights(self, random: np.random.RandomState) -> None:
        """Glorot's uniform distribution for weights and biases, drawn as scikit-learn draws them."""
        self.model_.build(self._input_shape(), dtype=self._dtype, seed=0)
        activations = [activation_of(name).name for name in self._each("activation")] or ["identity"]
        dense = [node.parameters for node in self.model_.graph.nodes if node.kind == "dense"]
        for i, parameters in enumerate(dense):
            factor = 2.0 if activations[min(i, len(activations) - 1)] == "sigmoid" else 6.0
            bound = np.sqrt(factor / sum(parameters[0].shape))
            for p in parameters:
                self.model_.parameters[p.offset : p.end] = random.uniform(-bound, bound, p.size)
