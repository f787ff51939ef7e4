"""ONNX files: what they hold is data, looked at before it is used."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.store import FormatError

# ONNX's number of a type: NumPy's, and the field that holds values that are not raw bytes
TYPES = {
    1: ("<f4", "float_data"), 6: ("<i4", "int32_data"), 7: ("<i8", "int64_data"), 9: ("?", "int32_data"),
    10: ("<f2", "int32_data"), 11: ("<f8", "double_data"),
}  # fmt: skip
EXTERNAL = 1  # onnx.TensorProto.EXTERNAL


def load(onnx: Any, source: Any) -> tuple[Any, Path | None]:
    """A model and the folder in which its further files are.

    Parameters
    ----------
    onnx : module
        The package.
    source : path-like or onnx.ModelProto
        File, or the model itself.

    Returns
    -------
    proto : onnx.ModelProto
        Not checked yet.
    folder : Path or None
        None where the model comes from no file.

    Raises
    ------
    FormatError
        If the file holds something else.
    TypeError
        If the source is neither.
    """
    if isinstance(source, onnx.ModelProto):
        return source, None
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source must be a path or an onnx.ModelProto, got {type(source).__name__}")
    from google.protobuf.message import DecodeError

    path, proto = Path(source), onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise FormatError(f"{path} is not an ONNX file: {error}") from None
    if not proto.graph.node:
        raise FormatError(f"{path} is not an ONNX file, or its graph is empty")
    return proto, path.parent


def array(tensor: Any, folder: Path | None) -> np.ndarray:
    """Values of a tensor; as many as its shape says, read from no file outside the folder.

    Parameters
    ----------
    tensor : onnx.TensorProto
        Of a graph.
    folder : Path or None
        Where further files may be.

    Returns
    -------
    ndarray
        Read-only where it need not be copied.

    Raises
    ------
    FormatError
        If something is amiss.
    """
    shape, name = tuple(tensor.dims), f"tensor '{tensor.name}'"
    if tensor.data_type not in TYPES or any(n < 0 for n in shape):
        known = ", ".join(np.dtype(kind).name for kind, _ in TYPES.values())
        raise FormatError(f"{name} has ONNX's data type {tensor.data_type} and shape {shape}; known types: {known}")
    kind, field = TYPES[tensor.data_type]
    dtype, size = np.dtype(kind), math.prod(shape)
    if tensor.data_location == EXTERNAL:
        data = _external(tensor, folder, size * dtype.itemsize)
    elif tensor.HasField("raw_data"):
        data = tensor.raw_data
    else:
        values = getattr(tensor, field)
        if len(values) != size:
            raise FormatError(f"{name} has {len(values)} values; its shape {shape} needs {size}")
        if dtype.kind == "f" and dtype.itemsize == 2:  # its bits, as integers
            return np.array(values, np.uint16).view(np.float16).reshape(shape)
        return np.array(values, dtype).reshape(shape)
    if len(data) != size * dtype.itemsize:
        raise FormatError(f"{name} has {len(data)} bytes; its shape {shape} needs {size * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(shape)


def _external(tensor: Any, folder: Path | None, size: int) -> bytes:
    facts = {entry.key: entry.value for entry in tensor.external_data}
    name, location = f"tensor '{tensor.name}'", facts.get("location", "")
    if folder is None:
        raise FormatError(f"{name} is in a further file, '{location}'; give from_onnx the path of the model's file")
    path = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not path.is_relative_to(folder.resolve()):
        raise FormatError(f"{name} is said to be in '{location}', outside the folder of the model; it is not read")
    try:
        offset, length = int(facts.get("offset", 0)), int(facts.get("length", size))
    except ValueError:
        raise FormatError(f"{name} has a place in '{location}' that is no number") from None
    if not path.is_file():
        raise FormatError(f"{name} is in '{location}', which is missing from the folder of the model")
    if offset < 0 or length != size or offset + length > path.stat().st_size:
        raise FormatError(f"{name} needs {size} bytes; '{location}' has {path.stat().st_size}, and the model names "
                          f"{length} of them from {offset}")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
