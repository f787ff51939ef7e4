"""The commands that train: ``numbanet train`` and ``numbanet tune``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from numbanet.cli.common import FOLDER, completed, one_line_errors
from numbanet.cli.results import show_curve, show_results

HISTOGRAMS = 10  # epochs from one to the next in TensorBoard


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
    click.option("--activation", default="relu", show_default=True, help="Activation of the hidden layers.",
                 shell_complete=completed("activation")),
    click.option("--loss", shell_complete=completed("loss"),
                 help="Loss.  [default: softmax_cross_entropy for classes, mean_squared_error for numbers]"),
    click.option("--optimizer", default="adam", show_default=True, help="Optimiser.",
                 shell_complete=completed("optimizer")),
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
    click.option("--output", type=FOLDER, metavar="FOLDER",
                 help="Empty or new folder for the results.  [default: runs/NAME-1, runs/NAME-2, ...]"),
)
def _options(command: Callable[..., None]) -> Callable[..., None]:
    """What all commands that train have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return click.argument("source")(command)


@click.command()
@_options
@click.option("--weight-decay", type=click.FloatRange(0), default=1e-4, show_default=True, help="Strength of the L2 "
              "penalty.")
@click.option("--validation-fraction", type=click.FloatRange(0, 1, max_open=True), default=0.1, show_default=True,
              help="Share of the samples that decides when to stop.")
@click.option("--checkpoint", type=FOLDER, metavar="FOLDER",
              help="Write all that training goes on from there, after every epoch.")
@click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in that folder.")
@click.option("--html", is_flag=True, help="Write report.html too: data, options, versions, curves and results in one "
              "file.")
@click.option("--tensorboard", type=FOLDER, metavar="FOLDER", help="Write what TensorBoard shows, epoch by epoch.")
@click.pass_context
def train(context: click.Context, /, source: str, output: Path | None, checkpoint: Path | None, resume: bool,
          html: bool, tensorboard: Path | None, **options: Any) -> None:
    """Train a network on SOURCE and test it.

    SOURCE is "digits" (scikit-learn's bundled images), "mnist", "fashion" (Fashion-MNIST), or a CSV, NPY, NPZ or IDX
    file. MNIST and Fashion-MNIST are fetched if this machine lacks them; their own 10,000 test images are held out.
    A dense network takes images as rows of pixels. The features and numbers to predict of a CSV, NPY or NPZ file are
    standardised for training; the model that is saved takes and gives the original units.

    \b
    Examples:
      numbanet train digits
      numbanet train flowers.csv --target species --layers 64,32 --html
      numbanet train mnist --model lenet5 --activation tanh --checkpoint kept
    """
    with one_line_errors():
        from numbanet.experiment import Experiment
        from numbanet.sources import load

        if resume and checkpoint is None:
            raise click.UsageError("--resume needs --checkpoint FOLDER")
        watchers = []
        if tensorboard is not None:
            from numbanet.tensorboard import TensorBoard

            watchers.append(TensorBoard(tensorboard, HISTOGRAMS))
        name, dataset, rescale = load(source, options.pop("target"), options["loss"])
        experiment = Experiment(dataset, rescale=rescale, **options)
        click.echo(f"{name}: {experiment.describe()}")
        folder = _new_folder(name, output)
        began = time.perf_counter()
        try:
            history = experiment.fit(checkpoint, resume, watchers)
            seconds = time.perf_counter() - began
            if not history.epochs:
                raise click.ClickException("stopped before the first epoch ended: nothing is written")
            files = experiment.save(folder, history)
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()
            raise
        best = history.best("val_loss" if "val_loss" in history else "loss")
        click.echo(f"{history.epochs} epochs; the model is that of epoch {history['epoch'][best or 0]}, the best.")
        if len(files) < 3:
            show_curve(history)
        y, prediction = experiment.test()
        show_results(dataset, y, prediction)
        if html:
            from numbanet import report

            report.write(folder / "report.html", name, _as_given(context), context.params, experiment, history, y,
                         prediction, seconds)
            files.append("report.html")
        click.echo(f"Wrote {', '.join(files)} to {folder}{os.sep}")


def _as_given(context: click.Context) -> list[str]:
    """The command again, without the options that have their defaults."""
    words = ["numbanet", "train"]
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if context.get_parameter_source(parameter.name or "") is not ParameterSource.COMMANDLINE:
            continue
        text = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        words += parameter.opts * isinstance(parameter, click.Option)
        words += [text] * (value is not True)
    return words


@click.command()
@_options
@click.option("--strengths", default="1e-6,1e-5,1e-4,1e-3,1e-2,1e-1", show_default=True, metavar="NUMBERS",
              callback=_numbers, help="Strengths of the L2 penalty to try.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts of the data.")
def tune(source: str, output: Path | None, strengths: tuple[float, ...], folds: int, **options: Any) -> None:
    """Choose the weight decay for SOURCE by cross-validation.

    SOURCE is as for train. For every strength and fold a network learns from the other folds until its loss on the
    fold no longer falls. Chosen is the largest strength whose mean loss is within one standard error of the best. With
    it a network is trained on all but the held-out samples, and tested on those.

    \b
    Examples:
      numbanet tune digits
      numbanet tune prices.csv --target price --strengths 0,1e-4,1e-3,1e-2 --folds 10
    """
    with one_line_errors():
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
        show_results(dataset, *experiment.test())
        files = ["model.numbanet", "weight_decay.csv", *["weight_decay.png"] * drawn]
        click.echo(f"Wrote {', '.join(files)} to {folder}{os.sep}")


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

