"""Convolutional networks of LeCun and his colleagues."""

from __future__ import annotations

from typing import Any

import numpy as np

from numbanet.layers import Conv2D, Dense, Flatten, MaxPool2D
from numbanet.model import Sequential


def lenet5(classes: int = 10, activation: str = "relu") -> Sequential:
    """LeNet-5 as it is used today, for images of 28 x 28 pixels: 61,706 parameters for one channel and 10 classes.

    Two convolutions of 5 x 5, each followed by pooling, then three dense layers. The network of 1998 had averages
    in place of maxima, tanh in place of relu, joined each map of its second convolution to some of the first one's,
    and ended with radial basis functions.

    Parameters
    ----------
    classes : int, optional
        Number of outputs, which are logits.
    activation : str or Activation, optional
        Of all layers but the last.

    Returns
    -------
    Sequential
        For samples of shape ``(height, width, channels)``.

    Raises
    ------
    ValueError
        If the activation is unknown or ``classes`` is not positive.

    Notes
    -----
    LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition (1998).
    """
    return Sequential(
        [
            Conv2D(6, 5, activation, padding=2), MaxPool2D(2), Conv2D(16, 5, activation), MaxPool2D(2), Flatten(),
            Dense(120, activation), Dense(84, activation), Dense(classes),
        ]
    )  # fmt: skip


def lecun1989(activation: str = "tanh") -> Sequential:
    """The first network that read zip codes: 9,760 parameters and 64,660 connections, for images of 16 x 16 pixels.

    H1 has 12 maps, H2 another 12, each of which sees 8 of those of H1, both with windows of 5 x 5 at every second
    pixel, a margin of -1 and a bias for each unit; then come 30 units and 10. Weights and biases begin uniform within
    2.4 divided by the number of a unit's inputs.

    Parameters
    ----------
    activation : str or Activation, optional
        Of all layers; the original's tanh was scaled.

    Returns
    -------
    Sequential
        For samples of shape ``(16, 16, 1)``, from -1 to 1; targets are -1 and 1.

    Raises
    ------
    ValueError
        If the activation is unknown.

    Notes
    -----
    It was trained on-line, one sample a step, with the mean squared error. LeCun et al., Backpropagation applied to
    handwritten zip code recognition (1989), does not tell which 8 maps a map of H2 sees; here maps 0 to 3 see the
    first eight, 4 to 7 the last eight, 8 to 11 the first and the last four.
    """
    table = np.ones((12, 12), bool)
    table[8:, :4] = table[:4, 4:8] = table[4:8, 8:] = False
    start: dict[str, Any] = {"kernel_initializer": "lecun_1989", "bias_initializer": "lecun_1989"}
    maps: dict[str, Any] = {"strides": 2, "padding": "same", "padding_value": -1.0, "bias": "unit", **start}
    return Sequential(
        [
            Conv2D(12, 5, activation, **maps),
            Conv2D(12, 5, activation, connections=table, **maps),
            Flatten(), Dense(30, activation, **start), Dense(10, activation, **start),
        ]
    )  # fmt: skip
