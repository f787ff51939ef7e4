"""A learning curve in characters, where there are no pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

BRAILLE = 0x2800
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a character, four down and two across
DECADES = 1.5  # of values, beyond which the axis is logarithmic


def learning_curve_text(history: Mapping[str, Sequence[float]], width: int = 72, height: int = 14, *,
                        monitor: str = "loss") -> str:
    """Draw a loss over the epochs: a line for the training data, circles for the validation data.

    Parameters
    ----------
    history : History or mapping of str to sequence of float
        What `Trainer.fit` returned.
    width, height : int
        Characters across and down.
    monitor : str
        Column to draw, with ``val_`` before it for the validation data. The least value is the best.

    Returns
    -------
    str
        Lines of text.

    Raises
    ------
    ValueError
        If `history` has no such column, or the picture is too small to show anything.
    """
    if monitor not in history:
        raise ValueError(f"history has no '{monitor}'; it has: {', '.join(history) or 'nothing'}")
    if width < 32 or height < 5:
        raise ValueError(f"expected at least 32 by 5 characters, got {width} by {height}")
    curves = {name: np.asarray(history[name], float) for name in (monitor, f"val_{monitor}") if name in history}
    curves = {name: np.where(np.isfinite(values), values, np.nan) for name, values in curves.items()}
    seen = np.concatenate([values[~np.isnan(values)] for values in curves.values()])
    if not seen.size:
        return f"{monitor}: no epoch has a finite value"
    low, high = float(seen.min()), float(seen.max())
    log = low > 0 and high > low * 10**DECADES
    if low == high:  # in the midst
        low, high = low - (abs(low) / 2 or 1), high + (abs(high) / 2 or 1)
    scale = np.log if log else np.asarray
    bottom, top = float(scale(low)), float(scale(high))
    labels = [f"{value:.3g}" for value in (high, (low * high) ** 0.5 if log else (low + high) / 2, low)]
    margin = max(map(len, labels))
    columns, rows = width - margin - 2, height - 3
    epochs = np.asarray(history.get("epoch", range(1, len(curves[monitor]) + 1)), float)
    across = (epochs - epochs[0]) / ((epochs[-1] - epochs[0]) or 1)
    up = {name: (scale(values) - bottom) / (top - bottom) for name, values in curves.items()}
    canvas = _line(across, up[monitor], columns, rows)
    deciding = [*curves][-1]
    if deciding != monitor:
        for x, y in zip(across, up[deciding], strict=True):
            if not np.isnan(y):
                canvas[round((1 - y) * (rows - 1))][round(x * (columns - 1))] = "o"
    sides = {0: labels[0], (rows - 1) // 2: labels[1], rows - 1: labels[2]}
    lines = [f"{sides.get(row, ''):>{margin}} {'┤' if row in sides else '│'}{''.join(line)}".rstrip()
             for row, line in enumerate(canvas)]
    foot = ["─"] * columns
    key = f"{monitor}{' (logarithmic)' * log}: ⣀⠤⠒ training{', o validation' * (deciding != monitor)}"
    if not np.isnan(curves[deciding]).all():
        best = int(np.nanargmin(curves[deciding]))
        foot[round(across[best] * (columns - 1))] = "▲"
        key += f"; ▲ best, epoch {epochs[best]:g}: {curves[deciding][best]:.4g}"
    first, last = f"{epochs[0]:g}", f"{epochs[-1]:g}"
    ticks = first + "epoch".center(columns - len(first) - len(last)) + last
    return "\n".join([*lines, f"{'':{margin}} └{''.join(foot)}", f"{'':{margin}}  {ticks}", key])


def _line(across: np.ndarray, up: np.ndarray, columns: int, rows: int) -> list[list[str]]:
    """Characters of a line through points, joined where both ends are numbers."""
    dots = np.zeros((rows * 4, columns * 2), bool)
    x, y = across * (columns * 2 - 1), (1 - up) * (rows * 4 - 1)
    for i in np.flatnonzero(~np.isnan(y)):
        j = i if i == 0 or np.isnan(y[i - 1]) else i - 1
        steps = int(max(abs(x[i] - x[j]), abs(y[i] - y[j]))) + 1
        dots[np.linspace(y[j], y[i], steps + 1).round().astype(int),
             np.linspace(x[j], x[i], steps + 1).round().astype(int)] = True
    cells = dots.reshape(rows, 4, columns, 2).transpose(0, 2, 1, 3)
    codes = (cells * DOTS).sum(axis=(2, 3))
    return [[chr(BRAILLE + code) if code else " " for code in row] for row in codes.tolist()]
