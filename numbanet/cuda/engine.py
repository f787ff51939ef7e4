"""The CUDA backend as the trainer sees it: the CPU's engine, whose programs run on a card."""

from __future__ import annotations

from typing import Any

from numbanet.cpu.engine import Engine
from numbanet.cpu.update_program import UpdateProgram
from numbanet.cuda.program import programs
from numbanet.cuda.runner import DeviceRunner


class DeviceEngine(Engine):
    """Training and evaluation of one model on the device.

    Parameters
    ----------
    *arguments
        As of `Engine`.
    choice : CUDA
        How launches share the work.
    **options
        As of `Engine`.
    """

    def __init__(self, *arguments: Any, choice: Any, **options: Any) -> None:
        self.choice = choice
        super().__init__(*arguments, **options)

    def begin(self) -> None:
        """Copies on the device are those of arrays that may have changed."""
        self._runner.forget()

    def _new_runner(self, graph: Any, dtype: str, *_: Any) -> Any:
        return DeviceRunner(graph, dtype, self.choice)

    def _new_program(self, train: bool, classes: bool) -> tuple[Any, UpdateProgram]:
        return programs(self.graph, self.dtype, self.loss, classes, train, self.optimizer, self.regularizer)
