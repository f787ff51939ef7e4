"""The command ``numbanet``. Everything heavy is imported when a command runs, so that ``--help`` is instant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from numbanet import __version__
from numbanet.plugin_commands import plugins

if TYPE_CHECKING:
    import numpy as np

    from numbanet.datasets import Dataset

MOST_SHOWN = 20  # classes of which the whole confusion matrix is shown


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="numbanet")
def main() -> None:
    """Neural networks compiled by Numba."""


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What the user can put right is told in one line, without a traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


def _layers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    if not value.strip() or value.strip().lower() == "none":
        return ()
    try:
        units = tuple(int(part) for part in value.split(","))
    except ValueError:
        units = (0,)
    if min(units) < 1:
        raise click.BadParameter(f"{value!r}; expected units of the hidden layers such as 64,32, or none")
    return units


def _numbers(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r}; expected numbers such as 1e-4,1e-3") from None


_OPTIONS = (
    click.option("--target", metavar="NAME", help="Column (name or index) or array that is to be learnt, or, for NPY "
                 "and IDX, its file.  [default: the last column, an array such as y, or the labels beside the images]"),
    click.option("--model", type=click.Choice(["dense", "lenet5"]), default="dense", show_default=True,
                 help="Kind of network; lenet5 is convolutional and takes images of about 28 x 28 pixels."),
    click.option("--layers", default="128", show_default=True, metavar="UNITS", callback=_layers,
                 help="Units of the hidden layers of a dense network, such as 64,32; none for a linear model."),
    click.option("--activation", default="relu", show_default=True, help="Activation of the hidden layers."),
    click.option("--loss", help="Loss.  [default: softmax_cross_entropy for classes, mean_squared_error for numbers]"),
    click.option("--optimizer", default="adam", show_default=True, help="Optimiser."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="[default: the optimiser's]"),
    click.option("--epochs", type=click.IntRange(1), default=200, show_default=True, help="Most epochs."),
    click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True),
    click.option("--test-fraction", type=click.FloatRange(0, 1, max_open=True), help="Share of the samples held out to "
                 "the end.  [default: 0.2, or the test part of mnist and fashion]"),
    click.option("--patience", type=click.IntRange(1), default=15, show_default=True,
                 help="Epochs without improvement after which to stop."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    click.option("--threads", type=click.IntRange(1), help="[default: one a core]"),
    click.option("--device", type=click.Choice(["cpu", "cuda", "auto"]), default="cpu", show_default=True,
                 help="Where to train; auto takes an NVIDIA card if there is one that can be used."),
    click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True),
    click.option("--output", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
                 help="Empty or new folder for the results.  [default: runs/NAME-1, runs/NAME-2, ...]"),
)
def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What all commands that train have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("source")(command)


@main.command()
@_options
@click.option("--weight-decay", type=click.FloatRange(0), default=1e-4, show_default=True, help="Strength of the L2 "
              "penalty.")
@click.option("--validation-fraction", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True,
              help="Share of the samples that decides when to stop.")
@click.option("--checkpoint", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Write all that training goes on from there, after every epoch.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in that folder.")
def train(source: str, output: Path | None, checkpoint: Path | None, resume: bool, **options: Any) -> None:
    """Train a network on SOURCE and test it.

    SOURCE is "digits" (scikit-learn's bundled images), "mnist", "fashion" (Fashion-MNIST), or a CSV, NPY, NPZ or IDX
    file. MNIST and Fashion-MNIST are fetched if this machine lacks them; their own 10,000 test images are held out.
    A dense network takes images as rows of pixels. The features and numbers to predict of a CSV, NPY or NPZ file are
    standardised for training; the model that is saved takes and gives the original units.
    """
    with _one_line_errors():
        from numbanet.experiment import Experiment
        from numbanet.sources import load

        if resume and checkpoint is None:
            raise click.UsageError("--resume needs --checkpoint FOLDER")
        name, dataset, rescale = load(source, options.pop("target"), options["loss"])
        experiment = Experiment(dataset, rescale=rescale, **options)
        click.echo(f"{name}: {experiment.describe()}")
        folder = _new_folder(name, output)
        try:
            history = experiment.fit(checkpoint, resume)
            if not history.epochs:
                raise click.ClickException("stopped before the first epoch ended: nothing is written")
            files = experiment.save(folder, history)
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()
            raise
        best = history.best("val_loss" if "val_loss" in history else "loss")
        click.echo(f"{history.epochs} epochs; the model is that of epoch {history['epoch'][best or 0]}, the best.")
        _report(dataset, *experiment.test())
        if len(files) < 3:
            click.echo("No picture of the learning curve: pip install 'numbanet[plot]'")
        click.echo(f"Wrote {', '.join(files)} to {folder}{os.sep}")


@main.command()
@_options
@click.option("--strengths", default="1e-6,1e-5,1e-4,1e-3,1e-2,1e-1", show_default=True, metavar="NUMBERS",
              callback=_numbers, help="Strengths of the L2 penalty to try.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts of the data.")
def tune(source: str, output: Path | None, strengths: tuple[float, ...], folds: int, **options: Any) -> None:
    """Choose the weight decay for SOURCE by cross-validation.

    SOURCE is as for train. For every strength and fold a network learns from the other folds until its loss on the
    fold no longer falls. Chosen is the largest strength whose mean loss is within one standard error of the best. With
    it a network is trained on all but the held-out samples, and tested on those.
    """
    with _one_line_errors():
        from numbanet.experiment import Experiment
        from numbanet.plot import save_picture
        from numbanet.sources import load

        name, dataset, rescale = load(source, options.pop("target"), options["loss"])
        experiment = Experiment(dataset, rescale=rescale, weight_decay=0.0, validation_fraction=0.0, **options)
        click.echo(f"{name}: {experiment.describe()}")
        folder = _new_folder(name, output)
        try:
            result = experiment.tune(strengths, folds)
        except BaseException:
            folder.rmdir()
            raise
        experiment.model.save(folder / "model.numbanet")
        result.to_csv(folder / "weight_decay.csv")
        drawn = save_picture(folder / "weight_decay.png", result.plot)
        click.echo(result.table())
        _report(dataset, *experiment.test())
        files = ["model.numbanet", "weight_decay.csv", *["weight_decay.png"] * drawn]
        click.echo(f"Wrote {', '.join(files)} to {folder}{os.sep}")


def _report(dataset: Dataset, y: np.ndarray, prediction: np.ndarray) -> None:
    """How good the model is on samples it has not seen."""
    if not len(y):
        click.echo("No samples were held out.")
    elif dataset.classes:
        right = int((y == prediction).sum())
        click.secho(f"Held-out accuracy {100 * right / len(y):.2f} % ({right} of {len(y)})", bold=True)
        _show_confusion(dataset.classes, y, prediction)
    else:
        residual = ((prediction - y) ** 2).mean(axis=0)
        spread = y.var(axis=0)
        for column, (error, variance) in enumerate(zip(residual, spread, strict=True)):
            what = "" if len(residual) == 1 else f" of output {column}"
            share = f", R² {1 - error / variance:.4f}" if variance > 0 else ""
            click.secho(f"Held-out root mean squared error{what} {error ** 0.5:.6g}{share}", bold=True)


def _show_confusion(classes: list[str], y: np.ndarray, prediction: np.ndarray) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (y, prediction), 1)
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
        np.fill_diagonal(counts, 0)
        for cell in np.argsort(-counts, axis=None, kind="stable")[:MOST_SHOWN]:
            i, j = divmod(int(cell), len(classes))
            if counts[i, j]:
                table.add_row(Text(classes[i]), Text(classes[j]), str(counts[i, j]))
    Console().print(table)


def _new_folder(name: str, output: Path | None) -> Path:
    """A folder that holds no results yet."""
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise click.ClickException(f"folder '{output}' isn't empty; results never replace others: name a new one")
        return output
    number = 1
    while True:
        folder = Path("runs", f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder


main.add_command(plugins)
