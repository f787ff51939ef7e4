"""What all pictures have in common: colours, axes, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Tol's bright scheme: safe for the colour-blind.
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777")  # fmt: skip
CLASSES = (BLUE, RED, GREEN, YELLOW, CYAN, PURPLE)
MARKERS = "osD^vP"
TRAIN, VALIDATION = BLUE, RED
SIGNED, POSITIVE = "RdBu", "cividis"  # maps of colours: for numbers of both signs, for others
PANEL = 4.8, 3.6  # inches


def new_axes() -> Axes:
    """Axes of a new figure."""
    return _figure(1)[0]


def row_of_axes(axes: Any, count: int) -> np.ndarray:
    """Those that were given, if they are as many as wanted, or else new ones side by side."""
    if axes is None:
        return _figure(count)
    row = np.ravel(np.asarray(axes, object))
    if len(row) != count:
        raise ValueError(f"axes has {len(row)} panels; expected {count}")
    return row


def _figure(panels: int) -> np.ndarray:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install 'numbanet[plot]'") from None
    figure = pyplot.figure(figsize=(PANEL[0] * panels, PANEL[1]), layout="constrained")
    return np.atleast_1d(figure.subplots(1, panels))


def finished(ax: Axes, *, legend: bool = True) -> Axes:
    """A curve's axes, with a grid, and without a frame."""
    ax.grid(alpha=0.25, lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(frameon=False)
    return ax


def bare(ax: Axes) -> Axes:
    """A drawing's axes: nothing but the drawing."""
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """One image of many, shape (n, rows, columns), with NaN between them."""
    n, height, width = tiles.shape
    rows = -(-n // columns)
    whole = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        whole[top : top + height, left : left + width] = tile
    return whole


def save_picture(path: Path, draw: Callable[..., Any], panels: int = 1) -> bool:
    """Draw into a file, without a display.

    Parameters
    ----------
    path : Path
        File to write, such as PNG or SVG by its ending.
    draw : callable
        Takes as many axes as there are panels.
    panels : int
        Side by side.

    Returns
    -------
    bool
        Whether matplotlib is there.
    """
    try:
        # Without pyplot, which looks for a display.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(PANEL[0] * panels, PANEL[1]), layout="constrained")
    FigureCanvasAgg(figure)
    draw(*np.atleast_1d(figure.subplots(1, panels)))
    figure.savefig(path, dpi=120)
    return True
