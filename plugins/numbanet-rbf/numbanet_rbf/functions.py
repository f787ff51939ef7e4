"""Radial functions of the squared distance; each is an ordinary activation.

A distance is never negative; behind other layers, below 0, they stay 1.
"""

import math
from collections.abc import Iterable

from numbanet import Activation, hookimpl

NUMBANET_API = 1


def radial_gaussian(x):
    """exp(-x) (Broomhead & Lowe, 1988)."""
    return math.exp(-max(x, 0.0))


def radial_gaussian_derivative(x, y):
    return 0.0 if x < 0 else -y


def inverse_quadratic(x):
    """1 / (1 + x)."""
    return 1.0 / (1.0 + max(x, 0.0))


def inverse_quadratic_derivative(x, y):
    return 0.0 if x < 0 else -y * y


def inverse_multiquadric(x):
    """1 / sqrt(1 + x) (Hardy, 1971)."""
    return 1.0 / math.sqrt(1.0 + max(x, 0.0))


def inverse_multiquadric_derivative(x, y):
    return 0.0 if x < 0 else -0.5 * y * y * y


@hookimpl
def numbanet_activations() -> Iterable[Activation]:
    return (
        Activation("radial_gaussian", forward=radial_gaussian, derivative=radial_gaussian_derivative),
        Activation("inverse_quadratic", forward=inverse_quadratic, derivative=inverse_quadratic_derivative),
        Activation("inverse_multiquadric", forward=inverse_multiquadric, derivative=inverse_multiquadric_derivative),
    )
