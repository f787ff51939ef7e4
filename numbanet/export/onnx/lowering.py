"""A model's nodes as ONNX operations.

ONNX has channels behind the samples, numbanet has them last. A value is held in the one layout, the other, or both, and
turned round where an operation needs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from numbanet.export.onnx.activations import write_activation
from numbanet.export.onnx.operations import Operations
from numbanet.graph import Graph, Node, Parameter, Value

LAST, FIRST = "channels last", "channels first"


class Lowering:
    """The operations of a model.

    Parameters
    ----------
    graph : Graph
        The model.
    parameters : ndarray of shape (n,)
        Its parameters.
    """

    def __init__(self, graph: Graph, parameters: np.ndarray) -> None:
        self.graph, self.parameters = graph, parameters
        self.operations = Operations(str(parameters.dtype))
        self._places: dict[int, dict[str, str]] = {}
        self._margins: dict[int, Node] = {}  # values that a convolution can pad by itself
        self._affine: set[int] = set()  # scales and shifts that a normalization has taken over

    def run(self, start: str) -> str:
        """Write all nodes; name of the output, channels last."""
        self.put(self.graph.input, LAST, start)
        for index, node in enumerate(self.graph.nodes):
            self.operations.scope = str(node.layer)
            if index not in self._affine:
                if node.kind not in _KINDS:
                    raise ValueError(
                        f"layer {node.layer} has a node of kind '{node.kind}', which ONNX operations can't express: "
                        f"its kernels are the plugin's own. Known: {', '.join(sorted(_KINDS))}"
                    )
                _KINDS[node.kind](self, node, index)
        return self.get(self.graph.output, LAST)

    # -- values -------------------------------------------------------------------------

    def put(self, value: Value, layout: str, name: str) -> None:
        """Say where a value is."""
        self._places.setdefault(value.index, {})[layout if len(value.shape) > 1 else LAST] = name

    def get(self, value: Value, layout: str) -> str:
        """Name of a value in a layout."""
        if value.index in self._margins:
            self._pad(self._margins.pop(value.index))
        places, axes = self._places[value.index], len(value.shape)
        if axes < 2:
            return places[LAST]
        if layout not in places:
            order = (0, axes, *range(1, axes)) if layout == FIRST else (0, *range(2, axes + 1), 1)
            other = places[LAST if layout == FIRST else FIRST]
            places[layout] = self.operations.add("Transpose", other, perm=order)
        return places[layout]

    def held(self, *values: Value) -> str:
        """Layout in which values are held, channels first where there is a choice."""
        for value in values:
            if value.index in self._margins or FIRST not in self._places[value.index]:
                return LAST
        return FIRST

    def share(self, before: Value, after: Value) -> None:
        """One value is another one."""
        if before.index in self._margins:
            self.get(before, LAST)
        self._places[after.index] = self._places[before.index]

    def weights(self, parameter: Parameter) -> np.ndarray:
        """Values of a parameter in its shape."""
        return self.parameters[parameter.offset : parameter.end].reshape(parameter.shape)

    def constant(self, parameter: Parameter, values: np.ndarray | None = None) -> str:
        """A parameter under its name."""
        return self.operations.constant(parameter.name, self.weights(parameter) if values is None else values)

    def filled(self, role: str, value: float, length: int) -> str:
        """The same number for each channel."""
        name = f"{self.operations.scope}.{role}"
        return self.operations.constant(name, np.full(length, value, self.operations.dtype))

    # -- nodes --------------------------------------------------------------------------

    def dense(self, node: Node, index: int) -> None:
        names = [self.get(node.input, LAST), *map(self.constant, node.parameters)]
        self.put(node.output, LAST, self.operations.add("Gemm" if len(names) > 2 else "MatMul", *names))

    def convolution(self, node: Node, index: int) -> None:
        margin, window, kernel = self._margins.pop(node.input.index, None), node.window, node.parameters[0]
        assert window is not None
        values = self.weights(kernel).reshape(*window.size, -1, node.output.shape[-1]).transpose(3, 2, 0, 1)
        names = [self.get(node.input if margin is None else margin.input, FIRST), self.constant(kernel, values)]
        unit = len(node.parameters) > 1 and node.parameters[1].size != node.output.shape[-1]
        if len(node.parameters) > 1 and not unit:
            names.append(self.constant(node.parameters[1]))
        result = self.operations.add(
            "Conv", *names, kernel_shape=window.size, strides=window.strides, dilations=window.dilation,
            pads=_pads(margin) if margin else (0, 0, 0, 0),
        )  # fmt: skip
        if unit:
            bias = self.weights(node.parameters[1]).reshape(node.output.shape).transpose(2, 0, 1)
            result = self.operations.add("Add", result, self.constant(node.parameters[1], bias))
        self.put(node.output, FIRST, result)

    def pool(self, node: Node, index: int) -> None:
        window, largest = node.window, node.kind == "max_pool"
        assert window is not None
        x = self.get(node.input, FIRST)
        if window.size == node.input.shape[:2]:
            y = self.operations.add("GlobalMaxPool" if largest else "GlobalAveragePool", x)
        else:
            y = self.operations.add(
                "MaxPool" if largest else "AveragePool", x, kernel_shape=window.size, strides=window.strides
            )
        self.put(node.output, FIRST, y)

    def pad(self, node: Node, index: int) -> None:
        self._margins[node.output.index] = node
        following = self.graph.nodes[index + 1 : index + 2]
        if node.settings["fill"] or not following or following[0].kind != "convolution":
            self.get(node.output, LAST)

    def _pad(self, node: Node) -> None:
        layout = self.held(node.input)
        before, after = np.reshape(_pads(node), (2, 2)).tolist()
        pads = [0, 0, *before, 0, 0, *after] if layout == FIRST else [0, *before, 0, 0, *after, 0]
        fill = self.operations.number(node.settings["fill"])
        x = self.get(node.input, layout)
        self.put(node.output, layout, self.operations.add("Pad", x, self.operations.integers(*pads), fill))

    def embedding(self, node: Node, index: int) -> None:
        table = self.constant(node.parameters[0])
        self.put(node.output, LAST, self.operations.add("Gather", table, self.get(node.input, LAST)))

    def reshape(self, node: Node, index: int) -> None:
        before, after = node.input.shape, node.output.shape
        if before == after:
            self.share(node.input, node.output)
            return
        layout = self.held(node.input)
        one_row = len(before) > 1 and len(after) > 1 and ((1, *before) == after or before == (1, *after))
        still = math.prod(before[:-1]) == 1 or before[-1] == 1  # then both layouts are the same in memory
        if layout == FIRST and one_row:
            shape = (after[-1], *after[:-1])
        else:
            layout, shape = layout if still and len(after) == 1 else LAST, after
        x = self.get(node.input, layout)
        if len(shape) == 1:
            y = self.operations.add("Flatten", x)
        else:
            y = self.operations.add("Reshape", x, self.operations.integers(0, *shape))
        self.put(node.output, layout, y)

    def same(self, node: Node, index: int) -> None:
        self.share(node.input, node.output)

    def join(self, node: Node, index: int) -> None:
        assert node.other is not None
        layout = self.held(node.input, node.other)
        names = self.get(node.input, layout), self.get(node.other, layout)
        self.put(node.output, layout, self.operations.add("Add", *names))

    def activation(self, node: Node, index: int) -> None:
        assert node.activation is not None
        layout, shape = self.held(node.input), node.input.shape
        if not node.activation.row:
            x = self.get(node.input, layout)
            self.put(node.output, layout, write_activation(self.operations, node.activation, x))
            return
        x = self.get(node.input, LAST)
        if len(shape) > 1:
            x = self.operations.add("Flatten", x)
        y = write_activation(self.operations, node.activation, x, node.input.size)
        if len(shape) > 1:
            y = self.operations.add("Reshape", y, self.operations.integers(0, *shape))
        self.put(node.output, LAST, y)

    # -- normalization ------------------------------------------------------------------

    def _following(self, node: Node, index: int) -> tuple[dict[str, Parameter], Value]:
        """Scale and shift right behind a normalization, which then takes them over, and the value they give."""
        nodes = self.graph.nodes
        if index + 1 < len(nodes) and nodes[index + 1].kind == "affine" and nodes[index + 1].input is node.output:
            self._affine.add(index + 1)
            return {p.role: p for p in nodes[index + 1].parameters}, nodes[index + 1].output
        return {}, node.output

    def batch_normalize(self, node: Node, index: int) -> None:
        channels = node.input.shape[-1]
        found, output = self._following(node, index)
        scale = self.constant(found["gamma"]) if "gamma" in found else self.filled("gamma", 1.0, channels)
        shift = self.constant(found["beta"]) if "beta" in found else self.filled("beta", 0.0, channels)
        epsilon = np.float32(node.settings["epsilon"])  # as ONNX has it; the variance takes the rest
        if float(epsilon) > node.settings["epsilon"]:
            epsilon = np.nextafter(epsilon, np.float32(0))
        mean, variance = node.parameters
        rest = self.weights(variance) + self.operations.dtype.type(node.settings["epsilon"] - float(epsilon))
        names = scale, shift, self.constant(mean), self.constant(variance, rest)
        x = self.get(node.input, FIRST)
        self.put(output, FIRST, self.operations.add("BatchNormalization", x, *names, epsilon=float(epsilon)))

    def layer_normalize(self, node: Node, index: int) -> None:
        found, output = self._following(node, index)
        x, add = self.get(node.input, LAST), self.operations.add
        if self.operations.dtype == np.float32:
            channels = node.input.shape[-1]
            scale = self.constant(found["gamma"]) if "gamma" in found else self.filled("gamma", 1.0, channels)
            names = [scale, *([self.constant(found["beta"])] if "beta" in found else [])]
            y = add("LayerNormalization", x, *names, epsilon=node.settings["epsilon"])
        else:  # ONNX's LayerNormalization computes mean and variance in float32
            deviation = add("Sub", x, add("ReduceMean", x, axes=(-1,), keepdims=1))
            variance = add("ReduceMean", add("Mul", deviation, deviation), axes=(-1,), keepdims=1)
            epsilon = self.operations.number(node.settings["epsilon"])
            y = add("Div", deviation, add("Sqrt", add("Add", variance, epsilon)))
            y = add("Mul", y, self.constant(found["gamma"])) if "gamma" in found else y
            y = add("Add", y, self.constant(found["beta"])) if "beta" in found else y
        self.put(output, LAST, y)

    def affine(self, node: Node, index: int) -> None:
        layout = self.held(node.input)
        value = self.get(node.input, layout)
        ones = (1,) * (len(node.input.shape) - 1) if layout == FIRST else ()
        for parameter in node.parameters:
            kind = "Mul" if parameter.role == "gamma" else "Add"
            values = self.weights(parameter).reshape(-1, *ones)
            value = self.operations.add(kind, value, self.constant(parameter, values))
        self.put(node.output, layout, value)


def _pads(node: Node) -> tuple[int, ...]:
    """Rows above, columns to the left, rows below, columns to the right."""
    more = [b - a - m for a, b, m in zip(node.input.shape, node.output.shape, node.margin, strict=False)]
    return (*node.margin, *more)


_KINDS: dict[str, Callable[[Lowering, Node, int], None]] = {
    "activation": Lowering.activation, "add": Lowering.join, "affine": Lowering.affine,
    "average_pool": Lowering.pool, "batch_normalize": Lowering.batch_normalize, "convolution": Lowering.convolution,
    "dense": Lowering.dense, "dropout": Lowering.same, "embedding": Lowering.embedding, "fork": Lowering.same,
    "gaussian_noise": Lowering.same, "layer_normalize": Lowering.layer_normalize, "max_pool": Lowering.pool,
    "pad": Lowering.pad, "reshape": Lowering.reshape,
}  # fmt: skip
