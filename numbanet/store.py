"""Models in files: weights as safetensors, the architecture as JSON in their metadata.

Nothing in a file is run: layers and formulas are looked up by name.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

import numbanet.layers as layers_module
from numbanet.layers import Layer
from numbanet.model import Sequential
from numbanet.registry import KINDS, get
from numbanet.spec import Plugin

VERSION = 1
PLAIN = ("biases",)  # fields of specs, beside the parameters, that a user sets
KNOWN = [name for name in layers_module.__all__ if name != "Layer"]


class FormatError(ValueError):
    """A file does not hold a model that this version can read."""


def save(model: Sequential, path: str | os.PathLike[str]) -> None:
    """Write a model to a file.

    Parameters
    ----------
    model : Sequential
        A model whose input shape is known.
    path : path-like
        File to write; it is complete or absent at any time.

    Raises
    ------
    ValueError
        If a layer uses a formula that has no name in the registry.
    """
    from safetensors.numpy import save as serialize

    model.graph.check_masks(model.parameters)  # else it could not be read again
    description = {
        "layers": _pack(model.layers),
        "input_shape": model.graph.input.shape,
        "dtype": model.dtype,
    }
    metadata = {"format": "numbanet", "version": str(VERSION), "model": json.dumps(description)}
    arrays = {p.name: w for p, w in zip(model.graph.parameters, model.get_weights(), strict=True)}
    temporary = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
    try:
        temporary.write_bytes(serialize(arrays, metadata))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Sequential:
    """Read a model from a file.

    Parameters
    ----------
    path : path-like
        File written by ``model.save``.

    Returns
    -------
    Sequential
        The model, with its weights.

    Raises
    ------
    FormatError
        If the file does not hold a model, or is damaged.
    ValueError
        If it needs a plugin that is not installed.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != "numbanet":
                raise FormatError(f"{path} holds no numbanet model")
            if metadata.get("version") != str(VERSION):
                raise FormatError(f"{path} has format version {metadata.get('version')}; this numbanet reads {VERSION}")
            description = json.loads(metadata["model"])
            names = set(file.keys())
            model = Sequential([_layer(entry) for entry in description["layers"]])
            graph = model.describe(tuple(description["input_shape"]))
            dtype = description["dtype"]
            if dtype not in ("float32", "float64") or names != {p.name for p in graph.parameters}:
                raise FormatError(f"{path}: its parameters are not those of its layers")
            for p in graph.parameters:
                piece = file.get_slice(p.name)
                if tuple(piece.get_shape()) != p.shape:
                    found = piece.get_shape()
                    raise FormatError(f"{path}: parameter '{p.name}' has shape {found}, in its layer {p.shape}")
            weights = [file.get_tensor(p.name) for p in graph.parameters]
    except (SafetensorError, AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise FormatError(f"{path} can't be read as a numbanet model: {error}") from error
    model.build(graph.input.shape, dtype=dtype)
    model.set_weights(weights)
    return model


def _pack(value: Any) -> Any:
    """A layer's setting, or layers, as JSON takes them."""
    if isinstance(value, Plugin):
        return _pack_spec(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [_pack(part) for part in value]
    if not isinstance(value, Layer):
        return value
    name = type(value).__name__
    if name not in KNOWN or getattr(layers_module, name) is not type(value):
        raise ValueError(f"layer {name} is not one of numbanet's, and a file can't hold it")
    return {"class": name, "config": {key: _pack(setting) for key, setting in value.config().items()}}


def _pack_spec(spec: Plugin) -> dict[str, Any]:
    kind = next(kind for kind, owner in KINDS.items() if type(spec) is owner)
    extra = {key: getattr(spec, key) for key in PLAIN if hasattr(spec, key)}
    try:
        known = _unpack_spec({"kind": kind, "name": spec.name, "params": spec.params, **extra})
    except (ValueError, TypeError):
        known = None
    if known != spec:
        raise ValueError(
            f"{kind} '{spec.name}' was made on the spot, and a file can hold its name only; publish it as a plugin, "
            "or save the weights with numpy"
        )
    return {"kind": kind, "name": spec.name, "params": dict(spec.params), **extra}


def _unpack_spec(entry: dict[str, Any]) -> Plugin:
    extra = {key: bool(entry[key]) for key in PLAIN if key in entry}
    return replace(get(entry["kind"], entry["name"], **entry["params"]), **extra)


def _layer(entry: dict[str, Any]) -> Layer:
    name = entry["class"]
    if name not in KNOWN:
        raise FormatError(f"unknown layer '{name}'; known: {', '.join(KNOWN)}")
    return cast(Layer, getattr(layers_module, name)(**{key: _unpack(v) for key, v in entry["config"].items()}))


def _unpack(value: Any) -> Any:
    """The opposite of `_pack`."""
    if isinstance(value, dict):
        return _layer(value) if "class" in value else _unpack_spec(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_unpack(part) for part in value]
    return value

