"""Activations of the literature, each above its derivative.

At -inf and inf a function takes its limit, and NaN stays NaN. Where an argument is limited, what is lost is below the
last digit of float64, and what is squared stays within float32. At a kink the derivative is one of the one-sided ones.
"""

import math
from collections.abc import Iterable

from numbanet import Activation, hookimpl

NUMBANET_API = 1


def limited(x, limit):
    """x between -limit and limit."""
    return min(max(x, -limit), limit)


def sigmoid(x):
    t = math.exp(-abs(x))
    return (1.0 if x >= 0 else t) / (1.0 + t)


def softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def squared_sech(x):
    """1 - tanh(x)^2, without cancelling digits."""
    t = math.exp(-2.0 * abs(x))
    return 4.0 * t / ((1.0 + t) * (1.0 + t))


# -- periodic ------------------------------------------------------------------------------


def snake(x, alpha):
    """x + sin(alpha x)^2 / alpha (Ziyin et al., 2020)."""
    wave = math.sin(limited(alpha * x, 1e30))
    return x + wave * wave / alpha


def snake_derivative(x, y, alpha):
    return 1.0 + math.sin(2.0 * limited(alpha * x, 1e30))


def sine(x, omega):
    """sin(omega x), of which Sitzmann et al. (2020) make networks with omega = 30."""
    return math.sin(limited(omega * x, 1e30))


def sine_derivative(x, y, omega):
    return omega * math.cos(limited(omega * x, 1e30))


# -- x, gated ------------------------------------------------------------------------------


def serf(x):
    """x erf(softplus(x)) (Nag & Bhattacharyya, 2021)."""
    return max(x, -1e30) * math.erf(softplus(x))


def serf_derivative(x, y):
    z = limited(x, 750.0)
    s = softplus(z)
    return math.erf(s) + 1.1283791670955126 * z * math.exp(-s * s) * sigmoid(z)


def tanhexp(x):
    """x tanh(exp(x)) (Liu & Di, 2020); beyond 5 the hyperbolic tangent is 1."""
    return max(x, -1e30) * math.tanh(math.exp(min(x, 5.0)))


def tanhexp_derivative(x, y):
    z = limited(x, 750.0)
    growth = math.exp(min(z, 5.0))
    return math.tanh(growth) + z * growth * squared_sech(growth)


def lisht(x):
    """x tanh(x) (Roy et al., 2019)."""
    return x * math.tanh(x)


def lisht_derivative(x, y):
    z = limited(x, 750.0)
    return math.tanh(z) + z * squared_sech(z)


# -- smooth rectifiers -----------------------------------------------------------------------


def squareplus(x, b):
    """(x + sqrt(x^2 + b)) / 2 (Barron, 2021)."""
    z = min(abs(x), 1e18)
    return max(x, 0.0) + 0.5 * b / (math.sqrt(z * z + b) + abs(x))


def squareplus_derivative(x, y, b):
    z = min(abs(x), 1e18)
    root = math.sqrt(z * z + b)
    small = 0.5 * b / root / (root + z)
    return 1.0 - small if x >= 0 else small


def smelu(x, beta):
    """max(x, 0), its kink replaced by (x + beta)^2 / (4 beta) between -beta and beta (Shamir et al., 2020)."""
    lifted = max(x, -beta) + beta
    return x if x > beta else lifted * (lifted / (4.0 * beta))


def smelu_derivative(x, y, beta):
    return min(math.sqrt(y / beta), 1.0)


def squared_relu(x):
    """max(x, 0)^2 (So et al., 2021)."""
    return max(x, 0.0) * max(x, 0.0)


def squared_relu_derivative(x, y):
    return 2.0 * max(x, 0.0)


def bent_identity(x):
    """x + (sqrt(x^2 + 1) - 1) / 2, of common tables of activations."""
    z = limited(x, 1e18)
    bend = z + 0.5 * z * (z / (math.sqrt(z * z + 1.0) + 1.0))
    return bend if abs(x) < 1e18 else x * (1.5 if x > 0 else 0.5)


def bent_identity_derivative(x, y):
    z = limited(x, 1e18)
    return 1.0 + 0.5 * z / math.sqrt(z * z + 1.0)


# -- bounded -------------------------------------------------------------------------------


def gaussian(x):
    """exp(-x^2) (Broomhead & Lowe, 1988)."""
    z = limited(x, 1e18)
    return math.exp(-z * z)


def gaussian_derivative(x, y):
    return -2.0 * limited(x, 1e18) * y


def isru(x, alpha):
    """x / sqrt(1 + alpha x^2), the inverse square root unit (Carlile et al., 2017)."""
    scale = math.sqrt(alpha)
    z = limited(scale * x, 1e18)
    return z / math.sqrt(1.0 + z * z) / scale


def isru_derivative(x, y, alpha):
    z = limited(math.sqrt(alpha) * x, 1e18)
    share = 1.0 / math.sqrt(1.0 + z * z)
    return share * share * share


def isrlu(x, alpha):
    """x, or isru(x) below 0 (Carlile et al., 2017)."""
    return x if x >= 0 else isru(x, alpha)


def isrlu_derivative(x, y, alpha):
    return 1.0 if x >= 0 else isru_derivative(x, y, alpha)


def log_sigmoid(x):
    """log(1 / (1 + exp(-x)))."""
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def log_sigmoid_derivative(x, y):
    return -math.expm1(y)


# -- with exact zeros ------------------------------------------------------------------------


def soft_shrink(x, threshold):
    """x moved towards 0 by the threshold, at most to 0 (Donoho, 1995)."""
    return x - limited(x, threshold) if abs(x) < math.inf else x


def soft_shrink_derivative(x, y, threshold):
    return 0.0 if y == 0 else 1.0


def hard_shrink(x, threshold):
    """x, or 0 where it is within the threshold (Donoho & Johnstone, 1994)."""
    return 0.0 if abs(x) <= threshold else x


def hard_shrink_derivative(x, y, threshold):
    return 0.0 if y == 0 else 1.0


@hookimpl
def numbanet_activations() -> Iterable[Activation]:
    above = "(0, inf)"
    return (
        Activation("snake", forward=snake, derivative=snake_derivative, params={"alpha": 1.0}, bounds={"alpha": above}),
        Activation("sine", forward=sine, derivative=sine_derivative, params={"omega": 1.0}, bounds={"omega": above}),
        Activation("serf", forward=serf, derivative=serf_derivative),
        Activation("tanhexp", forward=tanhexp, derivative=tanhexp_derivative),
        Activation("lisht", forward=lisht, derivative=lisht_derivative),
        Activation("squareplus", forward=squareplus, derivative=squareplus_derivative, params={"b": 4.0},
                   bounds={"b": above}),
        Activation("smelu", forward=smelu, derivative=smelu_derivative, params={"beta": 1.0}, bounds={"beta": above}),
        Activation("squared_relu", forward=squared_relu, derivative=squared_relu_derivative),
        Activation("bent_identity", forward=bent_identity, derivative=bent_identity_derivative),
        Activation("gaussian", forward=gaussian, derivative=gaussian_derivative),
        Activation("isru", forward=isru, derivative=isru_derivative, params={"alpha": 1.0}, bounds={"alpha": above}),
        Activation("isrlu", forward=isrlu, derivative=isrlu_derivative, params={"alpha": 1.0},
                   bounds={"alpha": above}),
        Activation("log_sigmoid", forward=log_sigmoid, derivative=log_sigmoid_derivative),
        Activation("soft_shrink", forward=soft_shrink, derivative=soft_shrink_derivative, params={"threshold": 0.5},
                   bounds={"threshold": above}),
        Activation("hard_shrink", forward=hard_shrink, derivative=hard_shrink_derivative, params={"threshold": 0.5},
                   bounds={"threshold": above}),
    )
