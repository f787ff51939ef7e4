"""Where numbers stopped being finite."""

from __future__ import annotations

import numpy as np

from numbanet.backend import new_predictor
from numbanet.model import Sequential

RESTLESS = ("batch_normalize", "dropout", "gaussian_noise")  # kinds of nodes that are others in training


def where_it_began(model: Sequential, parameters: np.ndarray, samples: np.ndarray) -> str:
    """The first layer whose output is not finite, in words.

    Parameters
    ----------
    model : Sequential
        The network.
    parameters : ndarray
        Its weights when it happened.
    samples : ndarray, shape (n, ...)
        The batch with which it happened, of the model's dtype.

    Returns
    -------
    str
        A clause.
    """
    graph = model.graph
    for k, node in enumerate(graph.nodes):
        outputs = new_predictor(graph.until(k), model.dtype)(parameters, samples)
        if outputs is None or not np.isfinite(outputs).all():
            layer = model.layers[node.layer]
            return f"it began in layer {node.layer} ({type(layer).__name__}, {node.kind})"
    if any(node.kind in RESTLESS for node in graph.nodes):
        return "no layer's output is to blame, as far as can be seen without noise and with running averages"
    return "every layer's output is finite; it began in the loss or its gradient"
