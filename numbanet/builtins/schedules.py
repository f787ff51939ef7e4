"""Courses of the learning rate, each above its factory; steps of the optimiser count from 0.

A schedule taken by name lasts 1,000 steps unless told otherwise.
"""

import math
from collections.abc import Iterable

from numbanet.hookspecs import hookimpl
from numbanet.spec import Schedule


def constant(step, learning_rate):
    return learning_rate


def ConstantSchedule() -> Schedule:
    """Learning rate as it is.

    Returns
    -------
    Schedule
        Named "constant".
    """
    return Schedule("constant", rate=constant)


def step_decay(step, learning_rate, step_size, factor):
    return learning_rate * factor ** (step // step_size)


def StepDecay(step_size: int, factor: float = 0.1) -> Schedule:
    """Learning rate times ``factor`` every ``step_size`` steps.

    Parameters
    ----------
    step_size : int
        Steps between two changes, at least 1.
    factor : float
        Factor of a change, above 0.

    Returns
    -------
    Schedule
        Named "step".
    """
    return Schedule("step", rate=step_decay, params={"step_size": step_size, "factor": factor},
                    bounds={"step_size": "[1, inf)", "factor": "(0, inf)"})


def exponential_decay(step, learning_rate, decay_steps, decay_rate):
    return learning_rate * decay_rate ** (step / decay_steps)


def ExponentialDecay(decay_steps: int, decay_rate: float = 0.9) -> Schedule:
    """Learning rate times ``decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    decay_steps : int
        Steps after which the rate is ``decay_rate`` of the first, at least 1.
    decay_rate : float
        Factor over ``decay_steps``, above 0.

    Returns
    -------
    Schedule
        Named "exponential".
    """
    return Schedule("exponential", rate=exponential_decay,
                    params={"decay_steps": decay_steps, "decay_rate": decay_rate},
                    bounds={"decay_steps": "[1, inf)", "decay_rate": "(0, inf)"})


def inverse_time_decay(step, learning_rate, decay_steps, decay_rate):
    return learning_rate / (1.0 + decay_rate * step / decay_steps)


def InverseTimeDecay(decay_steps: int, decay_rate: float = 1.0) -> Schedule:
    """Learning rate divided by ``1 + decay_rate * step / decay_steps`` (Robbins & Monro, 1951).

    Parameters
    ----------
    decay_steps : int
        Steps after which ``decay_rate`` is added to the divisor, at least 1.
    decay_rate : float
        Growth of the divisor, at least 0.

    Returns
    -------
    Schedule
        Named "inverse_time".
    """
    return Schedule("inverse_time", rate=inverse_time_decay,
                    params={"decay_steps": decay_steps, "decay_rate": decay_rate},
                    bounds={"decay_steps": "[1, inf)", "decay_rate": "[0, inf)"})


def polynomial_decay(step, learning_rate, decay_steps, end_learning_rate, power):
    remaining = 1.0 - min(step / decay_steps, 1.0)
    return end_learning_rate + (learning_rate - end_learning_rate) * remaining**power


def PolynomialDecay(decay_steps: int, end_learning_rate: float = 0.0, power: float = 1.0) -> Schedule:
    """From the learning rate to ``end_learning_rate``, in a straight line or bent by ``power``.

    Parameters
    ----------
    decay_steps : int
        Steps that it takes, at least 1; the rate stays where it ends.
    end_learning_rate : float
        Last rate, at least 0.
    power : float
        Exponent of the part of the steps that remains, above 0.

    Returns
    -------
    Schedule
        Named "polynomial".
    """
    return Schedule("polynomial", rate=polynomial_decay,
                    params={"decay_steps": decay_steps, "end_learning_rate": end_learning_rate, "power": power},
                    bounds={"decay_steps": "[1, inf)", "end_learning_rate": "[0, inf)", "power": "(0, inf)"})


def cosine_between(start, end, progress):
    """From start to end along half a cosine, progress going from 0 to 1."""
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * progress))


def cosine_decay(step, learning_rate, decay_steps, warmup_steps, end_learning_rate):
    if step < warmup_steps:
        return learning_rate * (step + 1.0) / (warmup_steps + 1.0)
    return cosine_between(learning_rate, end_learning_rate, min((step - warmup_steps) / decay_steps, 1.0))


def CosineDecay(decay_steps: int, warmup_steps: int = 0, end_learning_rate: float = 0.0) -> Schedule:
    """Linear warm-up, then half a cosine down to ``end_learning_rate`` (Loshchilov & Hutter, 2017).

    Parameters
    ----------
    decay_steps : int
        Steps of the decay, after the warm-up, at least 1; the rate stays where it ends.
    warmup_steps : int
        Steps before the full rate, at least 0; the first is ``learning_rate / (warmup_steps + 1)``.
    end_learning_rate : float
        Last rate, at least 0.

    Returns
    -------
    Schedule
        Named "cosine".
    """
    return Schedule("cosine", rate=cosine_decay,
                    params={"decay_steps": decay_steps, "warmup_steps": warmup_steps,
                            "end_learning_rate": end_learning_rate},
                    bounds={"decay_steps": "[1, inf)", "warmup_steps": "[0, inf)", "end_learning_rate": "[0, inf)"})


def one_cycle(step, learning_rate, total_steps, pct_start, div_factor, final_div_factor):
    first = learning_rate / div_factor
    peak = max(pct_start * total_steps - 1.0, 0.0)
    if step < peak:
        return cosine_between(first, learning_rate, step / peak)
    progress = min((step - peak) / (total_steps - 1.0 - peak), 1.0)
    return cosine_between(learning_rate, first / final_div_factor, progress)


def OneCycle(
    total_steps: int, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Schedule:
    """Up to the learning rate and down to almost 0, along half cosines (Smith & Topin, 2018).

    Parameters
    ----------
    total_steps : int
        Steps of the whole training, at least 2; the rate stays where it ends.
    pct_start : float
        Part of the steps in which the rate rises, in [0, 1).
    div_factor : float
        Quotient of the largest rate, `learning_rate`, and the first.
    final_div_factor : float
        Quotient of the first rate and the last.

    Returns
    -------
    Schedule
        Named "one_cycle".

    Notes
    -----
    The rates are those of PyTorch's ``OneCycleLR``; the momentum stays as it is.
    """
    return Schedule("one_cycle", rate=one_cycle,
                    params={"total_steps": total_steps, "pct_start": pct_start, "div_factor": div_factor,
                            "final_div_factor": final_div_factor},
                    bounds={"total_steps": "[2, inf)", "pct_start": "[0, 1)", "div_factor": "(0, inf)",
                            "final_div_factor": "(0, inf)"})


def bold_driver(factor, error, previous, increase, decrease):
    if error <= previous:  # not so for NaN
        return factor * increase, True
    return factor * decrease, False


def BoldDriver(increase: float = 1.05, decrease: float = 0.5) -> Schedule:
    """Undo an epoch whose training error rises, and cut the rate; else let it grow (Vogl et al., 1988).

    Parameters
    ----------
    increase : float
        Factor after an epoch that is kept, at least 1.
    decrease : float
        Factor after an epoch that is undone, in (0, 1).

    Returns
    -------
    Schedule
        Named "bold_driver".

    Notes
    -----
    An undone epoch ends the optimiser's memory, too: a velocity that points uphill would do so at every rate. Meant for
    the full batch; with small batches errors rise by chance as well.
    """
    return Schedule("bold_driver", adapt=bold_driver, params={"increase": increase, "decrease": decrease},
                    bounds={"increase": "[1, inf)", "decrease": "(0, 1)"})


@hookimpl
def numbanet_schedules() -> Iterable[Schedule]:
    return (ConstantSchedule(), StepDecay(1000), ExponentialDecay(1000), InverseTimeDecay(1000), PolynomialDecay(1000),
            CosineDecay(1000), OneCycle(1000), BoldDriver())
