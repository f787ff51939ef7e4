"""Adam and its variants, each update above its factory.

The corrections for moments that begin at 0 are the same for all parameters, so they are computed
once a step, in float64.
"""

import math

from numbanet.builtins._optimizer import optimizer
from numbanet.spec import Optimizer, Schedule


def adam_coefficients(step, learning_rate, beta1, beta2, epsilon):
    return 1.0 / (1.0 - beta1**step), 1.0 / math.sqrt(1.0 - beta2**step)


def adam(w, g, m, v, scale_m, scale_v, learning_rate, beta1, beta2, epsilon):
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    return w - learning_rate * scale_m * m / (scale_v * math.sqrt(v) + epsilon), m, v


def Adam(
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Mean gradient divided by its root mean square (Kingma & Ba, 2015).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    beta1, beta2 : float
        Part of the mean, and of the mean square, that a step keeps, in [0, 1).
    epsilon : float
        Added to the root mean square, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "adam".

    Notes
    -----
    Algorithm 1 of the paper, as in PyTorch; Keras adds epsilon before the correction of the mean
    square, and its epsilon is 1e-7.
    """
    return optimizer("adam", adam, (schedule, clip_value, clip_norm), states=("m", "v"), coefficients=adam_coefficients,
                     learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon)


def adamw_coefficients(step, learning_rate, beta1, beta2, epsilon, weight_decay):
    return adam_coefficients(step, learning_rate, beta1, beta2, epsilon)


def adamw(w, g, m, v, scale_m, scale_v, learning_rate, beta1, beta2, epsilon, weight_decay):
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    return w - learning_rate * (scale_m * m / (scale_v * math.sqrt(v) + epsilon) + weight_decay * w), m, v


def AdamW(
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Adam with weight decay apart from the gradient (Loshchilov & Hutter, 2019).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    beta1, beta2 : float
        Part of the mean, and of the mean square, that a step keeps, in [0, 1).
    epsilon : float
        Added to the root mean square, above 0.
    weight_decay : float
        Decay of weights, not of biases: each step takes ``learning_rate * weight_decay`` of them.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "adamw".

    See Also
    --------
    L2 : A penalty, whose gradient Adam divides by the root mean square like any other.

    Notes
    -----
    All weights decay at one rate, while an L2 penalty under Adam hardly touches weights whose
    gradients are large. PyTorch decays biases as well.
    """
    return optimizer("adamw", adamw, (schedule, clip_value, clip_norm), states=("m", "v"), decay=("weight_decay",),
                     coefficients=adamw_coefficients, learning_rate=learning_rate, beta1=beta1, beta2=beta2,
                     epsilon=epsilon, weight_decay=weight_decay)


def amsgrad(w, g, m, v, v_max, scale_m, scale_v, learning_rate, beta1, beta2, epsilon):
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    v_max = max(v, v_max)
    return w - learning_rate * scale_m * m / (scale_v * math.sqrt(v_max) + epsilon), m, v, v_max


def AMSGrad(
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Adam that divides by the largest root mean square so far (Reddi et al., 2018).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    beta1, beta2 : float
        Part of the mean, and of the mean square, that a step keeps, in [0, 1).
    epsilon : float
        Added to the root mean square, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "amsgrad".

    Notes
    -----
    The largest mean square is taken before the correction, as in PyTorch and Keras.
    """
    return optimizer("amsgrad", amsgrad, (schedule, clip_value, clip_norm), states=("m", "v", "v_max"),
                     coefficients=adam_coefficients, learning_rate=learning_rate, beta1=beta1, beta2=beta2,
                     epsilon=epsilon)


def nadam_coefficients(step, learning_rate, beta1, beta2, epsilon):
    scale_m = beta1 / (1.0 - beta1 ** (step + 1.0))
    return scale_m, (1.0 - beta1) / (1.0 - beta1**step), 1.0 / math.sqrt(1.0 - beta2**step)


def nadam(w, g, m, v, scale_m, scale_g, scale_v, learning_rate, beta1, beta2, epsilon):
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    return w - learning_rate * (scale_m * m + scale_g * g) / (scale_v * math.sqrt(v) + epsilon), m, v


def Nadam(
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Adam with Nesterov's momentum (Dozat, 2016).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    beta1, beta2 : float
        Part of the mean, and of the mean square, that a step keeps, in [0, 1).
    epsilon : float
        Added to the root mean square, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "nadam".

    Notes
    -----
    beta1 is constant; PyTorch and Keras let it rise over the first few hundred steps.
    """
    return optimizer("nadam", nadam, (schedule, clip_value, clip_norm), states=("m", "v"),
                     coefficients=nadam_coefficients, learning_rate=learning_rate, beta1=beta1, beta2=beta2,
                     epsilon=epsilon)
