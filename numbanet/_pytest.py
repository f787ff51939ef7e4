"""``pytest --numbanet-plugin NAME``: the checks of `numbanet.testing` as tests.

pytest imports this whenever it starts, so nothing of numbanet is imported before it is asked for.
"""

from __future__ import annotations

from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    parser.getgroup("numbanet").addoption(
        "--numbanet-plugin", action="append", default=[], metavar="NAME",
        help="check what the plugin of this name offers: an activation's name, say, or a distribution's",
    )  # fmt: skip


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add a test for each thing that has one of the names."""
    for name in session.config.getoption("--numbanet-plugin"):
        from numbanet.listing import nothing, offered

        found = offered(name)
        if not found:
            raise pytest.UsageError(nothing(name))
        for kind, full in found:
            items.append(PluginItem.from_parent(session, name=f"{kind}[{full}]", kind=kind, plugin=full))


class PluginItem(pytest.Item):
    """All checks of one thing that a plugin offers."""

    def __init__(self, *, kind: str, plugin: str, **options: Any) -> None:
        super().__init__(**options)
        self.kind, self.plugin = kind, plugin

    def runtest(self) -> None:
        """Run the checks."""
        from numbanet.testing import CHECKS

        CHECKS[self.kind](self.plugin)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report alone."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Name in pytest's output."""
        return self.path, None, f"numbanet plugin {self.name}"
