"""The commands ``numbanet plugins ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from numbanet.cli.common import Group


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--kind", help="Only this kind, such as activation.")
@click.option("--check", metavar="NAME", help="Check the formulas that this name, or this distribution, offers.")
@click.pass_context
def plugins(context: click.Context, as_json: bool, kind: str | None, check: str | None) -> None:
    """List what plugins offer, the built-in ones included.

    Each name with its kind, distribution and version, file, and whether its derivative is given or derived; then the
    plugins that could not be loaded, and why.

    \b
    Examples:
      numbanet plugins --kind activation
      numbanet plugins --check softplus
      numbanet plugins new activation bump
    """
    if context.invoked_subcommand:
        return
    if check is not None:
        _check(check, kind)
        return
    import json
    import warnings

    from numbanet.listing import rows

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left out is in the table
        found = [row for row in rows() if kind in (None, row["kind"])]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _show_plugins(found)


def _check(name: str, kind: str | None) -> None:
    """Run the kit on all that a name stands for, and show what it found."""
    from numbanet.listing import nothing, offered
    from numbanet.testing import CHECKS

    found = [(its_kind, full) for its_kind, full in offered(name) if kind in (None, its_kind)]
    if not found:
        raise click.ClickException(nothing(name))
    failed = 0
    for its_kind, full in found:
        try:
            click.echo(str(CHECKS[its_kind](full)))
        except AssertionError as report:
            failed += 1
            click.secho(str(report), fg="red")
    if failed:
        raise click.ClickException(f"{failed} of {len(found)} did not pass")


def _show_plugins(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, table = Console(), Table(box=None, pad_edge=False)
    if not console.is_terminal:
        console.width = 200  # nothing to fit into
    for heading in ("kind", "name", "distribution", "version", "derivative", "file"):
        table.add_column(heading, no_wrap=heading != "file")
    for row in found:
        if not row["error"]:
            cells = [row[key] for key in ("kind", "name", "distribution", "version", "derivative", "file")]
            table.add_row(*map(Text, cells))
    console.print(table)
    for row in found:
        if row["error"]:
            where = f"plugin '{row['name']}' of {row['distribution']} {row['version']}"
            console.print(Text(f"left out: {where}: {row['error']}", "red"))


@plugins.command()
@click.argument("kind", type=click.Choice(["activation", "loss", "regularizer"]))
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="New or empty folder.  [default: numbanet-NAME]")
def new(kind: str, name: str, output: Path | None) -> None:
    """Write a plugin package with an activation, a loss or a regularizer NAME.

    It has a formula, tests that pass, a licence and a workflow; put your formula where the example's is.

    \b
    Examples:
      numbanet plugins new activation bump
      numbanet plugins new loss welsch --output welsch
    """
    from numbanet import scaffold

    try:
        folder = scaffold.new_package(kind, name, output)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Wrote {folder}. Now, in that folder:")
    click.echo("  python -m pip install -e '.[test]'")
    click.echo("  python -m pytest")
