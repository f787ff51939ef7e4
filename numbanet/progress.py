"""What follows a fit while it runs: a progress bar, and a file for other programs."""

from __future__ import annotations

import csv
import importlib.util
import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numbanet.callbacks import Callback, Logs

if TYPE_CHECKING:
    from rich.console import Console

# Redrawing takes about a millisecond, as long as an epoch of a small network.
INTERVAL = 0.1


class ProgressBar(Callback):
    """Shows the epoch, losses, metrics and samples per second on one line.

    A terminal or notebook sees the line change ten times a second at most; a pipe or file gets it once, at the end.

    Parameters
    ----------
    console : rich.console.Console, optional
        Where to show it; standard output where left out.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console
        self._bar: Any = None

    def on_train_begin(self, trainer: Any) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        console = self._console or _console()
        self._bar = Progress(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            BarColumn(None, table_column=Column(ratio=1, min_width=6, max_width=30)),
            TextColumn("{task.fields[text]}", markup=False,
                       table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console, auto_refresh=False)
        self._task = self._bar.add_task("", total=trainer.epochs, text="")
        self._epochs = 0
        self._logs: Logs = {}
        self._began = self._shown = time.perf_counter()
        self._bar.start()

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        self._epochs += 1
        self._logs = logs
        if time.perf_counter() - self._shown >= INTERVAL:
            self._show(trainer)

    def on_train_end(self, trainer: Any) -> None:
        if self._bar is not None:
            self._show(trainer)
            self._bar.stop()
            self._bar = None

    def _show(self, trainer: Any) -> None:
        self._shown = time.perf_counter()
        parts = []
        for name in ("loss", *(metric.name for metric in trainer.metrics)):
            if name in self._logs:
                validation = f" (val {_digits(self._logs[f'val_{name}'])})" if f"val_{name}" in self._logs else ""
                parts.append(f"{name} {_digits(self._logs[name])}{validation}")
        if self._epochs:
            parts.append(f"{_short(self._epochs * trainer.samples / (self._shown - self._began))}/s")
        self._bar.update(self._task, completed=self._epochs, text="  ".join(parts))
        self._bar.refresh()


def follow(futures: Sequence[Future[Any]], what: str) -> None:
    """Show how many have ended, until all have."""
    from rich.progress import Progress

    with Progress(console=_console()) as bar:
        task = bar.add_task(what, total=len(futures))
        for _ in as_completed(futures):
            bar.advance(task)


def _digits(value: float) -> str:
    """Of one width where it can be, so that the line doesn't jump."""
    return f"{value:.3f}" if 0.0995 <= abs(value) < 100 else f"{value:.3g}"


def _short(number: float) -> str:
    """Two digits or three and a unit: 1.2M, 123k."""
    unit = 0
    while number >= 999.5 and unit < 3:
        number, unit = number / 1000, unit + 1
    return f"{number:.{1 if number < 9.95 else 0}f}" + ("", "k", "M", "G")[unit]


def _console() -> Console:
    from rich.console import Console

    console = Console()
    if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:
        # Rich would warn at every redraw; as a pipe it shows the last line, and no warning.
        console = Console(force_jupyter=False)
    if not console.is_terminal and not console.is_jupyter:
        console.width = 120  # nothing to fit into, and nothing to lose to an ellipsis
    return console


class CSVLogger(Callback):
    """Writes a line after every epoch, so that other programs can follow training.

    Parameters
    ----------
    path : path-like
        File to write.
    append : bool
        Whether to go on with the file where it exists, and not replace it.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = Path(path)
        self.append = append
        self._file: Any = None

    def on_train_begin(self, trainer: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115
        names = ["epoch", *(name for name in trainer.log_names if name != "epoch")]
        self._writer = csv.DictWriter(self._file, names, restval="", extrasaction="ignore")
        if self._file.tell() == 0:
            self._writer.writeheader()

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        self._writer.writerow({**logs, "epoch": epoch})
        self._file.flush()

    def on_train_end(self, trainer: Any) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
