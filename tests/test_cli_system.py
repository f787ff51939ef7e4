"""What the command says of itself and of the machine."""

import json
import os
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from numbanet import __version__, cli, system, warmup
from numbanet._discovery import Found
from numbanet.registry import Failure, names


def run(*arguments, **options):
    return CliRunner().invoke(cli.main, list(arguments), **options)


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


COMMANDS = dict(commands(cli.main))


# Overview and help


def test_overview():
    result = run()
    assert result.exit_code == 0
    assert result.output.startswith(f"numbanet {__version__}: neural networks")
    assert "numbanet train digits " in result.output
    for name in cli.main.commands:
        assert re.search(rf"^  {name} +[A-Z].*\.$", result.output, re.MULTILINE)


def test_misspelt_command():
    result = run("trian")
    assert result.exit_code == 2
    assert "Error: unknown command 'trian'; did you mean 'train'? Known: completion, demo, info" in result.output
    assert "unknown command 'xyzzy'; Known: " in run("xyzzy").output
    assert "did you mean 'perceptron'?" in run("demo", "perceptorn").output
    assert "No such option" in run("--nothing").output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_examples_that_are_commands(path):
    output = run(*path, "--help").output
    _, examples = output.split("Examples:\n")
    lines = [line.strip() for line in examples.split("\n\n")[0].splitlines()]
    assert lines
    for line in lines:
        assert f"numbanet {path[0]}" in line
        words = re.search(r"numbanet ([^<>)]*)", line)[1].split()
        command = cli.main
        while isinstance(command, click.Group) and words and words[0] in command.commands:
            command = command.commands[words.pop(0)]
        command.make_context("numbanet", words)  # an option or argument that it doesn't know is an error


# Info


def test_info(monkeypatch):
    monkeypatch.setenv("NUMBANET_PLUGINS_DISABLED", "nobody")
    monkeypatch.setattr("numbanet.registry.failures", lambda: [Failure(Found("broken", "bad", "1.0", None), "no")])
    result = run("info")
    assert result.exit_code == 0
    for pattern in (f"numbanet +{__version__}", "numba +[0-9]", "model +.", "threads +[1-9]",
                    "float32 +vectors of [0-9]", "can be written +(yes|no)", "cuda +",
                    "NUMBANET_PLUGINS_DISABLED +nobody", "plugin 'broken' of bad 1.0 +left out: no"):
        assert re.search(rf"^  {pattern}", result.output, re.MULTILINE), pattern
    found = json.loads(run("info", "--json").output)
    assert list(found) == ["versions", "processor", "cache", "devices", "environment", "plugins"]
    assert found["processor"]["threads"] >= 1
    assert found["versions"]["Python"] == ".".join(map(str, sys.version_info[:3]))


def test_versions_of_what_is_installed(monkeypatch):
    monkeypatch.setattr(system, "OPTIONAL", ("pytest", "nothing-of-this-name"))
    assert list(system.versions())[-2:] == ["scipy", "pytest"]


@pytest.mark.compiled
def test_info_compiles_nothing():
    code = ("from numba.core import event; from numbanet.cli import main\n"
            "with event.install_recorder('numba:compile') as found:\n"
            "    main(['info'], standalone_mode=False)\n"
            "print(len(found.buffer))")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("value", [True, False])
def test_facts_as_text(value):
    text = system.table({"a": {"long name": value, "b": ["x", "y"], "c": []}, "empty": {}})
    assert text == f"a\n  long name  {'yes' if value else 'no'}\n  b          x, y\n  c          none\n\nempty\n  none"


# Warming up


def test_jobs_are_all_names():
    found = [name for name, _ in warmup.jobs("float32")]
    assert found[0] == "driver"
    for kind in warmup.KINDS:
        assert [name for name in found if name.startswith(kind)] == [f"{kind} {name}" for name in names(kind)]


@pytest.mark.compiled
def test_warmup_reports(monkeypatch):
    def broken():
        raise ValueError("it is broken")

    monkeypatch.setattr(warmup, "jobs", lambda dtype: [("one", lambda: None)])
    result = run("warmup")
    assert result.exit_code == 0, result.output
    assert "1 formulas and layers in float32 and float64: " in result.output
    monkeypatch.setattr(warmup, "jobs", lambda dtype: [("one", broken), ("two", lambda: None)])
    result = run("warmup", "--dtype", "float64")
    assert result.exit_code == 1
    assert "left out: one, float64: it is broken" in result.output
    assert "1 of 2 can't be compiled" in result.output


def test_nothing_is_compiled_for_nothing(monkeypatch):
    from numba import config

    monkeypatch.setattr(config, "DISABLE_JIT", True)
    assert "Error: NUMBA_DISABLE_JIT is set" in run("warmup").output
    monkeypatch.setattr(config, "DISABLE_JIT", False)
    monkeypatch.setattr(system, "cache_folders", lambda: system.CacheFolders(system.Path("x"), None, False))
    assert "Error: the cache can't be written; set NUMBA_CACHE_DIR" in run("warmup").output


def test_every_job_can_be_done():
    """In one type; what it compiles the other tests need too."""
    for _, job in warmup.jobs("float32"):
        job()


@pytest.mark.compiled
def test_warm_training_compiles_nothing(tmp_path):
    """Of all jobs two are enough for the command of the README."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def kernels(code):
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True)
        return sorted(path.name for path in (tmp_path / "cache").rglob("*.nbc"))

    code = "from numbanet.warmup import jobs; work = dict(jobs('float32')); "
    warm = kernels(code + "work['driver'](); work['activation softmax']()")
    assert len(warm) > 10
    assert kernels("from numbanet.cli import main; main(['train', 'digits', '--epochs', '2'])") == warm


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(shell, monkeypatch):
    script = run("completion", shell).output
    assert f"{shell}_complete" in script
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert run("completion").output == script
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    result = run("completion")
    assert result.exit_code == 2
    assert "name one of bash, zsh, fish" in result.output


@pytest.mark.parametrize(("words", "expected"), [
    ("numbanet w", "warmup"), ("numbanet train digits --activation selu", "selu"),
    ("numbanet train digits --loss hub", "huber"), ("numbanet tune x --optimizer adamw", "adamw"),
    ("numbanet demo p", "perceptron")])
def test_completed(words, expected):
    environment = {"_NUMBANET_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = CliRunner(env=environment).invoke(cli.main, prog_name="numbanet")
    assert result.output.splitlines() == [f"plain,{expected}"]
