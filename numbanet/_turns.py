"""Work that asks for its calls of compiled code, so that several can have theirs made in one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

Turns = Generator["Request", Any, Any]


@dataclass(frozen=True, eq=False)
class Request:
    """A call that is wanted.

    Attributes
    ----------
    runner : Runner
        What can make it.
    program, updates, ops, call : object
        Its arguments.
    """

    runner: Any
    program: Any
    updates: Any
    ops: Any
    call: Any

    def answer(self) -> Any:
        """Make it alone."""
        return self.runner.run(self.program, self.updates, self.ops, self.call)


def finish(work: Turns) -> Any:
    """Do work alone to its end, and return what it returns."""
    try:
        request = next(work)
        while True:
            try:
                answer = request.answer()
            except BaseException as error:  # where it was asked for, as of a function that is called
                request = work.throw(error)
            else:
                request = work.send(answer)
    except StopIteration as end:
        return end.value
