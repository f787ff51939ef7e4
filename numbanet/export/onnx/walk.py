"""From node to node of an ONNX graph, and the layers on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from numbanet.export.onnx import simple, vectors, windows
from numbanet.export.onnx.flow import Flow, LayoutError, channels_first, reshaped
from numbanet.export.onnx.patterns import Pattern, match, patterns
from numbanet.export.onnx.source import Source, Step
from numbanet.layers import Apply, Conv1D, Conv2D, Dense, Dropout, Flatten, Layer, Reshape, Residual
from numbanet.model import Sequential
from numbanet.registry import get
from numbanet.spec import Activation
from numbanet.store import FormatError

FLOATS = (1, 10, 11)  # onnx.TensorProto.FLOAT, FLOAT16, DOUBLE
SHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze")


class Walk:
    """Layers between two values of a graph.

    Parameters
    ----------
    source : Source
        The graph.
    activations : sequence of Activation
        Those to be found beside the ones that have names.
    among : iterable of Step
        Nodes to go through.
    known : dict of int to list of Pattern, optional
        Patterns for widths that occurred.
    at_start : bool, optional
        Whether it begins at the model's input.
    """

    def __init__(
        self, source: Source, activations: Sequence[Activation], among: Iterable[Step],
        known: dict[int, list[Pattern]] | None = None, at_start: bool = True,
    ) -> None:
        self.source, self.activations, self.among = source, activations, set(among)
        self.layers: list[Layer] = []
        self.arrays: list[np.ndarray] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.at_start = at_start
        self._patterns: dict[int, list[Pattern]] = {} if known is None else known

    def run(self, flow: Flow, end: str) -> Flow:
        """Go as far as a value."""
        while flow.name != end:
            self.shapes[flow.name] = flow.dims
            flow = self._next(flow, end)
            self.at_start = self.at_start and not self.layers
        return flow

    def _next(self, flow: Flow, end: str) -> Flow:
        users = self.users(flow.name)
        if not flow.margin:
            normalized = vectors.written_out(self, flow)
            found = normalized or self._activation(flow)
            if found is not None:
                return found
        if len(users) == 1 and users[0].inputs == [flow.name] * 2 and users[0].kind == "Add":
            return self._join(users[0], flow, [set(), set()])
        if len(users) == 1 and users[0].kind in OPERATORS:
            if flow.margin and users[0].kind not in ("Conv", "Transpose"):
                raise users[0].error("is behind a Pad; numbanet has margins of convolutions only")
            try:
                return OPERATORS[users[0].kind](self, users[0], flow)
            except FormatError:
                raise
            except (IndexError, KeyError, ValueError) as error:
                raise users[0].error(f"can't be a layer of numbanet: {error}") from error
        if len(users) > 1:
            return self._residual(flow, users, end)
        known = ", ".join(sorted(OPERATORS))
        raise users[0].error(f"is not among the operators that have a layer in numbanet: {known}; nor do several nodes "
                             "from it on make up an activation that has a name, or is among activations=")

    # -- for the operators --------------------------------------------------------------

    def users(self, name: str) -> list[Step]:
        """Nodes on the way that compute with a value."""
        return self.source.users(name, self.among)

    def only(self, name: str) -> Step | None:
        """The only user of a value."""
        users = self.source.users(name)
        return users[0] if len(users) == 1 and name != self.source.output and users[0] in self.among else None

    def other(self, step: Step, name: str) -> str:
        """The constant beside a value in a node of two; empty if it is none."""
        rest = [i for i in step.inputs if i != name]
        return rest[0] if len(rest) == 1 and self.source.is_constant(rest[0]) else ""

    def weights(self, step: Step, place: int) -> np.ndarray:
        """Constant floats that a node takes."""
        if place >= len(step.inputs) or not self.source.is_constant(step.inputs[place]):
            raise step.error(f"has no constants as its input {place}; weights must be stored in the model")
        values = self.source.constant(step.inputs[place])
        if values.dtype.kind != "f":
            raise step.error(f"has {values.dtype} constants as its input {place}; expected floats")
        return values

    def vector(self, step: Step, place: int, length: int) -> np.ndarray:
        """Constants of which there is one for each channel."""
        values = self.weights(step, place)
        if values.size not in (1, length) or max(values.shape, default=1) != values.size:
            raise step.error(f"has constants of shape {values.shape} as its input {place}; expected ({length},)")
        return np.broadcast_to(values.reshape(-1), (length,))

    def emit(self, step: Step, layer: Layer, shape: tuple[int, ...], *arrays: np.ndarray) -> tuple[int, ...]:
        """Append a layer with its parameters; shape of what it gives."""
        graph = Sequential([layer]).describe(shape)
        wanted = [p.shape for p in graph.parameters]
        if [array.shape for array in arrays] != wanted:
            raise step.error(f"has weights of shapes {[a.shape for a in arrays]}; numbanet's layer needs {wanted}")
        self.layers.append(layer)
        self.arrays += arrays
        return graph.output.shape

    def renamed(self, flow: Flow, step: Step) -> Flow:
        """The same elements as a node's output."""
        return replace(flow, name=step.outputs[0])

    def image(self, step: Step, flow: Flow, axes: int) -> Flow:
        """A value whose channels the graph has first, of so many further axes."""
        if len(flow.shape) != axes + 1 or axes < 1:
            raise step.error(f"takes samples of shape {flow.dims}; expected channels and {axes} axes behind")
        if flow.axes == channels_first(axes + 1):
            return flow
        dims = flow.dims
        if flow.loose and flow.straight and (dims[0] == 1 or flow.size == dims[0]):
            # other names of axes, no other places of elements
            shape = self.emit(step, Reshape((*dims[1:], dims[0])), flow.shape)
            return Flow(flow.name, shape, channels_first(axes + 1))
        raise LayoutError(f"{step.label} takes channels along axis 1, where its samples of shape {dims} have the "
                          f"layers' axis {flow.axes[0]} of {len(flow.shape)}; numbanet has channels last")

    def behind(self, step: Step, flow: Flow) -> Flow:
        """What a Flatten, Reshape, Squeeze or Unsqueeze makes of a value."""
        dims, axes = flow.dims, len(flow.shape)
        if step.kind == "Flatten":
            if step.get("axis", 1) not in (1, -axes):
                raise step.error("has another axis than 1, and mixes samples")
            return flow.flat(step.outputs[0])
        if step.kind == "Reshape":
            shape_of = self.shapes.__getitem__
            target = self.source.constant(step.inputs[1], shape_of) if len(step.inputs) > 1 else None
            wanted = step.get("shape", []) if target is None else target.tolist()
            copied = not step.get("allowzero", 0)
            new = tuple(int((0, *dims)[i] if n == 0 and copied else n) for i, n in enumerate(wanted))[1:]
            return reshaped(flow, step.outputs[0], new, step)
        places = self.source.constant(step.inputs[1]).tolist() if len(step.inputs) > 1 else step.get("axes", [])
        if step.kind == "Squeeze":
            gone = {p % (axes + 1) for p in places} or {i for i, n in enumerate(dims, 1) if n == 1}
            new = tuple(n for i, n in enumerate(dims, 1) if i not in gone)
        else:
            gone = {p % (axes + 1 + len(places)) for p in places}
            rest = iter(dims)
            new = tuple(1 if i in gone else next(rest) for i in range(1, axes + 1 + len(places)))
        if 0 in gone:
            raise step.error("changes the axis of the samples")
        return reshaped(flow, step.outputs[0], new, step)

    # -- activations and residual connections -------------------------------------------

    def _activation(self, flow: Flow) -> Flow | None:
        length = flow.size if len(flow.shape) == 1 else 0
        if length not in self._patterns:
            self._patterns[length] = patterns(self.activations, length)
        for pattern in self._patterns[length]:
            found = match(pattern, self.source, flow.name, self.among)
            if found is not None:
                activation, name, _ = found
                self.activate(activation)
                return replace(flow, name=name, loose=False)
        return None

    def activate(self, activation: Activation) -> None:
        """Put an activation behind the layers."""
        last = self.layers[-1] if self.layers else None
        if isinstance(last, (Conv1D, Conv2D, Dense)) and last.activation == get("activation", "identity"):
            last.activation = activation
        else:
            self.layers.append(Apply(activation))

    def _residual(self, flow: Flow, users: list[Step], end: str) -> Flow:
        for step in sorted(self.among, key=lambda s: s.index):
            if step.kind != "Add" or len(step.inputs) != 2:
                continue
            ways = [self._between(flow.name, name) for name in step.inputs]
            if any(way is None for way in ways):
                continue
            inner = {*(ways[0] or ()), *(ways[1] or ())}
            if not {*users} <= {*inner, step} or (ways[0] or set()) & (ways[1] or set()):
                continue
            if all(set(self.source.users(s.outputs[0])) <= {*inner, step} for s in inner):
                return self._join(step, flow, [way or set() for way in ways])
        kinds = ", ".join(step.label for step in users)
        raise users[0].error(f"is one of several that take '{flow.name}' ({kinds}); numbanet's Residual has two ways "
                             "that an Add joins, and no activation of several operations fits")

    def _between(self, start: str, end: str) -> set[Step] | None:
        """Nodes between two values; None if not all that the end depends on comes from the start."""
        if end == start:
            return set()
        found: set[Step] = set()
        names = [end]
        while names:
            name = names.pop()
            if name == start or self.source.is_constant(name):
                continue
            step = self.source.maker.get(name)
            if step is None or step not in self.among:
                return None
            if step not in found:
                found.add(step)
                names += step.inputs
        return found

    def _join(self, step: Step, flow: Flow, ways: list[set[Step]]) -> Flow:
        walks = [Walk(self.source, self.activations, way, self._patterns, False) for way in ways]
        ends = [walk.run(replace(flow, loose=False), name) for walk, name in zip(walks, step.inputs, strict=True)]
        a, b = ends
        orders = [e.order if e.order is not None else np.arange(e.size) for e in ends]
        if a.shape != b.shape or a.axes != b.axes or (orders[0] != orders[1]).any():
            raise step.error(f"adds samples of shapes {a.dims} and {b.dims}, or elements in different places")
        walks.sort(key=lambda walk: not walk.layers)  # the shortcut may be empty, the layers not
        layers, shortcut = walks
        self.layers.append(Residual(layers.layers or [Apply("identity")], shortcut.layers))
        self.arrays += [*layers.arrays, *shortcut.arrays]
        return replace(a, name=step.outputs[0], loose=False)


def _shape(walk: Walk, step: Step, flow: Flow) -> Flow:
    after = walk.behind(step, flow)
    if after.shape != flow.shape:
        walk.emit(step, Flatten() if len(after.shape) == 1 else Reshape(after.shape), flow.shape)
    return after


def _transpose(walk: Walk, step: Step, flow: Flow) -> Flow:
    order = step.get("perm", list(range(len(flow.shape) + 1))[::-1])
    if sorted(order) != list(range(len(flow.shape) + 1)) or order[0] != 0:
        raise step.error(f"has the order {order}; expected one that leaves the samples in front")
    return replace(flow, name=step.outputs[0], axes=tuple(flow.axes[i - 1] for i in order[1:]))


def _activate(walk: Walk, step: Step, flow: Flow) -> Flow:
    walk.activate(simple.activation_of(step, walk.source, len(flow.shape)))
    return replace(walk.renamed(flow, step), loose=False)


def _same(walk: Walk, step: Step, flow: Flow) -> Flow:
    if step.kind == "Cast" and step.get("to", 0) not in FLOATS and not walk.at_start:
        raise step.error("makes no floats of its samples; numbanet works with floats throughout")
    if step.kind == "Dropout":
        rate = step.get("ratio", 0.5)
        if len(step.inputs) > 1 and step.inputs[1]:
            rate = float(walk.source.constant(step.inputs[1]).reshape(-1)[0])
        if 0 < rate < 1:
            walk.emit(step, Dropout(rate), flow.shape)
    return walk.renamed(flow, step)


def _pad(walk: Walk, step: Step, flow: Flow) -> Flow:
    axes = len(flow.shape)
    pads = walk.source.constant(step.inputs[1]).tolist() if len(step.inputs) > 1 else step.get("pads", [])
    fill = step.get("value", 0.0)
    if len(step.inputs) > 2 and step.inputs[2]:
        fill = float(walk.source.constant(step.inputs[2]).reshape(-1)[0])
    if step.get("mode", "constant") != "constant" or len(step.inputs) > 3 or len(pads) != 2 * axes + 2 or min(pads) < 0:
        raise step.error(f"has pads {pads} and mode '{step.get('mode', 'constant')}'; numbanet has margins of a number")
    margin = [(0, 0)] * axes
    for i, place in enumerate(flow.axes, 1):
        margin[place] = pads[i], pads[axes + 1 + i]
    if pads[0] or pads[axes + 1] or (axes < 2 and any(pads)):
        raise step.error(f"has pads {pads}; numbanet has margins of images, not of samples or vectors")
    if any(margin[-1]):
        raise LayoutError(f"{step.label} has pads {pads}, of channels, too; numbanet has margins of images")
    return replace(walk.renamed(flow, step), margin=tuple(margin) if any(pads) else (), fill=fill)


OPERATORS: dict[str, Callable[[Walk, Step, Flow], Flow]] = {
    **dict.fromkeys(simple.KINDS, _activate), **dict.fromkeys(SHAPES, _shape),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), vectors.affine),
    **dict.fromkeys(("Cast", "Dropout", "Identity"), _same),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean"), windows.whole),
    **dict.fromkeys(("AveragePool", "MaxPool"), windows.pool),
    "BatchNormalization": vectors.batch_normalization, "Conv": windows.convolution, "Gather": vectors.gather,
    "Gemm": vectors.gemm, "LayerNormalization": vectors.layer_normalization, "MatMul": vectors.matmul, "Pad": _pad,
    "Transpose": _transpose,
    "ai.onnx.ml.Scaler": vectors.scaler,
}  # fmt: skip
