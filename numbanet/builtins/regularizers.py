"""Penalties and constraints of weights.

The penalty is added once to the mean loss of a batch, whatever the batch's size, and its gradient
passes through the optimiser like the loss's own. AdamW and Lion decay weights apart from it.
"""

import math
from collections.abc import Iterable

from numbanet.hookspecs import hookimpl
from numbanet.spec import Regularizer


def l1(w, strength):
    return strength * abs(w)


def L1(strength: float = 0.01, *, biases: bool = False) -> Regularizer:
    """Penalty ``λ |w|`` of every weight; it drives weights to 0 (Tibshirani, 1996).

    Parameters
    ----------
    strength : float
        λ, at least 0.
    biases : bool
        Whether biases are penalised too.

    Returns
    -------
    Regularizer
        Named "l1".

    See Also
    --------
    ElasticNet : Both penalties.
    """
    return Regularizer("l1", penalty=l1, params={"strength": strength},
                       bounds={"strength": "[0, inf)"}, biases=biases)


def l2(w, strength):
    return 0.5 * strength * w * w


def L2(strength: float = 0.01, *, biases: bool = False) -> Regularizer:
    """Penalty λ w² / 2 of every weight (Hoerl & Kennard, 1970).

    Parameters
    ----------
    strength : float
        λ, at least 0.
    biases : bool
        Whether biases are penalised too.

    Returns
    -------
    Regularizer
        Named "l2".

    See Also
    --------
    AdamW : Decays weights without passing through the gradient's scaling.

    Notes
    -----
    The gradient is λ w, as with ``weight_decay`` in PyTorch's SGD and Adam. Keras's L2 has no 1/2:
    half its figure is the same penalty. scikit-learn's ``alpha`` is divided by the batch's size.
    """
    return Regularizer("l2", penalty=l2, params={"strength": strength},
                       bounds={"strength": "[0, inf)"}, biases=biases)


def elastic_net(w, strength, l1_ratio):
    return strength * (l1_ratio * abs(w) + 0.5 * (1.0 - l1_ratio) * w * w)


def ElasticNet(strength: float = 0.01, l1_ratio: float = 0.5, *, biases: bool = False) -> Regularizer:
    """Penalty ``λ (r |w| + (1 - r) w² / 2)`` of every weight (Zou & Hastie, 2005).

    Parameters
    ----------
    strength : float
        λ, at least 0.
    l1_ratio : float
        Part r of the l1 penalty, from 0 to 1.
    biases : bool
        Whether biases are penalised too.

    Returns
    -------
    Regularizer
        Named "elastic_net".

    See Also
    --------
    L1 : With ``l1_ratio=1``.
    L2 : With ``l1_ratio=0``.
    """
    return Regularizer("elastic_net", penalty=elastic_net,
                       params={"strength": strength, "l1_ratio": l1_ratio},
                       bounds={"strength": "[0, inf)", "l1_ratio": "[0, 1]"}, biases=biases)


def max_norm(w, limit):
    square = 0.0
    for j in range(len(w)):
        square += w[j] * w[j]
    norm = math.sqrt(square)
    scale = limit / norm if norm > limit else 1.0
    for j in range(len(w)):
        w[j] = w[j] * scale


def MaxNorm(limit: float = 3.0) -> Regularizer:
    """Limit of the Euclidean norm of the weights that enter a unit (Srivastava et al., 2014).

    Parameters
    ----------
    limit : float
        Largest norm, above 0; longer weights are scaled back to it after every step.

    Returns
    -------
    Regularizer
        Named "max_norm".

    See Also
    --------
    L2 : A penalty instead of a limit.
    """
    return Regularizer("max_norm", project=max_norm, params={"limit": limit}, bounds={"limit": "(0, inf)"})


@hookimpl
def numbanet_regularizers() -> Iterable[Regularizer]:
    return L1(), L2(), ElasticNet(), MaxNorm()
