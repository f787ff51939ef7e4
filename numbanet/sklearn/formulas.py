"""scikit-learn's losses and update rules, where numbanet's own have another definition.

A loss of numbanet is the mean over the outputs. scikit-learn sums log losses and Poisson deviances over them; its
squared error is their mean, but the gradient by which it trains is that of the sum. Its velocity is a sum of steps
rather than of gradients, and Adam's epsilon is added before the correction of the mean square.
"""

import math

from numbanet.builtins._common import sign
from numbanet.builtins.losses import binary_cross_entropy, poisson_deviance
from numbanet.spec import Loss, Optimizer


def squared_error(output, target, outputs):
    return 0.5 * (output - target) * (output - target)


def squared_error_derivative(output, target, outputs):
    return outputs * (output - target)


def poisson(output, target, outputs):
    return outputs * poisson_deviance(output, target)


def binary_log_loss(output, target, outputs):
    return outputs * binary_cross_entropy(output, target, 0.0)


def perceptron(output, target, outputs):
    """How far the output is on the wrong side of 0 (Rosenblatt, 1958).

    A target is a sign times a weight. By the sum without weights scikit-learn decides when to stop.
    """
    return outputs * max(-sign(target) * output, 0.0)


def perceptron_derivative(output, target, outputs):
    return -outputs * target if target * output <= 0 else 0.0


LOSSES = {
    spec.name: spec
    for spec in (
        Loss("squared_error", loss=squared_error, derivative=squared_error_derivative, surrogate=True,
             params={"outputs": 1}),
        Loss("poisson", loss=poisson, params={"outputs": 1}, link="exponential", targets="nonnegative"),
        Loss("log_loss", loss=binary_log_loss, params={"outputs": 1}, link="sigmoid", targets="binary"),
        Loss("perceptron", loss=perceptron, derivative=perceptron_derivative, surrogate=True, params={"outputs": 1}),
    )
}  # fmt: skip


def momentum_step(w, g, velocity, learning_rate, momentum):
    velocity = momentum * velocity - learning_rate * g
    return w + velocity, velocity


def nesterov_step(w, g, velocity, learning_rate, momentum):
    velocity = momentum * velocity - learning_rate * g
    return w + momentum * velocity - learning_rate * g, velocity


def SGD(learning_rate: float, momentum: float, nesterov: bool) -> Optimizer:
    """Gradient descent whose velocity is a sum of steps."""
    return Optimizer(
        "sgd", update=nesterov_step if nesterov else momentum_step, states={"velocity": 0.0},
        params={"learning_rate": learning_rate, "momentum": momentum}, bounds={"momentum": "[0, 1]"},
    )  # fmt: skip


def adam_coefficients(step, learning_rate, beta1, beta2, epsilon):
    return (math.sqrt(1.0 - beta2**step) / (1.0 - beta1**step),)


def adam(w, g, m, v, scale, learning_rate, beta1, beta2, epsilon):
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    return w - learning_rate * scale * m / (math.sqrt(v) + epsilon), m, v


def Adam(learning_rate: float, beta1: float, beta2: float, epsilon: float) -> Optimizer:
    """Adam as in the paper's section 2, where it is made faster (Kingma & Ba, 2015)."""
    return Optimizer(
        "adam", update=adam, states={"m": 0.0, "v": 0.0}, coefficients=adam_coefficients,
        params={"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2, "epsilon": epsilon},
        bounds={"beta1": "[0, 1)", "beta2": "[0, 1)", "epsilon": "(0, inf)"},
    )  # fmt: skip
