"""How good a model is, in a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np

    from numbanet.datasets import Dataset
    from numbanet.history import History


def show_curve(history: History) -> None:
    """The learning curve where there are no pictures, and how to get them."""
    from numbanet.textplot import learning_curve_text

    encoding = sys.stdout.encoding or "utf-8"  # which, on Windows, may lack such characters
    click.echo(learning_curve_text(history).encode(encoding, "replace").decode(encoding))
    click.echo("No picture of the learning curve: pip install 'numbanet[plot]'")


def show_results(dataset: Dataset, y: np.ndarray, prediction: np.ndarray) -> None:
    """How good the model is on samples it has not seen."""
    from numbanet.scores import confusion, errors

    if not len(y):
        click.echo("No samples were held out.")
    elif dataset.classes:
        counts = confusion(len(dataset.classes), y, prediction)
        right = int(counts.trace())
        click.secho(f"Held-out accuracy {100 * right / len(y):.2f} % ({right} of {len(y)})", bold=True)
        _show_confusion(dataset.classes, counts)
    else:
        found = errors(y, prediction)
        for column, (rmse, r2) in enumerate(found):
            what = "" if len(found) == 1 else f" of output {column}"
            share = "" if r2 is None else f", R² {r2:.4f}"
            click.secho(f"Held-out root mean squared error{what} {rmse:.6g}{share}", bold=True)


def _show_confusion(classes: list[str], counts: np.ndarray) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from numbanet.scores import MOST_SHOWN, frequent

    table = Table(box=None, pad_edge=False)
    if len(classes) <= MOST_SHOWN:
        click.echo("Confusion matrix, true classes down, predicted across:")
        table.add_column("", style="bold", no_wrap=True)
        for name in classes:
            table.add_column(Text(name), justify="right")
        for i, row in enumerate(counts):
            styles = ["bold green" if i == j else "red" if n else "dim" for j, n in enumerate(row)]
            cells = [Text(str(n) if n else ".", style) for n, style in zip(row, styles, strict=True)]
            table.add_row(Text(classes[i]), *cells)
    else:
        click.echo("Most frequent confusions:")
        for heading in ("true", "predicted", "samples"):
            table.add_column(heading, justify="right")
        for i, j in frequent(counts):
            table.add_row(Text(classes[i]), Text(classes[j]), str(counts[i, j]))
    Console().print(table)
