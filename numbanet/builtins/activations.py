"""Activation functions, each above its derivative where that is better than the derived one.

At -inf and inf a function takes its limit, and NaN stays NaN. A derivative that does without x
lets the engine overwrite x with y, and is cheaper than any that needs x: that is why most of
those here are written. At a kink a derivative is one of the two one-sided ones.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from numbanet.hookspecs import hookimpl
from numbanet.spec import Activation


def identity(x):
    return x


def step(x):
    """1 from 0 on, else 0: the perceptron's threshold (Rosenblatt, 1958); its derivative is 0."""
    return 0.0 if x < 0 else (1.0 if x >= 0 else x)


def step_derivative(x, y):
    return 0.0


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    t = math.exp(-abs(x))
    return (1.0 if x >= 0 else t) / (1.0 + t)


def sigmoid_derivative(x, y):
    return y * (1.0 - y)


def tanh(x):
    return math.tanh(x)


def scaled_tanh(x):
    """1.7159 tanh(2x / 3), close to 1 at 1 (LeCun et al., "Efficient BackProp", 1998)."""
    return 1.7159 * math.tanh(2.0 / 3.0 * x)


def relu(x):
    """max(x, 0) (Nair & Hinton, 2010); the derivative at 0 is 0."""
    return 0.0 if x < 0 else x


def relu_derivative(x, y):
    return 1.0 if y > 0 else 0.0


def leaky_relu(x, alpha):
    """x, or alpha x below 0 (Maas et al., 2013); the derivative at 0 is alpha."""
    return x if x > 0 else alpha * x


def relu6(x):
    """min(max(x, 0), 6) (Krizhevsky, 2010)."""
    return min(max(x, 0.0), 6.0)


def relu6_derivative(x, y):
    return (1.0 if y < 6 else 0.0) if y > 0 else 0.0


def elu(x, alpha):
    """x, or alpha (exp(x) - 1) below 0 (Clevert et al., 2016)."""
    return x if x > 0 else alpha * math.expm1(x)


def selu(x):
    """The elu that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    return 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x))


def selu_derivative(x, y):
    return 1.0507009873554805 if y > 0 else y + 1.7580993408473766


def celu(x, alpha):
    """x, or alpha (exp(x / alpha) - 1) below 0, smooth for every alpha > 0 (Barron, 2017)."""
    return x if x > 0 else alpha * math.expm1(x / alpha)


def celu_derivative(x, y, alpha):
    return 1.0 if y > 0 else 1.0 + y / alpha


def normal_cdf(x):
    """Probability that a standard normal variable is below x."""
    return 0.5 * math.erfc(-0.7071067811865476 * x)


def gelu(x):
    """x normal_cdf(x) (Hendrycks & Gimpel, 2016); beyond -40 even float64 has 0 left."""
    return max(x, -40.0) * normal_cdf(x)


def gelu_derivative(x, y):
    # here and below: the derived one, x times a slope that has vanished, is NaN at infinity
    z = min(max(x, -40.0), 40.0)
    return normal_cdf(z) + 0.3989422804014327 * z * math.exp(-0.5 * z * z)


def gelu_tanh_logit(x):
    return 1.5957691216057308 * (x + 0.044715 * x * x * x)


def gelu_tanh(x):
    """x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 (Hendrycks & Gimpel, 2016), without cancelling digits."""
    return max(x, -40.0) * sigmoid(gelu_tanh_logit(x))


def gelu_tanh_derivative(x, y):
    z = min(max(x, -40.0), 40.0)
    logit = gelu_tanh_logit(z)
    slope = 1.5957691216057308 * (1.0 + 0.134145 * z * z)
    return sigmoid(logit) * (1.0 + z * slope * sigmoid(-logit))


def silu(x, beta):
    """x sigmoid(beta x), also called swish (Ramachandran et al., 2017); beta >= 0."""
    return max(x, -1e30) * sigmoid(beta * x)


def silu_derivative(x, y, beta):
    z = min(max(beta * x, -750.0), 750.0)
    return sigmoid(z) * (1.0 + z * sigmoid(-z))


def mish_gate(x):
    """tanh(softplus(x)), with one exponential of a negative number."""
    t = math.exp(-abs(x))
    part = 1.0 + 2.0 * t if x >= 0 else t * (2.0 + t)
    return part / (part + (2.0 * t * t if x >= 0 else 2.0))


def mish(x):
    """x tanh(softplus(x)) (Misra, 2020)."""
    return max(x, -1e30) * mish_gate(x)


def mish_derivative(x, y):
    z = min(max(x, -750.0), 750.0)
    gate = mish_gate(z)
    return gate + z * sigmoid(z) * (1.0 - gate * gate)


def softplus(x):
    """log(1 + exp(x)) (Dugas et al., 2001)."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def softplus_derivative(x, y):
    return -math.expm1(-y)


def softsign(x):
    """x / (1 + |x|) (Bergstra et al., 2009)."""
    z = min(max(x, -1e30), 1e30)
    return z / (1.0 + abs(z))


def softsign_derivative(x, y):
    return (1.0 - abs(y)) * (1.0 - abs(y))


def hard_sigmoid(x):
    """x / 6 + 1 / 2 between 0 and 1, as in Keras 3 and PyTorch (Howard et al., 2019)."""
    return min(max(x / 6.0 + 0.5, 0.0), 1.0)


def hard_sigmoid_derivative(x, y):
    return (1.0 / 6.0 if y < 1 else 0.0) if y > 0 else 0.0


def hard_tanh(x):
    """min(max(x, -1), 1) (Collobert, 2004)."""
    return min(max(x, -1.0), 1.0)


def hard_tanh_derivative(x, y):
    return 1.0 if abs(y) < 1 else 0.0


def hard_silu(x):
    """x hard_sigmoid(x), also called hard swish (Howard et al., 2019)."""
    return max(x, -3.0) * hard_sigmoid(x)


def hard_silu_derivative(x, y):
    return 0.0 if x <= -3 else (1.0 if x >= 3 else x / 3.0 + 0.5)


def exponential(x):
    return math.exp(x)


def softmax(x, y):
    """exp(x) / sum(exp(x)) over the row (Bridle, 1990)."""
    peak = x[0]
    for j in range(1, len(x)):
        peak = max(peak, x[j])
    total = 0.0
    for j in range(len(x)):
        y[j] = math.exp(x[j] - peak)
        total += y[j]
    for j in range(len(x)):
        y[j] = y[j] / total


def softmax_derivative(x, y, gradient):
    mean = 0.0
    for j in range(len(y)):
        mean += gradient[j] * y[j]
    for j in range(len(y)):
        gradient[j] = y[j] * (gradient[j] - mean)


def log_softmax(x, y):
    """Logarithm of softmax."""
    peak = x[0]
    for j in range(1, len(x)):
        peak = max(peak, x[j])
    total = 0.0
    for j in range(len(x)):
        y[j] = x[j] - peak  # kept in y, so that no compiler adds peak and log(total), which differ in size
        total += math.exp(y[j])
    for j in range(len(x)):
        y[j] = y[j] - math.log(total)


def log_softmax_derivative(x, y, gradient):
    total = 0.0
    for j in range(len(y)):
        total += gradient[j]
    for j in range(len(y)):
        gradient[j] = gradient[j] - math.exp(y[j]) * total


SILU = Activation("silu", forward=silu, derivative=silu_derivative, params={"beta": 1.0}, bounds={"beta": "[0, inf)"})


@hookimpl
def numbanet_activations() -> Iterable[Activation]:
    return (
        Activation("identity", forward=identity),
        Activation("step", forward=step, derivative=step_derivative),
        Activation("sigmoid", forward=sigmoid, derivative=sigmoid_derivative),
        Activation("tanh", forward=tanh),
        Activation("scaled_tanh", forward=scaled_tanh),
        Activation("relu", forward=relu, derivative=relu_derivative),
        Activation("leaky_relu", forward=leaky_relu, params={"alpha": 0.01}),
        Activation("relu6", forward=relu6, derivative=relu6_derivative),
        Activation("elu", forward=elu, params={"alpha": 1.0}),
        Activation("selu", forward=selu, derivative=selu_derivative),
        Activation("celu", forward=celu, derivative=celu_derivative, params={"alpha": 1.0},
                   bounds={"alpha": "(0, inf)"}),
        Activation("gelu", forward=gelu, derivative=gelu_derivative),
        Activation("gelu_tanh", forward=gelu_tanh, derivative=gelu_tanh_derivative),
        SILU,
        replace(SILU, name="swish"),
        Activation("mish", forward=mish, derivative=mish_derivative),
        Activation("softplus", forward=softplus, derivative=softplus_derivative),
        Activation("softsign", forward=softsign, derivative=softsign_derivative),
        Activation("hard_sigmoid", forward=hard_sigmoid, derivative=hard_sigmoid_derivative),
        Activation("hard_tanh", forward=hard_tanh, derivative=hard_tanh_derivative),
        Activation("hard_silu", forward=hard_silu, derivative=hard_silu_derivative),
        Activation("exponential", forward=exponential, finite="(-inf, 80]"),
        Activation("softmax", forward=softmax, derivative=softmax_derivative, row=True),
        Activation("log_softmax", forward=log_softmax, derivative=log_softmax_derivative, row=True),
    )
