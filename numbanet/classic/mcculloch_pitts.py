"""Neurons that are on or off, and nets of them in which a signal takes a step of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from numbanet.checks import whole_number


class McCullochPittsNeuron:
    """A neuron that fires when enough excitatory inputs are active and no inhibitory one is.

    Parameters
    ----------
    threshold : int
        Excitatory inputs that must be active. With 0 it fires unless it is inhibited.
    inhibitory : iterable of int, optional
        Places of the inputs any of which keeps it from firing; the others excite.

    Raises
    ------
    TypeError, ValueError
        If a number is no whole number of at least 0.

    Notes
    -----
    McCulloch and Pitts, A logical calculus of the ideas immanent in nervous activity (1943).

    Examples
    --------
    >>> from numbanet.classic import McCullochPittsNeuron
    >>> both = McCullochPittsNeuron(threshold=2)
    >>> both([0, 1]), both([1, 1])
    (0, 1)
    >>> neither = McCullochPittsNeuron(threshold=0, inhibitory=[0, 1])
    >>> neither([[0, 0], [0, 1], [1, 1]])
    array([1, 0, 0])
    """

    def __init__(self, threshold: int, inhibitory: Iterable[int] = ()) -> None:
        self.threshold = whole_number("threshold", threshold, 0)
        self.inhibitory = tuple(sorted({whole_number("inhibitory", i, 0) for i in inhibitory}))

    def __call__(self, inputs: Any) -> Any:
        """Whether it fires.

        Parameters
        ----------
        inputs : array_like of shape (k,) or (n, k)
            Zeros and ones, of one moment or of several.

        Returns
        -------
        int or ndarray of shape (n,)
            0 or 1.

        Raises
        ------
        ValueError
            If an input is neither 0 nor 1, or an inhibitory one is missing.
        """
        active = _binary("inputs", inputs)
        if active.ndim not in (1, 2):
            raise ValueError(f"inputs has shape {active.shape}; expected (k,) or (n, k)")
        if self.inhibitory and self.inhibitory[-1] >= active.shape[-1]:
            raise ValueError(f"input {self.inhibitory[-1]} inhibits; there are {active.shape[-1]}, counted from 0")
        inhibits = np.zeros(active.shape[-1], bool)
        inhibits[list(self.inhibitory)] = True
        fires = (active[..., ~inhibits].sum(axis=-1) >= self.threshold) & ~active[..., inhibits].any(axis=-1)
        return int(fires) if active.ndim == 1 else fires.astype(int)

    def __repr__(self) -> str:
        rest = f", inhibitory={list(self.inhibitory)}" if self.inhibitory else ""
        return f"McCullochPittsNeuron(threshold={self.threshold}{rest})"


class McCullochPittsNetwork:
    """Neurons that read one another: each sees at a step what was there at the step before.

    Parameters
    ----------
    neurons : mapping of str to (McCullochPittsNeuron, sequence of str)
        For each neuron its name, and the names of what it reads, in the order of its inputs: neurons, itself among
        them, or inputs from outside.

    Attributes
    ----------
    inputs : tuple of str
        Names that are read and are no neurons.

    Raises
    ------
    ValueError
        If a neuron reads nothing.

    Examples
    --------
    >>> from numbanet.classic import McCullochPittsNetwork
    >>> net = McCullochPittsNetwork.half_adder()
    >>> net.settle(a=1, b=1)
    {'either': 1, 'carry': 1, 'sum': 0}
    >>> latch = McCullochPittsNetwork.latch()
    >>> latch.run(set=[0, 1, 0, 0, 0], reset=[0, 0, 0, 1, 0])["q"]
    array([0, 0, 1, 1, 0, 0])
    """

    def __init__(self, neurons: Mapping[str, tuple[McCullochPittsNeuron, Iterable[str]]]) -> None:
        self.neurons = {name: (neuron, tuple(reads)) for name, (neuron, reads) in neurons.items()}
        for name, (_, reads) in self.neurons.items():
            if not reads:
                raise ValueError(f"neuron {name!r} reads nothing; give it the names of its inputs")
        read = [source for _, reads in self.neurons.values() for source in reads]
        self.inputs = tuple(dict.fromkeys(source for source in read if source not in self.neurons))

    @classmethod
    def xor(cls) -> McCullochPittsNetwork:
        """Whether one of ``a`` and ``b`` is active, and not both: no single neuron can tell.

        Returns
        -------
        McCullochPittsNetwork
            Whose neuron "xor" answers after two steps.
        """
        one_alone = McCullochPittsNeuron(1, inhibitory=[1])
        return cls({"a alone": (one_alone, ("a", "b")), "b alone": (one_alone, ("b", "a")),
                    "xor": (McCullochPittsNeuron(1), ("a alone", "b alone"))})  # fmt: skip

    @classmethod
    def half_adder(cls) -> McCullochPittsNetwork:
        """Sum of two bits ``a`` and ``b``.

        Returns
        -------
        McCullochPittsNetwork
            Whose neurons "sum" and "carry" answer after two steps.
        """
        return cls({"either": (McCullochPittsNeuron(1), ("a", "b")), "carry": (McCullochPittsNeuron(2), ("a", "b")),
                    "sum": (McCullochPittsNeuron(1, inhibitory=[1]), ("either", "carry"))})  # fmt: skip

    @classmethod
    def latch(cls) -> McCullochPittsNetwork:
        """A bit that remembers: a neuron that excites itself.

        Returns
        -------
        McCullochPittsNetwork
            Whose neuron "q" fires from one step after ``set`` until one step after ``reset``.
        """
        return cls({"q": (McCullochPittsNeuron(1, inhibitory=[2]), ("set", "q", "reset"))})

    def run(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Activity over time, from a net at rest.

        Parameters
        ----------
        **inputs : array_like of shape (steps,)
            Zeros and ones of each input.

        Returns
        -------
        dict of str to ndarray of shape (steps + 1,)
            Of each neuron, the first at rest; ``[t + 1]`` follows from what was there at ``t``.

        Raises
        ------
        ValueError
            If an input is missing, unknown, neither 0 nor 1, or of another length than the others.
        """
        given = {name: _binary(name, values) for name, values in self._named(inputs).items()}
        lengths = {name: values.shape for name, values in given.items()}
        if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
            raise ValueError(f"inputs have the shapes {lengths}; expected (steps,), the same for all")
        steps = next(iter(lengths.values()))[0] if lengths else 0
        active = {name: np.zeros(steps + 1, int) for name in self.neurons}
        seen = {**given, **active}
        for t in range(steps):
            for name, (neuron, reads) in self.neurons.items():
                active[name][t + 1] = neuron([seen[source][t] for source in reads])
        return active

    def settle(self, **inputs: Any) -> dict[str, int]:
        """Activity once inputs that stay the same have gone all the way.

        Parameters
        ----------
        **inputs : int
            0 or 1 for each input.

        Returns
        -------
        dict of str to int
            Of each neuron.

        Raises
        ------
        ValueError
            If an input is missing, unknown, or neither 0 nor 1.
        RuntimeError
            If activity never comes to rest.
        """
        state = dict.fromkeys(self.neurons, 0)
        given = {name: int(_binary(name, value)) for name, value in self._named(inputs).items()}
        met = []
        while state not in met:
            met.append(state)
            seen = {**given, **state}
            state = {name: neuron([seen[s] for s in reads]) for name, (neuron, reads) in self.neurons.items()}
            if state == met[-1]:
                return state
        raise RuntimeError("the net does not come to rest with these inputs; use run to see its activity over time")

    def _named(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        if set(inputs) != set(self.inputs):
            raise ValueError(f"inputs are {', '.join(inputs) or 'missing'}; this net has {', '.join(self.inputs)}")
        return inputs


def _binary(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must be 0 or 1, got {values!r}")
    return array.astype(int)
