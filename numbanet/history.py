"""What training recorded: a column for each quantity, a row for each epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

NAN = float("nan")


class History(dict[str, list[Any]]):
    """Columns of equal length, by name: ``epoch`` first, then ``loss``, ``val_loss``, metrics and the like.

    A dict, for ``pandas.DataFrame(history)`` takes no other mapping.

    Parameters
    ----------
    columns : mapping of str to list, optional
        Columns to begin with, all of one length.

    Raises
    ------
    ValueError
        If the columns differ in length.

    Examples
    --------
    >>> history = History()
    >>> history.append({"epoch": 1, "loss": 0.5})
    >>> history.append({"epoch": 2, "loss": 0.25, "val_loss": 0.3})
    >>> history["val_loss"]
    [nan, 0.3]
    """

    def __init__(self, columns: Mapping[str, list[Any]] | None = None) -> None:
        super().__init__({name: list(values) for name, values in (columns or {}).items()})
        if len({len(values) for values in self.values()}) > 1:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in self.items())
            raise ValueError(f"columns must have one length, got: {lengths}")

    @property
    def epochs(self) -> int:
        """Number of rows."""
        return len(next(iter(self.values()), []))

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the row of one epoch; what is missing, here or in earlier rows, is NaN.

        Parameters
        ----------
        logs : mapping of str to float
            Values by column.
        """
        rows = self.epochs
        for name in logs:
            self.setdefault(name, [NAN] * rows)
        for name, column in self.items():
            column.append(logs.get(name, NAN))

    def best(self, monitor: str, mode: str = "min") -> int | None:
        """Row of the best value of a column.

        Parameters
        ----------
        monitor : str
            Name of the column.
        mode : {'min', 'max'}
            Whether the least or the greatest value is the best.

        Returns
        -------
        int or None
            Counted from 0; None where no value is a number.
        """
        sign = 1 if mode == "min" else -1
        rows = [(sign * value, row) for row, value in enumerate(self[monitor]) if not math.isnan(value)]
        return min(rows)[1] if rows else None

    def to_csv(self, path: str | Path) -> None:
        """Write a header and one line an epoch; NaN is left empty.

        Parameters
        ----------
        path : path-like
            File to write.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(self)
            for row in zip(*self.values(), strict=True):
                writer.writerow("" if value != value else value for value in row)

    @classmethod
    def from_csv(cls, path: str | Path) -> Self:
        """Read what `to_csv` wrote.

        Parameters
        ----------
        path : path-like
            File to read.

        Returns
        -------
        History
            With the same columns; what is empty is NaN.

        Raises
        ------
        ValueError
            If the file is no table of numbers with a header.
        OSError
            If it can't be read.
        """
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        if not header or len(set(header)) < len(header):
            raise ValueError(f"{path} has no header with a name for each column, such as epoch,loss,val_loss")
        for line, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise ValueError(f"{path}, line {line}: expected {len(header)} values, got {len(row)}")
        columns = zip(*rows, strict=True) if rows else [()] * len(header)
        try:
            return cls({name: [*map(_number, column)] for name, column in zip(header, columns, strict=True)})
        except ValueError as error:
            raise ValueError(f"{path} must hold numbers: {error}") from None

    def __repr__(self) -> str:
        head = f"History of {self.epochs} epoch{'s' * (self.epochs != 1)}"
        rows = range(self.epochs)
        shown = [*rows] if len(rows) <= 6 else [*rows[:3], None, *rows[-3:]]
        columns = [
            [name, *("..." if row is None else f"{values[row]:.6g}" for row in shown)] for name, values in self.items()
        ]
        widths = [max(map(len, column)) for column in columns]
        lines = ["  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
                 for line in zip(*columns, strict=True)]
        return "\n".join([head, *lines])


def _number(text: str) -> float:
    """An int where it was one, such as an epoch."""
    return NAN if not text else int(text) if text.lstrip("-").isdecimal() else float(text)
