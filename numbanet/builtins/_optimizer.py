"""How the factories of optimisers check their parameters and put them together."""

from collections.abc import Callable
from typing import Any

from numbanet.checks import fraction, nonnegative_float, positive_float
from numbanet.spec import Formula, Optimizer

CHECKS: dict[str, Callable[[str, Any], float]] = {
    "learning_rate": nonnegative_float,
    "momentum": fraction,
    "rho": fraction,
    "beta1": fraction,
    "beta2": fraction,
    "epsilon": positive_float,
    "weight_decay": nonnegative_float,
}


def optimizer(
    name: str,
    update: Formula,
    options: tuple[Any, Any, Any] = (None, None, None),
    *,
    states: tuple[str, ...] = (),
    coefficients: Formula | None = None,
    decay: tuple[str, ...] = (),
    **params: float,
) -> Optimizer:
    """Optimizer with checked parameters; options are schedule, clip_value and clip_norm, states begin at 0."""
    for key, value in params.items():
        if key in CHECKS:
            CHECKS[key](key, value)
    schedule, clip_value, clip_norm = options
    return Optimizer(
        name,
        update=update,
        states=dict.fromkeys(states, 0.0),
        coefficients=coefficients,
        params=params,
        decay=decay,
        schedule=schedule,
        clip_value=clip_value,
        clip_norm=clip_norm,
    )
