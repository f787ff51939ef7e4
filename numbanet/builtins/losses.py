"""Losses. The derivative of an elementwise one, with respect to the output, is derived unless it stands below.

Losses on logits take the network's output before the activation `link`. The constant terms of a
deviance are included, so that a perfect prediction costs 0.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from numbanet.builtins.activations import softplus
from numbanet.hookspecs import hookimpl
from numbanet.spec import Loss


def mean_squared_error(output, target):
    """(output - target)^2."""
    return (output - target) * (output - target)


def mean_absolute_error(output, target):
    """|output - target|."""
    return abs(output - target)


def huber(output, target, delta):
    """Half the squared error, linear beyond delta, as `scipy.special.huber` (Huber, 1964)."""
    error = abs(output - target)
    return 0.5 * error * error if error <= delta else delta * (error - 0.5 * delta)


def huber_derivative(output, target, delta):  # a fifth faster, with the loss, than by branches
    return min(max(output - target, -delta), delta)


def log_cosh(output, target):
    """log(cosh(output - target)): half the squared error, linear far out."""
    error = abs(output - target)
    return error + math.log1p(0.5 * math.expm1(-2.0 * error))


def log_cosh_derivative(output, target):  # keeps its digits where the error is small
    return math.tanh(output - target)


def quantile(output, target, q):
    """Pinball loss, least when the output is the quantile q of the target (Koenker & Bassett, 1978)."""
    error = output - target
    return (1.0 - q) * error if error > 0 else -q * error


def quantile_derivative(output, target, q):  # 0 where nothing is wrong
    error = output - target
    return 1.0 - q if error > 0 else (-q if error < 0 else error)


def poisson_deviance(output, target):
    """Half the deviance of counts; the output is the logarithm of their mean."""
    surplus = target * (1.0 + output - math.log(target)) if target > 0 else 0.0
    return math.exp(output) - surplus


def gamma_deviance(output, target):
    """Half the deviance of positive targets; the output is the logarithm of their mean."""
    ratio = output - math.log(target)
    return ratio + math.expm1(-ratio)


def binary_cross_entropy(output, target, label_smoothing):
    """-t log(p) - (1 - t) log(1 - p), p = sigmoid(output); t is the target, drawn towards 1/2."""
    soft = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return max(output, 0.0) - output * soft + math.log1p(math.exp(-abs(output)))


def focal(output, target, alpha, gamma):
    """-alpha t (1 - p)^gamma log(p) - (1 - alpha) (1 - t) p^gamma log(1 - p) (Lin et al., 2017)."""
    miss = softplus(-output)  # -log(p), p = sigmoid(output)
    alarm = softplus(output)  # -log(1 - p)
    positive = alpha * target * math.exp(-gamma * alarm) * miss
    return positive + (1.0 - alpha) * (1.0 - target) * math.exp(-gamma * miss) * alarm


def hinge(output, target):
    """max(1 - target output, 0) (Cortes & Vapnik, 1995)."""
    margin = 1.0 - target * output
    return 0.0 if margin <= 0 else margin


def squared_hinge(output, target):
    """Square of hinge."""
    return hinge(output, target) * hinge(output, target)


def softmax_cross_entropy(output, target, gradient, label_smoothing):
    """-sum(t log(softmax(output))); t is the target, drawn towards its mean (Szegedy et al., 2016)."""
    peak = output[0]
    for j in range(1, len(output)):
        peak = max(peak, output[j])
    total = 0.0
    mass = 0.0
    for j in range(len(output)):
        gradient[j] = math.exp(output[j] - peak)
        total += gradient[j]
        mass += target[j]
    even = label_smoothing * mass / len(output)
    scale = mass / total
    loss = mass * math.log(total)
    for j in range(len(output)):
        soft = target[j] * (1.0 - label_smoothing) + even
        loss -= soft * (output[j] - peak)
        gradient[j] = scale * gradient[j] - soft
    return loss


def categorical_hinge(output, target, gradient):
    """max(output + 1 - target) - sum(target output): 0 once the label leads by 1 (Crammer & Singer, 2001)."""
    for j in range(len(output)):
        gradient[j] = output[j] + 1.0 - target[j]
    peak = gradient[0]
    loss = 0.0
    for j in range(len(output)):
        peak = max(peak, gradient[j])
        loss -= target[j] * output[j]
    loss += peak
    share = 1.0
    for j in range(len(output)):
        taken = share if gradient[j] == peak else 0.0  # of equal peaks the first
        share -= taken
        gradient[j] = taken - target[j]
    return loss


def kl_divergence(output, target, gradient, epsilon):
    """Sum of target log(target / output), as `scipy.special.rel_entr`; outputs below epsilon count as epsilon."""
    loss = 0.0
    for j in range(len(output)):
        p = max(output[j], epsilon)
        ratio = target[j] / p
        loss += target[j] * math.log(ratio) if target[j] > 0 else ratio  # 0, or NaN where the output is
        gradient[j] = -ratio if output[j] > epsilon else 0.0
    return loss


def cosine_similarity(output, target, gradient, epsilon):
    """1 - cosine of the angle between the rows; norms below epsilon count as epsilon."""
    dot = 0.0
    output_square = 0.0
    target_square = 0.0
    for j in range(len(output)):
        dot += output[j] * target[j]
        output_square += output[j] * output[j]
        target_square += target[j] * target[j]
    output_norm = max(math.sqrt(output_square), epsilon)
    scale = 1.0 / output_norm / max(math.sqrt(target_square), epsilon)
    cosine = dot * scale
    shrink = cosine / output_norm / output_norm if output_norm > epsilon else 0.0
    for j in range(len(output)):
        gradient[j] = shrink * output[j] - scale * target[j]
    return 1.0 - cosine


MSE = Loss("mean_squared_error", loss=mean_squared_error)
MAE = Loss("mean_absolute_error", loss=mean_absolute_error)
POISSON = Loss("poisson_deviance", loss=poisson_deviance,
               link="exponential", targets="nonnegative")
GAMMA = Loss("gamma_deviance", loss=gamma_deviance,
             link="exponential", targets="positive")


@hookimpl
def numbanet_losses() -> Iterable[Loss]:
    return (
        MSE,
        replace(MSE, name="mse"),
        MAE,
        replace(MAE, name="mae"),
        Loss("huber", loss=huber, derivative=huber_derivative, params={"delta": 1.0},
             bounds={"delta": "(0, inf)"}),
        Loss("log_cosh", loss=log_cosh, derivative=log_cosh_derivative),
        Loss("quantile", loss=quantile, derivative=quantile_derivative, params={"q": 0.5},
             bounds={"q": "(0, 1)"}),
        POISSON,
        replace(POISSON, name="poisson"),
        GAMMA,
        replace(GAMMA, name="gamma"),
        Loss("binary_cross_entropy", loss=binary_cross_entropy,
             params={"label_smoothing": 0.0}, bounds={"label_smoothing": "[0, 1]"}, link="sigmoid", targets="binary"),
        Loss("focal", loss=focal, params={"alpha": 0.25, "gamma": 2.0},
             bounds={"alpha": "[0, 1]", "gamma": "[0, inf)"}, link="sigmoid", targets="binary"),
        Loss("hinge", loss=hinge, targets="sign"),
        Loss("squared_hinge", loss=squared_hinge, targets="sign"),
        Loss("softmax_cross_entropy", loss=softmax_cross_entropy, params={"label_smoothing": 0.0},
             bounds={"label_smoothing": "[0, 1]"}, row=True, link="softmax", targets="classes"),
        Loss("categorical_hinge", loss=categorical_hinge, row=True, targets="classes"),
        Loss("kl_divergence", loss=kl_divergence, params={"epsilon": 1e-7}, bounds={"epsilon": "(0, inf)"},
             row=True, targets="classes"),
        Loss("cosine_similarity", loss=cosine_similarity, params={"epsilon": 1e-8}, bounds={"epsilon": "(0, inf)"},
             row=True),
    )
