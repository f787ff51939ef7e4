"""The activation template."""

import math
from collections.abc import Iterable

from numbanet import Activation, hookimpl

NUMBANET_API = 1


def template(x, alpha):
    """tanh(alpha x) / alpha: a sigmoid of slope 1 at 0 that levels off at ±1 / alpha."""
    return math.tanh(alpha * x) / alpha


def template_derivative(x, y, alpha):
    return 1.0 - alpha * y * (alpha * y)


@hookimpl
def numbanet_activations() -> Iterable[Activation]:
    yield Activation("template", forward=template, derivative=template_derivative,
                     params={"alpha": 1.0}, bounds={"alpha": "(0, inf)"})
