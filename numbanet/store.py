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

import numbanet
import numbanet.layers as layers_module
from numbanet.arrays import TYPES, arrays_of, check_arrays, check_samples, scaling, weights
from numbanet.graph import Graph
from numbanet.layers import Layer
from numbanet.model import Sequential
from numbanet.provenance import check_requirements, origin, requirements
from numbanet.registry import KINDS, OURS, entry, get, layer, origin_of_layer
from numbanet.spec import Plugin
from numbanet.tensors import HEADER, FormatError, Tensors, damaged, open_tensors, strict_json

VERSION = 2
PLAIN = ("biases",)  # fields of specs, beside the parameters, that a user sets
KNOWN = [name for name in layers_module.__all__ if name != "Layer"]
FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def save(model: Sequential, path: str | os.PathLike[str], *, samples: Any = None) -> None:
    """Write a model to a file.

    Parameters
    ----------
    model : Sequential
        A model whose input shape is known.
    path : path-like
        File to write; it is complete or absent at any time.
    samples : array_like of shape (n, ...), optional
        Rows with which loading checks the model; by default a few random ones.

    Raises
    ------
    TypeError, ValueError
        If a layer or its formula has no name in the registry, or samples, classes or preprocessing don't suit.
    """
    from safetensors.numpy import save as serialize

    model.graph.check_masks(model.parameters)  # else it could not be read again
    model.graph.check_finite(model.parameters)
    packed = _pack(model.layers)
    description = {
        "layers": packed,
        "input_shape": model.graph.input.shape,
        "dtype": model.dtype,
        "numbanet": numbanet.__version__,
        "plugins": requirements(packed),
        "classes": None if model.classes is None else _labels(model.classes, model.graph),
    }
    text = json.dumps(description, allow_nan=False)
    if len(text) > HEADER // 4:
        raise ValueError(f"the layers' description has {len(text)} characters; a file takes {HEADER // 4} at most")
    metadata = {"format": "numbanet", "version": str(VERSION), "model": text}
    content = serialize(arrays_of(model, samples), metadata)
    temporary = Path(path).with_name(f".{Path(path).name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str] | bytes, *, device: str = "cpu") -> Sequential:
    """Read a model from a file, and check it.

    What the file says of itself is compared with its length, its plugins with those that are installed, and the
    outputs of a few rows with those that were saved beside them. Nothing in a file is run.

    Parameters
    ----------
    path : path-like or bytes-like
        File written by ``model.save``, or what is in one.
    device : {"cpu"}, optional
        Where the model is to predict.

    Returns
    -------
    Sequential
        The model, with its weights, ``classes`` and ``preprocessing``.

    Raises
    ------
    FormatError
        If the file does not hold a model, is damaged, or needs a newer numbanet or a plugin that is not there.
    OSError
        If there is no such file, or it can't be read.
    ValueError
        If there is no such device.

    Warns
    -----
    RuntimeWarning
        If a plugin has another version than when the model was saved, and the same formulas.
    """
    if device != "cpu":
        raise ValueError(f"device must be 'cpu', where models live; a Trainer takes device='cuda'. Got {device!r}")
    try:
        return _read(open_tensors(path))
    except FormatError as error:
        name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else "this"
        raise FormatError(f"{name} can't be read as a numbanet model: {error}") from error.__cause__


def _read(file: Tensors) -> Sequential:
    """The model of a file."""
    version = _version(file.metadata)
    description = strict_json(file.metadata.get("model", ""))
    if not isinstance(description, dict):
        raise damaged("its description of a model is no JSON object")
    try:
        if version > 1:
            check_requirements(description["plugins"], description["layers"])
        model = Sequential([_layer(part, version) for part in _list(description, "layers")])
        graph = model.describe(tuple(_list(description, "input_shape")))
        dtype = description["dtype"]
        if dtype not in TYPES:
            raise damaged(f"its dtype is {dtype!r}; expected one of {', '.join(TYPES)}")
        check_arrays(file, graph, dtype, version)
        model.adopt(graph, weights(file, graph, dtype))
        model.preprocessing = scaling(file, graph)
        if description.get("classes") is not None:
            model.classes = _labels(_list(description, "classes"), graph)
        check_samples(file, model)
    except FormatError:
        raise
    except KeyError as error:
        raise damaged(f"its description lacks {error}") from error
    except FAULTS as error:
        raise damaged(f"its description fits no model: {str(error) or type(error).__name__}") from error
    return model


def _version(metadata: dict[str, str]) -> int:
    if metadata.get("format") != "numbanet":
        raise FormatError("it holds no numbanet model, as its metadata don't say so; give a file of model.save")
    text = metadata.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise damaged(f"its format version is {text[:20]!r}, which is no number")
    if int(text) > VERSION:
        raise FormatError(
            f"it has format version {text}, and numbanet {numbanet.__version__} reads up to {VERSION}; "
            "pip install --upgrade numbanet"
        )
    return int(text)


def _list(description: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(description[name], list):
        raise damaged(f"its {name} is {type(description[name]).__name__} instead of a list")
    return cast("list[Any]", description[name])


def _labels(classes: Any, graph: Graph) -> list[Any]:
    """Labels as JSON has them: as many as there are outputs, or two for one output."""
    labels = [label.item() if isinstance(label, np.generic) else label for label in classes]
    wrong = [label for label in labels if not isinstance(label, (str, int, float))]
    if wrong:
        raise TypeError(f"classes must be texts or numbers, got {wrong[0]!r}")
    if len(labels) != max(2, graph.output.size):
        raise ValueError(f"classes has {len(labels)} labels; the model has {graph.output.size} outputs")
    return labels


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
    return {**_class(type(value)), "config": {key: _pack(setting) for key, setting in value.config().items()}}


def _class(found: type[Layer]) -> dict[str, str]:
    """Name of a class of layers, and the plugin that offers it if it is not numbanet's own."""
    name = found.__name__
    if name in KNOWN and getattr(layers_module, name) is found:
        return {"class": name}
    offer = origin_of_layer(found)
    if offer is None:
        raise ValueError(
            f"layer {name} is neither numbanet's nor a plugin's, and a file can hold its name only; let a plugin offer "
            "the class by the hook numbanet_layers, or save the weights with numpy"
        )
    return {"class": name, "distribution": offer.distribution}


def _pack_spec(spec: Plugin) -> dict[str, Any]:
    kind = next(kind for kind, owner in KINDS.items() if type(spec) is owner)
    extra = {key: getattr(spec, key) for key in PLAIN if hasattr(spec, key)}
    offer = origin(kind, spec, extra)
    if offer is None:
        raise ValueError(
            f"{kind} '{spec.name}' was made on the spot, and a file can hold its name only; publish it as a plugin, "
            "or save the weights with numpy"
        )
    source = {} if offer.distribution == OURS else {"distribution": offer.distribution}
    return {"kind": kind, "name": spec.name, "params": dict(spec.params), **source, **extra}


def _unpack_spec(packed: dict[str, Any], version: int) -> Plugin:
    kind, name = packed["kind"], packed["name"]
    if kind not in KINDS or not isinstance(name, str) or len(name) > 200:
        raise damaged(f"it names a formula as {kind!r} {name!r}; expected one of {', '.join(KINDS)}, and a name")
    found = entry(kind, f"{packed['distribution']}:{name}" if "distribution" in packed else name)
    if version > 1 and found.distribution != packed.get("distribution", OURS):  # the first did not say whose it is
        raise FormatError(f"{kind} '{name}' is not numbanet's any more, but that of {found}; install an older numbanet")
    spec = found.spec
    changed = {key: value for key, value in packed["params"].items() if spec.params.get(key) != value}
    extra = {key: bool(packed[key]) for key in PLAIN if key in packed and packed[key] != getattr(spec, key)}
    spec = get(kind, spec, **changed)
    return replace(spec, **extra) if extra else spec


def _layer(packed: Any, version: int) -> Layer:
    name = packed["class"]
    if "distribution" in packed:
        found = layer(f"{packed['distribution']}:{name}")
    elif name in KNOWN:
        found = getattr(layers_module, name)
    else:
        raise damaged(f"unknown layer '{name}'; known: {', '.join(KNOWN)}")
    return cast(Layer, found(**{key: _unpack(v, version) for key, v in packed["config"].items()}))


def _unpack(value: Any, version: int) -> Any:
    """The opposite of `_pack`."""
    if isinstance(value, dict):
        return _layer(value, version) if "class" in value else _unpack_spec(value, version)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_unpack(part, version) for part in value]
    return value

