"""Training that survives whatever ends it: all that it goes on from, in files that are complete or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numbanet.callbacks import Callback, Logs
from numbanet.checks import positive_int
from numbanet.layers import Layer
from numbanet.spec import Plugin
from numbanet.tensors import FormatError, damaged, open_tensors, strict_json

VERSION = "1"
NAME = re.compile(r"checkpoint-(\d+)\.safetensors")


class Checkpoint(Callback):
    """Writes all that training goes on from after an epoch: see `Trainer.resume`.

    A file is written beside its place, flushed to the disk, and renamed; so whatever stops the program, the folder
    holds a whole checkpoint once there has been one. It holds no code, and a checksum.

    Parameters
    ----------
    folder : path-like
        Where to write; made if it is missing.
    every : int, optional
        Epochs from one to the next.
    keep : int, optional
        How many of the newest to keep.

    Raises
    ------
    ValueError, TypeError
        If a number is not positive.
    OSError
        In `fit`, if a file can't be written; the earlier ones stay.
    """

    last = True  # what the other callbacks remember is saved as well

    def __init__(self, folder: str | os.PathLike[str], every: int = 1, keep: int = 2) -> None:
        self.folder = Path(folder)
        self.every, self.keep = positive_int("every", every), positive_int("keep", keep)

    def on_train_begin(self, trainer: Any) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, trainer: Any, epoch: int, logs: Logs) -> None:
        if epoch % self.every == 0:
            write(self.folder / f"checkpoint-{epoch:08d}.safetensors", *trainer.state())
            for _, path in sorted(_found(self.folder))[: -self.keep]:
                path.unlink(missing_ok=True)


def write(path: Path, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write a state so that the file is complete or absent at any time.

    Parameters
    ----------
    path : Path
        File to write.
    state : dict
        What JSON can hold.
    arrays : dict of str to ndarray
        The rest.

    Raises
    ------
    OSError
        If it can't be written; what was there before stays.
    """
    from safetensors.numpy import save

    text = json.dumps(state)
    metadata = {"format": "numbanet checkpoint", "version": VERSION, "state": text, "digest": _digest(text, arrays)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(save(arrays, metadata))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        if hasattr(os, "O_DIRECTORY"):  # the name too must be on the disk
            handle = os.open(path.parent, os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(error.errno, f"the checkpoint was not written ({error.strerror}); earlier ones are intact",
                      str(path)) from error  # fmt: skip


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a state.

    Parameters
    ----------
    path : Path
        File that `write` wrote.

    Returns
    -------
    state : dict
        What JSON held.
    arrays : dict of str to ndarray
        The rest.

    Raises
    ------
    FormatError
        If the file is damaged, or of another kind or version, or can't be read.
    """
    try:
        file = open_tensors(path)
        metadata = file.metadata
        if metadata.get("format") != "numbanet checkpoint":
            raise FormatError("it is no checkpoint")
        version = metadata.get("version", "")
        if version != VERSION:
            raise FormatError(f"its version is {version!r}, this numbanet reads {VERSION}; for newer ones upgrade it: "
                              "pip install --upgrade numbanet")  # fmt: skip
        arrays = {name: file.array(name).copy() for name in file.entries}  # the file may be removed later
        text = metadata["state"]
        if metadata["digest"] != _digest(text, arrays):
            raise damaged("its checksum is wrong")
        state = strict_json(text, finite=False)  # a loss may have been NaN
        if not isinstance(state, dict):
            raise damaged("its state is no JSON object")
    except (KeyError, OSError) as error:
        raise FormatError(f"{type(error).__name__}: {error}") from error
    return state, arrays


def newest(folder: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The newest whole checkpoint of a folder; damaged ones are reported and passed over.

    Parameters
    ----------
    folder : path-like
        Where `Checkpoint` wrote.

    Returns
    -------
    tuple of dict
        As from `read`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    for _, path in sorted(_found(Path(folder)), reverse=True):
        try:
            return read(path)
        except FormatError as error:
            warnings.warn(f"{path} can't be used, and an earlier one is taken: {error}", RuntimeWarning, stacklevel=3)
    raise FileNotFoundError(f"no checkpoint in '{folder}'")


def settings(value: Any) -> Any:
    """What must be the same where training goes on: names and numbers, as JSON holds them.

    Parameters
    ----------
    value : object
        Such as a layer, or an optimiser.

    Returns
    -------
    object
        Of lists, dicts, texts and numbers.
    """
    if isinstance(value, Plugin):
        inner = {key: settings(getattr(value, key)) for key in ("schedule", "clip_value", "clip_norm")
                 if hasattr(value, key)}  # fmt: skip
        return [type(value).__name__, value.name, dict(value.params), inner]
    if isinstance(value, Layer):
        return [type(value).__name__, {key: settings(setting) for key, setting in value.config().items()}]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [settings(part) for part in value]
    return value


def remembered(hooks: Sequence[Callback], arrays: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """What callbacks keep: numbers, and the names under which arrays are put beside the others.

    Parameters
    ----------
    hooks : sequence of Callback
        Of a fit.
    arrays : dict of str to ndarray
        Gets arrays.

    Returns
    -------
    list of dict
        One for each callback.
    """
    kept = []
    for i, hook in enumerate(hooks):
        state: dict[str, Any] = {"class": type(hook).__name__}
        for name in hook.remembered:
            value = getattr(hook, name)
            if isinstance(value, list):
                names = [f"callback.{i}.{name}.{j}" for j in range(len(value))]
                arrays.update(zip(names, value, strict=True))
                value = names
            state[name] = value
        kept.append(state)
    return kept


def recall(hooks: Sequence[Callback], state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Give callbacks back what they kept.

    Parameters
    ----------
    hooks : sequence of Callback
        As they were when the checkpoint was written; a callback that keeps nothing may be missing, or new.
    state, arrays : dict
        Of the checkpoint.

    Raises
    ------
    ValueError
        If those that keep something are others.
    """
    saved = [entry for entry in state["callbacks"] if len(entry) > 1]
    keepers = [hook for hook in hooks if hook.remembered]
    if [entry["class"] for entry in saved] != [type(hook).__name__ for hook in keepers]:
        raise ValueError(
            f"the checkpoint was written with the callbacks {[entry['class'] for entry in saved]}, and this fit has "
            f"{[type(hook).__name__ for hook in keepers]}"
        )
    for hook, entry in zip(keepers, saved, strict=True):
        for name in hook.remembered:
            value = entry[name]
            setattr(hook, name, [arrays[key] for key in value] if isinstance(value, list) else value)


def _found(folder: Path) -> list[tuple[int, Path]]:
    paths = folder.glob("checkpoint-*.safetensors")
    return [(int(match[1]), path) for path in paths if (match := NAME.fullmatch(path.name))]


def _digest(text: str, arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
