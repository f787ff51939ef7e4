"""The commands about the machine: ``numbanet info``, ``numbanet warmup`` and ``numbanet completion``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from numbanet.cli.common import one_line_errors

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def info(as_json: bool) -> None:
    """Show versions, processor, cache, devices and plugins.

    Made to be pasted into the report of a bug: what is installed, what the processor can do and how numbanet uses it,
    where compiled kernels are kept, why a card can't be used, what the environment says, and which plugins there are
    or were left out. Nothing is compiled.

    \b
    Examples:
      numbanet info
      numbanet info --json > info.json
    """
    import json

    from numbanet.system import facts, table

    found = facts()
    click.echo(json.dumps(found, indent=1) if as_json else table(found))


@click.command()
@click.option("--dtype", type=click.Choice(["float32", "float64", "all"]), default="all", show_default=True,
              help="Working type.")
def warmup(dtype: str) -> None:
    """Compile everything ahead of time.

    Kernels of the driver, of layers, and of each activation, loss, optimiser and regularizer, those of plugins
    included, are compiled for this processor and kept in the disk cache, which takes about a minute for each type. What
    comes next, such as a first "numbanet train digits", starts at once. What is in the cache already is only loaded. In
    the image of a container, run it where NUMBA_CACHE_DIR is set as it will be later.

    \b
    Examples:
      numbanet warmup
      numbanet warmup --dtype float32
    """
    with one_line_errors():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from numbanet.warmup import check_cache, compiled, jobs, remember

        check_cache()
        types = ["float32", "float64"] if dtype == "all" else [dtype]
        work = [(f"{name}, {each}", job) for each in types for name, job in jobs(each)]
        before, began, failed = compiled(), time.perf_counter(), {}
        with Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"),
                      console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=len(work))
            for name, job in work:
                bar.update(task, description=name)
                try:
                    job()
                except Exception as error:  # whatever a plugin does wrong, the others are compiled
                    failed[name] = error
                bar.advance(task)
            bar.update(task, description="")
        remember(types)
        new, seconds = compiled() - before, time.perf_counter() - began
        what = f"{new} kernels compiled" if new else "all kernels were in the cache"
        click.echo(f"{len(work) // len(types)} formulas and layers in {' and '.join(types)}: {what}, {seconds:.1f} s")
        for name, problem in failed.items():
            click.secho(f"left out: {name}: {problem}", fg="red", err=True)
        if failed:
            raise click.ClickException(f"{len(failed)} of {len(work)} can't be compiled")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script by which a shell completes commands, options and names.

    SHELL is that of this terminal where it is left out. Put the script where the shell looks, and open a new terminal:

    \b
      bash  numbanet completion bash > ~/.local/share/bash-completion/completions/numbanet
      zsh   numbanet completion zsh > ~/.zfunc/_numbanet
            with fpath+=~/.zfunc before compinit in ~/.zshrc
      fish  numbanet completion fish > ~/.config/fish/completions/numbanet.fish

    \b
    Examples:
      source <(numbanet completion bash)    only in this terminal
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise click.UsageError(f"can't tell this terminal's shell; name one of {', '.join(SHELLS)}")
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "numbanet", "_NUMBANET_COMPLETE").source())
