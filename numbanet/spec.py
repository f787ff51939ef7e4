"""What a plugin hands over: formulas as plain Python functions, with names and parameters.

A formula is an ordinary function of scalars that uses ``math.*``, literals, ``if``/``else`` and
other such functions. Nothing here compiles anything; the backends turn formulas into kernels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from numbanet.checks import finite_float, positive_float
from numbanet.derive import Differentiable
from numbanet.derive.plugin import POINTS, Primal

Formula = Callable[..., Any]

TARGETS = {  # what targets may be, and some of them, with which derivatives are checked
    "real": (-1.729, 0.314, 2.236),
    "positive": (0.314, 2.236),
    "nonnegative": (0.0, 0.314, 2.236),
    "binary": (0.0, 0.314, 1.0),
    "sign": (-1.0, 1.0),
    "classes": (0.0, 1.0),
}


def _arguments(function: Formula, owner: str) -> list[str]:
    if not callable(function):
        raise TypeError(f"{owner} must be a function, got {type(function).__name__}")
    kinds = inspect.Parameter
    names = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD, kinds.KEYWORD_ONLY):
            raise TypeError(f"{owner} takes plain positional arguments only, got '{parameter}'")
        names.append(parameter.name)
    return names


def limits(interval: str) -> tuple[float, float]:
    """Ends of an interval of numbers such as "(-inf, 80]"."""
    low, high = map(float, interval[1:-1].split(","))
    if interval[0] not in "[(" or interval[-1] not in "])" or not low < high:
        raise ValueError(f"{interval!r} is no interval")
    return low, high


@dataclass(frozen=True, repr=False)
class Plugin:
    """A named set of formulas and the values of their parameters.

    Parameters
    ----------
    name : str
        Name in the registry.
    params : mapping of str to float
        Parameters of the formulas with their defaults. They are passed at run time: a new
        value compiles nothing.
    bounds : mapping of str to str
        Interval of a parameter, as in ``"[0, 1)"`` or ``"(0, inf)"``; a limit may be another
        parameter's name, as in ``"[smallest, inf)"``. Values outside raise a ValueError.
    """

    name: str
    params: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    bounds: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def __repr__(self) -> str:
        values = "".join(f", {name}={value!r}" for name, value in self.params.items())
        return f"{type(self).__name__}({self.name!r}{values})"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"name must be a non-empty str, got {self.name!r}")
        object.__setattr__(self, "params", {k: self._number(k, v) for k, v in dict(self.params).items()})
        object.__setattr__(self, "bounds", dict(self.bounds))
        self._check_bounds(self.bounds)

    def _number(self, key: str, value: Any) -> float:
        return finite_float(f"{self.name}: parameter '{key}'", value)

    def _check_bounds(self, bounds: Mapping[str, str]) -> None:
        for key, interval in bounds.items():
            if key not in self.params:
                raise TypeError(f"{self.name}: bounds name '{key}', which is not among params")
            value = self.params[key]
            try:
                ends = [end.strip() for end in interval[1:-1].split(",")]
                low, high = (self.params[end] if end in self.params else float(end) for end in ends)
                inside = ({"[": low <= value, "(": low < value}[interval[0]]
                          and {"]": value <= high, ")": value < high}[interval[-1]])
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{self.name}: bounds of '{key}' must be like '[0, 1)', got {interval!r}") from None
            if not inside:
                raise ValueError(f"{self.name}: parameter '{key}' must be in {interval}, got {value!r}")

    def _check(self, function: Formula | None, what: str, leading: Sequence[str]) -> None:
        """The formula takes the leading arguments, under any names, then the parameters."""
        if function is None:
            return
        names = _arguments(function, f"{type(self).__name__} '{self.name}': {what}")
        expected = [*leading, *self.params]
        if len(names) != len(expected) or names[len(leading):] != list(self.params):
            raise TypeError(
                f"{type(self).__name__} '{self.name}': {what} takes ({', '.join(names)}); expected "
                f"({', '.join(expected)}): first the {len(leading)} values, then the parameters in the order of params")

    def with_params(self, **params: float) -> Self:
        """Copy with some parameters replaced.

        Parameters
        ----------
        **params : float
            New values by name.

        Returns
        -------
        Plugin
            Of the same class.

        Raises
        ------
        TypeError
            If a parameter is unknown or not a number.
        ValueError
            If it is not finite or out of its bounds.
        """
        unknown = [key for key in params if key not in self.params]
        if unknown:
            known = ", ".join(self.params) or "none"
            raise TypeError(f"{self.name} has no parameter '{unknown[0]}'; it has: {known}")
        return replace(self, params={**self.params, **params})


@dataclass(frozen=True, repr=False)
class Activation(Differentiable, Plugin):
    """Activation function.

    Parameters
    ----------
    name : str
        Name in the registry.
    forward : callable
        ``forward(x, *params) -> y`` of scalars. With ``row``: ``forward(x, y, *params)`` fills
        the row ``y`` from the row ``x``.
    derivative : callable, optional
        ``derivative(x, y, *params)``, dy/dx at ``x`` where ``y = forward(x)``; derived from
        ``forward`` if not given. With ``row``: ``derivative(x, y, gradient, *params)`` turns
        ``gradient`` from d/dy into d/dx in place, and is needed for training.
    row : bool
        Whether the formulas take a sample's whole row.
    surrogate : bool
        Whether ``derivative`` differs from that of ``forward`` on purpose, as a straight-through
        estimator does. Otherwise the two are compared.
    finite : str
        Interval of x in which the formulas claim to be finite, for the checks of `numbanet.testing`; everywhere
        unless given.
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    forward: Formula = None  # type: ignore[assignment]
    derivative: Formula | None = None
    row: bool = False
    surrogate: bool = False
    finite: str = "(-inf, inf)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.forward is None:
            raise TypeError(f"Activation '{self.name}' needs forward=, a function of x")
        self._check(self.forward, "forward", ("x", "y") if self.row else ("x",))
        self._check(self.derivative, "derivative", ("x", "y", "gradient") if self.row else ("x", "y"))
        self._check_surrogate()
        try:
            limits(self.finite)
        except (IndexError, TypeError, ValueError):
            message = f"Activation '{self.name}': finite must be an interval like '(-inf, 80]', got {self.finite!r}"
            raise ValueError(message) from None

    def _primal(self) -> Primal | None:
        if self.row:
            return None
        return Primal("forward", self.forward, True, ("x",), tuple((x,) for x in POINTS))


@dataclass(frozen=True, repr=False)
class Loss(Differentiable, Plugin):
    """Loss of one sample.

    Parameters
    ----------
    name : str
        Name in the registry.
    loss : callable
        ``loss(output, target, *params)`` of one output and its target; a sample's loss is the
        mean over its outputs. With ``row``: ``loss(output, target, gradient, *params)`` takes
        whole rows, fills ``gradient`` and returns the sample's loss.
    derivative : callable, optional
        ``derivative(output, target, *params)``, d loss / d output; derived from ``loss`` if not
        given. Not with ``row``.
    row : bool
        Whether the formula takes a sample's whole row.
    surrogate : bool
        Whether ``derivative`` differs from that of ``loss`` on purpose. Otherwise the two are
        compared.
    link : str
        Activation that turns the network's output into a prediction: "identity" unless the
        loss is on logits.
    targets : str
        What targets may be: "real", "positive", "nonnegative", "binary" (in [0, 1]), "sign"
        (-1 and 1; 0 is read as -1) or "classes" (integer labels, one-hot or soft rows).
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    loss: Formula = None  # type: ignore[assignment]
    derivative: Formula | None = None
    row: bool = False
    surrogate: bool = False
    link: str = "identity"
    targets: str = "real"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss is None:
            raise TypeError(f"Loss '{self.name}' needs loss=, a function of output and target")
        self._check(self.loss, "loss", ("output", "target", "gradient") if self.row else ("output", "target"))
        self._check(self.derivative, "derivative", ("output", "target"))
        self._check_surrogate()
        if self.row and self.derivative is not None:
            raise TypeError(f"Loss '{self.name}': a row loss fills its gradient itself; leave derivative out")
        if self.targets not in TARGETS:
            raise ValueError(f"Loss '{self.name}': targets must be one of {', '.join(TARGETS)}; got {self.targets!r}")

    def _primal(self) -> Primal | None:
        if self.row:
            return None
        points = tuple((output, target) for output in POINTS for target in TARGETS[self.targets])
        return Primal("loss", self.loss, False, ("output", "target"), points)


@dataclass(frozen=True, repr=False)
class Regularizer(Differentiable, Plugin):
    """Penalty of one weight, or a constraint on the weights that enter a unit.

    Parameters
    ----------
    name : str
        Name in the registry.
    penalty : callable, optional
        ``penalty(w, *params)``, added to the loss for every weight.
    derivative : callable, optional
        ``derivative(w, *params)``, d penalty / dw; derived from ``penalty`` if not given.
    project : callable, optional
        ``project(w, *params)`` changes ``w``, the row of weights that enter one unit, in place;
        called after every step.
    idempotent : bool
        Whether projecting twice is projecting once, as it is for a constraint. A proximal step, which shrinks weights
        anew each time, says False.
    biases : bool
        Whether biases are penalised too.
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    penalty: Formula | None = None
    derivative: Formula | None = None
    project: Formula | None = None
    idempotent: bool = True
    biases: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty is None and self.project is None:
            raise TypeError(f"Regularizer '{self.name}' needs penalty= or project=")
        if self.project is None and not self.idempotent:
            raise TypeError(
                f"Regularizer '{self.name}': idempotent=False is said of a project=; give one, or leave it out")
        for what in ("penalty", "derivative", "project"):
            self._check(getattr(self, what), what, ("w",))

    def _primal(self) -> Primal | None:
        if self.penalty is None:
            return None
        return Primal("penalty", self.penalty, False, ("w",), tuple((w,) for w in POINTS))


@dataclass(frozen=True, repr=False)
class Optimizer(Plugin):
    """Update rule of one parameter.

    Parameters
    ----------
    name : str
        Name in the registry.
    update : callable
        ``update(w, g, *states, *coefficients, *params)`` returns the new ``(w, *states)``, or
        ``w`` alone where there are no states.
    states : mapping of str to float
        State kept for every parameter, with its value before the first step.
    coefficients : callable, optional
        ``coefficients(step, *params)`` returns a tuple of numbers that all parameters share in
        a step; computed in float64, ``step`` counting from 1.
    decay : tuple of str
        Parameters taken as 0 for biases.
    schedule : Schedule or str, optional
        How the learning rate changes.
    clip_value, clip_norm : float, optional
        Largest magnitude of a gradient's element; largest Euclidean norm of the whole gradient.
    params : mapping of str to float
        Parameters with their defaults; ``learning_rate`` is one, and follows the schedule.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``; the learning rate's is ``"[0, inf)"`` if not
        given.
    """

    update: Formula = None  # type: ignore[assignment]
    states: Mapping[str, float] = field(default_factory=dict)
    coefficients: Formula | None = None
    decay: tuple[str, ...] = ()
    schedule: Any = None
    clip_value: float | None = None
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.update is None:
            raise TypeError(f"Optimizer '{self.name}' needs update=, a function of w and g")
        if "learning_rate" not in self.params:
            raise TypeError(f"Optimizer '{self.name}' needs the parameter 'learning_rate' among params")
        if "learning_rate" not in self.bounds:
            self._check_bounds({"learning_rate": "[0, inf)"})
        object.__setattr__(self, "states", {k: self._number(k, v) for k, v in dict(self.states).items()})
        self._check(self.coefficients, "coefficients", ("step",))
        names = _arguments(self.update, f"Optimizer '{self.name}': update")
        least = 2 + len(self.states) + len(self.params)
        if len(names) < least or names[len(names) - len(self.params):] != list(self.params):
            raise TypeError(
                f"Optimizer '{self.name}': update takes ({', '.join(names)}); expected (w, g, {', '.join(self.states)}"
                f"{', ' if self.states else ''}coefficients..., {', '.join(self.params)})")
        for key in self.decay:
            if key not in self.params:
                raise TypeError(f"Optimizer '{self.name}': decay names '{key}', which is not among params")
        for key in ("clip_value", "clip_norm"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, positive_float(key, getattr(self, key)))


@dataclass(frozen=True, repr=False)
class Schedule(Plugin):
    """Course of the learning rate.

    Parameters
    ----------
    name : str
        Name in the registry.
    rate : callable, optional
        ``rate(step, learning_rate, *params)``, the rate of a step counted from 0.
    adapt : callable, optional
        ``adapt(factor, error, previous, *params)`` is called after every epoch with the
        training errors of this epoch and of the last accepted one, and returns the new factor
        of the learning rate and whether the epoch is kept (True) or undone (False).
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    rate: Formula | None = None
    adapt: Formula | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.rate is None) == (self.adapt is None):
            raise TypeError(f"Schedule '{self.name}' needs either rate= or adapt=")
        self._check(self.rate, "rate", ("step", "learning_rate"))
        self._check(self.adapt, "adapt", ("factor", "error", "previous"))


@dataclass(frozen=True, repr=False)
class Initializer(Plugin):
    """Values of the weights before training.

    Parameters
    ----------
    name : str
        Name in the registry.
    sample : callable
        ``sample(rng, shape, fan_in, fan_out, *params)`` returns a float64 array of that shape;
        ``rng`` is a `numpy.random.Generator`. It runs as ordinary NumPy code.
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    sample: Formula = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sample is None:
            raise TypeError(f"Initializer '{self.name}' needs sample=")
        self._check(self.sample, "sample", ("rng", "shape", "fan_in", "fan_out"))


@dataclass(frozen=True, repr=False)
class Metric(Plugin):
    """Figure of merit, computed from predictions with NumPy.

    Parameters
    ----------
    name : str
        Name in the registry.
    compute : callable
        ``compute(target, prediction, weight, *params)`` with arrays of shapes ``(n, k)``,
        ``(n, outputs)`` and ``(n,)`` returns a float. For losses on classes ``target`` holds
        the labels, shape ``(n,)``.
    greater_is_better : bool
        Whether a larger value is a better one.
    params : mapping of str to float
        Parameters with their defaults.
    bounds : mapping of str to str
        Intervals of parameters, as in ``"[0, 1)"``.
    """

    compute: Formula = None  # type: ignore[assignment]
    greater_is_better: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compute is None:
            raise TypeError(f"Metric '{self.name}' needs compute=")
        self._check(self.compute, "compute", ("target", "prediction", "weight"))
