"""A network in C."""

from numbanet.export.c.source import to_c

__all__ = ["to_c"]
