"""What becomes of Ctrl-C while a network is trained."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any, Protocol


class Stoppable(Protocol):
    """What can be asked to end after the epoch."""

    stop_training: bool
    interrupted: bool


@contextlib.contextmanager
def late_interrupt(trainer: Stoppable) -> Iterator[None]:
    """Ctrl-C ends training after the epoch, when weights and books agree; a second one ends it where it is."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return

    def stop(number: int, frame: Any) -> None:
        if trainer.stop_training:
            raise KeyboardInterrupt
        trainer.stop_training = trainer.interrupted = True

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
