"""Optimisers that follow the gradient, its sign, or its size; each update above its factory.

The family of Adam is in `adam`. Where Keras and PyTorch differ, the definition is PyTorch's,
unless the factory's notes say otherwise.
"""

import math
from collections.abc import Iterable

from numbanet.builtins._common import sign
from numbanet.builtins._optimizer import optimizer
from numbanet.builtins.adam import Adam, AdamW, AMSGrad, Nadam
from numbanet.checks import finite_float
from numbanet.hookspecs import hookimpl
from numbanet.spec import Optimizer, Schedule


def sgd(w, g, learning_rate):
    return w - learning_rate * g


def sgd_momentum(w, g, velocity, learning_rate, momentum):
    velocity = momentum * velocity + g
    return w - learning_rate * velocity, velocity


def sgd_nesterov(w, g, velocity, learning_rate, momentum):
    velocity = momentum * velocity + g
    return w - learning_rate * (g + momentum * velocity), velocity


def SGD(
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Gradient descent, plain or with momentum (Polyak, 1964; Nesterov, 1983).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    momentum : float
        Part of the velocity that a step keeps, in [0, 1).
    nesterov : bool
        Whether the gradient is looked up ahead, where the velocity leads (Sutskever et al., 2013);
        it needs momentum above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "sgd", "momentum" or "nesterov", under which names each is in the registry, too.

    Notes
    -----
    The velocity is a sum of gradients, as in PyTorch, so that a new learning rate takes effect at
    once; Keras's is a sum of steps. At a constant rate they are the same.
    """
    options = schedule, clip_value, clip_norm
    if not finite_float("momentum", momentum):
        if nesterov:
            raise ValueError("nesterov=True needs momentum above 0")
        return optimizer("sgd", sgd, options, learning_rate=learning_rate)
    name, update = ("nesterov", sgd_nesterov) if nesterov else ("momentum", sgd_momentum)
    return optimizer(name, update, options, states=("velocity",), learning_rate=learning_rate, momentum=momentum)


def rmsprop(w, g, square, learning_rate, rho, epsilon):
    square = rho * square + (1.0 - rho) * g * g
    return w - learning_rate * g / (math.sqrt(square) + epsilon), square


def RMSprop(
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    epsilon: float = 1e-8,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Gradient divided by a moving average of its size (Tieleman & Hinton, 2012).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    rho : float
        Part of the mean square that a step keeps, in [0, 1); PyTorch calls it alpha.
    epsilon : float
        Added to the root mean square, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "rmsprop".

    Notes
    -----
    Keras adds epsilon before it takes the root.
    """
    return optimizer("rmsprop", rmsprop, (schedule, clip_value, clip_norm), states=("square",),
                     learning_rate=learning_rate, rho=rho, epsilon=epsilon)


def adagrad(w, g, total, learning_rate, epsilon):
    total = total + g * g
    return w - learning_rate * g / (math.sqrt(total) + epsilon), total


def Adagrad(
    learning_rate: float = 0.01,
    epsilon: float = 1e-10,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Gradient divided by the norm of all gradients so far (Duchi et al., 2011).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0.
    epsilon : float
        Added to the norm, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "adagrad".

    Notes
    -----
    The sum of squares begins at 0; in Keras at 0.1.
    """
    return optimizer("adagrad", adagrad, (schedule, clip_value, clip_norm), states=("total",),
                     learning_rate=learning_rate, epsilon=epsilon)


def adadelta(w, g, square, step_square, learning_rate, rho, epsilon):
    square = rho * square + (1.0 - rho) * g * g
    step = math.sqrt(step_square + epsilon) / math.sqrt(square + epsilon) * g
    return w - learning_rate * step, square, rho * step_square + (1.0 - rho) * step * step


def Adadelta(
    learning_rate: float = 1.0,
    rho: float = 0.9,
    epsilon: float = 1e-6,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Gradient scaled by the ratio of past steps to past gradients (Zeiler, 2012).

    Parameters
    ----------
    learning_rate : float
        Factor of the step, at least 0; 1 in the paper.
    rho : float
        Part of the mean squares that a step keeps, in [0, 1).
    epsilon : float
        Added to the mean squares, above 0.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "adadelta".
    """
    return optimizer("adadelta", adadelta, (schedule, clip_value, clip_norm), states=("square", "step_square"),
                     learning_rate=learning_rate, rho=rho, epsilon=epsilon)


def lion(w, g, m, learning_rate, beta1, beta2, weight_decay):
    direction = sign(beta1 * m + (1.0 - beta1) * g)
    return w - learning_rate * (direction + weight_decay * w), beta2 * m + (1.0 - beta2) * g


def Lion(
    learning_rate: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    *,
    schedule: Schedule | str | None = None,
    clip_value: float | None = None,
    clip_norm: float | None = None,
) -> Optimizer:
    """Sign of the momentum (Chen et al., 2023).

    Parameters
    ----------
    learning_rate : float
        Step size, at least 0; a third to a tenth of Adam's.
    beta1 : float
        Weight of the momentum against the gradient in a step, in [0, 1).
    beta2 : float
        Part of the momentum that a step keeps, in [0, 1).
    weight_decay : float
        Decay of weights, not of biases: each step takes ``learning_rate * weight_decay`` of them.
    schedule, clip_value, clip_norm : optional
        See `Optimizer`.

    Returns
    -------
    Optimizer
        Named "lion".
    """
    return optimizer("lion", lion, (schedule, clip_value, clip_norm), states=("m",), decay=("weight_decay",),
                     learning_rate=learning_rate, beta1=beta1, beta2=beta2, weight_decay=weight_decay)


def rprop(w, g, direction, step, learning_rate, decrease, increase, smallest, largest):
    agreement = direction * sign(g)
    step = learning_rate if step == 0 else step
    if agreement > 0:
        step = min(step * increase, largest)
    if agreement < 0:
        step = max(step * decrease, smallest)
    direction = 0.0 if agreement < 0 else sign(g)
    return w - direction * step, direction, step


def Rprop(
    learning_rate: float = 0.01,
    decrease: float = 0.5,
    increase: float = 1.2,
    smallest: float = 1e-6,
    largest: float = 50.0,
) -> Optimizer:
    """Step size of each parameter by its gradient's sign alone (Riedmiller & Braun, 1993).

    Parameters
    ----------
    learning_rate : float
        First step size, above 0; a schedule has no say afterwards.
    decrease : float
        Factor where the gradient changes its sign, in (0, 1); that step is left out.
    increase : float
        Factor where it keeps its sign, above 1.
    smallest, largest : float
        Limits of the step size.

    Returns
    -------
    Optimizer
        Named "rprop".

    Notes
    -----
    For training on the full batch: the signs of small batches' gradients are noise. The variant is
    iRprop- (Igel & Hüsken, 2000), as in PyTorch.
    """
    return Optimizer(
        "rprop",
        update=rprop,
        states={"direction": 0.0, "step": 0.0},
        params={"learning_rate": learning_rate, "decrease": decrease, "increase": increase, "smallest": smallest,
                "largest": largest},
        bounds={"learning_rate": "(0, inf)", "decrease": "(0, 1)", "increase": "(1, inf)", "smallest": "(0, inf)",
                "largest": "[smallest, inf)"},
    )


@hookimpl
def numbanet_optimizers() -> Iterable[Optimizer]:
    return (SGD(), SGD(momentum=0.9), SGD(momentum=0.9, nesterov=True), RMSprop(), Adagrad(), Adadelta(), Adam(),
            AdamW(), AMSGrad(), Nadam(), Lion(), Rprop())
