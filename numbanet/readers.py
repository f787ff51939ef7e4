"""Readers of files: each returns samples and targets as they stand there."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np

FEATURES = ("X", "x", "X_train", "x_train", "data", "features", "images", "inputs")
TARGETS = ("y", "Y", "y_train", "Y_train", "target", "targets", "labels", "label", "outputs")
IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def _open(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", newline="", encoding="utf-8-sig")
    return open(path, newline="", encoding="utf-8-sig")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_csv(path: Path, target: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Columns between commas, semicolons, tabs or bars, with a header or without; the target may be texts."""
    with _open(path) as file:
        line = next((line for line in file if line.strip()), "")
        delimiter = max(",;\t|", key=line.count)
        file.seek(0)
        rows = (row for row in csv.reader(file, delimiter=delimiter) if row)
        first, second = next(rows, []), next(rows, [])
    if len(first) < 2:
        raise ValueError(f"{path}: the first line has {len(first)} column{'s' * (not first)}; expected features and a "
                         "target, with commas, semicolons, tabs or bars between")
    # A header names what is a number below it; a text above a text may be a label.
    header = any(not _is_number(a) and _is_number(b) for a, b in zip(first, second, strict=False))
    header = header or first == [str(i) for i in range(len(first))]  # as pandas numbers columns
    names = [name.strip() for name in first] if header else None
    column = _column(target, len(first), names, path)
    codes: dict[str, int] = {}

    def encode(text: str) -> int:
        return codes.setdefault(text.strip(), len(codes))

    with _open(path) as file:
        lines = (line for line in file if line.strip())
        if header:
            next(lines)
        try:
            table = np.loadtxt(lines, delimiter=delimiter, comments=None, quotechar='"', ndmin=2, encoding=None,
                               converters={column: encode})
        except ValueError as error:
            raise _bad_csv(path, delimiter, header, column, first) or ValueError(f"{path}: {error}") from None
    values = np.array([float(text) for text in codes]) if all(map(_is_number, codes)) else np.array(list(codes))
    finite = np.isfinite(table).all() and (values.dtype.kind != "f" or np.isfinite(values).all())
    if "" in codes or not finite:
        raise _bad_csv(path, delimiter, header, column, first) or ValueError(f"{path}: a value is missing")
    return np.delete(table, column, axis=1), values[table[:, column].astype(np.intp)]


def _column(target: str | int | None, columns: int, names: Sequence[str] | None, path: Path) -> int:
    """Index of the target among the columns."""
    if target is None:
        return columns - 1
    if names is not None and target in names:
        return names.index(str(target))
    try:
        index = int(target)
    except ValueError:
        known = f"columns: {', '.join(names)}" if names else f"its {columns} columns have no names: give an index"
        raise ValueError(f"{path} has no column '{target}'; {known}") from None
    if not -columns <= index < columns:
        raise ValueError(f"{path} has no column {index}; expected an index from 0 to {columns - 1}")
    return index % columns


def _bad_csv(path: Path, delimiter: str, header: bool, target: int, first: Sequence[str]) -> ValueError | None:
    """What is wrong with the first bad line; slow, so only asked for where something is."""
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter)
        for number, row in enumerate(row for row in reader if row and "".join(row).strip()):
            if number == 0 and header:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(first):
                return ValueError(f"{where}: {len(row)} columns; expected {len(first)}, as in the first line")
            for index, text in enumerate(row):
                name = f"column {index}" + (f" ('{first[index].strip()}')" if header else "")
                number = _is_number(text)
                if not text.strip() or (index != target and not number) or (number and not np.isfinite(float(text))):
                    found = repr(text.strip()) if text.strip() else "no value"
                    return ValueError(f"{where}, {name}: {found}; expected a finite number")
    return None


def read_numpy(path: Path, target: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of an NPZ file; or an NPY file, with the target in a column or in another file."""
    with open(path, "rb") as file:  # opened here: np.load leaves a broken archive open
        X = _load(file, path)
        if not isinstance(X, np.ndarray):
            return _named(path, X, target)
    other = _beside(path, target)
    if other is not None:
        with open(other, "rb") as file:
            y = _load(file, other)
        if not isinstance(y, np.ndarray):
            raise ValueError(f"{other} holds several arrays; expected an NPY file with the target")
        return X, y
    if X.ndim != 2 or X.shape[1] < 2:
        raise ValueError(f"{path} holds an array of shape {X.shape}; name the file with the target, or give a table "
                         "with the target in a column")
    column = _column(target, X.shape[1], None, path)
    return np.delete(X, column, axis=1), X[:, column]


def _load(file: BinaryIO, path: Path) -> Any:
    try:
        return np.load(file, allow_pickle=False)
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from None


def _named(path: Path, arrays: Any, target: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    if target is not None and target not in arrays.files:
        raise ValueError(f"{path} has no array '{target}'; it has: {', '.join(arrays.files)}")
    X, y = (next((name for name in names if name in arrays.files), None) for names in (FEATURES, TARGETS))
    y = y if target is None else str(target)
    if X is None or y is None:
        what, names = ("samples", FEATURES) if X is None else ("a target", TARGETS)
        raise ValueError(f"{path} has the arrays {', '.join(arrays.files)}; expected {what} under one of: "
                         f"{', '.join(names)}" + (", or name the target" if y is None else ""))
    try:
        return arrays[X], arrays[y]
    except ValueError as error:
        raise ValueError(f"{path} can't be read: {error}") from None


def _beside(path: Path, name: str | int | None) -> Path | None:
    """A file named from here or from the folder of another file."""
    places = () if name is None else (Path(str(name)), path.with_name(Path(str(name)).name))
    return next((place for place in places if place.is_file()), None)


def read_idx(path: Path, target: str | int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels in two files, as MNIST has them."""
    X = _idx_array(path)
    guess = path.name.replace("images", "labels").replace("idx3", "idx1")
    labels = _beside(path, guess if target is None else target)
    if labels is None or labels == path:
        raise FileNotFoundError(f"{path}: no file '{target or guess}' with its labels; name it as the target")
    return np.divide(X, 255, dtype=np.float32) if X.dtype == np.uint8 else X, _idx_array(labels)


def _idx_array(path: Path) -> np.ndarray:
    """Array in Yann LeCun's format: 0, 0, type, dimensions, the sizes, the numbers, all big-endian."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else open(path, "rb") as file:
        data = file.read()
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{path} is no CSV, NPY, NPZ or IDX file that numbanet can read")
    dtype = np.dtype(IDX_TYPES[data[2]])
    start = 4 + 4 * data[3]
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], ">u4"))
    expected = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(f"{path} has {len(data)} bytes; its header, shape {shape}, says {expected}: it is damaged or "
                         "cut short")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


BY_SUFFIX = {**dict.fromkeys((".csv", ".tsv", ".txt", ".data"), read_csv),
             **dict.fromkeys((".npy", ".npz"), read_numpy)}
