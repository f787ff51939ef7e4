"""Checks for those who write plugins: is a formula right, and does it compile well?

Each takes a name or an object, raises AssertionError with a report of all that is wrong, and returns the report.
"""

from collections.abc import Callable

from numbanet.testing.formulas import check_activation, check_loss, check_regularizer
from numbanet.testing.functions import check_initializer, check_metric, check_optimizer, check_schedule
from numbanet.testing.report import Finding, Report

CHECKS: dict[str, Callable[..., Report]] = {
    "activation": check_activation, "loss": check_loss, "regularizer": check_regularizer,
    "optimizer": check_optimizer, "schedule": check_schedule, "initializer": check_initializer,
    "metric": check_metric,
}  # fmt: skip

__all__ = [
    "Finding", "Report", "check_activation", "check_initializer", "check_loss", "check_metric", "check_optimizer",
    "check_regularizer", "check_schedule",
]  # fmt: skip
