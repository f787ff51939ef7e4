"""The group of all commands, and what ``numbanet`` says where none is named."""

from __future__ import annotations

import click

from numbanet import __version__
from numbanet.cli.common import Group
from numbanet.cli.pictures import demo, plot
from numbanet.cli.plugins import plugins
from numbanet.cli.system import completion, info, warmup
from numbanet.cli.training import train, tune

BEGIN = {
    "numbanet demo perceptron": "watch the first neuron learn",
    "numbanet train digits": "handwritten digits, in a few seconds",
    "numbanet train table.csv": "your own table; its last column is learnt",
}


@click.group(cls=Group, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="numbanet")
@click.pass_context
def main(context: click.Context) -> None:
    """Neural networks compiled by Numba.

    \b
    Examples:
      numbanet train digits
      numbanet train table.csv --target price --html
      numbanet train --help
    """
    if context.invoked_subcommand is None:
        click.echo(_overview(context))


def _overview(context: click.Context) -> str:
    commands = {name: main.commands[name].get_short_help_str(80) for name in main.list_commands(context)}
    width = max(map(len, [*BEGIN, *commands]))

    def table(rows: dict[str, str]) -> str:
        return "\n".join(f"  {name.ljust(width)}  {what}" for name, what in rows.items())

    return (
        f"numbanet {__version__}: neural networks compiled by Numba, whose formulas are plain Python.\n\n"
        f"To begin with:\n{table(BEGIN)}\n\nCommands:\n{table(commands)}\n\n"
        "numbanet COMMAND --help tells more of one.")


for command in (completion, demo, info, plot, plugins, train, tune, warmup):
    main.add_command(command)
