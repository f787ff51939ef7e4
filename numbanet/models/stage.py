"""One stage of a neocognitron: an S-layer, which extracts features, and a C-layer, which tolerates shifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from numbanet.checks import nonnegative_int, positive_float, positive_int

WEAK = 0.01  # first values of a, as a share of c: too weak to win against a plane that has learnt


@dataclass(frozen=True, kw_only=True)
class Stage:
    """An S-layer and the C-layer behind it.

    Parameters
    ----------
    planes : int
        Planes of either layer, K.
    window : int
        Side of the square of cells that an S-cell sees, in all planes before.
    padding : int
        Rows and columns of silent cells on every side for the S-layer's windows.
    selectivity : float
        r while learning: an S-cell trained on one pattern responds to those whose cosine with it is above r / (1 + r).
    recall_selectivity : float, optional
        r of all other responses; the same by default.
    learning_rate : float
        q, the strength of reinforcement.
    column : int
        Side of an S-column.
    epochs : int
        Presentations of every pattern.
    pool_size, pool_stride, pool_padding : int
        Side of the square of S-cells that a C-cell sees in its plane, steps between such squares, and rows and columns
        of silent cells on every side.
    saturation : float
        α: C-cells saturate at 1, and ψ(α) is half of it.
    decay : float
        γ: fixed connections c and d fall by this factor with each cell of distance from the centre, at most 1.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is out of range.

    See Also
    --------
    Neocognitron : The formulas.
    """

    planes: int
    window: int
    padding: int = 0
    selectivity: float
    recall_selectivity: float | None = None
    learning_rate: float
    column: int
    epochs: int = 1
    pool_size: int
    pool_stride: int = 1
    pool_padding: int = 0
    saturation: float = 0.5
    decay: float = 0.9

    def __post_init__(self) -> None:
        for name in ("planes", "window", "column", "epochs", "pool_size", "pool_stride"):
            object.__setattr__(self, name, positive_int(name, getattr(self, name)))
        for name in ("padding", "pool_padding"):
            object.__setattr__(self, name, nonnegative_int(name, getattr(self, name)))
        for name in ("selectivity", "recall_selectivity", "learning_rate", "saturation", "decay"):
            if name != "recall_selectivity" or self.recall_selectivity is not None:
                object.__setattr__(self, name, positive_float(name, getattr(self, name)))
        if self.decay > 1:
            raise ValueError(f"decay must be at most 1, got {self.decay!r}")


class StageLayers:
    """The two layers of a stage, for planes of a shape.

    Parameters
    ----------
    stage : Stage
        Settings.
    before : tuple of three ints
        Rows, columns and planes of the layer before.
    dtype : {"float32", "float64"}
        Working type.

    Attributes
    ----------
    s_shape, c_shape : tuple of three ints
        Rows, columns and planes of either layer.
    a : ndarray of shape (window, window, planes before, planes)
        Excitatory connections.
    b : ndarray of shape (planes,)
        Inhibitory connections; 0 where a plane has learnt nothing.
    c, d : ndarray of shape (window, window), (pool_size, pool_size)
        Fixed connections, of the inhibitory cells and of the C-cells.

    Raises
    ------
    ValueError
        If a window does not fit.
    """

    def __init__(self, stage: Stage, before: tuple[int, int, int], dtype: str) -> None:
        self.stage, self.dtype = stage, dtype
        self.s_shape = self._places(before, "window", stage.window, stage.padding)
        self.c_shape = self._places(self.s_shape, "pool_size", stage.pool_size, stage.pool_padding, stage.pool_stride)
        self.c = _fixed(stage.window, stage.decay, before[2]).astype(dtype)
        self.d = _fixed(stage.pool_size, stage.decay).astype(dtype)
        self.a = np.zeros((stage.window, stage.window, before[2], stage.planes), dtype)
        self.b = np.zeros(stage.planes, dtype)
        self._number = np.dtype(dtype).type

    def _places(self, planes: tuple[int, int, int], name: str, size: int, padding: int, stride: int = 1
                ) -> tuple[int, int, int]:
        rows, columns = ((side + 2 * padding - size) // stride + 1 for side in planes[:2])
        if min(rows, columns) < 1:
            raise ValueError(f"{name} {size} does not fit planes of {planes[0]} x {planes[1]} cells with padding "
                             f"{padding}; use a smaller {name}, or more padding")
        return rows, columns, self.stage.planes

    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Space for responses of inhibitory cells and of S-cells to one pattern."""
        return np.empty(self.s_shape[:2], self.dtype), np.empty(self.s_shape, self.dtype)

    def learn(self, patterns: np.ndarray, rng: np.random.Generator) -> None:
        """Forget, and learn anew.

        Parameters
        ----------
        patterns : ndarray of shape (n, rows, columns, planes)
            Responses of the layer before.
        rng : Generator
            For the first connections and the order of patterns.

        Raises
        ------
        ValueError
            If connections grow too large for the working type.
        """
        from numbanet.cpu.neocognitron import learn

        stage = self.stage
        self.a = (WEAK * self.c[:, :, np.newaxis, np.newaxis] * rng.random(self.a.shape)).astype(self.dtype)
        self.b = np.zeros_like(self.b)
        seeds = np.empty(stage.planes, np.int64)
        with np.errstate(over="ignore"):
            r, q = self._number(stage.selectivity), self._number(stage.learning_rate)
        for _ in range(stage.epochs):
            learn(patterns, rng.permutation(len(patterns)), stage.padding, self.a, self.b, self.c, r, stage.column, q,
                  *self._cells(), seeds)
        if not (np.isfinite(self.a).all() and np.isfinite(self.b).all()):
            raise ValueError(f"connections grew too large for {self.dtype}; use a smaller learning_rate, or "
                             "dtype='float64'")

    def respond(self, patterns: np.ndarray) -> np.ndarray:
        """Responses of the C-cells.

        Parameters
        ----------
        patterns : ndarray of shape (n, rows, columns, planes)
            Responses of the layer before.

        Returns
        -------
        ndarray of shape (n, *c_shape)
            From 0 to 1.
        """
        from numbanet.cpu.neocognitron import respond

        stage = self.stage
        r = stage.selectivity if stage.recall_selectivity is None else stage.recall_selectivity
        u = np.empty((len(patterns), *self.c_shape), self.dtype)
        respond(patterns, stage.padding, self.a, self.b, self.c, self._number(r), stage.pool_padding,
                stage.pool_stride, self.d, self._number(stage.saturation), *self._cells(), u)
        return u


def _fixed(size: int, decay: float, planes: int = 1) -> np.ndarray:
    """Connections that fall with the distance from the centre and sum to 1 over the window and the planes."""
    steps = np.arange(size) - (size - 1) / 2
    weights = decay ** np.hypot(steps[:, np.newaxis], steps)
    return weights / (weights.sum() * planes)
