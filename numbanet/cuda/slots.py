"""What kernels here call by names that each launch fills in; see `numbanet.cuda.bind`."""

from __future__ import annotations

from typing import Any

T: Any = float  # the working type


def meet_part() -> None:
    """Where all threads that share a block of lanes wait for one another."""
    raise NotImplementedError


def meet() -> None:
    """Where all threads that train the same network wait for one another."""
    raise NotImplementedError


def passes(*arguments: Any) -> None:
    """Forward, loss and backward of a block."""
    raise NotImplementedError


def gradients(*arguments: Any) -> None:
    """What a block adds to the gradient."""
    raise NotImplementedError


def transforms(*arguments: Any) -> None:
    """Penalties and masks of one element of the gradient."""
    raise NotImplementedError


def clips(*arguments: Any) -> None:
    """Limits of one element of the gradient."""
    raise NotImplementedError


def penalties(*arguments: Any) -> None:
    """Penalty of one parameter."""
    raise NotImplementedError


def updates(*arguments: Any) -> None:
    """New value of one parameter."""
    raise NotImplementedError


def projections(*arguments: Any) -> None:
    """Constraints on the weights of each unit."""
    raise NotImplementedError


def trained_square(*arguments: Any) -> float:
    """Square of an element of the gradient, or 0 of a running average."""
    raise NotImplementedError
