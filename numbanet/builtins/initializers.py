"""Values of the weights before training: NumPy code, called once for each parameter."""

import math
from collections.abc import Iterable

import numpy as np

from numbanet.hookspecs import hookimpl
from numbanet.spec import Initializer


def zeros(rng, shape, fan_in, fan_out):
    return np.zeros(shape)


def ones(rng, shape, fan_in, fan_out):
    return np.ones(shape)


def constant(rng, shape, fan_in, fan_out, value):
    return np.full(shape, value)


def Constant(value: float) -> Initializer:
    """The same value everywhere.

    Parameters
    ----------
    value : float
        The value.

    Returns
    -------
    Initializer
        Named "constant".
    """
    return Initializer("constant", sample=constant, params={"value": value})


def uniform(rng, shape, fan_in, fan_out, low, high):
    return rng.uniform(low, high, shape)


def RandomUniform(low: float = -0.05, high: float = 0.05) -> Initializer:
    """Uniform distribution.

    Parameters
    ----------
    low, high : float
        Limits, low first.

    Returns
    -------
    Initializer
        Named "uniform".
    """
    return Initializer("uniform", sample=uniform, params={"low": low, "high": high}, bounds={"low": "(-inf, high]"})


def normal(rng, shape, fan_in, fan_out, mean, stddev):
    return rng.normal(mean, stddev, shape)


def RandomNormal(mean: float = 0.0, stddev: float = 0.05) -> Initializer:
    """Normal distribution.

    Parameters
    ----------
    mean : float
        Mean.
    stddev : float
        Standard deviation, at least 0.

    Returns
    -------
    Initializer
        Named "normal".
    """
    return Initializer("normal", sample=normal, params={"mean": mean, "stddev": stddev},
                       bounds={"stddev": "[0, inf)"})


def truncated_normal(rng, shape, fan_in, fan_out, mean, stddev):
    z = rng.standard_normal(shape)
    while (far := abs(z) > 2).any():
        z[far] = rng.standard_normal(far.sum())
    return mean + stddev * z


def TruncatedNormal(mean: float = 0.0, stddev: float = 0.05) -> Initializer:
    """Normal distribution, drawn again beyond two standard deviations.

    Parameters
    ----------
    mean : float
        Mean.
    stddev : float
        Standard deviation before the cut, at least 0; afterwards it is 0.88 of that.

    Returns
    -------
    Initializer
        Named "truncated_normal".
    """
    return Initializer("truncated_normal", sample=truncated_normal, params={"mean": mean, "stddev": stddev},
                       bounds={"stddev": "[0, inf)"})


def glorot_uniform(rng, shape, fan_in, fan_out):
    """Variance 2 / (fan_in + fan_out) (Glorot & Bengio, 2010)."""
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, shape)


def glorot_normal(rng, shape, fan_in, fan_out):
    return rng.normal(0, math.sqrt(2 / (fan_in + fan_out)), shape)


def he_uniform(rng, shape, fan_in, fan_out):
    """Variance 2 / fan_in, for relu (He et al., 2015)."""
    limit = math.sqrt(6 / fan_in)
    return rng.uniform(-limit, limit, shape)


def he_normal(rng, shape, fan_in, fan_out):
    return rng.normal(0, math.sqrt(2 / fan_in), shape)


def lecun_uniform(rng, shape, fan_in, fan_out):
    """Variance 1 / fan_in (LeCun et al., 1998), for selu as well."""
    limit = math.sqrt(3 / fan_in)
    return rng.uniform(-limit, limit, shape)


def lecun_normal(rng, shape, fan_in, fan_out):
    return rng.normal(0, math.sqrt(1 / fan_in), shape)


def lecun_1989(rng, shape, fan_in, fan_out):
    """Within 2.4 / fan_in (LeCun et al., 1989)."""
    return rng.uniform(-2.4 / fan_in, 2.4 / fan_in, shape)


def orthogonal(rng, shape, fan_in, fan_out, gain):
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))  # else QR favours some rotations (Mezzadri, 2007)
    return gain * (q if rows >= columns else q.T).reshape(shape)


def Orthogonal(gain: float = 1.0) -> Initializer:
    """Random matrix with orthonormal columns, or rows if those are fewer (Saxe et al., 2014).

    Parameters
    ----------
    gain : float
        Factor, at least 0.

    Returns
    -------
    Initializer
        Named "orthogonal".

    Notes
    -----
    All axes but the last are taken as one.
    """
    return Initializer("orthogonal", sample=orthogonal, params={"gain": gain}, bounds={"gain": "[0, inf)"})


@hookimpl
def numbanet_initializers() -> Iterable[Initializer]:
    plain = (zeros, ones, glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal,
             lecun_1989)
    return (*(Initializer(sample.__name__, sample=sample) for sample in plain),
            Constant(0.0), RandomUniform(), RandomNormal(), TruncatedNormal(), Orthogonal())
