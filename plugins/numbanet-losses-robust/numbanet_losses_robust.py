"""Robust losses, each above its derivative with respect to the output.

From tukey_biweight to pseudo_huber they are error^2 / 2 near 0. Where an argument is limited, what is lost is below the
last digit of float64, and what is squared stays within float32.
"""

import math
from collections.abc import Iterable

from numbanet import Loss, hookimpl

NUMBANET_API = 1


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    return 1.0 if x > 0 else (-1.0 if x < 0 else x)


def limited(x, limit):
    """x between -limit and limit."""
    return min(max(x, -limit), limit)


def log1p_square(r):
    """log(1 + r^2) of r >= 0, also where r^2 overflows."""
    z = min(r, 1e18)
    return math.log1p(z * z) if r < 1e18 else 2.0 * math.log(r)


# -- redescending: far outliers have no influence ------------------------------------------------


def tukey_biweight(output, target, c):
    """c^2 / 6 (1 - (1 - (error / c)^2)^3), and c^2 / 6 beyond c (Beaton & Tukey, 1974)."""
    r = limited((output - target) / c, 1.0)
    u = r * r
    return c * c / 6.0 * u * (3.0 - 3.0 * u + u * u)


def tukey_biweight_derivative(output, target, c):
    r = limited((output - target) / c, 1.0)
    left = (1.0 - r) * (1.0 + r)
    return c * r * left * left


def andrews(output, target, c):
    """c^2 (1 - cos(error / c)), and 2 c^2 beyond pi c (Andrews, 1974)."""
    wave = math.sin(0.5 * limited((output - target) / c, math.pi))
    return 2.0 * c * c * wave * wave


def andrews_derivative(output, target, c):
    r = (output - target) / c
    return 0.0 if abs(r) > math.pi else c * math.sin(limited(r, math.pi))


def welsch(output, target, c):
    """c^2 / 2 (1 - exp(-(error / c)^2)) (Dennis & Welsch, 1978)."""
    r = limited((output - target) / c, 1e18)
    return -0.5 * c * c * math.expm1(-r * r)


def welsch_derivative(output, target, c):
    r = limited((output - target) / c, 1e18)
    return c * r * math.exp(-r * r)


def geman_mcclure(output, target, c):
    """error^2 / 2 / (1 + (error / c)^2) (Geman & McClure, 1985)."""
    r = limited((output - target) / c, 1e18)
    return 0.5 * c * c * (r * r / (1.0 + r * r))


def geman_mcclure_derivative(output, target, c):
    r = limited((output - target) / c, 1e18)
    weight = 1.0 / (1.0 + r * r)
    return c * r * weight * weight


def cauchy(output, target, c):
    """c^2 / 2 log(1 + (error / c)^2) (Holland & Welsch, 1977)."""
    return 0.5 * c * c * log1p_square(abs(output - target) / c)


def cauchy_derivative(output, target, c):
    r = limited((output - target) / c, 1e18)
    return c * (r / (1.0 + r * r))


# -- monotone: the influence of an outlier is limited -------------------------------------------


def pseudo_huber(output, target, delta):
    """delta^2 (sqrt(1 + (error / delta)^2) - 1) (Charbonnier et al., 1997)."""
    r = abs(output - target) / delta
    z = min(r, 1e18)
    return delta * delta * (r * (z / (math.sqrt(1.0 + z * z) + 1.0)))


def pseudo_huber_derivative(output, target, delta):
    z = limited((output - target) / delta, 1e18)
    return delta * (z / math.sqrt(1.0 + z * z))


def smooth_l1(output, target, beta):
    """error^2 / (2 beta), and |error| - beta / 2 beyond beta (Girshick, 2015)."""
    error = abs(output - target)
    z = min(error, beta)
    return 0.5 * z * (z / beta) + (error - z)


def smooth_l1_derivative(output, target, beta):
    return limited((output - target) / beta, 1.0)


def wing(output, target, width, epsilon):
    """width log(1 + |error| / epsilon), and beyond width |error| and a constant (Feng et al., 2018)."""
    error = abs(output - target)
    z = min(error, width)
    return width * math.log1p(z / epsilon) + (error - z)


def wing_derivative(output, target, width, epsilon):
    error = abs(output - target)
    return sign(output - target) * (width / (epsilon + error) if error < width else 1.0)


def epsilon_insensitive(output, target, epsilon):
    """max(|error| - epsilon, 0), the loss of support vector regression (Vapnik, 1995)."""
    excess = abs(output - target) - epsilon
    return 0.0 if excess < 0 else excess


def epsilon_insensitive_derivative(output, target, epsilon):
    error = output - target
    return 0.0 if abs(error) <= epsilon else sign(error)


# -- of both kinds ------------------------------------------------------------------------------


def barron_log(r, alpha):
    """log(1 + r^2 / |alpha - 2|), of which |alpha - 2| is at least 1e-6: what its limit at 2 needs cancels."""
    b = max(abs(alpha - 2.0), 1e-6)
    z = min(r, 1e15)
    return math.log1p(z * z / b) if r < 1e15 else 2.0 * math.log(r) - math.log(b)


def barron(output, target, alpha, c):
    """|alpha - 2| / alpha (((error / c)^2 / |alpha - 2| + 1)^(alpha / 2) - 1), and its limits (Barron, 2019)."""
    growth = barron_log(abs(output - target) / c, alpha)
    t = 0.5 * alpha * growth
    ratio = math.expm1(t) / t if abs(t) > 1e-30 else 1.0
    return 0.5 * max(abs(alpha - 2.0), 1e-6) * growth * ratio


def barron_derivative(output, target, alpha, c):
    growth = barron_log(abs(output - target) / c, alpha)
    return (output - target) / c / c * math.exp((0.5 * alpha - 1.0) * growth)


# -- asymmetric ---------------------------------------------------------------------------------


def expectile(output, target, tau):
    """error^2, times tau where the output is below the target, else 1 - tau (Newey & Powell, 1987)."""
    error = output - target
    return (1.0 - tau if error > 0 else tau) * error * error


def expectile_derivative(output, target, tau):
    error = output - target
    return 2.0 * (1.0 - tau if error > 0 else tau) * error


def quantile_huber(output, target, tau, kappa):
    """smooth_l1, times tau where the output is below the target, else 1 - tau (Dabney et al., 2018)."""
    return (1.0 - tau if output > target else tau) * smooth_l1(output, target, kappa)


def quantile_huber_derivative(output, target, tau, kappa):
    return (1.0 - tau if output > target else tau) * smooth_l1_derivative(output, target, kappa)


def _above_zero(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "(0, inf)")


@hookimpl
def numbanet_losses() -> Iterable[Loss]:
    return (
        Loss("tukey_biweight", loss=tukey_biweight, derivative=tukey_biweight_derivative, params={"c": 4.685},
             bounds=_above_zero("c")),
        Loss("andrews", loss=andrews, derivative=andrews_derivative, params={"c": 1.339}, bounds=_above_zero("c")),
        Loss("welsch", loss=welsch, derivative=welsch_derivative, params={"c": 2.985}, bounds=_above_zero("c")),
        Loss("geman_mcclure", loss=geman_mcclure, derivative=geman_mcclure_derivative, params={"c": 1.0},
             bounds=_above_zero("c")),
        Loss("cauchy", loss=cauchy, derivative=cauchy_derivative, params={"c": 2.385}, bounds=_above_zero("c")),
        Loss("pseudo_huber", loss=pseudo_huber, derivative=pseudo_huber_derivative, params={"delta": 1.0},
             bounds=_above_zero("delta")),
        Loss("smooth_l1", loss=smooth_l1, derivative=smooth_l1_derivative, params={"beta": 1.0},
             bounds=_above_zero("beta")),
        Loss("wing", loss=wing, derivative=wing_derivative, params={"width": 10.0, "epsilon": 2.0},
             bounds=_above_zero("width", "epsilon")),
        Loss("epsilon_insensitive", loss=epsilon_insensitive, derivative=epsilon_insensitive_derivative,
             params={"epsilon": 0.1}, bounds={"epsilon": "[0, inf)"}),
        Loss("barron", loss=barron, derivative=barron_derivative, params={"alpha": 1.0, "c": 1.0},
             bounds=_above_zero("c")),
        Loss("expectile", loss=expectile, derivative=expectile_derivative, params={"tau": 0.5},
             bounds={"tau": "(0, 1)"}),
        Loss("quantile_huber", loss=quantile_huber, derivative=quantile_huber_derivative,
             params={"tau": 0.5, "kappa": 1.0}, bounds={"tau": "(0, 1)", **_above_zero("kappa")}),
    )
