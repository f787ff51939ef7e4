"""Derivatives of scalar formulas, by forward-mode differentiation of their syntax trees.

Every statement gets the statement of its tangent, the derivative of what it assigns. What comes out is a formula like
any other: plain Python that a debugger steps through, that any backend translates, and that `inspect.getsource` shows.
Subexpressions that value and tangent share are computed once, and statements of which nothing comes are dropped.
Tangents of a branch stay inside the branch, so an overflow in the branch not taken harms nothing.
"""

from numbanet.derive.plugin import Differentiable
from numbanet.derive.statements import derive

__all__ = ["Differentiable", "derive"]
