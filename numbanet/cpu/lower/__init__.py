"""Which operations a node becomes: each kind's forward, and its backward."""

from numbanet.cpu.lower.table import lowering

__all__ = ["lowering"]
