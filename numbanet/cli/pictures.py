"""The commands that show something: ``numbanet plot`` and ``numbanet demo``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from numbanet.cli.common import FOLDER, Group, one_line_errors


@click.command()
@click.argument("run", type=FOLDER, metavar="RUN_FOLDER")
@click.option("--format", "ending", type=click.Choice(["png", "svg"]), default="png", show_default=True,
              help="Of the pictures: points, or lines that can be enlarged.")
@click.option("--output", type=FOLDER, metavar="FOLDER", help="Where to write them.  [default: RUN_FOLDER]")
def plot(run: Path, ending: str, output: Path | None) -> None:
    """Draw a run: RUN_FOLDER is what train or tune wrote.

    Of a training the learning curve, the network where it is dense and small, histograms of the weights, and the
    filters of the first convolution; of a choice of weight decay the scores of all strengths. Pictures that are there
    already are written anew. Without matplotlib the learning curve is drawn in characters.

    \b
    Examples:
      numbanet plot runs/digits-1
      numbanet plot runs/digits-1 --format svg --output pictures
    """
    with one_line_errors():
        from numbanet import runs

        found = runs.pictures(run)
        folder = output or run
        folder.mkdir(parents=True, exist_ok=True)
        files = runs.save(found, folder, ending)
        if files:
            click.echo(f"Wrote {', '.join(files)} to {folder}{os.sep}")
            return
        history = runs.history_of(run)
        if history is None:
            raise click.ClickException("pictures need matplotlib: pip install 'numbanet[plot]'")
        from numbanet.cli.results import show_curve

        show_curve(history)


@click.group(cls=Group)
def demo() -> None:
    """Watch something learn.

    \b
    Examples:
      numbanet demo perceptron
    """


@demo.command()
@click.option("--samples", type=click.IntRange(4, 5000), default=120, show_default=True, help="Points in the plane.")
@click.option("--seed", type=click.IntRange(0), default=4, show_default=True, help="Of where the points are.")
@click.option("--delay", type=click.FloatRange(0, 10), default=0.5, show_default=True, help="Seconds from pass to "
              "pass.")
def perceptron(samples: int, seed: int, delay: float) -> None:
    """Rosenblatt's perceptron finds a line between two clouds of points.

    A frame a pass over the points: each point on the wrong side pulls the line towards it. Beside the mistakes of the
    last pass is a bar for each so far; once there are none the perceptron has learnt all it can. Where the output is no
    terminal, the first frame and the last are printed.

    \b
    Examples:
      numbanet demo perceptron
      numbanet demo perceptron --seed 5 --samples 300 --delay 0.2
    """
    from rich.console import Console

    from numbanet import demo as shown

    shown.perceptron(Console(), samples=samples, seed=seed, delay=delay)
