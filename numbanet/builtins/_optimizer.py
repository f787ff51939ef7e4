"""How the factories of optimisers put them together."""

from typing import Any

from numbanet.spec import Formula, Optimizer

BOUNDS = {
    "momentum": "[0, 1)",
    "rho": "[0, 1)",
    "beta1": "[0, 1)",
    "beta2": "[0, 1)",
    "epsilon": "(0, inf)",
    "weight_decay": "[0, inf)",
}


def optimizer(
    name: str,
    update: Formula,
    options: tuple[Any, Any, Any],
    *,
    states: tuple[str, ...] = (),
    coefficients: Formula | None = None,
    decay: tuple[str, ...] = (),
    **params: float,
) -> Optimizer:
    """Optimizer with bounds by parameters' names; options are schedule, clip_value and clip_norm, states begin at 0."""
    schedule, clip_value, clip_norm = options
    return Optimizer(
        name,
        update=update,
        states=dict.fromkeys(states, 0.0),
        coefficients=coefficients,
        params=params,
        bounds={key: BOUNDS[key] for key in params if key in BOUNDS},
        decay=decay,
        schedule=schedule,
        clip_value=clip_value,
        clip_norm=clip_norm,
    )
