"""Files of named arrays, in the format of safetensors, read with suspicion.

A file may come from anywhere: everything it says of itself is checked against its length before memory is taken, and
nothing in it is run.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import stat
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

HEADER = 1 << 24  # bytes of the longest header that is read
DTYPES = {
    "BOOL": "?", "U8": "<u1", "I8": "<i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
KINDS = {  # first bytes of what is taken for such a file by mistake
    b"PK\x03\x04": "it is a zip archive, as .npz, .keras and .pt files are",
    b"\x80": "it looks like a pickle, which could run anything and is never loaded",
    b"\x89HDF": "it is an HDF5 file",
    b"\x93NUMPY": "it is a .npy file",
}


class FormatError(ValueError):
    """A file does not hold what this version can read."""


def damaged(reason: str) -> FormatError:
    """Error for what no program of ours has written."""
    short = reason if len(reason) <= 600 else f"{reason[:600]} ..."
    return FormatError(f"{short}; it is damaged, or something else has written it: get it again from where it was made")


class Entry(NamedTuple):
    """Where an array is, in bytes behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Tensors:
    """Arrays and texts of a file.

    Parameters
    ----------
    buffer : bytes-like
        All of it; arrays are views.

    Attributes
    ----------
    metadata : dict of str to str
        Texts.
    entries : dict of str to Entry
        Arrays by name.

    Raises
    ------
    FormatError
        If it is not whole, or says what can't be.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer
        size = len(buffer)
        if size < 8:
            raise damaged(f"it has {size} bytes, and a header alone needs more" if size else "it is empty")
        length = int.from_bytes(buffer[:8], "little")
        if length > min(size - 8, HEADER):
            first = bytes(buffer[:8])
            known = [what for start, what in KINDS.items() if first.startswith(start)]
            limit = f"it has {size} bytes" if length > size - 8 else f"{HEADER} are the most"
            raise damaged(known[0] if known else f"its header claims {length} bytes, and {limit}")
        self._data = 8 + length
        try:
            header = strict_json(bytes(buffer[8 : self._data]).decode())
        except UnicodeDecodeError as error:
            raise damaged(f"its header is no text: {error}") from None
        if not isinstance(header, dict):
            raise damaged("its header is no JSON object")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
            raise damaged("its metadata is not made of texts")
        self.metadata: dict[str, str] = metadata
        self.entries = {name: _entry(name, value) for name, value in header.items()}
        end = 0
        for name, entry in sorted(self.entries.items(), key=lambda item: item[1][2:]):
            if entry.start != end:
                what = "overlaps another" if entry.start < end else "leaves a gap before it"
                raise damaged(f"array {name!r}, at byte {entry.start}, {what}")
            end = entry.stop
        if end != size - self._data:
            raise damaged(f"its arrays have {end} bytes, and {size - self._data} follow its header")

    def array(self, name: str) -> np.ndarray:
        """An array as a view of the file, read-only.

        Parameters
        ----------
        name : str
            One of `entries`.

        Returns
        -------
        ndarray
            Perhaps not aligned.

        Raises
        ------
        FormatError
            If it is not there.
        """
        if name not in self.entries:
            raise damaged(f"array '{name}' is missing")
        dtype, shape, start, _ = self.entries[name]
        flat = np.frombuffer(self._buffer, DTYPES[dtype], math.prod(shape), self._data + start)
        return flat.reshape(shape)


def open_tensors(source: Any) -> Tensors:
    """Map a file into memory, or take bytes as they are.

    Parameters
    ----------
    source : path-like or bytes-like
        A file, or what is in one.

    Returns
    -------
    Tensors
        It holds the mapping.

    Raises
    ------
    OSError
        If there is no such file, or it can't be read.
    FormatError
        If it is something else than a file, or damaged.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Tensors(source)
    status = os.stat(source)
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for a writer
        raise FormatError("it is a folder, or a device, and no file; give the path of a file")
    with open(source, "rb") as file:
        return Tensors(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if status.st_size else b"")


def strict_json(text: str, *, finite: bool = True) -> Any:
    """What a text holds as JSON, each name once.

    Parameters
    ----------
    text : str
        From a file.
    finite : bool
        Whether to refuse NaN and infinity.

    Returns
    -------
    object
        Of dicts, lists, texts, numbers, booleans and None.

    Raises
    ------
    FormatError
        If it holds something else.
    """
    try:
        if not finite:
            return json.loads(text, object_pairs_hook=_once)
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise damaged("its JSON is nested too deeply") from None
    except FormatError:
        raise
    except ValueError as error:
        raise damaged(f"its JSON can't be read: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise damaged(f"its JSON has the name {twice!r} twice")
    return found


def _no_constant(text: str) -> float:
    raise damaged(f"its JSON holds {text}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise damaged(f"its JSON holds {text:.40}, which is too large")
    return value


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _entry(name: str, value: Any) -> Entry:
    """A description of an array that agrees with itself."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise damaged(f"array {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise damaged(f"array {name!r} has dtype {dtype!r}; known: {', '.join(DTYPES)}")
    if not isinstance(shape, list) or len(shape) > 32 or not all(map(_whole, shape)):
        raise damaged(f"array {name!r} has shape {shape!r}; expected whole numbers from 0")
    if math.prod(max(length, 1) for length in shape) >= 1 << 60:  # more than NumPy takes, even if one of them is 0
        raise damaged(f"array {name!r} has shape {shape!r}, too large for any machine")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_whole, offsets)):
        raise damaged(f"array {name!r} has offsets {offsets!r}; expected two whole numbers from 0")
    start, stop = offsets
    wanted = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if stop - start != wanted:
        raise damaged(f"array {name!r} of shape {shape} and dtype {dtype} needs {wanted} bytes, and has {stop - start}")
    return Entry(dtype, tuple(shape), start, stop)
