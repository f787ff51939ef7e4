"""The command ``numbanet``."""

from numbanet.cli.group import main

__all__ = ["main"]
