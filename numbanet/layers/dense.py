"""Dense layer: y = f(x W + b)."""

from __future__ import annotations

from functools import partial

from numbanet.checks import positive_int
from numbanet.graph import Graph
from numbanet.layers.base import Layer, activate
from numbanet.registry import get
from numbanet.spec import Activation, Initializer, Regularizer


class Dense(Layer):
    """Fully connected layer, ``y = activation(x @ kernel + bias)``.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or Activation, optional
        Applied to the logits; the identity by default.
    use_bias : bool, optional
        Whether a bias is added.
    kernel_initializer, bias_initializer : str or Initializer, optional
        Values before training, Glorot uniform and zeros by default.
    kernel_regularizer, bias_regularizer : str or Regularizer, optional
        Penalty of this layer's parameters, in place of the trainer's.

    Raises
    ------
    ValueError
        If ``units`` is not positive or a name is unknown.

    Notes
    -----
    The kernel has shape ``(inputs, units)``, the bias ``(units,)``.
    """

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = None,
        *,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None,
        bias_regularizer: str | Regularizer | None = None,
    ) -> None:
        self.units = positive_int("units", units)
        self.activation = get("activation", "identity" if activation is None else activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.bias_initializer = get("initializer", bias_initializer)
        self.kernel_regularizer = None if kernel_regularizer is None else get("regularizer", kernel_regularizer)
        self.bias_regularizer = None if bias_regularizer is None else get("regularizer", bias_regularizer)

    def build(self, graph: Graph) -> None:
        """Write the layer behind the graph's output.

        Parameters
        ----------
        graph : Graph
            Description of the model so far.

        Raises
        ------
        ValueError
            If samples are not vectors.
        """
        shape = graph.output.shape
        if len(shape) != 1:
            raise ValueError(f"layer {graph.path} (Dense) takes samples of one axis, got shape {shape}")
        declare = partial(graph.parameter, fan_in=shape[0], fan_out=self.units)
        kernel = declare(
            "kernel", (shape[0], self.units), self.kernel_initializer, regularizer=self.kernel_regularizer
        )
        parameters = [kernel]
        if self.use_bias:
            regularizer = self.bias_regularizer
            parameters.append(
                declare("bias", (self.units,), self.bias_initializer, bias=True, regularizer=regularizer)
            )
        graph.node("dense", (self.units,), tuple(parameters))
        activate(graph, self.activation)

    def label(self) -> str:
        """Name of the activation.

        Returns
        -------
        str
            For the summary.
        """
        return f" {self.activation.name}"
