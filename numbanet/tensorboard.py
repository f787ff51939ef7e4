"""What TensorBoard shows of a fit."""

from __future__ import annotations

import os
from typing import Any

from numbanet.callbacks import Callback, Logs
from numbanet.checks import nonnegative_int


class TensorBoard(Callback):
    """Writes what TensorBoard shows: each epoch's losses, metrics and learning rate, and histograms of weights.

    Parameters
    ----------
    folder : path-like
        Where to write; each run is best given one of its own. ``tensorboard --logdir`` takes it, or the one above.
    histograms : int, optional
        Epochs from one histogram of each parameter to the next; 0 for none.

    Raises
    ------
    ImportError
        If tensorboardX is missing.
    TypeError, ValueError
        If ``histograms`` is not a whole number of at least 0.
    """

    def __init__(self, folder: str | os.PathLike[str], histograms: int = 0) -> None:
        self.folder, self.histograms = os.fspath(folder), nonnegative_int("histograms", histograms)
        self._writer: Any = None
        _writer_class()  # missing, it is better missed before training

    def on_train_begin(self, trainer: Any) -> None:
        self._writer = _writer_class()(self.folder)

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        for name, value in logs.items():
            self._writer.add_scalar(name, value, epoch)
        if self.histograms and epoch % self.histograms == 0:
            model = trainer.model
            for parameter in model.graph.parameters:
                values = model.parameters[parameter.offset : parameter.end]
                self._writer.add_histogram(parameter.name, values, epoch)
        self._writer.flush()

    def on_train_end(self, trainer: Any) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _writer_class() -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ImportError("TensorBoard needs tensorboardX: pip install 'numbanet[tensorboard]'") from None
    return SummaryWriter
