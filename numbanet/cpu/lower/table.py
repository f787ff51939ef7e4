"""Which operations a node becomes: each kind's forward, and its backward."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from numbanet.cpu.lower import basic, embedding, image, noise, normalize
from numbanet.graph import Node

if TYPE_CHECKING:
    from numbanet.cpu.program import Program

Lower = Callable[["Program", Node], None]
KINDS: dict[str, tuple[Lower, Lower]] = {
    "dense": (basic.dense_forward, basic.dense_backward),
    "activation": (basic.activation_forward, basic.activation_backward),
    "reshape": (basic.reshape_forward, basic.reshape_backward),
    "fork": (basic.fork_forward, basic.fork_backward),
    "add": (basic.add_forward, basic.add_backward),
    "pad": (image.pad_forward, image.pad_backward),
    "convolution": (image.convolution_forward, image.convolution_backward),
    "max_pool": (image.max_pool_forward, image.max_pool_backward),
    "average_pool": (image.average_pool_forward, image.average_pool_backward),
    "affine": (normalize.affine_forward, normalize.affine_backward),
    "layer_normalize": (normalize.layer_forward, normalize.layer_backward),
    "batch_normalize": (normalize.batch_forward, normalize.batch_backward),
    "dropout": (noise.dropout_forward, noise.dropout_backward),
    "gaussian_noise": (noise.gaussian_forward, noise.gaussian_backward),
    "embedding": (embedding.forward, embedding.backward),
}


def lowering(kind: str) -> tuple[Lower, Lower]:
    """Forward and backward of a kind: of those above, or the pair that a plugin's ``"module:name"`` refers to."""
    if kind in KINDS:
        return KINDS[kind]
    try:
        module, name = kind.split(":")
        forward, backward = pkgutil.resolve_name(f"{module}:{name}")
    except (ValueError, TypeError, ImportError, AttributeError) as error:
        raise ValueError(
            f"no kernels for a node of kind '{kind}' ({error}); known: {', '.join(KINDS)}, and 'module:name' of a "
            "plugin's pair (forward, backward)"
        ) from error
    return forward, backward
