"""What is in the folder of a run, and pictures of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from numbanet.history import History
from numbanet.model import Sequential
from numbanet.plot import filters, learning_curve, network, save_picture, validation_curve, weight_histograms
from numbanet.search import largest_within_error, standard_errors
from numbanet.store import load

MOST_DRAWN = 64  # units of a layer above which a diagram of the network shows nothing
MODES = {"loss": "min", "accuracy": "max"}  # quantities that have a picture of their own, and their best values
MODEL, HISTORY, STRENGTHS = "model.numbanet", "history.csv", "weight_decay.csv"


class Picture(NamedTuple):
    """A name for a file, what draws it, and how many panels it takes."""

    name: str
    draw: Callable[..., Any]
    panels: int = 1


def history_of(folder: Path) -> History | None:
    """What a training recorded.

    Parameters
    ----------
    folder : Path
        That ``numbanet train`` wrote.

    Returns
    -------
    History or None
        None where it is no training.

    Raises
    ------
    ValueError
        If the file is not as it was written.
    """
    return History.from_csv(folder / HISTORY) if (folder / HISTORY).is_file() else None


def curves(history: History) -> Picture:
    """Learning curves, a panel for each quantity."""
    monitors = [name for name in MODES if name in history]

    def draw(*axes: Any) -> None:
        for monitor, ax in zip(monitors, axes, strict=True):
            learning_curve(history, ax, monitor=monitor, mode=MODES[monitor])

    return Picture("learning_curve", draw, len(monitors))


def pictures(folder: Path) -> list[Picture]:
    """All that can be drawn of a run.

    Parameters
    ----------
    folder : Path
        That ``numbanet train`` or ``tune`` wrote.

    Returns
    -------
    list of Picture
        Curves first, then what the model looks like.

    Raises
    ------
    FileNotFoundError
        If there is no run in the folder.
    ValueError
        If a file is not as it was written.
    """
    found = []
    history = history_of(folder)
    if history is not None:
        found.append(curves(history))
    if (folder / STRENGTHS).is_file():
        found.append(_strengths(folder / STRENGTHS))
    if not found:
        raise FileNotFoundError(
            f"no run in '{folder}': expected {HISTORY} or {STRENGTHS} in a folder that 'numbanet train' or 'numbanet "
            "tune' wrote, such as runs/digits-1")
    return found + (_of_model(load(folder / MODEL)) if (folder / MODEL).is_file() else [])


def save(found: list[Picture], folder: Path, ending: str) -> list[str]:
    """Write pictures to files.

    Parameters
    ----------
    found : list of Picture
        What to draw.
    folder : Path
        Where.
    ending : str
        "png" or "svg".

    Returns
    -------
    list of str
        Names of the files; none where matplotlib is missing.
    """
    files = [(f"{name}.{ending}", draw, panels) for name, draw, panels in found]
    return [file for file, draw, panels in files if save_picture(folder / file, draw, panels)]


def _of_model(model: Sequential) -> list[Picture]:
    kinds = {node.kind for node in model.graph.nodes}
    found = []
    if kinds <= {"dense", "activation"} and max(n.output.size for n in model.graph.nodes) <= MOST_DRAWN:
        found.append(Picture("network", lambda ax: network(model, ax)))
    layers = sum(p.trained and not p.bias for p in model.graph.parameters)
    if layers:
        found.append(Picture("weights", lambda *axes: weight_histograms(model, axes), layers))
    if "convolution" in kinds:
        found.append(Picture("filters", lambda ax: filters(model, ax=ax)))
    return found


def _strengths(path: Path) -> Picture:
    """The scores of each strength, and the one that the rule chooses of them."""
    rows: dict[float, list[float]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows.setdefault(float(row["weight_decay"]), []).append(float(row["val_loss"]))
        strengths, scores = np.array([*rows]), np.array([*rows.values()])
        means, errors = scores.mean(axis=1), standard_errors(scores)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not as 'numbanet tune' writes it: {error!r}") from None
    chosen = strengths[largest_within_error(scores)]
    return Picture("weight_decay", lambda ax: validation_curve(strengths, means, errors, chosen, ax))
