"""What checks have found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Parameters
    ----------
    check : str
        What was looked at.
    passed : bool
        Whether it was as it should be.
    detail : str
        What was wrong, and where.
    """

    check: str
    passed: bool
    detail: str = ""


@dataclass
class Report:
    """Findings about a plugin.

    Parameters
    ----------
    subject : str
        Kind and name.
    findings : list of Finding
        In the order in which they were made.
    """

    subject: str
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return all(finding.passed for finding in self.findings)

    @contextmanager
    def checking(self, check: str) -> Iterator[None]:
        """Note whether what follows raises, and go on.

        Parameters
        ----------
        check : str
            What is looked at.
        """
        try:
            yield
        except Exception as error:
            detail = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            self.findings.append(Finding(check, False, detail))
        else:
            self.findings.append(Finding(check, True))

    def finish(self) -> Report:
        """Raise if something is wrong.

        Returns
        -------
        Report
            Itself.

        Raises
        ------
        AssertionError
            With the whole report.
        """
        if not self.passed:
            raise AssertionError(str(self))
        return self

    def __str__(self) -> str:
        lines = [self.subject]
        for finding in self.findings:
            lines.append(f"  {'ok  ' if finding.passed else 'FAIL'}  {finding.check}")
            lines += [f"        {line}" for line in finding.detail.splitlines()]
        return "\n".join(lines)


def slope_error(
    function: Callable[[float], float], derivative: Callable[[float], float], points: np.ndarray
) -> tuple[float, float, str]:
    """Largest relative error of a derivative against differences, its point, and a sentence about it.

    At a kink any number between the slopes of both sides is right.
    """
    worst, where, text = 0.0, 0.0, ""
    for x in map(float, points):
        step = 1e-5 * max(1.0, abs(x))
        left, middle, right = function(x - step), function(x), function(x + step)
        if not np.isfinite([left, middle, right]).all():
            continue
        low, high = sorted(((middle - left) / step, (right - middle) / step))
        found, size = derivative(x), max(1.0, abs(low), abs(high))
        noise = 1e-16 * max(abs(left), abs(right)) / step
        error = max(low - found, found - high, 0.0) if found == found else np.inf
        error = max(0.0, error - noise) / size
        if error > worst:
            worst, where = error, x
            text = f"at {x:.6g} the derivative is {found:.9g}; differences give {low:.9g} to {high:.9g}"
    return worst, where, text
