"""What the commands have in common. Everything heavy is imported when a command runs, so that ``--help`` is instant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click


class Group(click.Group):
    """Commands, of which a misspelt one is told what it was meant to be."""

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name, command, and what is left of the arguments."""
        name, known = arguments[0], self.list_commands(context)
        if name in known or name.startswith("-") or context.resilient_parsing:
            return super().resolve_command(context, arguments)
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        context.fail(f"unknown command '{name}'; {hint}Known: {', '.join(known)}")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the user can put right is told in one line, without a traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


def completed(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """How a shell completes names of a kind."""

    def names_that_begin(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        import warnings

        from numbanet.registry import names

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about plugins that are left out: here nobody could read them
            return [name for name in names(kind) if name.startswith(incomplete)]

    return names_that_begin


FOLDER = click.Path(path_type=Path, file_okay=False)
