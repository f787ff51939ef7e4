"""An objective that training has changed, and that can go back to a checkpoint."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from numbanet.callbacks import Callback
from numbanet.checkpoint import newest, remembered, settings
from numbanet.history import History
from numbanet.objective import Objective
from numbanet.tensors import damaged

KEYS = ("settings", "input_shape", "dtype", "seed", "epochs_done", "end", "steps", "since_reset", "factor", "history",
        "callbacks")  # fmt: skip
ARRAYS = ("parameters", "states")


class Resumable(Objective):
    """What training has done so far; `Trainer` says what the arguments mean."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.history = History()
        self.epochs_done = self._end = 0  # _end: where the fit that runs is to end
        self._factor = 1.0
        self._hooks: list[Callback] = []
        self._saved: Any = None  # a checkpoint's state and arrays, until `fit` goes on from them

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """All that training goes on from.

        Returns
        -------
        state : dict
            What JSON can hold.
        arrays : dict of str to ndarray
            Parameters, the optimiser's states, and what callbacks keep.
        """
        states, since_reset = self._engine.memory()
        arrays = {"parameters": self.model.parameters.copy(), "states": states}
        state = {
            "settings": self._settings(), "input_shape": self.model.graph.input.shape, "dtype": self.dtype,
            "seed": self.seed, "epochs_done": self.epochs_done, "end": self._end, "steps": self._engine.steps_done,
            "since_reset": since_reset, "factor": self._factor, "history": dict(self.history),
            "callbacks": remembered(self._hooks, arrays),
        }  # fmt: skip
        return state, arrays

    def resume(self, folder: str | os.PathLike[str]) -> int:
        """Go back to the newest checkpoint of a folder.

        The next `fit`, with the same data and callbacks, gets the bits that it would have got if nothing had
        happened.

        Parameters
        ----------
        folder : path-like
            Where `Checkpoint` wrote.

        Returns
        -------
        int
            Epochs that were left of the fit that was interrupted.

        Raises
        ------
        FileNotFoundError
            If there is no checkpoint that can be read; a damaged one is a warning, and the one before is taken.
        ValueError
            If it is that of another model, loss, optimiser or regularizer, or lacks something.
        """
        state, arrays = newest(folder)
        missing = [name for name in KEYS if name not in state] + [name for name in ARRAYS if name not in arrays]
        if missing:
            raise damaged(f"the checkpoint lacks {missing[0]!r}")
        for what, own in self._settings().items():
            found = dict(state["settings"]).get(what)
            if found != own:
                raise ValueError(
                    f"the checkpoint is of another {what}: {found}, and this trainer has {own}"
                )
        if state["dtype"] != self.dtype:
            raise ValueError(f"the checkpoint is of {state['dtype']}, and this trainer of {self.dtype}")
        self.seed, self.epochs_done, self._factor = state["seed"], state["epochs_done"], state["factor"]
        self.model.build(tuple(state["input_shape"]), dtype=self.dtype, seed=self.seed)
        self.model.parameters = arrays["parameters"]
        self.history, self._saved = History(state["history"]), (state, arrays)
        return int(state["end"] - state["epochs_done"])

    def _settings(self) -> dict[str, Any]:
        parts = {"model": self.model.layers, "loss": self.loss, "optimizer": self.optimizer,
                 "regularizer": self.regularizer}  # fmt: skip
        return dict(json.loads(json.dumps({name: settings(part) for name, part in parts.items()})))
