"""Learning to watch, in a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from numbanet.classic import Perceptron

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH, HEIGHT = 64, 20  # characters of the picture; twice as many rows, as each is two half blocks
PASSES = 100  # at most; the clouds can be separated, but nobody has promised how soon
GAP = 0.55  # farthest that samples are from the middle of their cloud, across it
EMPTY, LINE = "grey11", "yellow"
COLOURS = ("red3", "dodger_blue2")  # of the samples of the two classes
SIDES = ("#3a1618", "#12233f")  # of the two sides of the line
BARS = "▁▂▃▄▅▆▇█"


def clouds(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two clouds of points, away from the origin and close to each other, so that there is something to learn.

    Parameters
    ----------
    samples : int
        Points in all.
    seed : int
        Of chance.

    Returns
    -------
    X : ndarray of shape (samples, 2)
        Points.
    y : ndarray of shape (samples,)
        Class of each, 0 or 1.
    """
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 2
    angle = rng.uniform(0, 2 * np.pi)
    along, across = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    wide, narrow = rng.normal(0, 1.2, samples), rng.normal(0, 0.25, samples).clip(-GAP, GAP)
    X = np.outer(wide, along) + np.outer(narrow + np.where(y, 1.1, -1.1) * GAP, across)
    return X + rng.uniform(1, 2, 2), y


def passes(X: np.ndarray, y: np.ndarray, seed: int) -> Iterator[Perceptron]:
    """The perceptron after each pass over the samples, until it makes no mistake.

    Parameters
    ----------
    X, y : ndarray
        From `clouds`.
    seed : int
        Of the order of the samples.

    Yields
    ------
    Perceptron
        As it is then: one that begins anew and learns for a pass more, which is soon done.
    """
    for count in range(1, PASSES + 1):
        unit = Perceptron(max_epochs=count, seed=seed).fit(X, y)
        yield unit
        if unit.separated_:
            return


def frame(unit: Perceptron | None, X: np.ndarray, y: np.ndarray, colour: bool = True) -> Text:
    """Samples, the line between the classes, and the mistakes so far.

    Parameters
    ----------
    unit : Perceptron or None
        The perceptron, or None before it has learnt anything.
    X, y : ndarray
        From `clouds`.
    colour : bool
        Whether half blocks in colours may be used, or characters only.

    Returns
    -------
    Text
        The picture and two lines below it.
    """
    from rich.text import Text

    picture = Text()
    rows = HEIGHT * (2 if colour else 1)
    low, high = X.min(axis=0) - 0.3, X.max(axis=0) + 0.3
    across, up = np.linspace(low[0], high[0], WIDTH), np.linspace(high[1], low[1], rows)
    grid = np.stack(np.meshgrid(across, up), axis=-1)
    side = np.zeros((rows, WIDTH), int)
    line = np.zeros((rows, WIDTH), bool)
    if unit is not None:
        side = (grid @ unit.coef_[0] + unit.intercept_[0] >= 0).astype(int)
        line[:-1] |= side[:-1] != side[1:]
        line[:, :-1] |= side[:, :-1] != side[:, 1:]
    cells = np.where(line, 2, np.where(unit is None, 3, side))  # sides 0 and 1, line, nothing; samples 4 and 5
    i = np.rint((high[1] - X[:, 1]) / (high[1] - low[1]) * (rows - 1)).astype(int)
    j = np.rint((X[:, 0] - low[0]) / (high[0] - low[0]) * (WIDTH - 1)).astype(int)
    cells[i, j] = 4 + y
    if colour:
        styles = [*SIDES, LINE, EMPTY, *COLOURS]
        for top, bottom in zip(cells[::2], cells[1::2], strict=True):
            for a, b in zip(top, bottom, strict=True):
                picture.append("▀", f"{styles[a]} on {styles[b]}")
            picture.append("\n")
    else:
        picture.append("\n".join("".join(" .#"[c] if c < 3 else " ox"[c - 3] for c in row) for row in cells) + "\n")
    return picture.append(_caption(unit, X, y))


def _caption(unit: Perceptron | None, X: np.ndarray, y: np.ndarray) -> str:
    if unit is None:
        return f"{len(X)} samples of two classes; nothing is learnt yet\n"
    mistakes, (a, b), c = unit.mistakes_, unit.coef_[0], unit.intercept_[0]
    most = max(mistakes) or 1
    bars = "".join(BARS[round((len(BARS) - 1) * count / most)] for count in mistakes)
    accuracy = float((unit.predict(X) == y).mean())
    return (f"pass {len(mistakes)}: {mistakes[-1]} mistakes, accuracy {100 * accuracy:.1f} %  {bars}\n"
            f"line {a:.3g} x {b:+.3g} y {c:+.3g} = 0")


def perceptron(console: Console, *, samples: int, seed: int, delay: float) -> None:
    """Show a perceptron learning; of a console that is no terminal, how it begins and ends.

    Parameters
    ----------
    console : Console
        Where.
    samples, seed : int
        As for `clouds`.
    delay : float
        Seconds from frame to frame.
    """
    from rich.live import Live

    X, y = clouds(samples, seed)
    if not console.is_terminal:
        console.print(frame(None, X, y, colour=False))
        *_, unit = passes(X, y, seed)
        console.print(frame(unit, X, y, colour=False))
    else:
        with Live(frame(None, X, y), console=console, auto_refresh=False) as live:
            for unit in passes(X, y, seed):
                time.sleep(delay)
                live.update(frame(unit, X, y), refresh=True)
    total = sum(unit.mistakes_)
    end = (f"A line separates the classes: found after {total} corrections in {len(unit.mistakes_)} passes."
           if unit.separated_ else
           f"{PASSES} passes, and no line yet without a mistake: shown is the best one.")
    console.print(end, highlight=False)
