"""One training step, with everything that is computed on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from numbanet.graph import Graph, Node, Value

FEW = 12  # numbers that a table shows all of


class Trace(Mapping[str, np.ndarray]):
    """Values and derivatives of one training step, by name, in the order in which they come about.

    Parameters
    ----------
    values : dict of str to ndarray
        As they were computed.

    Notes
    -----
    "X" is the samples; "0.dense" what the layer's operation gives, a number for each unit and sample, "0.activation"
    what becomes of that; "loss" the mean loss with penalties. "d 0.dense" is the derivative of the mean loss with
    respect to "0.dense". "0.kernel" and "0.bias" are parameters, "d 0.kernel" their gradient, penalties included, and
    "0.kernel after" what the optimiser makes of them.
    """

    def __init__(self, values: Mapping[str, np.ndarray]) -> None:
        self._values = dict(values)

    @classmethod
    def of(
        cls, graph: Graph, samples: np.ndarray, steps: Iterable[tuple[str, Node | None, Value, np.ndarray]],
        loss: float, parameters: Mapping[str, np.ndarray],
    ) -> Trace:  # fmt: skip
        """A trace of what a backend has computed.

        Parameters
        ----------
        graph : Graph
            The model.
        samples : ndarray
            The batch.
        steps : iterable of (str, Node or None, Value, ndarray)
            Direction, whose operation it was, what it is of, and what it gave.
        loss : float
            Mean loss with penalties.
        parameters : mapping of str to ndarray
            Flat vectors, by what stands before the names of parameters, or behind them.

        Returns
        -------
        Trace
            Of the step.
        """
        values = named(steps, graph, samples, np.array(loss))
        for mark, flat in parameters.items():
            for p in graph.parameters:
                name = f"{p.name}{mark}" if mark.startswith(" ") else f"{mark}{p.name}"
                values[name] = flat[p.offset : p.end].reshape(p.shape)
        return cls(values)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._values:
            raise KeyError(f"there is no {name!r} in this step; there are {', '.join(self._values)}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        rows = [("", "shape", "values"), *((name, str(v.shape), _shown(v)) for name, v in self._values.items())]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in rows)

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} arrays: {', '.join(self._values)}>"


def _shown(values: np.ndarray) -> str:
    if values.size <= FEW:
        return np.array2string(values, precision=4, suppress_small=True, separator=", ").replace("\n", "")
    return f"from {values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}"


def named(
    steps: Iterable[tuple[str, Node | None, Value, np.ndarray]], graph: Graph, samples: Any, loss: Any
) -> dict[str, Any]:
    """Values and derivatives by name: of the layer, and of what it does."""
    values, names = {"X": samples}, {graph.input: "X"}
    for direction, node, value, array in steps:
        if node is not None and direction == "forward":
            name = f"{node.layer}.{node.kind}"
            again = sum(other.partition("#")[0] == name for other in values)
            names[value] = f"{name}#{again + 1}" if again else name
            values[names[value]] = array
        else:
            values.setdefault("loss", loss)
            values[f"d {names[value]}"] = array
    return values
