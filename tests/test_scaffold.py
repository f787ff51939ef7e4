"""``numbanet plugins new``: a package that works as it is written."""

import subprocess
import sys

import packages
import pytest
from click.testing import CliRunner

from numbanet import cli, scaffold

TEMPLATE = packages.PLUGINS / "numbanet-template"


def new(*arguments, kind="activation"):
    return CliRunner().invoke(cli.main, ["plugins", "new", kind, *map(str, arguments)])


def test_the_package_in_plugins_is_the_template():
    files = {path.relative_to(TEMPLATE).as_posix(): path.read_text(encoding="utf-8")
             for path in TEMPLATE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert files == scaffold.render("activation", "template")


@pytest.mark.parametrize("kind", ["activation", *(pytest.param(kind, marks=pytest.mark.compiled)
                                                    for kind in scaffold.KINDS[1:])])
def test_new_package(kind, tmp_path):
    folder, site = tmp_path / "package", tmp_path / "site"
    result = new("my_own", "--output", folder, kind=kind)
    assert result.exit_code == 0, result.output
    assert f"Wrote {folder}" in result.output
    text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "@" not in text.replace("@pytest", "").replace("@hookimpl", "").replace("actions/", "").replace("@v", "")
    assert "template" not in text
    assert f"The {kind} my_own" in (folder / "pyproject.toml").read_text()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=folder, env=packages.install(folder, site), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_folder_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new("my_sigmoid").exit_code == 0
    assert (tmp_path / "numbanet-my-sigmoid" / "numbanet_my_sigmoid.py").is_file()


def test_kinds():
    result = new("my_own", kind="optimizer")
    assert result.exit_code == 2
    assert "'optimizer' is not one of 'activation', 'loss', 'regularizer'" in result.output
    result = new("huber", kind="loss")
    assert result.exit_code == 1
    assert "loss 'huber' is offered by numbanet " in result.output


@pytest.mark.parametrize(("name", "message"), [
    ("Bell", "name 'Bell' must be lower-case words of letters and digits joined by _, as in my_sigmoid"),
    ("2bell", "must be lower-case words"), ("a__b", "must be lower-case words"), ("bell_", "must be lower-case words"),
    ("a-b", "must be lower-case words"), ("", "must be lower-case words"), ("ä", "must be lower-case words"),
    ("class", "name 'class' means something else in Python"), ("abs", "name 'abs' means something else in Python"),
    ("math", "name 'math' means something else in Python"), ("relu", "activation 'relu' is offered by numbanet "),
])
def test_names_that_cannot_be(tmp_path, name, message):
    result = new(name, "--output", tmp_path / "package")
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "package").exists()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").write_text("")
    result = new("my_sigmoid", "--output", tmp_path)
    assert result.exit_code == 1
    assert "isn't empty; name a new or an empty one" in result.output
    result = new("my_sigmoid", "--output", tmp_path / "mine")
    assert result.exit_code == 1
    assert "is a file; name a new or an empty folder" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
