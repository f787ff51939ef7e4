"""An ONNX graph as it is read: who computes a value, who uses it, which values are constants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.export.onnx.files import array
from numbanet.store import FormatError

FLOAT, INTEGER, TEXT, TENSOR, FLOATS, INTEGERS = 1, 2, 3, 4, 6, 7  # onnx.AttributeProto's types


class Step:
    """A node of an ONNX graph.

    Parameters
    ----------
    index : int
        Its place.
    proto : onnx.NodeProto
        The node.
    """

    def __init__(self, index: int, proto: Any) -> None:
        own = f"{proto.domain}." if proto.domain not in ("", "ai.onnx") else ""
        self.index, self.kind = index, own + proto.op_type
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        while self.inputs and not self.inputs[-1]:
            self.inputs.pop()  # optional ones that are left out
        self.label = f"node '{proto.name or ', '.join(self.outputs)}' ({self.kind})"
        self.attributes: dict[str, Any] = {}
        for a in proto.attribute:
            values = {FLOAT: a.f, INTEGER: a.i, TEXT: a.s, TENSOR: a.t, FLOATS: list(a.floats),
                      INTEGERS: list(a.ints)}
            self.attributes[a.name] = values.get(a.type, a)

    def error(self, what: str) -> FormatError:
        """Error that names the node."""
        return FormatError(f"{self.label} {what}")

    def get(self, name: str, default: Any) -> Any:
        """An attribute of the default's type."""
        value = self.attributes.get(name, default)
        if isinstance(default, str) and isinstance(value, bytes):
            return value.decode(errors="replace")
        if type(value) is not type(default):
            raise self.error(f"has an attribute '{name}' of an unknown type")
        return value


class Source:
    """A graph, as far as one of its values depends on it.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model.
    folder : Path or None
        Where further files are.
    output : str or None
        Value that is wanted; the only output by default.

    Raises
    ------
    FormatError
        If the graph is no graph, or has several outputs or inputs.
    """

    def __init__(self, proto: Any, folder: Path | None, output: str | None) -> None:
        graph, self._folder = proto.graph, folder
        versions = [o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")]
        self.opset = versions[0] if versions else 1
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._arrays: dict[str, np.ndarray] = {}
        steps = [Step(i, node) for i, node in enumerate(graph.node)]
        self.maker: dict[str, Step] = {}
        inputs = {i.name: i for i in graph.input if i.name not in self._tensors}
        known = {"", *inputs, *self._tensors}
        for step in steps:
            for name in step.inputs:
                if name not in known:
                    raise step.error(f"takes '{name}', which nothing before computes")
            for name in step.outputs:
                if name and name in known:
                    raise step.error(f"computes '{name}', which there is already")
                self.maker[name] = step
            known.update(step.outputs)
        offered = [o.name for o in graph.output]
        if output is None and len(offered) != 1:
            hint = f"outputs {', '.join(offered)}; choose one, as in output='{offered[-1]}'" if offered else "no output"
            raise FormatError(f"the graph has {'the ' if offered else ''}{hint}")
        self.output = offered[0] if output is None else output
        if self.output not in self.maker:
            raise FormatError(f"no node computes '{self.output}'; the graph's outputs: {', '.join(offered)}")
        self.steps = self._needed(self.output)
        names = {name for step in self.steps for name in step.inputs} & set(inputs)
        if len(names) != 1:
            raise FormatError(f"'{self.output}' depends on {len(names)} inputs of the graph"
                              f"{': ' if names else ''}{', '.join(sorted(names))}; a Sequential has one")
        self.input = inputs[names.pop()]
        self._static = self._constants()
        self._users: dict[str, list[Step]] = defaultdict(list)
        for step in self.steps:
            for name in dict.fromkeys(step.inputs):
                if step.outputs[0] not in self._static:
                    self._users[name].append(step)

    def _needed(self, output: str) -> list[Step]:
        found, names = set(), [output]
        while names:
            step = self.maker.get(names.pop())
            if step is not None and step not in found:
                found.add(step)
                names += step.inputs
        return sorted(found, key=lambda step: step.index)

    def _constants(self) -> set[str]:
        """Values that no sample changes: constants, shapes, and what is made of them."""
        static = {"", *self._tensors}
        for step in self.steps:
            if step.kind == "Shape" or static.issuperset(step.inputs):
                static.update(step.outputs)
        return static

    def users(self, name: str, among: Container[Step] | None = None) -> list[Step]:
        """Nodes, of some or of all, that compute with a value."""
        return [step for step in self._users.get(name, ()) if among is None or step in among]

    def is_constant(self, name: str) -> bool:
        """Whether a value is the same for all samples."""
        return name in self._static

    def constant(self, name: str, shape_of: Callable[[str], tuple[int, ...]] | None = None) -> np.ndarray:
        """A constant's values; in a shape the number of samples is 0, as Reshape has it."""
        if name not in self._arrays:
            if name in self._tensors:
                self._arrays[name] = array(self._tensors[name], self._folder)
            else:
                self._arrays[name] = self._compute(self.maker[name], shape_of)
        return self._arrays[name]

    def _compute(self, step: Step, shape_of: Callable[[str], tuple[int, ...]] | None) -> np.ndarray:
        if step.kind == "Constant":
            for key, value in step.attributes.items():
                if key == "value":
                    return array(value, self._folder)
                if key in ("value_float", "value_int", "value_ints"):
                    return np.array(value, np.float32 if key == "value_float" else np.int64)
        if step.kind == "Shape" and shape_of is not None:
            return np.array((0, *shape_of(step.inputs[0])), np.int64)
        if step.kind in _FOLDED:
            try:
                return _FOLDED[step.kind](step, *(self.constant(name, shape_of) for name in step.inputs))
            except (IndexError, TypeError, ValueError) as error:
                raise step.error(f"can't be computed: {error}") from None
        raise step.error(f"computes a constant, and is none of those that are followed: Constant, Shape, "
                         f"{', '.join(sorted(_FOLDED))}")


def _unsqueeze(step: Step, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    places = step.get("axes", []) if axes is None else axes.tolist()
    return np.expand_dims(x, tuple(places))


def _squeeze(step: Step, x: np.ndarray, axes: np.ndarray | None = None) -> np.ndarray:
    places = step.get("axes", []) if axes is None else axes.tolist()
    return np.squeeze(x, tuple(places) or None)


def _slice(step: Step, x: np.ndarray, *bounds: np.ndarray) -> np.ndarray:
    parts = [b.tolist() for b in bounds] or [step.get("starts", []), step.get("ends", [])]
    if x.ndim != 1 or len(parts[0]) != 1 or (len(parts) == 4 and parts[3] != [1]):
        raise ValueError("only a slice of a list in steps of 1 is known")
    return x[parts[0][0] : parts[1][0]]


_FOLDED: dict[str, Callable[..., np.ndarray]] = {
    "Cast": lambda step, x: x, "Concat": lambda step, *parts: np.concatenate(parts, step.get("axis", 0)),
    "Gather": lambda step, x, at: np.take(x, at, step.get("axis", 0)), "Identity": lambda step, x: x,
    "Slice": _slice, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
}  # fmt: skip
